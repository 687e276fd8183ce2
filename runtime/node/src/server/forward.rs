//! `/portForward`: connections to a pod's ports, each with a stream of data and one for an error.
//!
//! Over SPDY the client opens two streams for each connection; over a WebSocket's channels there is
//! one connection for each port that the query names, made at once.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use http::Request;
use http::header::SEC_WEBSOCKET_PROTOCOL;
use hyper::body::Incoming as Body;
use k8s_openapi::api::core::v1::Pod;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use trimtab_api::ApiError;
use trimtab_client::header_list;
use trimtab_env::Tasks;

use super::query::Query;
use super::spdy::{self, Headers};
use super::streams::{Incoming, Outgoing};
use super::upgrade::{Connection, PORTS, Protocols, V4, accept};
use super::{Answer, websocket};
use crate::node::Node;
use crate::pod::spec::is_host_network;

/// The streams of ports over SPDY, tunnelled.
const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";
const PROTOCOLS: Protocols = Protocols { websocket: &[TUNNEL, V4], spdy: &[PORTS] };
/// So much is read from the pod at once, in bytes.
const PIECE: usize = 16 << 10;
/// A channel is a byte, and each port has two; the highest number closes channels.
const MAX_PORTS: usize = 127;

pub(super) async fn forward(node: &Node, pod: &Pod, query: &Query, tasks: &Tasks, request: Request<Body>) -> Answer {
    let on_host = is_host_network(pod);
    if node.runtime().is_simulated() && !on_host {
        return Err(ApiError::bad_request("unable to forward port because the pod's network is only pretended"));
    }
    let observed = node.runtime().observe(pod.metadata.uid.as_deref()).await.map_err(ApiError::internal)?;
    let sandbox = crate::pod::actions::current_sandbox(&observed);
    let ip = sandbox.map(|sandbox| sandbox.ip.filter(|_| !on_host).unwrap_or(node.config.address));
    let ip = ip.ok_or_else(|| ApiError::bad_request("unable to forward port because pod is not running"))?;
    let (name, uid) = (pod.metadata.name.clone(), pod.metadata.uid.clone().unwrap_or_default());
    let ended = node.ended(&uid);
    let to = Target { ip, pod: format!("pod {}, uid {uid}", name.unwrap_or_default()) };
    let ports = ports(query);
    // Only channels need to know the ports in advance.
    let offers = |protocol| header_list(request.headers(), SEC_WEBSOCKET_PROTOCOL).any(|offered| offered == protocol);
    if offers(V4)
        && !offers(TUNNEL)
        && let Err(error) = &ports
    {
        return Err(error.clone());
    }
    accept(request, PROTOCOLS, tasks, move |connection| async move {
        let forwarded = async {
            match connection {
                Connection::WebSocket(socket) => channels(&to, *socket, &ports.unwrap_or_default()).await,
                Connection::Spdy(stream) => streams(&to, stream).await,
            }
        };
        // Whoever is connected to a pod that is no more is told by the end of the connection.
        ended.run_until_cancelled(forwarded).await;
    })
}

/// Which pod is forwarded to.
struct Target {
    ip: IpAddr,
    pod: String,
}

/// The ports that the query names.
fn ports(query: &Query) -> Result<Vec<u16>, ApiError> {
    let named: Vec<&str> = query.all("ports").chain(query.all("port")).flat_map(|list| list.split(',')).collect();
    if named.is_empty() {
        return Err(ApiError::bad_request("query parameter \"ports\" is required"));
    }
    if named.len() > MAX_PORTS {
        return Err(ApiError::bad_request(format!("at most {MAX_PORTS} ports can be forwarded at once")));
    }
    let port = |text: &&str| {
        let port = text.parse().map_err(|error| format!("unable to parse {text:?} as a port: {error}"));
        port.and_then(|port| if port == 0 { Err(format!("port {text:?} must be > 0")) } else { Ok(port) })
    };
    named.iter().map(port).collect::<Result<_, _>>().map_err(ApiError::bad_request)
}

/// One connection to a port.
struct Pair {
    port: u16,
    incoming: Incoming,
    data: Outgoing,
    error: Outgoing,
    /// The client wants the connection no more.
    reset: CancellationToken,
}

async fn channels(to: &Target, socket: websocket::Socket, ports: &[u16]) {
    let count = u8::try_from(ports.len() * 2).unwrap_or(u8::MAX);
    let (channels, driver) = websocket::channels(socket, count);
    let mut channels = channels.into_iter();
    let mut pairs = Vec::new();
    for port in ports {
        if let (Some(data), Some(error)) = (channels.next(), channels.next()) {
            let (incoming, data, reset) = (data.incoming, data.outgoing, CancellationToken::new());
            pairs.push(Pair { port: *port, incoming, data, error: error.outgoing, reset });
        }
    }
    let forwarded = async {
        for Pair { port, data, error, .. } in &pairs {
            // Each channel begins with its port.
            let port = Bytes::copy_from_slice(&port.to_le_bytes());
            if data.send(port.clone()).await.and(error.send(port).await).is_err() {
                return;
            }
        }
        join_all(pairs.into_iter().map(|pair| connect(to, pair))).await;
    };
    tokio::join!(driver, forwarded);
}

async fn streams(to: &Target, stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Send) {
    let (mut connection, driver) = spdy::connect(stream, |headers| {
        matches!(headers.get("streamtype"), "data" | "error") && port_of(headers).is_some()
    });
    let forwarded = async {
        // The first stream of a pair waits for the second.
        let mut waiting: HashMap<String, spdy::Stream> = HashMap::new();
        let mut open = FuturesUnordered::new();
        loop {
            tokio::select! {
                Some(()) = open.next() => {}
                opened = connection.opened.recv() => match opened {
                    None => return,
                    Some(opened) => match waiting.remove(&request_of(&opened)) {
                        Some(first) => open.extend(paired(first, opened).map(|pair| connect(to, pair))),
                        None => {
                            waiting.retain(|_, first| !first.reset.is_cancelled());
                            waiting.insert(request_of(&opened), opened);
                        }
                    },
                },
            }
        }
    };
    tokio::join!(driver, forwarded);
}

fn port_of(headers: &Headers) -> Option<u16> {
    headers.get("port").parse().ok().filter(|port| *port > 0)
}

/// Which streams belong together: what the client says, or, as upstream, that of an error and the next one.
fn request_of(stream: &spdy::Stream) -> String {
    let said = stream.headers.get("requestid");
    match (said, is_data(stream)) {
        ("", true) => format!("of stream {}", stream.id.saturating_sub(2)),
        ("", false) => format!("of stream {}", stream.id),
        _ => said.to_owned(),
    }
}

fn is_data(stream: &spdy::Stream) -> bool {
    stream.headers.get("streamtype") == "data"
}

/// `None` when both are of one type: the client has numbered them wrong.
fn paired(first: spdy::Stream, second: spdy::Stream) -> Option<Pair> {
    let (data, error) = match (is_data(&first), is_data(&second)) {
        (true, false) => (first, second),
        (false, true) => (second, first),
        _ => return None,
    };
    let port = port_of(&data.headers)?;
    Some(Pair { port, incoming: data.incoming, data: data.outgoing, error: error.outgoing, reset: data.reset })
}

/// Runs until the pod hangs up, or the client wants no more.
async fn connect(to: &Target, pair: Pair) {
    let Pair { port, incoming, data, error, reset } = pair;
    let carried = async {
        let stream = TcpStream::connect((to.ip, port)).await.map_err(|error| dial_error(to.ip, port, &error))?;
        carry(stream, incoming, &data).await;
        Ok::<_, String>(())
    };
    let carried = tokio::select! {
        carried = carried => carried,
        () = reset.cancelled() => Ok(()),
        () = error.gone() => return,
    };
    // Clients give up the whole connection for whatever is said here. So it is said when nothing
    // listens, and not when the pod breaks off one connection of many.
    if let Err(why) = carried {
        let told = format!("error forwarding port {port} to {}: {why}", to.pod);
        if error.send(told.into()).await.is_err() {
            return;
        }
    }
    data.close().await;
    error.close().await;
}

fn dial_error(ip: IpAddr, port: u16, error: &io::Error) -> String {
    let why = match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        _ => error.to_string(),
    };
    format!("dial tcp {}: connect: {why}", std::net::SocketAddr::new(ip, port))
}

async fn carry(stream: TcpStream, mut incoming: Incoming, data: &Outgoing) {
    // What is typed should be there at once.
    let _ = stream.set_nodelay(true);
    let (mut reader, mut writer) = stream.into_split();
    let to_pod = async {
        while let Some(bytes) = incoming.recv().await {
            if writer.write_all(&bytes).await.is_err() {
                break;
            }
        }
        // The pod may have more to say, though it has read all or reads no more.
        let _ = writer.shutdown().await;
        drop(incoming);
        futures::future::pending::<()>().await;
    };
    let from_pod = async {
        let mut buffer = BytesMut::new();
        loop {
            buffer.reserve(PIECE);
            match reader.read_buf(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(_) if data.send(buffer.split().freeze()).await.is_err() => return,
                Ok(_) => {}
            }
        }
    };
    tokio::select! {
        () = to_pod => {}
        () = from_pod => {}
    }
}

#[cfg(test)]
#[path = "forward_tests.rs"]
mod tests;
