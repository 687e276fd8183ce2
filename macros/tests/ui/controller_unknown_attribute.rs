use trimtab_macros::controller;

struct Replication;

#[controller(own(Pod))]
impl Replication {}

fn main() {}
