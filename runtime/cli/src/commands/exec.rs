//! `trimtab exec`: a command in a container, over a WebSocket.
//!
//! The protocol is `v5.channel.k8s.io`, or `v4.channel.k8s.io` where the server has no better: each
//! message begins with its channel's number. Only v5 can tell the server that the input has ended.

use anyhow::{Context, Result, anyhow, bail};
use futures::{SinkExt, StreamExt};
use http::Method;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use tokio::io::AsyncReadExt;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use trimtab_client::Upgraded;

use crate::session::Session;
use crate::terminal::{self, Raw};

const V5: &str = "v5.channel.k8s.io";
const V4: &str = "v4.channel.k8s.io";

/// The channels of a message.
mod channel {
    pub(super) const STDIN: u8 = 0;
    pub(super) const STDOUT: u8 = 1;
    pub(super) const STDERR: u8 = 2;
    pub(super) const ERROR: u8 = 3;
    pub(super) const RESIZE: u8 = 4;
    /// Followed by the number of a channel that has ended.
    pub(super) const CLOSE: u8 = 255;
}

/// Execute a command in a container
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// The pod, as NAME or pod/NAME
    #[arg(value_name = "POD")]
    pod: String,
    /// Container name. If omitted, the pod's first container
    #[arg(short, long)]
    container: Option<String>,
    /// Pass stdin to the container
    #[arg(short = 'i', long)]
    stdin: bool,
    /// Stdin is a TTY
    #[arg(short, long)]
    tty: bool,
    /// Only print output from the remote session
    #[arg(short, long)]
    quiet: bool,
    /// The command and its arguments, after --
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Runs the command; its exit code becomes ours.
pub(crate) async fn run(args: Args, session: &mut Session) -> Result<u8> {
    let kind = session.kind("pods").await?;
    let name = args.pod.split_once('/').map_or(args.pod.as_str(), |(_, name)| name);
    let tty = args.tty && terminal::is_terminal();
    if args.tty && !tty {
        session.console.note("Unable to use a TTY - input is not a terminal or the right kind of file");
    }
    let path = session.api(&kind, false).path(name, "exec", &query(&args, tty));
    let (socket, protocol) = open(&path, session).await?;
    let raw = if tty { Some(Raw::enter()?) } else { None };
    let status = converse(socket, &protocol, args.stdin, tty, session).await;
    drop(raw);
    conclude(&status?, session)
}

fn query(args: &Args, tty: bool) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(args.command.iter().map(|word| ("command", word)));
    query.extend_pairs(args.container.iter().map(|name| ("container", name)));
    for (key, given) in [("stdin", args.stdin), ("stdout", true), ("stderr", !tty), ("tty", tty)] {
        query.append_pair(key, if given { "true" } else { "false" });
    }
    query.finish()
}

async fn open(path: &str, session: &Session) -> Result<(WebSocketStream<Upgraded>, String)> {
    let mut request = trimtab_client::request(Method::GET, path, None)?;
    let key = generate_key();
    let protocols = format!("{V5}, {V4}");
    for (name, value) in [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", key.as_str()),
        ("sec-websocket-protocol", protocols.as_str()),
    ] {
        request.headers_mut().insert(name, value.parse().expect("these are plain ASCII"));
    }
    let (response, stream) = session.client.upgrade(request).await?;
    let protocol = response.headers().get("sec-websocket-protocol").and_then(|value| value.to_str().ok());
    let protocol = protocol.filter(|protocol| [V5, V4].contains(protocol));
    let protocol = protocol.ok_or_else(|| anyhow!("the server chose no protocol for exec that is known here"))?;
    Ok((WebSocketStream::from_raw_socket(stream, Role::Client, None).await, protocol.to_owned()))
}

/// Carries input and output until the server says how the command ended.
async fn converse(
    mut socket: WebSocketStream<Upgraded>,
    protocol: &str,
    with_stdin: bool,
    tty: bool,
    session: &mut Session,
) -> Result<Status> {
    let mut stdin = tokio::io::stdin();
    let mut buffer = vec![0; 16 << 10];
    let mut reading = with_stdin;
    let mut sizes = terminal::Sizes::new(tty)?;
    loop {
        tokio::select! {
            message = socket.next() => {
                let message = message.ok_or_else(|| anyhow!("the server ended the stream without a status"))?;
                if let Some(status) = receive(message.context("the stream broke")?, session)? {
                    // The command has ended whatever becomes of the closing handshake.
                    let _ = socket.close(None).await;
                    return Ok(status);
                }
            }
            // Cancelling a read of stdin loses nothing: the bytes stay in its buffer.
            length = stdin.read(&mut buffer), if reading => match length? {
                0 => {
                    reading = false;
                    if protocol == V5 {
                        send(&mut socket, &[channel::CLOSE, channel::STDIN], &[]).await?;
                    }
                }
                length => send(&mut socket, &[channel::STDIN], &buffer[..length]).await?,
            },
            size = sizes.next() => {
                let text = format!("{{\"Width\":{},\"Height\":{}}}", size.0, size.1);
                send(&mut socket, &[channel::RESIZE], text.as_bytes()).await?;
            }
        }
    }
}

async fn send(socket: &mut WebSocketStream<Upgraded>, head: &[u8], data: &[u8]) -> Result<()> {
    Ok(socket.send(Message::Binary([head, data].concat().into())).await?)
}

fn receive(message: Message, session: &mut Session) -> Result<Option<Status>> {
    let data = match message {
        Message::Binary(data) => data,
        Message::Text(text) => text.into(),
        Message::Close(_) => bail!("the server ended the stream without a status"),
        _ => return Ok(None),
    };
    let Some((channel, rest)) = data.split_first() else { return Ok(None) };
    match *channel {
        channel::STDOUT => session.console.raw(rest)?,
        channel::STDERR => session.console.raw_err(rest)?,
        channel::ERROR => return Ok(Some(serde_json::from_slice(rest).context("could not read the status")?)),
        _ => {}
    }
    Ok(None)
}

/// The exit code that a status tells.
fn conclude(status: &Status, session: &mut Session) -> Result<u8> {
    if status.status.as_deref() == Some("Success") {
        return Ok(0);
    }
    let causes = status.details.iter().flat_map(|details| details.causes.iter().flatten());
    let code = causes
        .filter(|cause| cause.reason.as_deref() == Some("ExitCode"))
        .find_map(|cause| cause.message.as_deref().and_then(|code| code.parse::<i32>().ok()));
    match code {
        Some(code) => {
            session.console.note(format!("command terminated with exit code {code}"));
            // What does not fit is shown as the shell does: by its last eight bits.
            Ok(code.to_le_bytes()[0].max(u8::from(code != 0)))
        }
        None => bail!("{}", status.message.as_deref().unwrap_or("the command could not be run")),
    }
}
