use trimtab_macros::Schema;

#[derive(Schema)]
enum Source {
    #[resource(rule = "self != ''")]
    Image(String),
}

fn main() {}
