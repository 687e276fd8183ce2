use trimtab_macros::Schema;

#[derive(Schema)]
enum Nothing {}

fn main() {}
