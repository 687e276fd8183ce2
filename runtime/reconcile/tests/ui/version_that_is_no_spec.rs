use serde::{Deserialize, Serialize};
use trimtab_api::{Resource, Schema};

#[derive(Resource, Schema, Serialize, Deserialize, Clone, Debug)]
#[resource(group = "demo.io", version = "v1", kind = "Website", crate = "trimtab_api", versions(WebsiteStatus))]
struct WebsiteSpec {
    image: String,
}

#[derive(Schema, Serialize, Deserialize, Clone, Debug)]
#[resource(crate = "trimtab_api")]
struct WebsiteStatus {
    ready: i32,
}

fn main() {}
