//! A command's streams, whichever protocol they come in.

use std::time::Duration;

use super::spdy;
use super::streams::{Incoming, Outgoing};
use super::websocket::Channel;
use crate::runtime::ExecOptions;

/// How long a client may take to open its streams, as upstream.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);

/// The client's ends of a command.
pub(super) struct Ends {
    pub(super) stdin: Option<Incoming>,
    /// The sizes of the client's terminal, in JSON.
    pub(super) resize: Option<Incoming>,
    pub(super) stdout: Option<Outgoing>,
    pub(super) stderr: Option<Outgoing>,
    /// Where the client is told how the command ended.
    pub(super) status: Outgoing,
}

/// Which streams the client wants beside the one for the status.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    stdin: bool,
    stdout: bool,
    stderr: bool,
    resize: bool,
}

impl Wanted {
    pub(super) fn of(options: &ExecOptions) -> Self {
        let ExecOptions { stdin, stdout, stderr, tty, .. } = *options;
        Self { stdin, stdout, stderr, resize: tty }
    }
}

impl Ends {
    /// How many channels a command has.
    pub(super) const CHANNELS: u8 = 5;

    /// The channels of a WebSocket, in their order.
    pub(super) fn of_channels(channels: Vec<Channel>, wanted: Wanted) -> Option<Self> {
        let [stdin, stdout, stderr, status, resize] = <[Channel; 5]>::try_from(channels).ok()?;
        Some(Self {
            stdin: wanted.stdin.then_some(stdin.incoming),
            resize: wanted.resize.then_some(resize.incoming),
            stdout: wanted.stdout.then_some(stdout.outgoing),
            stderr: wanted.stderr.then_some(stderr.outgoing),
            status: status.outgoing,
        })
    }

    /// Whether a stream over SPDY with these headers is one of a command's.
    pub(super) fn accepts(headers: &spdy::Headers) -> bool {
        matches!(headers.get("streamtype"), "error" | "stdin" | "stdout" | "stderr" | "resize")
    }

    /// The streams that the client opens over SPDY, in any order; `None` when it leaves instead, or
    /// takes too long.
    pub(super) async fn opened(mut connection: spdy::Connection, wanted: Wanted) -> Option<Self> {
        let (mut stdin, mut resize, mut stdout, mut stderr, mut status) = (None, None, None, None, None);
        let all = async {
            loop {
                let missing = [
                    status.is_none(),
                    wanted.stdin && stdin.is_none(),
                    wanted.stdout && stdout.is_none(),
                    wanted.stderr && stderr.is_none(),
                    wanted.resize && resize.is_none(),
                ];
                if missing.iter().all(|missing| !missing) {
                    return Some(());
                }
                let spdy::Stream { headers, incoming, outgoing, .. } = connection.opened.recv().await?;
                match headers.get("streamtype") {
                    "stdin" => stdin = Some(incoming),
                    "resize" => resize = Some(incoming),
                    "stdout" => stdout = Some(outgoing),
                    "stderr" => stderr = Some(outgoing),
                    _ => status = Some(outgoing),
                }
            }
        };
        let Ok(Some(())) = tokio::time::timeout(OPEN_TIMEOUT, all).await else {
            tracing::debug!("a client did not open the streams that it asked for");
            return None;
        };
        Some(Self { stdin, resize, stdout, stderr, status: status? })
    }
}

#[cfg(test)]
mod tests {
    use super::super::spdy::client::{Client, data, reply};
    use super::*;

    #[tokio::test]
    async fn a_commands_streams_are_opened_in_any_order() {
        let (mut client, theirs) = Client::new();
        let (connection, driver) = spdy::connect(theirs, Ends::accepts);
        let wanted = Wanted { stdin: true, stdout: true, stderr: false, resize: true };
        let served = async move {
            let mut ends = Ends::opened(connection, wanted).await.expect("all that is wanted");
            assert!(ends.stderr.is_none());
            assert_eq!(ends.stdin.as_mut().unwrap().recv().await.as_deref(), Some(&b"typed"[..]));
            assert_eq!(ends.resize.as_mut().unwrap().recv().await.as_deref(), Some(&b"{}"[..]));
            ends.stdout.take().unwrap().send("shown".into()).await.unwrap();
        };
        let asked = async move {
            let all = [(1, "resize"), (3, "stdin"), (5, "error"), (7, "stdout")];
            for (stream, type_) in all {
                client.open(stream, [("streamtype", type_)]).await;
                assert_eq!(client.next().await, reply(stream));
            }
            client.send(data(1, false, "{}")).await;
            client.send(data(3, false, "typed")).await;
            assert_eq!(client.next().await, Some(data(7, false, "shown")));
        };
        tokio::join!(driver, served, asked);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_opens_too_little_is_not_waited_for() {
        let (mut client, theirs) = Client::new();
        let (connection, driver) = spdy::connect(theirs, Ends::accepts);
        let wanted = Wanted { stdin: true, stdout: false, stderr: false, resize: false };
        client.open(1, [("streamtype", "error")]).await;
        let served = async move { assert!(Ends::opened(connection, wanted).await.is_none()) };
        let ((), ()) = tokio::join!(driver, served);
        drop(client);
    }
}
