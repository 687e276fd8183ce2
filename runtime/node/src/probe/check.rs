//! One probe, once: HTTP, TCP or a command.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http::Request;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::{ContainerPort, HTTPGetAction, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::runtime::{self, ExecOptions, Runtime};

/// More of an answer or output than this is not looked at.
const MAX_BODY: usize = 10 << 10;

/// What is probed.
pub(crate) struct Target {
    /// The container.
    pub(crate) id: String,
    /// The pod's address.
    pub(crate) ip: Option<IpAddr>,
    /// The container's ports, by which a probe may name its port.
    pub(crate) ports: Vec<ContainerPort>,
}

/// Why a probe did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// What was found instead.
    #[error("{0}")]
    Failed(String),
    /// Nothing was found out, so that it says nothing about the container.
    #[error(transparent)]
    Errored(#[from] runtime::Error),
}

/// Probes once.
pub(super) async fn check(runtime: &dyn Runtime, target: &Target, probe: &Probe, limit: Duration) -> Result<(), Fault> {
    // Nothing listens in a pretended container: its script answers.
    if runtime.is_simulated() {
        return run(runtime, &target.id, Vec::new()).await;
    }
    if let Some(get) = &probe.http_get {
        return http_get(target, get, limit).await.map_err(Fault::Failed);
    }
    if let Some(tcp) = &probe.tcp_socket {
        let address = address(target, tcp.host.as_deref(), &tcp.port).map_err(Fault::Failed)?;
        return connect(&address, limit).await.map(drop).map_err(Fault::Failed);
    }
    if let Some(exec) = &probe.exec {
        let command = exec.command.clone().unwrap_or_default();
        let timed_out = |_| Fault::Failed(format!("command timed out after {}s", limit.as_secs()));
        return timeout(limit, run(runtime, &target.id, command)).await.map_err(timed_out)?;
    }
    Ok(())
}

/// Runs a command to its end; when it fails, what it wrote is the fault.
pub(crate) async fn run(runtime: &dyn Runtime, id: &str, command: Vec<String>) -> Result<(), Fault> {
    let options = ExecOptions { command, stdout: true, stderr: true, ..ExecOptions::default() };
    let mut session = runtime.exec(id, &options).await?;
    let mut output = Vec::new();
    while let Some(piece) = session.output.next().await {
        let bytes = piece?.into_bytes();
        output.extend_from_slice(&bytes[..bytes.len().min(MAX_BODY - output.len().min(MAX_BODY))]);
    }
    match session.exit.await? {
        0 => Ok(()),
        code if output.is_empty() => Err(Fault::Failed(format!("command exited with {code}"))),
        _ => Err(Fault::Failed(String::from_utf8_lossy(&output).trim_end().to_owned())),
    }
}

/// Asks once; 200 to 399 is a success.
pub(crate) async fn http_get(target: &Target, get: &HTTPGetAction, limit: Duration) -> Result<(), String> {
    let address = address(target, get.host.as_deref(), &get.port)?;
    let path = get.path.as_deref().filter(|path| !path.is_empty()).unwrap_or("/");
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let url = format!("http://{address}{path}");
    let asked = timeout(limit, ask(&address, &path, get)).await;
    let status = match asked {
        Ok(Ok(status)) => status,
        Ok(Err(why)) => return Err(format!("Get \"{url}\": {why}")),
        Err(_) => {
            return Err(format!(
                "Get \"{url}\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
            ));
        }
    };
    if (200..400).contains(&status) { Ok(()) } else { Err(format!("HTTP probe failed with statuscode: {status}")) }
}

async fn ask(address: &str, path: &str, get: &HTTPGetAction) -> Result<u16, String> {
    let stream = TcpStream::connect(address).await.map_err(|error| format!("dial tcp {address}: {error}"))?;
    let text = |error: &dyn std::error::Error| error.to_string();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| text(&e))?;
    let mut request = Request::get(path).header("Host", address).header("User-Agent", "kube-probe/1.36");
    for header in get.http_headers.iter().flatten() {
        request = request.header(&header.name, &header.value);
    }
    let request = request.header("Connection", "close").body(Empty::<Bytes>::new()).map_err(|e| text(&e))?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(|e| text(&e))?;
        let status = response.status().as_u16();
        // The server is let finish; what it says beyond the limit does not matter.
        let _ = Limited::new(response.into_body(), MAX_BODY).collect().await;
        Ok(status)
    };
    tokio::pin!(answer);
    tokio::select! {
        status = &mut answer => status,
        // The connection may close first; the answer has then arrived, or never will.
        closed = connection => match closed {
            Ok(()) => answer.await,
            Err(error) => Err(error.to_string()),
        },
    }
}

async fn connect(address: &str, limit: Duration) -> Result<TcpStream, String> {
    match timeout(limit, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(format!("dial tcp {address}: {error}")),
        Err(_) => Err(format!("dial tcp {address}: i/o timeout")),
    }
}

fn address(target: &Target, host: Option<&str>, port: &IntOrString) -> Result<String, String> {
    let port = match port {
        IntOrString::Int(port) => *port,
        IntOrString::String(name) => named_port(target, name)?,
    };
    match (host.filter(|host| !host.is_empty()), target.ip) {
        (Some(host), _) => Ok(format!("{host}:{port}")),
        (None, Some(IpAddr::V6(ip))) => Ok(format!("[{ip}]:{port}")),
        (None, Some(ip)) => Ok(format!("{ip}:{port}")),
        (None, None) => Err("the pod has no address".to_owned()),
    }
}

fn named_port(target: &Target, name: &str) -> Result<i32, String> {
    let named = target.ports.iter().find(|port| port.name.as_deref() == Some(name)).map(|port| port.container_port);
    named.or_else(|| name.parse().ok()).ok_or_else(|| format!("port {name:?} not found"))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn answered(answer: &'static str) -> Result<(), String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
        };
        let named =
            ContainerPort { name: Some("web".to_owned()), container_port: port.into(), ..ContainerPort::default() };
        let target = Target { id: String::new(), ip: Some("127.0.0.1".parse().unwrap()), ports: vec![named] };
        let get = HTTPGetAction { port: IntOrString::String("web".to_owned()), ..HTTPGetAction::default() };
        tokio::join!(serve, http_get(&target, &get, Duration::from_secs(5))).1
    }

    #[tokio::test]
    async fn the_status_decides() {
        assert_eq!(answered("HTTP/1.1 204 No Content\r\n\r\n").await, Ok(()));
        let failed = answered("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n").await;
        assert_eq!(failed.unwrap_err(), "HTTP probe failed with statuscode: 503");
    }

    #[tokio::test]
    async fn an_unknown_port_and_a_closed_one_are_named() {
        let target = Target { id: String::new(), ip: Some("127.0.0.1".parse().unwrap()), ports: vec![] };
        assert_eq!(
            address(&target, None, &IntOrString::String("web".to_owned())).unwrap_err(),
            "port \"web\" not found"
        );
        let get = HTTPGetAction { port: IntOrString::Int(1), ..HTTPGetAction::default() };
        let why = http_get(&target, &get, Duration::from_secs(5)).await.unwrap_err();
        assert!(why.starts_with("Get \"http://127.0.0.1:1/\": dial tcp 127.0.0.1:1: "), "{why}");
    }
}
