//! `trimtab new`: projects to begin with.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args as Group, Subcommand};

use crate::console::Console;

/// The files of an operator: where each goes, and what it says.
const OPERATOR: [(&str, &str); 6] = [
    ("Cargo.toml", include_str!("../../templates/operator/Cargo.toml")),
    (".gitignore", include_str!("../../templates/operator/gitignore")),
    ("README.md", include_str!("../../templates/operator/README.md")),
    ("src/main.rs", include_str!("../../templates/operator/src/main.rs")),
    ("src/tests.rs", include_str!("../../templates/operator/src/tests.rs")),
    ("manifests/{{name}}.yaml", include_str!("../../templates/operator/manifests/object.yaml")),
];

/// Its service account is called so, and its namespace longer by `-system`.
const LONGEST: usize = 46;

/// What cargo, the language or the project itself calls so.
const TAKEN: &str = "abstract alloc as async await become box break build const continue core crate deps \
                     do dyn else enum examples extern false final fn for gen if impl in \
                     incremental k8s-openapi let loop macro match mod move mut override priv proc-macro pub ref \
                     return self serde static std struct super test trait trimtab true try type typeof \
                     union unsafe unsized use virtual where while yield";
/// What the project's code calls so.
const IMPORTED: [&str; 31] = [
    "BTreeMap",
    "Condition",
    "Conditions",
    "Container",
    "Context",
    "Controlled",
    "Default",
    "Deserialize",
    "Err",
    "ExitCode",
    "Named",
    "Next",
    "None",
    "ObjectMeta",
    "Of",
    "Ok",
    "Option",
    "PodSpec",
    "PodTemplateSpec",
    "ReplicationController",
    "ReplicationControllerSpec",
    "Resource",
    "Result",
    "Schema",
    "Self",
    "Serialize",
    "Some",
    "String",
    "TestCluster",
    "Value",
    "Vec",
];

/// Write a project to begin with
#[derive(Group)]
pub(crate) struct Args {
    #[command(subcommand)]
    project: Project,
}

#[derive(Subcommand)]
enum Project {
    /// Write an operator: a kind, its controller, tests and manifests
    Operator(Operator),
}

#[derive(Group)]
struct Operator {
    /// The name of the package, and of the folder that is made for it
    name: String,
    /// The kind [default: the name, as CamelCase]
    #[arg(long)]
    kind: Option<String>,
    /// The kind's API group
    #[arg(long, default_value = "demo.io")]
    group: String,
    /// The folder of Trimtab's sources to build with; from the project's folder, if it is relative [default: from git]
    #[arg(long, value_name = "DIR")]
    trimtab_path: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, mut console: Console) -> Result<u8> {
    let Project::Operator(operator) = &args.project;
    let dir = Path::new(&operator.name);
    write(operator, dir)?;
    console.line(format_args!("{} is written; try: cd {} && cargo test", dir.display(), dir.display()))?;
    Ok(0)
}

/// Writes the project into a folder that is not there yet.
fn write(operator: &Operator, dir: &Path) -> Result<()> {
    let files = operator.files()?;
    match fs::create_dir(dir) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            bail!("{} is there already; give another name, or move it away", dir.display())
        }
        Err(error) => return Err(error).with_context(|| format!("could not make the folder {}", dir.display())),
    }
    for (path, text) in files {
        let path = dir.join(path);
        let written = fs::create_dir_all(path.parent().unwrap_or(dir)).and_then(|()| fs::write(&path, text));
        written.with_context(|| format!("could not write {}", path.display()))?;
    }
    Ok(())
}

impl Operator {
    /// Where each file goes, and what it says.
    fn files(&self) -> Result<Vec<(String, String)>> {
        check_name(&self.name)?;
        let kind = self.kind.clone().unwrap_or_else(|| camel_case(&self.name));
        check_kind(&kind)?;
        check_group(&self.group)?;
        let source = match &self.trimtab_path {
            // Of TOML's two kinds of strings, this one has no escapes.
            Some(path) => format!("path = '{}'", path.join("runtime/trimtab").display()),
            None => format!("git = \"{}\"", env!("CARGO_PKG_REPOSITORY")),
        };
        let fill = |text: &str| {
            let text = text.replace("{{name}}", &self.name).replace("{{Kind}}", &kind);
            text.replace("{{group}}", &self.group).replace("{{source}}", &source)
        };
        Ok(OPERATOR.map(|(path, text)| (fill(path), fill(text))).into())
    }
}

fn check_name(name: &str) -> Result<()> {
    let is_label = name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if !is_label {
        bail!(
            "{name:?} cannot name a package and its service account: write lower-case letters, digits and dashes, a letter first, as \"website\""
        );
    }
    if name.len() > LONGEST {
        bail!("{name:?} is longer than {LONGEST} characters: its namespace and its roles have longer names yet");
    }
    if TAKEN.split(' ').any(|taken| taken == name) {
        bail!(
            "{name:?} is taken, by cargo, by Rust or by what the project uses; write another name, as \"{name}-operator\""
        );
    }
    Ok(())
}

fn check_kind(kind: &str) -> Result<()> {
    if !kind.starts_with(|c: char| c.is_ascii_uppercase()) || !kind.chars().all(|c| c.is_ascii_alphanumeric()) {
        bail!("{kind:?} cannot name a kind: write it in CamelCase, as \"Website\"");
    }
    if IMPORTED.contains(&kind) {
        bail!("{kind:?} is what the project's code calls something else; say another by --kind, as \"My{kind}\"");
    }
    Ok(())
}

fn check_group(group: &str) -> Result<()> {
    let is_label = |label: &str| {
        let ends = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        label.len() <= 63
            && label.starts_with(ends)
            && label.ends_with(ends)
            && label.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    if group.len() > 253 || !group.contains('.') || !group.split('.').all(is_label) {
        bail!("{group:?} cannot name a group: write a domain name, as \"demo.io\"");
    }
    Ok(())
}

fn camel_case(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_ascii_uppercase() + rest
    });
    words.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operator(name: &str) -> Operator {
        Operator { name: name.to_owned(), kind: None, group: "demo.io".to_owned(), trimtab_path: None }
    }

    // What is written is a member of the workspace, which is built and tested as all others are. With `UPDATE=1` in
    // the environment it is written anew.
    #[test]
    fn the_example_is_what_is_written() {
        let operator = Operator { trimtab_path: Some("../..".into()), ..operator("greeter") };
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/greeter");
        if std::env::var_os("UPDATE").is_some() {
            let _ = fs::remove_dir_all(&dir);
            write(&operator, &dir).unwrap();
        }
        for (path, text) in operator.files().unwrap() {
            let found = fs::read_to_string(dir.join(&path)).unwrap_or_default();
            assert!(found == text, "examples/greeter/{path} differs; run with UPDATE=1 and review it");
        }
    }

    #[test]
    fn a_folder_that_is_there_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("website");
        write(&operator("website"), &path).unwrap();
        let manifest = fs::read_to_string(path.join("Cargo.toml")).unwrap();
        assert!(manifest.contains("trimtab = { git = \"https://"), "{manifest}");
        assert!(fs::read_to_string(path.join("src/main.rs")).unwrap().contains("kind = \"Website\""));
        let error = write(&operator("website"), &path).unwrap_err().to_string();
        assert_eq!(error, format!("{} is there already; give another name, or move it away", path.display()));
        let nowhere = write(&operator("website"), &dir.path().join("no/where")).unwrap_err().to_string();
        assert!(nowhere.starts_with("could not make the folder "), "{nowhere}");
    }

    #[test]
    fn a_wrong_name_is_told_with_what_to_write_instead() {
        let error = |operator: Operator| operator.files().unwrap_err().to_string();
        for name in ["Website", "web_site", "1st", "web-", "", "a/b", "../x"] {
            assert!(error(operator(name)).starts_with(&format!("{name:?} cannot name a package")), "{name}");
        }
        assert!(error(operator(&"a".repeat(47))).contains("longer than 46"));
        assert!(error(operator("serde")).contains("\"serde-operator\""));
        assert!(error(operator("context")).contains("\"MyContext\""));
        let kind = Operator { kind: Some("webSite".to_owned()), ..operator("website") };
        assert_eq!(error(kind), "\"webSite\" cannot name a kind: write it in CamelCase, as \"Website\"");
        for group in ["demo", "Demo.io", "demo..io", "-demo.io"] {
            let operator = Operator { group: group.to_owned(), ..operator("website") };
            assert!(error(operator).contains("write a domain name"), "{group}");
        }
        assert_eq!(camel_case("big-web-site2"), "BigWebSite2");
    }
}
