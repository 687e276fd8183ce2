use trimtab_macros::Schema;

#[derive(Schema)]
struct Ports {
    #[resource(rule = "self.all(port, port > )")]
    ports: Vec<u16>,
}

fn main() {}
