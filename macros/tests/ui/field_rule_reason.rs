use trimtab_macros::Schema;

#[derive(Schema)]
struct Ports {
    #[resource(rule("self > 0", reason = "TooSmall"))]
    port: u16,
}

fn main() {}
