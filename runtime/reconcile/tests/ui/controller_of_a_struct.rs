struct Websites;

fn add(manager: &trimtab_reconcile::Manager) {
    manager.add(Websites);
}

fn main() {}
