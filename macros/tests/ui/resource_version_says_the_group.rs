use trimtab_macros::Resource;

struct WebsiteSpec;

#[derive(Resource)]
#[resource(version = "v1beta1", converts = WebsiteSpec, group = "demo.io")]
struct WebsiteV1Beta1Spec {
    image: String,
}

fn main() {}
