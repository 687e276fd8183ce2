use trimtab_macros::Schema;

#[derive(Schema)]
enum Source {
    Nowhere,
    Image(String),
}

fn main() {}
