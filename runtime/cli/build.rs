//! Makes the release binary smaller.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is_release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let target = std::env::var("TARGET").unwrap_or_default();
    if is_release && target == "x86_64-unknown-linux-gnu" {
        // Of generic code, many copies come out equal. Rust's own linker on this target (rust-lld)
        // merges them.
        println!("cargo::rustc-link-arg-bins=-Wl,--icf=all");
        // At a fixed address, as Kubernetes' own programs are: without the tables of what to relocate,
        // and without a private copy of each page that would be.
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
