//! Userspace balancing of TCP: one connection in, one to a backend out, bytes both ways.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr, SocketAddrV4};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::timeout;
use trimtab_env::{exclusive, shared};

use crate::model::Affinity;

/// How long a backend may take to accept before the next one is tried. On one machine an accept
/// takes microseconds; an address that nobody has any more answers nothing at all. In the second
/// round every backend gets the time a busy machine may need.
const PATIENCE: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(3)];

/// A peer that vanished without a word is noticed after about 25 seconds of silence.
const KEEPALIVE: TcpKeepalive =
    TcpKeepalive::new().with_time(Duration::from_secs(10)).with_interval(Duration::from_secs(5)).with_retries(3);

/// The backends of one port. Replacing them disturbs no connection.
pub(crate) struct Pool {
    current: RwLock<(Affinity, Arc<[SocketAddrV4]>)>,
    turn: AtomicUsize,
}

impl Pool {
    pub(crate) fn new(affinity: Affinity, backends: &[SocketAddrV4]) -> Self {
        Self { current: RwLock::new((affinity, backends.into())), turn: AtomicUsize::new(0) }
    }

    pub(crate) fn set(&self, affinity: Affinity, backends: &[SocketAddrV4]) {
        *exclusive(&self.current) = (affinity, backends.into());
    }

    /// The backends in the order in which `client` should try them.
    fn order(&self, client: IpAddr) -> Vec<SocketAddrV4> {
        let (affinity, backends) = shared(&self.current).clone();
        let first = match affinity {
            Affinity::None => self.turn.fetch_add(1, Ordering::Relaxed),
            Affinity::ClientIp => hash(client),
        };
        let count = backends.len();
        (0..count).map(|n| backends[(first % count + n) % count]).collect()
    }

    /// A connection to the first backend that accepts. The backends are read anew in the second
    /// round: they may have changed meanwhile.
    async fn connect(&self, client: IpAddr) -> Option<TcpStream> {
        for patience in PATIENCE {
            for backend in self.order(client) {
                match timeout(patience, TcpStream::connect(SocketAddr::V4(backend))).await {
                    Ok(Ok(stream)) => return Some(stream),
                    Ok(Err(error)) => tracing::debug!(%backend, %error, "backend does not accept"),
                    Err(_) => tracing::debug!(%backend, "backend does not answer"),
                }
            }
        }
        None
    }
}

fn hash(client: IpAddr) -> usize {
    let mut hasher = DefaultHasher::new();
    client.hash(&mut hasher);
    // Only the spread matters, so losing the upper half on a 32-bit machine does no harm.
    hasher.finish() as usize
}

/// Carries one connection to its end. Each direction is closed by itself, so a client may end its
/// request and still read the answer. Without a backend the client is reset, as by a closed port.
pub(crate) async fn serve(mut client: TcpStream, peer: SocketAddr, pool: Arc<Pool>) {
    let Some(mut backend) = pool.connect(peer.ip().to_canonical()).await else {
        let _ = SockRef::from(&client).set_linger(Some(Duration::ZERO));
        return;
    };
    for stream in [&client, &backend] {
        // Best effort: without them it is slower, not wrong.
        let _ = stream.set_nodelay(true);
        let _ = SockRef::from(stream).set_tcp_keepalive(&KEEPALIVE);
    }
    if let Err(error) = tokio::io::copy_bidirectional(&mut client, &mut backend).await {
        tracing::debug!(%peer, %error, "connection broke");
        // A broken answer must not look like a whole one.
        let _ = SockRef::from(&client).set_linger(Some(Duration::ZERO));
    }
}
