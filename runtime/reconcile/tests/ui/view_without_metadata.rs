#[derive(serde::Serialize, serde::Deserialize, Clone, Debug)]
struct Phase {
    phase: String,
}

fn phases(manager: &trimtab_reconcile::Manager) {
    manager.cache::<Phase>();
}

fn main() {}
