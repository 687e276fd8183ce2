//! A new file in the folder builds the crate anew.

fn main() {
    println!("cargo::rerun-if-changed=crds");
}
