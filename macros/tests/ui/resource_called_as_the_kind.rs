use trimtab_macros::Resource;

#[derive(Resource)]
#[resource(group = "demo.io", version = "v1", kind = "Website")]
struct Website {
    image: String,
}

fn main() {}
