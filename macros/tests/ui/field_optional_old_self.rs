use trimtab_macros::Schema;

#[derive(Schema)]
struct Ports {
    #[resource(rule("self > 0", optional_old_self))]
    port: u16,
}

fn main() {}
