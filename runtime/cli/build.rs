//! Makes the release binary smaller.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Each crate has its own copy of the code that reads a Pod. Rust's own linker on this target
    // (rust-lld) merges equal functions.
    let is_release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let target = std::env::var("TARGET").unwrap_or_default();
    if is_release && target == "x86_64-unknown-linux-gnu" {
        println!("cargo::rustc-link-arg-bins=-Wl,--icf=all");
    }
}
