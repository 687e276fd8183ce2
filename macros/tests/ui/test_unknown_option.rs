use trimtab_macros::test;

struct TestCluster;

#[test(seed = 64)]
async fn converges(_: &TestCluster) {}

fn main() {}
