use trimtab_macros::Schema;

#[derive(Schema)]
#[serde(tag = "type")]
enum Source {
    Image(String),
    Git { url: String },
}

fn main() {}
