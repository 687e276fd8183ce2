//! Starts `trimtab up` in a folder of its own, talks to it, and removes what it made.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up. Far more than it needs: a busy machine must
/// not fail a test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

const TRIMTAB: &str = env!("CARGO_BIN_EXE_trimtab");

/// Tests with real containers go one after another, those of other processes included: they share the machine's Docker
/// Engine, its node ports and its cores. The lock is given back when this is dropped, or the process ends.
pub(crate) struct Alone {
    _file: File,
    _turn: MutexGuard<'static, ()>,
}

pub(crate) fn alone() -> Alone {
    static ALONE: Mutex<()> = Mutex::new(());
    let turn = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let path = std::env::temp_dir().join("trimtab-tests-with-docker.lock");
    let file = File::options().create(true).append(true).open(path).unwrap();
    file.lock().unwrap();
    Alone { _file: file, _turn: turn }
}

/// A running cluster. Dropping it removes its containers, its network and its files.
pub(crate) struct Cluster {
    /// The process that serves the API, while it runs.
    pub(crate) child: Option<Child>,
    /// What runs beside it as processes of their own, by what they were started with.
    components: Vec<(String, Child)>,
    pub(crate) dir: tempfile::TempDir,
    command: &'static [&'static str],
    listen: String,
    args: Vec<String>,
    env: Vec<(&'static str, String)>,
}

impl Cluster {
    /// Starts `trimtab up ARGS` on a free port, and waits until its API answers.
    pub(crate) fn up(args: &[&str]) -> Self {
        let mut cluster = Self::new(args);
        cluster.start();
        cluster
    }

    /// What [`Cluster::up`] starts, not started.
    pub(crate) fn new(args: &[&str]) -> Self {
        Self {
            child: None,
            components: Vec::new(),
            dir: tempfile::tempdir().unwrap(),
            command: &["up"],
            listen: "127.0.0.1:0".to_owned(),
            args: args.iter().map(ToString::to_string).collect(),
            env: Vec::new(),
        }
    }

    /// Starts `trimtab run apiserver ARGS`, and nothing else.
    pub(crate) fn apiserver(args: &[&str]) -> Self {
        let mut cluster = Self::new(args);
        cluster.command = &["run", "apiserver"];
        cluster.start();
        // The other processes know it by its port: it keeps it.
        let config = std::fs::read_to_string(cluster.kubeconfig()).unwrap();
        let server = config.split("https://").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap();
        server.clone_into(&mut cluster.listen);
        cluster
    }

    /// Starts its processes with an environment variable.
    pub(crate) fn env(&mut self, name: &'static str, value: &str) {
        self.env.push((name, value.to_owned()));
    }

    pub(crate) fn start(&mut self) {
        self.spawn();
        self.eventually("the API answers", |cluster| cluster.try_cli(&["get", "namespace", "default"]).is_ok());
    }

    /// Starts the process and waits for nothing.
    pub(crate) fn spawn(&mut self) {
        let data = self.data();
        let mut args = self.command.to_vec();
        args.extend(["--listen", &self.listen, "--data-dir", &data]);
        args.extend(self.args.iter().map(String::as_str));
        self.child = Some(self.process(TRIMTAB.as_ref(), &self.kubeconfig(), &args));
    }

    /// Starts `trimtab run ARGS` with the kubeconfig file that the API server wrote for `identity`.
    pub(crate) fn run(&mut self, identity: &str, args: &[&str]) {
        let kubeconfig = Path::new(&self.data()).join("kubeconfigs").join(identity).with_extension("yaml");
        self.run_program(TRIMTAB.as_ref(), &kubeconfig, &[&["run"], args].concat());
    }

    /// Starts a program with a kubeconfig file.
    pub(crate) fn run_program(&mut self, program: &Path, kubeconfig: &Path, args: &[&str]) {
        let child = self.process(program, kubeconfig, args);
        self.components.push((args.join(" "), child));
    }

    fn process(&self, program: &Path, kubeconfig: &Path, args: &[&str]) -> Child {
        let log = File::options().create(true).append(true).open(self.log_path()).unwrap();
        let mut command = Command::new(program);
        command.args(args).arg("--kubeconfig").arg(kubeconfig).env("NO_COLOR", "1").envs(self.env.iter().cloned());
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
    }

    /// Tells the components to end, and checks that each does so by itself, without an error.
    #[track_caller]
    pub(crate) fn end_components(&mut self) {
        let mut components = std::mem::take(&mut self.components);
        for (name, child) in &mut components {
            assert!(child.try_wait().unwrap().is_none(), "{name} has ended\n--- log\n{}", self.log());
            assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
        }
        for (name, mut child) in components {
            let status = child.wait().unwrap();
            assert!(status.success(), "{name}: {status}\n--- log\n{}", self.log());
        }
    }

    /// The data directory.
    pub(crate) fn data(&self) -> String {
        self.dir.path().join("data").to_str().unwrap().to_owned()
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.dir.path().join("kubeconfig")
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    /// What `up` has printed.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Ends the process as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().expect("the cluster runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Runs `trimtab ARGS` against this cluster: its output, or its error text.
    pub(crate) fn try_cli(&self, args: &[&str]) -> Result<String, String> {
        self.program(TRIMTAB, args)
    }

    /// As [`Cluster::try_cli`], for what must succeed.
    #[track_caller]
    pub(crate) fn cli(&self, args: &[&str]) -> String {
        self.try_cli(args).unwrap_or_else(|error| panic!("trimtab {args:?}: {error}\n--- log\n{}", self.log()))
    }

    /// Runs another client's program with this cluster's kubeconfig.
    pub(crate) fn program(&self, program: &str, args: &[&str]) -> Result<String, String> {
        let output = Command::new(program)
            .args(args)
            .env("KUBECONFIG", self.kubeconfig())
            .env("HOME", self.dir.path())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// Writes a file into the cluster's folder and gives its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Waits until `holds`, and panics with the log when it does not in time.
    #[track_caller]
    pub(crate) fn eventually(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let start = Instant::now();
        while !holds(self) {
            assert!(start.elapsed() < PATIENCE, "in vain: {what}\n--- log\n{}", self.log());
            sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.try_cli(&["down", "--data-dir", &self.data()]);
        let components = std::mem::take(&mut self.components).into_iter().map(|(_, child)| child);
        for mut child in components.chain(self.child.take()) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Sets a flag when it is dropped, at the latest by a panic: a scope waits for the threads that look at the flag.
pub(crate) struct Sets<'a>(pub(crate) &'a AtomicBool);

impl Drop for Sets<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// One HTTP request on a new connection to a port of this machine: the body of a 200.
pub(crate) fn http_get(port: u16) -> Result<String, String> {
    let attempt = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = attempt().map_err(|e| e.to_string())?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200") => Ok(body.to_owned()),
        _ => Err(format!("not an answer: {answer:?}")),
    }
}

/// The manifests that the README's first command runs, with a node port of the test's own.
pub(crate) fn quickstart(dir: &Path, node_port: u16) -> PathBuf {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../../manifests/quickstart/hello.yaml");
    let text = std::fs::read_to_string(source).unwrap().replace("30080", &node_port.to_string());
    std::fs::create_dir_all(dir).unwrap();
    std::fs::write(dir.join("hello.yaml"), text).unwrap();
    dir.to_owned()
}
