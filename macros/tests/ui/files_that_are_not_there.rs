trimtab_macros::resources_from!(crds);

fn main() {}
