use trimtab_reconcile::IsCondition;

#[derive(serde::Serialize, serde::Deserialize)]
struct Ready {
    since: String,
}

fn is_condition<C: IsCondition>(_: &C) {}

fn main() {
    is_condition(&Ready { since: String::new() });
}
