use k8s_openapi::api::core::v1::Pod;
use trimtab_api::custom::Declared;

fn declared<K: Declared>() {}

fn main() {
    declared::<Pod>();
}
