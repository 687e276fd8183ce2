use serde::{Deserialize, Serialize};
use trimtab_api::{Resource, Schema};

#[derive(Resource, Schema, Serialize, Deserialize, Clone, Debug)]
#[resource(group = "demo.io", version = "v1", kind = "Website", crate = "trimtab_api", versions(BlogSpec))]
struct WebsiteSpec {
    image: String,
}

#[derive(Resource, Schema, Serialize, Deserialize, Clone, Debug)]
#[resource(group = "demo.io", version = "v1beta1", kind = "Blog", crate = "trimtab_api")]
struct BlogSpec {
    image: String,
}

impl From<Blog> for Website {
    fn from(blog: Blog) -> Self {
        Self { metadata: blog.metadata, spec: WebsiteSpec { image: blog.spec.image } }
    }
}

impl From<Website> for Blog {
    fn from(website: Website) -> Self {
        Self { metadata: website.metadata, spec: BlogSpec { image: website.spec.image } }
    }
}

fn main() {}
