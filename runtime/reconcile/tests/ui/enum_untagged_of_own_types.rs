#[derive(trimtab_api::Schema)]
#[resource(crate = "trimtab_api")]
struct Git {
    url: String,
}

#[derive(trimtab_api::Schema)]
#[resource(crate = "trimtab_api")]
#[serde(untagged)]
enum Source {
    Name(String),
    Git(Git),
}

fn main() {}
