use trimtab_macros::Resource;

#[derive(Resource)]
#[resource(group = "demo.io", version = "v1", kind = "Website")]
struct WebsiteSpec {
    #[resource(list_type = "set")]
    image: String,
}

fn main() {}
