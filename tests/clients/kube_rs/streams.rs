//! What reaches into a pod: logs, exec, attach and port-forward, over WebSocket.

use futures::{AsyncBufReadExt, TryStreamExt};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::api::{AttachParams, AttachedProcess, LogParams, TerminalSize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{pod, refused, run};
use crate::harness::{Running, within};

/// All of a process's output, and how it ended.
async fn read(mut process: AttachedProcess) -> (String, Status) {
    let status = process.take_status().unwrap();
    let mut output = String::new();
    let read = async {
        process.stdout().unwrap().read_to_string(&mut output).await.unwrap();
        status.await.expect("it says how it ended")
    };
    let status = within("the process ends", read).await;
    process.join().await.unwrap();
    (output, status)
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_read_whole_in_part_and_as_they_come() {
    let cluster = Running::start().await;
    let client = cluster.kube().await;
    let pods = run(&client, &pod("talks", &[("SIM_LOG", "one\ntwo\nthree\n")])).await;
    assert_eq!(pods.logs("talks", &LogParams::default()).await.unwrap(), "one\ntwo\nthree\n");
    let tail = LogParams { tail_lines: Some(1), container: Some("c".to_owned()), ..LogParams::default() };
    assert_eq!(pods.logs("talks", &tail).await.unwrap(), "three\n");
    let few = LogParams { limit_bytes: Some(5), ..LogParams::default() };
    assert_eq!(pods.logs("talks", &few).await.unwrap(), "one\nt");
    let lines = pods.log_stream("talks", &LogParams { follow: true, ..LogParams::default() }).await.unwrap().lines();
    assert_eq!(within("the log", lines.try_collect::<Vec<_>>()).await.unwrap(), ["one", "two", "three"]);
    let other = LogParams { container: Some("other".to_owned()), ..LogParams::default() };
    let error = refused(pods.logs("talks", &other).await, 400, "BadRequest");
    assert_eq!(error.message, "container other is not valid for pod talks");
    let previous = LogParams { previous: true, ..LogParams::default() };
    let error = refused(pods.logs("talks", &previous).await, 400, "BadRequest");
    assert!(error.message.contains("previous terminated container \"c\" in pod \"talks\" not found"), "{error}");
    refused(pods.logs("none", &LogParams::default()).await, 404, "NotFound");
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_run_in_containers() {
    let cluster = Running::start().await;
    let client = cluster.kube().await;
    let pods =
        run(&client, &pod("fails", &[("SIM_EXEC_OUTPUT", "no\n"), ("SIM_EXEC_CODE", "3"), ("SIM_LOG", "hi\n")])).await;
    let params = AttachParams::default().stderr(false);
    let (output, status) = read(pods.exec("fails", ["false"], &params).await.unwrap()).await;
    assert_eq!((output.as_str(), status.reason.as_deref()), ("no\n", Some("NonZeroExitCode")));
    let causes = status.details.unwrap().causes.unwrap();
    assert_eq!((causes[0].reason.as_deref(), causes[0].message.as_deref()), (Some("ExitCode"), Some("3")));

    let (output, status) = read(pods.attach("fails", &params).await.unwrap()).await;
    assert_eq!(output, "hi\n");
    assert_eq!(status.status.as_deref(), Some("Success"), "{status:?}");

    run(&client, &pod("echoes", &[("SIM_EXEC_ECHO", "true")])).await;
    let params = AttachParams::default().stdin(true).stderr(false);
    let mut process = pods.exec("echoes", ["cat"], &params).await.unwrap();
    let mut input = process.stdin().unwrap();
    let long = "x".repeat(100_000);
    let feed = async {
        input.write_all(b"hello\n").await.unwrap();
        input.write_all(long.as_bytes()).await.unwrap();
        // In version 5 of the protocol the end of the input is told; `cat` then ends.
        input.shutdown().await.unwrap();
        drop(input);
    };
    let ((output, status), ()) = futures::join!(read(process), feed);
    assert_eq!(output, format!("hello\n{long}"));
    assert_eq!(status.status.as_deref(), Some("Success"), "{status:?}");

    let mut process = pods.exec("echoes", ["sh"], &AttachParams::interactive_tty()).await.unwrap();
    let mut sizes = process.terminal_size().unwrap();
    sizes.try_send(TerminalSize { width: 100, height: 40 }).unwrap();
    process.stdin().unwrap().write_all(b"typed").await.unwrap();
    let mut typed = [0; 5];
    within("the echo", process.stdout().unwrap().read_exact(&mut typed)).await.unwrap();
    assert_eq!(&typed, b"typed");
    process.abort();

    let error = pods.exec("echoes", ["x"], &AttachParams::default().container("other")).await.err().unwrap();
    assert!(error.to_string().contains("400"), "{error}");
    let error = pods.exec("none", ["x"], &AttachParams::default()).await.err().unwrap();
    assert!(error.to_string().contains("404"), "{error}");
    cluster.end().await;
}

/// A pod on its node's network is reached at the node's address, which here is this machine's.
#[tokio::test(flavor = "multi_thread")]
async fn ports_are_forwarded() {
    let cluster = Running::start().await;
    let client = cluster.kube().await;
    let mut wanted = pod("listens", &[]);
    wanted.spec.as_mut().unwrap().host_network = Some(true);
    let pods = run(&client, &wanted).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = async {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4];
            stream.read_exact(&mut request).await.unwrap();
            stream.write_all(&vec![b'y'; 300_000]).await.unwrap();
        }
    };
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let user = async {
        let mut forwarded = pods.portforward("listens", &[port, closed]).await.unwrap();
        let error = forwarded.take_error(closed).unwrap().await.expect("nothing listens there");
        assert!(error.contains(&closed.to_string()), "{error}");
        let mut stream = forwarded.take_stream(port).unwrap();
        stream.write_all(b"ask\n").await.unwrap();
        let mut answer = vec![0; 300_000];
        stream.read_exact(&mut answer).await.unwrap();
        assert!(answer.iter().all(|byte| *byte == b'y'));
        drop(stream);
        forwarded.abort();
    };
    tokio::select! {
        () = server => {}
        () = within("the ports", user) => {}
    }
    let error = pods.portforward("none", &[port]).await.err().unwrap();
    assert!(error.to_string().contains("404"), "{error}");
    cluster.end().await;
}
