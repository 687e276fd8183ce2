//! The set of listening sockets, kept equal to what is desired.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use trimtab_api::ObjectRef;
use trimtab_env::{CancellationToken, Tasks};

use super::balance::{self, Pool};
use crate::model::{Affinity, Port};

/// Pending connections of a listener.
const BACKLOG: u32 = 1024;

/// Where to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// A port of every address of this machine.
    Node(u16),
    /// One address and port.
    Address(SocketAddrV4),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(port) => write!(f, "node port {port}"),
            Self::Address(address) => write!(f, "address {address}"),
        }
    }
}

impl Place {
    /// Binds and listens. A node port listens on IPv6 and IPv4 with one socket; on a machine
    /// without IPv6, on IPv4.
    fn listen(self) -> io::Result<TcpListener> {
        match self {
            Self::Address(address) => listen(SocketAddr::V4(address)),
            Self::Node(port) => match listen((Ipv6Addr::UNSPECIFIED, port).into()) {
                Err(error) if error.kind() != io::ErrorKind::AddrInUse => listen((Ipv4Addr::UNSPECIFIED, port).into()),
                done => done,
            },
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restart must not wait for the last process' connections to be forgotten.
    socket.set_reuseaddr(true)?;
    if address.is_ipv6() {
        socket2::SockRef::from(&socket).set_only_v6(false)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// A place that could not be listened on.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) service: ObjectRef,
    pub(crate) place: Place,
    pub(crate) error: io::Error,
}

struct Open {
    pool: Arc<Pool>,
    stop: CancellationToken,
}

/// The open listeners. Connections outlive the listener that accepted them.
pub(crate) struct Listeners {
    tasks: Tasks,
    open: BTreeMap<Place, Open>,
}

impl Listeners {
    /// No listener; those to come are tasks of `tasks`.
    pub(crate) fn new(tasks: &Tasks) -> Self {
        Self { tasks: tasks.clone(), open: BTreeMap::new() }
    }

    /// Makes the set equal to `desired`. What could not be bound is returned, and tried again the
    /// next time.
    pub(crate) fn set(&mut self, desired: &BTreeMap<Place, &Port>) -> Vec<Failure> {
        self.open.retain(|place, open| {
            let keep = desired.contains_key(place);
            if !keep {
                open.stop.cancel();
            }
            keep
        });
        let mut failures = Vec::new();
        for (place, port) in desired {
            if let Some(open) = self.open.get(place) {
                open.pool.set(port.affinity, &port.backends);
            } else if let Err(error) = self.open(*place, port.affinity, &port.backends) {
                failures.push(Failure { service: port.service.clone(), place: *place, error });
            }
        }
        failures
    }

    fn open(&mut self, place: Place, affinity: Affinity, backends: &[SocketAddrV4]) -> io::Result<()> {
        let listener = place.listen()?;
        let open = Open { pool: Arc::new(Pool::new(affinity, backends)), stop: self.tasks.token().child_token() };
        let accept = accept(listener, Arc::clone(&open.pool), self.tasks.clone());
        let stop = open.stop.clone();
        self.tasks.spawn("proxy-accept", async move {
            stop.run_until_cancelled(accept).await;
        });
        self.open.insert(place, open);
        Ok(())
    }
}

async fn accept(listener: TcpListener, pool: Arc<Pool>, tasks: Tasks) {
    loop {
        match listener.accept().await {
            Ok((client, peer)) => {
                tasks.spawn_cancellable("proxy-connection", balance::serve(client, peer, Arc::clone(&pool)));
            }
            // Out of descriptors, or a client that gave up: the next may be accepted. The pause
            // keeps the first case from taking a whole core.
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}
