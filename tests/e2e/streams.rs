//! Streams into containers by the unmodified `kubectl`, over WebSockets and over SPDY.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use crate::docker;
use crate::harness::{Cluster, alone, http_get, quickstart};
use crate::kubectl::{Kubectl, is_there};

/// What makes kubectl choose a protocol: nothing for WebSockets, its first choice.
const PROTOCOLS: [&[(&str, &str)]; 2] =
    [&[], &[("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", "false"), ("KUBECTL_PORT_FORWARD_WEBSOCKETS", "false")]];

/// A kubectl that runs beside the test; killed when it is dropped.
struct Beside {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Beside {
    fn start(command: &mut Command) -> Self {
        Self::try_start(command).unwrap()
    }

    fn try_start(command: &mut Command) -> std::io::Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let out = BufReader::new(child.stdout.take().unwrap());
        Ok(Self { child, out })
    }

    fn write(&mut self, text: &str) {
        self.child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// The next line of its output, `""` at the end.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Reads on to a line with `wanted` in it.
    #[track_caller]
    fn until(&mut self, wanted: &str) {
        loop {
            let mut line = String::new();
            assert_ne!(self.out.read_line(&mut line).unwrap(), 0, "no {wanted:?}: {}", self.errors());
            if line.contains(wanted) {
                return;
            }
        }
    }

    /// The local ports of a `port-forward`, once it listens on all of `count`.
    fn ports(&mut self, count: usize) -> Vec<u16> {
        let mut ports = Vec::new();
        while ports.len() < count {
            let line = self.line();
            assert!(!line.is_empty(), "kubectl ended: {}", self.errors());
            let port = line.strip_prefix("Forwarding from 127.0.0.1:").and_then(|rest| rest.split_once(" -> "));
            ports.extend(port.map(|(port, _)| port.parse::<u16>().unwrap()));
        }
        ports
    }

    /// What it wrote on its standard error until it ended by itself.
    fn errors(&mut self) -> String {
        let mut text = String::new();
        self.child.stderr.as_mut().unwrap().read_to_string(&mut text).unwrap();
        text
    }
}

fn command(cluster: &Cluster, protocol: &[(&str, &str)], args: &[&str]) -> Command {
    let mut command = Command::new("kubectl");
    command.args(args).env("KUBECONFIG", cluster.kubeconfig()).env("HOME", cluster.dir.path());
    command.envs(protocol.iter().copied());
    command
}

fn output(cluster: &Cluster, protocol: &[(&str, &str)], args: &[&str], input: Vec<u8>) -> Output {
    let mut child = Beside::start(&mut command(cluster, protocol, args));
    let (mut stdin, mut err) = (child.child.stdin.take().unwrap(), child.child.stderr.take().unwrap());
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(&input));
        let stderr = scope.spawn(move || {
            let mut read = Vec::new();
            err.read_to_end(&mut read).map(|_| read)
        });
        let mut stdout = Vec::new();
        child.out.read_to_end(&mut stdout).unwrap();
        Output { status: child.child.wait().unwrap(), stdout, stderr: stderr.join().unwrap().unwrap() }
    })
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// A pod with the programs of this machine, whose main process answers each line.
fn shell() -> String {
    let folders = ["/bin", "/usr", "/lib", "/lib64"].into_iter().filter(|folder| Path::new(folder).is_dir());
    let (mut mounts, mut volumes) = (String::new(), String::new());
    for (index, folder) in folders.enumerate() {
        mounts += &format!("        - {{name: v{index}, mountPath: {folder}, readOnly: true}}\n");
        volumes += &format!("    - {{name: v{index}, hostPath: {{path: {folder}, type: Directory}}}}\n");
    }
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: shell}}\nspec:\n  terminationGracePeriodSeconds: 1\n  \
         restartPolicy: Never\n  containers:\n    - name: c\n      image: trimtab.dev/hello:1\n      stdin: true\n      \
         command: [/bin/sh, -c, 'while read line; do echo got $line; [ $line = end ] && exit 5; done']\n      \
         volumeMounts:\n{mounts}  volumes:\n{volumes}"
    )
}

#[test]
fn kubectl_runs_and_joins_commands() {
    const NAME: &str = "kubectl_runs_and_joins_commands";
    if !is_there(NAME) || !docker::answers(NAME) {
        return;
    }
    let _alone = alone();
    let cluster = Cluster::up(&[]);
    let kubectl = Kubectl(&cluster);
    let manifest = cluster.write("shell.yaml", &shell());
    for protocol in PROTOCOLS {
        kubectl.run(&["apply", "-f", &manifest]);
        kubectl.run(&["wait", "--for=condition=Ready", "pod/shell", "--timeout=60s"]);
        let run = |args: &[&str], input: &[u8]| output(&cluster, protocol, args, input.to_vec());

        let sh = "echo out; echo err >&2; cat; exit 7";
        let done = run(&["exec", "shell", "--", "sh", "-c", sh], b"not to be read");
        assert_eq!((done.status.code(), text(&done.stdout)), (Some(7), "out\n"), "{protocol:?}: {done:?}");
        assert!(text(&done.stderr).starts_with("err\n"), "{done:?}");
        assert!(text(&done.stderr).contains("command terminated with exit code 7"), "{done:?}");
        // More than all buffers between hold: input and output go on side by side.
        let much: Vec<u8> = (0..4_u32 << 20).map(|number| (number % 251) as u8).collect();
        let done = run(&["exec", "-i", "shell", "--", "cat"], &much);
        assert!(done.status.success(), "{protocol:?}: {}", text(&done.stderr));
        assert!(done.stdout == much, "{protocol:?}: {} of {} bytes", done.stdout.len(), much.len());
        terminal(&cluster, protocol);
        let missing = run(&["exec", "shell", "--", "/no/such/program"], b"");
        assert_ne!(missing.status.code(), Some(0), "{missing:?}");

        // The container's main process goes on when whoever is attached leaves, and tells all who are.
        let mut first = Beside::start(&mut command(&cluster, protocol, &["attach", "-i", "shell"]));
        first.write("one\n");
        assert_eq!(first.line(), "got one", "{protocol:?}");
        let mut second = Beside::start(&mut command(&cluster, protocol, &["attach", "-i", "shell"]));
        second.write("two\n");
        assert_eq!((second.line(), first.line()), ("got two".to_owned(), "got two".to_owned()), "{protocol:?}");
        drop(first);
        // How the container ends is its pod's to tell.
        second.write("end\n");
        assert_eq!(second.line(), "got end");
        assert!(second.child.wait().unwrap().success(), "{protocol:?}: {}", second.errors());
        cluster.eventually("the container has ended", |_| {
            let code = "jsonpath={.status.containerStatuses[0].state.terminated.exitCode}";
            kubectl.run(&["get", "pod", "shell", "-o", code]) == "5"
        });
        kubectl.run(&["delete", "pod", "shell"]);
    }
}

/// `-it` has a terminal of the size of the client's own.
fn terminal(cluster: &Cluster, protocol: &[(&str, &str)]) {
    let sh = "until [ \"$(stty size)\" = \"33 77\" ]; do sleep 0.05; done; tty; read line; echo read $line; exit 3";
    let kubectl = format!("stty rows 33 cols 77; kubectl exec -it shell -- sh -c '{sh}'");
    let mut script = Command::new("script");
    script.args(["-qec", &kubectl, "/dev/null"]).env("KUBECONFIG", cluster.kubeconfig());
    script.env("HOME", cluster.dir.path()).envs(protocol.iter().copied());
    let Ok(mut child) = Beside::try_start(&mut script) else {
        return println!("left out: exec with a terminal (no script on PATH)");
    };
    child.until("/dev/pts/");
    child.write("typed\n");
    child.until("read typed");
    assert_eq!(child.child.wait().unwrap().code(), Some(3), "{protocol:?}");
}

#[test]
fn kubectl_forwards_ports() {
    const NAME: &str = "kubectl_forwards_ports";
    if !is_there(NAME) || !docker::answers(NAME) {
        return;
    }
    let _alone = alone();
    let cluster = Cluster::up(&[]);
    let kubectl = Kubectl(&cluster);
    let file = quickstart(&cluster.dir.path().join("m"), 30_092).join("hello.yaml");
    kubectl.run(&["apply", "-f", file.to_str().unwrap()]);
    for protocol in PROTOCOLS {
        cluster.eventually("there are three", |_| kubectl.run(&["get", "pods", "-o", "name"]).lines().count() == 3);
        kubectl.run(&["wait", "--for=condition=Ready", "pod", "-l", "app=hello", "--timeout=60s"]);
        let pod = kubectl.run(&["get", "pods", "-o", "jsonpath={.items[0].metadata.name}"]);
        let name = format!("pod/{pod}");
        let mut forward = Beside::start(&mut command(&cluster, protocol, &["port-forward", &name, ":8080", ":8081"]));
        let [open, closed] = forward.ports(2)[..] else { panic!("two ports") };
        std::thread::scope(|scope| {
            let asked = [(); 8].map(|()| scope.spawn(|| [(); 8].map(|()| http_get(open).unwrap())));
            for answer in asked.into_iter().flat_map(|asked| asked.join().unwrap()) {
                assert!(answer.contains(&pod), "{protocol:?}: {answer}");
            }
        });
        // Nothing listens there: kubectl says so, and gives up.
        let mut nothing = TcpStream::connect(("127.0.0.1", closed)).unwrap();
        let _ = nothing.read_to_end(&mut Vec::new());
        let said = forward.errors();
        assert!(said.contains("error forwarding port 8081 to pod"), "{protocol:?}: {said}");
        assert!(said.contains("connection refused") && said.contains("lost connection to pod"), "{said}");

        let mut service = Beside::start(&mut command(&cluster, protocol, &["port-forward", "svc/hello", ":80"]));
        let port = service.ports(1)[0];
        assert!(http_get(port).unwrap().contains("Hello"), "{protocol:?}");

        let mut forward = Beside::start(&mut command(&cluster, protocol, &["port-forward", &name, ":8080"]));
        assert!(http_get(forward.ports(1)[0]).unwrap().contains(&pod));
        kubectl.run(&["delete", "pod", &pod]);
        let said = forward.errors();
        assert!(said.contains("lost connection to pod"), "{protocol:?}: {said}");
    }
}

#[test]
fn kubectl_changes_a_pod_that_runs() {
    const NAME: &str = "kubectl_changes_a_pod_that_runs";
    if !is_there(NAME) || !docker::answers(NAME) {
        return;
    }
    let _alone = alone();
    let cluster = Cluster::up(&[]);
    let kubectl = Kubectl(&cluster);
    let manifest = "---\n{apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {containers: [\
        {name: c, image: 'trimtab.dev/hello:1', args: [--port, '8080'], env: [{name: POD_NAME, value: web}], resources: {limits: {cpu: 100m, memory: 32Mi}}}]}}";
    kubectl.run(&["apply", "-f", &cluster.write("web.yaml", manifest)]);
    kubectl.run(&["wait", "--for=condition=Ready", "pod/web", "--timeout=60s"]);
    let image = "--image=trimtab.dev/hello:2";
    // It shares the pod's network, and the processes of its target.
    kubectl.run(&["debug", "web", image, "-c", "debugger", "--target=c", "--", "/hello", "--port", "8081"]);
    cluster.eventually("the debugger runs", |_| {
        let state = "jsonpath={.status.ephemeralContainerStatuses[0].state.running.startedAt}";
        !kubectl.run(&["get", "pod", "web", "-o", state]).is_empty()
    });
    let found = kubectl.run(&["exec", "web", "-c", "c", "--", "/hello", "--get", "http://127.0.0.1:8081/"]);
    assert!(found.contains("version 2"), "{found}");
    let id = |statuses: &str| {
        let id = kubectl.run(&["get", "pod", "web", "-o", &format!("jsonpath={{.status.{statuses}[0].containerID}}")]);
        id.trim_start_matches("docker://").to_owned()
    };
    let (target, debugger) = (id("containerStatuses"), id("ephemeralContainerStatuses"));
    let (_, inspected) = docker::request("GET", &format!("/containers/{debugger}/json"), None).unwrap();
    assert!(inspected.contains(&format!("\"PidMode\":\"container:{target}\"")), "{inspected}");
    let resources = r#"{"spec": {"containers": [{"name": "c", "resources": {
        "requests": {"cpu": "200m", "memory": "48Mi"}, "limits": {"cpu": "200m", "memory": "48Mi"}}}]}}"#;
    kubectl.run(&["patch", "pod", "web", "--subresource=resize", "-p", resources]);
    cluster.eventually("it is told what it has", |_| {
        let told = "jsonpath={.status.containerStatuses[0].resources.limits.memory}";
        kubectl.run(&["get", "pod", "web", "-o", told]) == "48Mi"
    });
    assert_eq!(id("containerStatuses"), target, "it goes on as it was");
    let (_, inspected) = docker::request("GET", &format!("/containers/{target}/json"), None).unwrap();
    for has in [format!("\"Memory\":{}", 48 << 20), "\"CpuQuota\":20000".to_owned()] {
        assert!(inspected.contains(&has), "{has} in {inspected}");
    }
    // It has run once: that it ends is no fault of the pod's.
    let command = ["debug", "web", image, "-i", "-q", "-c", "once", "--", "/hello", "--get", "http://127.0.0.1:8080/"];
    let printed = kubectl.run(&command);
    let logged = kubectl.run(&["logs", "web", "-c", "once"]);
    assert!(format!("{printed}{logged}").contains("Hello from pod web"), "{printed}{logged}");
    cluster.eventually("its end is told", |_| {
        let code = "jsonpath={.status.ephemeralContainerStatuses[?(@.name=='once')].state.terminated.exitCode}";
        kubectl.run(&["get", "pod", "web", "-o", code]) == "0"
    });
    kubectl.run(&["wait", "--for=condition=Ready", "pod/web", "--timeout=5s"]);
    kubectl.run(&["delete", "pod", "web", "--grace-period=1"]);
    assert!(docker::containers(&format!("io.kubernetes.container.name={}", "debugger"), true).is_empty());
}
