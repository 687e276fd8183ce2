#[derive(trimtab_api::Schema)]
#[resource(crate = "trimtab_api")]
enum Size {
    Small,
    Large,
}

#[derive(trimtab_api::Schema)]
#[resource(crate = "trimtab_api")]
#[serde(tag = "type")]
enum Machine {
    Shared(Size),
    Own { cores: u8 },
}

fn main() {}
