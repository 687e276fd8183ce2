//! `/portForward`, over WebSocket with two channels for each port: data and error.

use std::net::IpAddr;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http::Request;
use hyper::body::Incoming;
use k8s_openapi::api::core::v1::Pod;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use trimtab_api::ApiError;
use trimtab_env::Tasks;

use super::Answer;
use super::query::Query;
use super::websocket::{Received, Socket, V4, accept, message, received};
use crate::node::Node;

/// Messages under way in one direction.
const WAITING: usize = 16;

pub(super) async fn forward(
    node: &Node,
    pod: &Pod,
    query: &Query,
    tasks: &Tasks,
    request: Request<Incoming>,
) -> Answer {
    let ports: Vec<u16> = query
        .all("ports")
        .chain(query.all("port"))
        .flat_map(|list| list.split(','))
        .filter_map(|p| p.parse().ok())
        .collect();
    if ports.is_empty() && request.headers().contains_key("sec-websocket-key") {
        let asked = request.headers().get("sec-websocket-protocol").and_then(|value| value.to_str().ok());
        if asked.is_some_and(|asked| !asked.contains(V4)) {
            return accept(request, &[V4], tasks, |_| async {});
        }
        return Err(ApiError::bad_request("query parameter \"ports\" is required"));
    }
    let observed = node.runtime().observe(pod.metadata.uid.as_deref()).await.map_err(ApiError::internal)?;
    let sandbox = crate::pod::actions::current_sandbox(&observed);
    let ip = sandbox.map(|sandbox| sandbox.ip.unwrap_or(node.config.address));
    let ip = ip.ok_or_else(|| ApiError::bad_request("unable to forward port because pod is not running"))?;
    let streams = tasks.clone();
    accept(request, &[V4], tasks, move |socket| serve(socket, ip, ports, streams))
}

/// Runs until the client leaves.
async fn serve(mut socket: Socket, ip: IpAddr, ports: Vec<u16>, tasks: Tasks) {
    let (replies, mut outgoing) = mpsc::channel::<(u8, Bytes)>(WAITING);
    let mut inputs = Vec::new();
    for (index, port) in ports.into_iter().enumerate() {
        let Ok(data) = u8::try_from(index * 2) else { break };
        // Each channel begins with its port.
        for channel in [data, data + 1] {
            if socket.send(message(channel, &port.to_le_bytes())).await.is_err() {
                return;
            }
        }
        let (input, incoming) = mpsc::channel(WAITING);
        inputs.push(input);
        tasks.spawn_cancellable("port forward", connect(ip, port, data, incoming, replies.clone()));
    }
    loop {
        tokio::select! {
            Some((channel, bytes)) = outgoing.recv() => {
                if socket.send(message(channel, &bytes)).await.is_err() {
                    return;
                }
            }
            incoming = socket.next() => match incoming {
                None | Some(Err(_)) => return,
                Some(Ok(incoming)) => {
                    if let Received::Data(channel, bytes) = received(incoming)
                        && let Some(input) = inputs.get(usize::from(channel / 2)).filter(|_| channel % 2 == 0)
                    {
                        // A pod that has hung up reads no more; the error channel has told.
                        drop(input.send(bytes).await);
                    }
                }
            },
        }
    }
}

async fn connect(
    ip: IpAddr,
    port: u16,
    channel: u8,
    mut input: mpsc::Receiver<Bytes>,
    replies: mpsc::Sender<(u8, Bytes)>,
) {
    let stream = match TcpStream::connect((ip, port)).await {
        Ok(stream) => stream,
        Err(error) => {
            let why = format!("error forwarding port {port} to pod: dial tcp {ip}:{port}: {error}");
            return drop(replies.send((channel + 1, Bytes::from(why))).await);
        }
    };
    let (mut reader, mut writer) = stream.into_split();
    let mut buffer = vec![0; 16 << 10];
    loop {
        tokio::select! {
            read = reader.read(&mut buffer) => match read {
                Ok(0) | Err(_) => return,
                Ok(length) => {
                    if replies.send((channel, Bytes::copy_from_slice(&buffer[..length]))).await.is_err() {
                        return;
                    }
                }
            },
            bytes = input.recv() => match bytes {
                None => return,
                Some(bytes) => {
                    if writer.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
            },
        }
    }
}
