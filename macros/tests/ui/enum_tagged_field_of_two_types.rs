use trimtab_macros::Schema;

#[derive(Schema)]
#[serde(tag = "type")]
enum Source {
    Image { wait: bool },
    Git { wait: Vec<String> },
}

fn main() {}
