use trimtab_macros::Schema;

#[derive(Schema)]
struct Ports {
    #[resource(list_type = "map")]
    ports: Vec<String>,
}

fn main() {}
