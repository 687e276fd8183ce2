//! What the compiler says of mistakes: one in each file under `ui/`, or in the definition that it names.

use std::fs;
use std::path::Path;

#[test]
fn mistakes_are_told_where_they_are() {
    // To the macros, the crate that they are used in is the one that trybuild makes.
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("tests/trybuild/trimtab-macros/crds");
    fs::create_dir_all(&built).unwrap();
    for file in fs::read_dir("tests/ui/crds").unwrap().map(Result::unwrap) {
        fs::copy(file.path(), built.join(file.file_name())).unwrap();
    }
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
