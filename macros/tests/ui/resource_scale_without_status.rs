use trimtab_macros::Resource;

#[derive(Resource)]
#[resource(group = "demo.io", version = "v1", kind = "Website", scale(replicas = ".spec.replicas"))]
struct WebsiteSpec {
    replicas: i32,
}

fn main() {}
