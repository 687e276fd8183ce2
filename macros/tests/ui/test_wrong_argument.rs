use trimtab_macros::test;

#[test]
async fn converges(_: &String) {}

fn main() {}
