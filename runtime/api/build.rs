//! Makes of `manifests/definitions.json` what the library carries: the shapes alone, read at each start, and everything,
//! gzipped, for documents. `manifests/protobuf.txt` is gzipped, too.

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::{env, fs};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

fn main() -> Result<(), Box<dyn Error>> {
    let manifests = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../manifests");
    let (path, messages) = (manifests.join("definitions.json"), manifests.join("protobuf.txt"));
    println!("cargo::rerun-if-changed={}", path.display());
    println!("cargo::rerun-if-changed={}", messages.display());
    println!("cargo::rerun-if-changed=build.rs");
    let mut definitions: Value = serde_json::from_str(&fs::read_to_string(&path)?)?;
    let out = env::var("OUT_DIR")?;
    let out = Path::new(&out);
    gzip(&out.join("definitions.json.gz"), definitions.to_string().as_bytes())?;
    gzip(&out.join("protobuf.txt.gz"), &fs::read(&messages)?)?;
    for definition in definitions.as_object_mut().into_iter().flat_map(|all| all.values_mut()) {
        strip(definition);
    }
    fs::write(out.join("shapes.json"), definitions.to_string())?;
    Ok(())
}

fn gzip(path: &Path, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
    let mut out = GzEncoder::new(fs::File::create(path)?, Compression::best());
    out.write_all(bytes)?;
    out.finish()?;
    Ok(())
}

/// Takes the descriptions of a schema and of those in it away. A property may be called so, too.
fn strip(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else { return };
    fields.remove("description");
    for (name, value) in fields {
        match name.as_str() {
            "properties" => value.as_object_mut().into_iter().flat_map(|all| all.values_mut()).for_each(strip),
            "items" | "additionalProperties" => strip(value),
            "allOf" => value.as_array_mut().into_iter().flatten().for_each(strip),
            _ => {}
        }
    }
}
