trimtab_macros::resources_from!("crds/no_yaml.yaml");

fn main() {}
