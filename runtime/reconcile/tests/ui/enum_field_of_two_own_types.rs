#[derive(trimtab_api::Schema)]
#[resource(crate = "trimtab_api")]
enum Size {
    Small,
    Large,
}

#[derive(trimtab_api::Schema)]
#[resource(crate = "trimtab_api")]
struct Cores(u8, u8);

#[derive(trimtab_api::Schema)]
#[resource(crate = "trimtab_api")]
#[serde(tag = "type")]
enum Machine {
    Shared { size: Size },
    Own { size: Cores },
}

fn main() {}
