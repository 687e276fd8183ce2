//! The Python package `kubernetes`: each `python/test_*.py` runs against a cluster of its own.
//!
//! The package is installed once, into a virtual environment below `target/`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use crate::harness::Running;

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/clients/python");

/// How long one script may take. It gives up on each thing by itself long before.
const PATIENCE: Duration = Duration::from_secs(600);

/// The interpreter that has the package; or why there is none.
fn interpreter() -> &'static Result<PathBuf, String> {
    static INTERPRETER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    INTERPRETER.get_or_init(|| {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-kubernetes");
        std::fs::create_dir_all(&dir).unwrap();
        // Another process of these tests may be installing it.
        let lock = File::options().create(true).append(true).open(dir.join("lock")).unwrap();
        lock.lock().unwrap();
        install(&dir)
    })
}

fn install(dir: &Path) -> Result<PathBuf, String> {
    let wanted = std::fs::read_to_string(Path::new(SCRIPTS).join("requirements.txt")).unwrap();
    let (home, installed) = (dir.join("venv"), dir.join("installed"));
    let python = home.join("bin/python");
    // Written last: what it says is there as a whole.
    if std::fs::read_to_string(&installed).is_ok_and(|text| text == wanted) {
        return Ok(python);
    }
    told(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home))?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1", "-r"]);
    told(pip.arg("requirements.txt").current_dir(SCRIPTS))?;
    std::fs::write(&installed, wanted).unwrap();
    Ok(python)
}

/// Runs what may be impossible here; tells why in one line.
fn told(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it says nothing").to_owned())
}

/// Runs `python/SCRIPT.py`, whose every test must pass.
#[expect(clippy::print_stdout, reason = "says what is left out")]
async fn passes(script: &str) {
    let python = match interpreter() {
        Ok(python) => python,
        Err(why) => return println!("left out: Python's {script} ({why})"),
    };
    let cluster = Running::start().await;
    let mut command = tokio::process::Command::new(python);
    command.args(["-m", "unittest", "--verbose", script]).current_dir(SCRIPTS).stdin(Stdio::null());
    command.env("KUBECONFIG", cluster.kubeconfig()).env("HOME", cluster.dir.path()).env("PYTHONDONTWRITEBYTECODE", "1");
    let ran = tokio::time::timeout(PATIENCE, command.kill_on_drop(true).output()).await;
    let output = ran.unwrap_or_else(|_| panic!("{script} goes on and on")).unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !text.contains("Ran 0 tests"), "{script}\n{text}");
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects() {
    passes("test_objects").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn watching() {
    passes("test_watching").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn custom() {
    passes("test_custom").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn access() {
    passes("test_access").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams() {
    passes("test_streams").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn election() {
    passes("test_election").await;
}
