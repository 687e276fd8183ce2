//! The `kubectl` on PATH, command by command.

mod access;
mod custom;
mod declare;
mod generators;
mod inside;
mod inspect;
mod pods;

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::harness::{Running, within};

/// A controller of three pods that are ready at once.
const WEB: &str = r"
apiVersion: v1
kind: ReplicationController
metadata: {name: web}
spec:
  replicas: 3
  selector: {app: web}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: c, image: 'sim:1', ports: [{containerPort: 80}]}]
";

struct Kubectl {
    /// Its home, with the kubeconfig file.
    home: PathBuf,
    /// What it asks, if it is its own.
    cluster: Option<Running>,
}

/// How a command ended.
#[derive(Debug)]
struct Ended {
    code: i32,
    out: String,
    err: String,
}

impl Kubectl {
    /// With a cluster to ask; `None` when there is no kubectl.
    async fn new() -> Option<Self> {
        if !Self::is_there().await {
            return None;
        }
        let cluster = Running::start().await;
        Some(Self { home: cluster.dir.path().to_owned(), cluster: Some(cluster) })
    }

    /// Whether there is one. Says what is left out when there is none.
    #[expect(clippy::print_stdout, reason = "says what is left out")]
    async fn is_there() -> bool {
        let mut found = Command::new("kubectl");
        found.args(["version", "--client"]).stdout(Stdio::null()).stderr(Stdio::null());
        let is_there = found.status().await.is_ok_and(|status| status.success());
        if !is_there {
            println!("left out: a test with kubectl (there is none on PATH)");
        }
        is_there
    }

    /// A command by its words, which no blanks are in.
    fn command(&self, words: &str) -> Command {
        let mut command = Command::new("kubectl");
        // Discovery is cached in the home folder: each test has its own.
        command.args(words.split_whitespace()).env("KUBECONFIG", self.home.join("kubeconfig"));
        command.env("HOME", &self.home).current_dir(&self.home).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    async fn end_of(&self, mut command: Command, input: &str) -> Ended {
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).await.unwrap();
        drop(stdin);
        let output = within("kubectl ends", child.wait_with_output()).await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ended { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// What a command that must succeed prints, when it reads `input`.
    async fn feed(&self, words: &str, input: &str) -> String {
        let ended = self.end_of(self.command(words), input).await;
        assert_eq!(ended.code, 0, "kubectl {words}: {ended:?}");
        ended.out
    }

    async fn run(&self, words: &str) -> String {
        self.feed(words, "").await
    }

    /// What a command that must fail complains of, when it reads `input`.
    async fn refuses(&self, words: &str, input: &str) -> String {
        let ended = self.end_of(self.command(words), input).await;
        assert_ne!(ended.code, 0, "kubectl {words}: {ended:?}");
        ended.err
    }

    /// Checks what a command prints.
    async fn prints(&self, words: &str, expected: &str) {
        assert_eq!(self.run(words).await, expected, "kubectl {words}");
    }

    /// Checks that what a command prints has each of these in it.
    async fn tells(&self, words: &str, expected: &[&str]) {
        let out = self.run(words).await;
        for part in expected {
            assert!(out.contains(part), "kubectl {words}: no {part:?} in\n{out}");
        }
    }

    /// Runs a command until it prints this.
    async fn comes_to(&self, words: &str, expected: &str) {
        let comes = async {
            while self.run(words).await != expected {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        within(&format!("kubectl {words} prints {expected:?}"), comes).await;
    }

    /// Writes a file that commands find under its name.
    fn write(&self, name: &str, text: &str) {
        let path = self.home.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// An editor for `kubectl edit`: a `sed` script that is run over the file.
    fn editor(&self, script: &str) -> String {
        self.write("script.sed", script);
        format!("sed -i -f {}", self.home.join("script.sed").display())
    }

    async fn end(self) {
        if let Some(cluster) = self.cluster {
            cluster.end().await;
        }
    }
}

/// The words of a table's row.
fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}
