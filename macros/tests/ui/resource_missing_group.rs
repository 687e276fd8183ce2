use trimtab_macros::Resource;

#[derive(Resource)]
#[resource(version = "v1", kind = "Website")]
struct WebsiteSpec {
    image: String,
}

fn main() {}
