//! What the compiler says of mistakes in the types behind the macros: one in each file under `ui/`. What the
//! macros say themselves is under `macros/tests/ui/`.

#[test]
fn mistakes_are_told_with_what_to_write() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
