use trimtab_macros::Schema;

#[derive(Schema)]
#[serde(untagged)]
enum Port {
    Number(u16),
    Name(String),
    Any(bool),
}

fn main() {}
