//! The cluster's DNS server: names of Services and pods from the [`Snapshot`], all others from the
//! machine's resolvers.

mod answer;
mod forward;
#[cfg(test)]
mod tests;
mod zone;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use trimtab_env::{CancellationToken, Env, Tasks, exclusive, shared};
use trimtab_reconcile::Manager;

use crate::snapshot::{Snapshot, Source};
use answer::Reply;
use forward::Channel;
pub use forward::Upstreams;
use zone::Zone;

/// Questions that wait for other resolvers at one time. More are answered with SERVFAIL at once.
const WAITING: usize = 512;
/// How long a TCP client may be silent.
const IDLE: Duration = Duration::from_secs(10);
/// How soon an address that could not be bound is tried again.
const RETRY: Duration = Duration::from_secs(3);

/// What the server needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it listens, over UDP and TCP. Port 0 takes a free one.
    pub listen: Vec<SocketAddr>,
    /// The cluster's domain, as `cluster.local`.
    pub domain: String,
    /// Who answers for all other names.
    pub upstreams: Upstreams,
}

/// Serves the names of `manager`'s API until `shutdown`, from when they are all known.
pub async fn run(manager: &Manager, config: Config, shutdown: CancellationToken) {
    let tasks = Tasks::under(&shutdown);
    if let Some(snapshots) = shutdown.run_until_cancelled(Source::of(manager).follow(&tasks)).await {
        drive(snapshots, manager.env().clone(), config, shutdown).await;
    }
    tasks.shutdown().await;
}

/// Serves until `shutdown`. An address that cannot be bound (the pods' bridge may not be there
/// yet) is tried again until it can.
pub async fn drive(snapshots: watch::Receiver<Arc<Snapshot>>, env: Env, config: Config, shutdown: CancellationToken) {
    let mut told = false;
    while !shutdown.is_cancelled() {
        match Server::bind(&config).await {
            Ok(server) => return server.run(snapshots, shutdown).await,
            Err(error) if !told => {
                tracing::warn!(%error, addresses = ?config.listen, "cluster DNS cannot listen yet; trying again");
                told = true;
            }
            Err(_) => {}
        }
        shutdown.run_until_cancelled(env.sleep(RETRY)).await;
    }
}

/// A server with its sockets bound.
pub struct Server {
    sockets: Vec<(Arc<UdpSocket>, TcpListener)>,
    config: Config,
}

impl Server {
    /// Binds every address of `config`.
    ///
    /// # Errors
    /// When one cannot be bound.
    pub async fn bind(config: &Config) -> io::Result<Self> {
        let mut sockets = Vec::new();
        for address in &config.listen {
            let udp = UdpSocket::bind(address).await?;
            let tcp = TcpListener::bind(udp.local_addr()?).await?;
            sockets.push((Arc::new(udp), tcp));
        }
        Ok(Self { sockets, config: config.clone() })
    }

    /// Where the server listens.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().filter_map(|(udp, _)| udp.local_addr().ok()).collect()
    }

    /// Serves until `shutdown`.
    pub async fn run(self, mut snapshots: watch::Receiver<Arc<Snapshot>>, shutdown: CancellationToken) {
        let tasks = Tasks::under(&shutdown);
        let resolver = Arc::new(Resolver {
            zone: RwLock::default(),
            ourselves: self.addresses(),
            upstreams: self.config.upstreams.clone(),
            waiting: Semaphore::new(WAITING),
            turn: AtomicUsize::new(0),
        });
        resolver.set(Zone::new(&self.config.domain, &snapshots.borrow_and_update()));
        for (udp, tcp) in self.sockets {
            tasks.spawn_cancellable("dns-udp", serve_udp(udp, Arc::clone(&resolver), tasks.clone()));
            tasks.spawn_cancellable("dns-tcp", serve_tcp(tcp, Arc::clone(&resolver), tasks.clone()));
        }
        while let Some(Ok(())) = shutdown.run_until_cancelled(snapshots.changed()).await {
            resolver.set(Zone::new(&self.config.domain, &snapshots.borrow_and_update()));
        }
        tasks.shutdown().await;
    }
}

struct Resolver {
    zone: RwLock<Arc<Zone>>,
    ourselves: Vec<SocketAddr>,
    upstreams: Upstreams,
    waiting: Semaphore,
    turn: AtomicUsize,
}

impl Resolver {
    fn set(&self, zone: Zone) {
        *exclusive(&self.zone) = Arc::new(zone);
    }

    /// What the zone alone says.
    fn answer(&self, request: &Message) -> Reply {
        let zone = Arc::clone(&shared(&self.zone));
        answer::answer(&zone, request, self.turn.fetch_add(1, Ordering::Relaxed))
    }

    /// The bytes of the answer to `bytes`, asking others where the zone does not say.
    async fn resolve(&self, request: &Message, bytes: &[u8], channel: Channel) -> Option<Vec<u8>> {
        let encode = |message: &Message| match channel {
            Channel::Udp => answer::to_datagram(request, message),
            Channel::Tcp => message.to_vec().ok(),
        };
        match self.answer(request) {
            Reply::Done(message) => encode(&message),
            Reply::Forward => match self.ask(bytes, channel).await {
                Some(answer) => Some(answer),
                None => encode(&answer::failure(request, ResponseCode::ServFail)),
            },
            Reply::Follow(message, query) => encode(&self.follow(message, query).await),
        }
    }

    async fn ask(&self, question: &[u8], channel: Channel) -> Option<Vec<u8>> {
        let _place = self.waiting.try_acquire().ok()?;
        self.upstreams.ask(question, channel, &self.ourselves).await
    }

    /// Adds what others say about the name that an alias leads to.
    async fn follow(&self, mut so_far: Message, query: hickory_proto::op::Query) -> Message {
        let mut question = Message::new(so_far.metadata.id, MessageType::Query, OpCode::Query);
        question.metadata.recursion_desired = true;
        question.add_query(query);
        // An alias may lead back into the cluster.
        let rest = match self.answer(&question) {
            Reply::Done(message) => Some(message),
            Reply::Follow(..) => None,
            Reply::Forward => match question.to_vec() {
                Ok(bytes) => self.ask(&bytes, Channel::Udp).await.and_then(|answer| Message::from_vec(&answer).ok()),
                Err(_) => None,
            },
        };
        match rest {
            Some(rest) => {
                so_far.metadata.response_code = rest.metadata.response_code;
                so_far.add_answers(rest.answers);
            }
            None => so_far.metadata.response_code = ResponseCode::ServFail,
        }
        so_far
    }
}

/// A question, if that is what `bytes` are. What is none gets no answer: its sender is unknown.
fn read(bytes: &[u8]) -> Option<Message> {
    Message::from_vec(bytes).ok().filter(|message| message.metadata.message_type == MessageType::Query)
}

async fn serve_udp(socket: Arc<UdpSocket>, resolver: Arc<Resolver>, tasks: Tasks) {
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        // An error here is an earlier answer that its client no longer waited for.
        let Ok((length, client)) = socket.recv_from(&mut buffer).await else { continue };
        let bytes = buffer[..length].to_vec();
        let Some(request) = read(&bytes) else { continue };
        let (socket, resolver) = (Arc::clone(&socket), Arc::clone(&resolver));
        tasks.spawn_cancellable("dns-question", async move {
            if let Some(answer) = resolver.resolve(&request, &bytes, Channel::Udp).await {
                let _ = socket.send_to(&answer, client).await;
            }
        });
    }
}

async fn serve_tcp(listener: TcpListener, resolver: Arc<Resolver>, tasks: Tasks) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tasks.spawn_cancellable("dns-connection", converse(stream, Arc::clone(&resolver)));
            }
            // Out of descriptors, most likely: wait for some to be closed.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn converse(mut stream: TcpStream, resolver: Arc<Resolver>) {
    while let Ok(Ok(bytes)) = timeout(IDLE, forward::read_framed(&mut stream)).await {
        let Some(request) = read(&bytes) else { return };
        let Some(answer) = resolver.resolve(&request, &bytes, Channel::Tcp).await else { return };
        if forward::write_framed(&mut stream, &answer).await.is_err() {
            return;
        }
    }
}
