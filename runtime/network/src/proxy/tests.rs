//! The proxy over loopback: real sockets, no rights needed.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Mutex;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::model::tests::{service, slice, snapshot};

/// A server that reads a request to its end, then answers with its own name and the request.
async fn echo(tasks: &Tasks, name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let handlers = tasks.clone();
    tasks.spawn_cancellable("echo", async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            handlers.spawn_cancellable("echo-one", async move {
                let mut request = name.to_owned();
                if stream.read_to_string(&mut request).await.is_ok() {
                    let _ = stream.write_all(request.as_bytes()).await;
                }
            });
        }
    });
    address
}

/// A port that nobody listens on: it was free a moment ago.
async fn free() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap()
}

/// Connects, says `text`, closes its own direction, reads the answer.
async fn ask(port: u16, text: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

async fn ask_until(port: u16, wanted: impl Fn(&std::io::Result<String>) -> bool) {
    while !wanted(&ask(port, "?").await) {
        tokio::task::yield_now().await;
    }
}

fn world(node_port: u16, backends: &[SocketAddr]) -> Arc<Snapshot> {
    let spec = json!({"clusterIP": "10.96.0.9", "type": "NodePort",
                      "ports": [{"name": "p", "port": 80, "nodePort": node_port}]});
    // Backends of one machine differ in their ports alone, so each gets a slice of its own.
    let of = |backend: &SocketAddr| {
        let ports = json!([{"name": "p", "port": backend.port(), "protocol": "TCP"}]);
        slice("web", ports, json!([{"addresses": [backend.ip().to_string()]}]))
    };
    Arc::new(snapshot(&[service("web", spec)], &backends.iter().map(of).collect::<Vec<Value>>()))
}

struct Running {
    snapshots: watch::Sender<Arc<Snapshot>>,
    problems: Arc<Mutex<Vec<Problem>>>,
    tasks: Tasks,
}

fn start(first: Arc<Snapshot>) -> Running {
    let (snapshots, receiver) = watch::channel(first);
    let (problems, tasks) = (Arc::new(Mutex::new(Vec::new())), Tasks::new());
    let sink = Arc::clone(&problems);
    let report: Report = Arc::new(move |problem| sink.lock().unwrap().push(problem));
    let config = Config { cluster: "t".to_owned(), service_cidr: "10.96.0.0/12".to_owned(), mode: Mode::NodePorts };
    tasks.spawn("proxy", drive(receiver, report, Env::system(), config, tasks.token().clone()));
    Running { snapshots, problems, tasks }
}

#[tokio::test]
async fn a_node_port_takes_its_backends_in_turn_and_passes_over_dead_ones() {
    let servers = Tasks::new();
    let backends = [echo(&servers, "a").await, echo(&servers, "b").await, free().await];
    let port = free().await.port();
    let running = start(world(port, &backends));
    ask_until(port, Result::is_ok).await;
    let mut seen = BTreeSet::new();
    for _ in 0..12 {
        seen.insert(ask(port, "!").await.expect("no request fails"));
    }
    assert_eq!(seen, BTreeSet::from(["a!".to_owned(), "b!".to_owned()]));
    running.tasks.shutdown().await;
    servers.shutdown().await;
}

#[tokio::test]
async fn changing_the_backends_cuts_no_connection() {
    let servers = Tasks::new();
    let (a, b) = (echo(&servers, "a").await, echo(&servers, "b").await);
    let port = free().await.port();
    let running = start(world(port, &[a]));
    ask_until(port, Result::is_ok).await;
    let mut in_flight = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
    in_flight.write_all(b"half").await.unwrap();
    // The connection has its backend once an answer to a later one came through the same listener.
    assert_eq!(ask(port, "x").await.unwrap(), "ax");
    running.snapshots.send_replace(world(port, &[b]));
    ask_until(port, |answer| answer.as_ref().is_ok_and(|answer| answer == "b?")).await;
    in_flight.write_all(b" whole").await.unwrap();
    in_flight.shutdown().await.unwrap();
    let mut answer = String::new();
    in_flight.read_to_string(&mut answer).await.unwrap();
    assert!(answer == "ahalf whole" || answer == "bhalf whole", "{answer}");
    running.tasks.shutdown().await;
    servers.shutdown().await;
}

#[tokio::test]
async fn without_backends_the_client_is_reset() {
    let port = free().await.port();
    let running = start(world(port, &[]));
    ask_until(port, |answer| answer.as_ref().is_err_and(|e| e.kind() != std::io::ErrorKind::ConnectionRefused)).await;
    running.tasks.shutdown().await;
}

#[tokio::test]
async fn a_taken_port_is_reported_once_and_harms_no_other() {
    let servers = Tasks::new();
    let backend = echo(&servers, "a").await;
    let taken = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await.unwrap();
    let (taken_port, port) = (taken.local_addr().unwrap().port(), free().await.port());
    let (mut both, other) = ((*world(taken_port, &[backend])).clone(), world(port, &[backend]));
    let mut second = (*other.services[0]).clone();
    second.metadata.name = Some("other".to_owned());
    both.services.push(Arc::new(second));
    let mut slice = (*other.slices[0]).clone();
    slice.metadata.labels.get_or_insert_default().insert("kubernetes.io/service-name".into(), "other".into());
    both.slices.push(Arc::new(slice));
    let running = start(Arc::new(both));
    ask_until(port, Result::is_ok).await;
    running.snapshots.send_modify(|_| ());
    assert_eq!(ask(port, "!").await.unwrap(), "a!");
    let problems = running.problems.lock().unwrap().clone();
    let not_opened: Vec<_> = problems.iter().filter(|p| p.reason == "PortNotOpened").collect();
    assert_eq!(not_opened.len(), 1, "{problems:?}");
    assert!(not_opened[0].message.contains(&format!("node port {taken_port}")), "{problems:?}");
    running.tasks.shutdown().await;
    servers.shutdown().await;
}
