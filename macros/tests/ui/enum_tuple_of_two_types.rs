use trimtab_macros::Schema;

#[derive(Schema)]
enum Range {
    Ports(u16, bool),
}

fn main() {}
