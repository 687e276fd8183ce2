use trimtab_macros::Schema;

#[derive(Schema)]
struct Ports {
    #[resource(rule = "self > 0 &&\nself < 100")]
    port: u16,
}

fn main() {}
