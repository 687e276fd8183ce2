use trimtab_macros::Resource;

#[derive(Resource)]
#[resource(group = "demo.io", version = "v1", kind = "Website")]
enum WebsiteSpec {
    Image(String),
}

fn main() {}
