use trimtab_macros::test;

struct TestCluster;

#[test(seeds = 64)]
fn converges(_: TestCluster) {}

fn main() {}
