//! Our own images: the sandbox's `pause`, and `hello`, the quickstart's web server.
//!
//! The programs are built with this crate (`build.rs`) and are part of it; [`archive`] packs them
//! in memory in the form that `docker load` reads. The same programs give the same image ids.

use std::io;

use bytes::Bytes;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

/// The image of sandboxes.
pub const PAUSE: &str = "trimtab.dev/pause:1";
/// The web server of the quickstart.
pub const HELLO: &str = "trimtab.dev/hello:1";
/// The same, calling itself version 2: something to update to.
pub const HELLO_2: &str = "trimtab.dev/hello:2";

/// One image of one program.
struct Program {
    tag: &'static str,
    name: &'static str,
    code: &'static [u8],
    env: &'static [&'static str],
    port: Option<&'static str>,
}

const PAUSE_CODE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/pause"));
const HELLO_CODE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/hello"));

const PROGRAMS: [Program; 3] = [
    Program { tag: PAUSE, name: "pause", code: PAUSE_CODE, env: &[], port: None },
    Program { tag: HELLO, name: "hello", code: HELLO_CODE, env: &["HELLO_VERSION=1"], port: Some("8080/tcp") },
    Program { tag: HELLO_2, name: "hello", code: HELLO_CODE, env: &["HELLO_VERSION=2"], port: Some("8080/tcp") },
];

/// All our images: tag and id.
pub fn tags() -> Vec<(&'static str, String)> {
    PROGRAMS.iter().map(|program| (program.tag, format!("sha256:{}", program.config().1))).collect()
}

/// A tar of all our images, as `docker load` reads it.
pub fn archive() -> Bytes {
    pack().map(Bytes::from).expect("writing to memory does not fail")
}

fn pack() -> io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut manifest = Vec::new();
    for program in &PROGRAMS {
        let (layer, (config, digest)) = (program.layer()?, program.config());
        let (config_path, layer_path) = (format!("{digest}.json"), format!("{digest}/layer.tar"));
        append(&mut tar, &config_path, config.as_bytes(), 0o644)?;
        append(&mut tar, &layer_path, &layer, 0o644)?;
        manifest.push(json!({"Config": config_path, "RepoTags": [program.tag], "Layers": [layer_path]}));
    }
    append(&mut tar, "manifest.json", Value::from(manifest).to_string().as_bytes(), 0o644)?;
    tar.into_inner()
}

impl Program {
    fn layer(&self) -> io::Result<Vec<u8>> {
        let mut tar = tar::Builder::new(Vec::new());
        append(&mut tar, self.name, self.code, 0o755)?;
        tar.into_inner()
    }

    /// The image's configuration and its digest, which is the image's id.
    fn config(&self) -> (String, String) {
        let layer = self.layer().expect("writing to memory does not fail");
        let mut config = json!({
            "architecture": architecture(), "os": "linux", "created": "1970-01-01T00:00:00Z",
            "config": {"Entrypoint": [format!("/{}", self.name)], "Env": self.env, "WorkingDir": "/"},
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", sha256(&layer))]},
            "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "trimtab"}],
        });
        if let Some(port) = self.port {
            config["config"]["ExposedPorts"] = json!({port: {}});
        }
        let config = config.to_string();
        let digest = sha256(config.as_bytes());
        (config, digest)
    }
}

/// The architecture in the words of images: `amd64`, `arm64`.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn append(tar: &mut tar::Builder<Vec<u8>>, path: &str, content: &[u8], mode: u32) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_size(content.len() as u64);
    header.set_mode(mode);
    tar.append_data(&mut header, path, content)
}

fn sha256(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether one of the program headers of a 64-bit ELF file is `PT_INTERP`.
    fn asks_for_a_loader(elf: &[u8]) -> bool {
        let number =
            |at: usize, len: usize| elf[at..at + len].iter().rev().fold(0, |n, byte| n << 8 | usize::from(*byte));
        let (table, size, count) = (number(32, 8), number(54, 2), number(56, 2));
        (0..count).any(|index| number(table + index * size, 4) == 3)
    }

    #[test]
    fn the_programs_are_static_and_small() {
        for (code, limit) in [(PAUSE_CODE, 8 << 10), (HELLO_CODE, 1400 << 10)] {
            assert_eq!(&code[..4], b"\x7fELF");
            assert!(code.len() < limit, "{} bytes", code.len());
            assert!(!asks_for_a_loader(code));
        }
    }

    #[test]
    fn packing_twice_gives_the_same_bytes_with_one_config_each() {
        let archive = archive();
        assert_eq!(archive, super::archive());
        let mut tar = tar::Archive::new(archive.as_ref());
        let paths: Vec<_> = tar.entries().unwrap().map(|e| e.unwrap().path().unwrap().display().to_string()).collect();
        for (_, id) in tags() {
            assert!(paths.contains(&format!("{}.json", &id["sha256:".len()..])), "{paths:?}");
        }
    }
}
