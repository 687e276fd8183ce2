#[derive(trimtab_api::Schema)]
#[resource(crate = "trimtab_api")]
struct Git {
    url: String,
}

#[derive(trimtab_api::Schema)]
#[resource(crate = "trimtab_api")]
enum Source {
    Nowhere,
    #[serde(untagged)]
    Git(Git),
}

fn main() {}
