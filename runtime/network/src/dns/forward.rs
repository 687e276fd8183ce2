//! Asks the machine's own resolvers about names that are not the cluster's.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// How long one resolver may take. The clients' own patience is five seconds.
const PATIENCE: Duration = Duration::from_secs(2);
/// The file that names the machine's resolvers.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Which resolvers are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upstreams {
    /// Those of `/etc/resolv.conf`, read anew for each question: the machine may change networks.
    System,
    /// These.
    Fixed(Vec<SocketAddr>),
}

/// How a question came, and is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    Udp,
    Tcp,
}

impl Upstreams {
    /// The first answer to `question`; `None` when nobody answers. `ourselves` is never asked.
    pub(crate) async fn ask(&self, question: &[u8], channel: Channel, ourselves: &[SocketAddr]) -> Option<Vec<u8>> {
        for server in self.servers().await.into_iter().filter(|server| !ourselves.contains(server)) {
            let asked = async {
                match channel {
                    Channel::Udp => ask_udp(server, question).await,
                    Channel::Tcp => ask_tcp(server, question).await,
                }
            };
            match timeout(PATIENCE, asked).await {
                Ok(Ok(answer)) => return Some(answer),
                Ok(Err(error)) => tracing::debug!(%server, %error, "resolver cannot be asked"),
                Err(_) => tracing::debug!(%server, "resolver does not answer"),
            }
        }
        None
    }

    async fn servers(&self) -> Vec<SocketAddr> {
        match self {
            Self::Fixed(servers) => servers.clone(),
            Self::System => name_servers(&tokio::fs::read_to_string(RESOLV_CONF).await.unwrap_or_default()),
        }
    }
}

/// The `nameserver` lines of a `resolv.conf(5)`.
fn name_servers(text: &str) -> Vec<SocketAddr> {
    let server = |line: &str| {
        let mut words = line.split_whitespace();
        let address = words.next().filter(|word| *word == "nameserver").and_then(|_| words.next())?;
        Some(SocketAddr::new(address.parse::<IpAddr>().ok()?, 53))
    };
    text.lines().filter_map(server).collect()
}

async fn ask_udp(server: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let from: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    // A new port for each question, connected: nobody else's answer is taken.
    let socket = UdpSocket::bind((from, 0)).await?;
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if length >= 12 && buffer[..2] == question[..2] {
            buffer.truncate(length);
            return Ok(buffer);
        }
    }
}

async fn ask_tcp(server: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    write_framed(&mut stream, question).await?;
    read_framed(&mut stream).await
}

/// Writes a message as TCP carries it: after its length in two bytes (RFC 1035, 4.2.2).
pub(crate) async fn write_framed(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), message].concat()).await
}

/// Reads a message that [`write_framed`] wrote.
pub(crate) async fn read_framed(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut message = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_read_as_resolv_conf_says() {
        let text = "# nameserver 9.9.9.9\nsearch x\nnameserver 1.1.1.1\nnameserver ::1 # local\nnameserver nonsense\n";
        let servers: Vec<_> = name_servers(text).iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["1.1.1.1:53", "[::1]:53"]);
    }
}
