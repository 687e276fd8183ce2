trimtab_macros::resources_from!("crds/field_without_a_type.yaml");

fn main() {}
