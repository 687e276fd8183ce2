use trimtab_macros::Resource;

#[derive(Resource)]
#[resource(group = "demo.io", version = "v1", kind = "Website", plurals = "websites")]
struct WebsiteSpec {
    image: String,
}

fn main() {}
