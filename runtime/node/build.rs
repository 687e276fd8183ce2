//! Compiles the programs of our own images, `images/*.rs`, so that nothing has to be pulled.
//!
//! They are static Linux programs for the target's architecture, made by the same compiler.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const COMMON: &[&str] = &["--edition=2024", "--crate-type=bin", "-Copt-level=z", "-Cpanic=abort", "-Cstrip=symbols"];

/// No libc, no start files: 1 to 2 KiB.
const PAUSE: &[&str] = &[
    "-Crelocation-model=static",
    "-Clink-args=-nostartfiles -nostdlib -static -no-pie",
    "-Clink-args=-Wl,--build-id=none,-z,max-page-size=4096,-z,noseparate-code",
];

const HELLO: &[&str] = &["-Clto=fat", "-Ccodegen-units=1", "-Ctarget-feature=+crt-static", "-Crelocation-model=static"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for (name, options) in [("pause", PAUSE), ("hello", HELLO)] {
        let source = Path::new("images").join(name).with_extension("rs");
        println!("cargo::rerun-if-changed={}", source.display());
        if let Err(why) = compile(name, &source, options) {
            println!("cargo::error=the image program {} could not be built: {why}", source.display());
        }
    }
}

fn compile(name: &str, source: &Path, options: &[&str]) -> Result<(), String> {
    let target = variable("TARGET");
    if variable("CARGO_CFG_TARGET_OS") != "linux" {
        return Err(format!("containers run Linux programs, and the target is {target}"));
    }
    if !matches!(variable("CARGO_CFG_TARGET_ARCH").as_str(), "x86_64" | "aarch64") {
        return Err(format!("{target} is neither x86_64 nor aarch64"));
    }
    let out = PathBuf::from(variable("OUT_DIR")).join(name);
    let mut rustc = Command::new(variable("RUSTC"));
    rustc.args(COMMON).args(options).args(["--crate-name", name, "--target", &target, "-o"]).arg(&out).arg(source);
    if let Ok(linker) = env::var("RUSTC_LINKER") {
        rustc.arg(format!("-Clinker={linker}"));
    }
    let output = rustc.output().map_err(|error| format!("could not run {rustc:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).replace('\n', " ");
    Err(format!("{text} (a static program needs the C library's static part: Debian's package libc6-dev)"))
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}
