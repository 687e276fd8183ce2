use trimtab_macros::Schema;

#[derive(Schema)]
#[serde(tag = "type", content = "value")]
enum Port {
    Name(String),
    Range { first: u16, last: u16 },
}

fn main() {}
