use trimtab_macros::Resource;

#[derive(Resource)]
#[resource(group = "demo.io", version = "1.0", kind = "Website")]
struct WebsiteSpec {
    image: String,
}

fn main() {}
