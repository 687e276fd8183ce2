//! `/exec` and `/attach`.

use futures::{SinkExt, StreamExt};
use http::Request;
use hyper::body::Incoming;
use k8s_openapi::api::core::v1::Pod;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use trimtab_api::ApiError;
use trimtab_env::Tasks;

use super::query::Query;
use super::websocket::{Received, Socket, V4, V5, accept, is_hangup, message, received};
use super::{Answer, running};
use crate::node::Node;
use crate::runtime::{ExecOptions, Output, Result, Session, TerminalSize};

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;
const RESIZE: u8 = 4;

pub(super) async fn exec(
    node: &Node,
    pod: &Pod,
    container: &str,
    query: &Query,
    tasks: &Tasks,
    request: Request<Incoming>,
) -> Answer {
    let options = options(query);
    if options.command.is_empty() {
        return Err(ApiError::bad_request("you must specify at least 1 command for the container"));
    }
    let instance = running(node, pod, container).await?;
    let runtime = std::sync::Arc::clone(node.runtime());
    accept(request, &[V5, V4], tasks, move |socket| async move {
        let session = runtime.exec(&instance.id, &options).await;
        serve(socket, session).await;
    })
}

pub(super) async fn attach(
    node: &Node,
    pod: &Pod,
    container: &str,
    query: &Query,
    tasks: &Tasks,
    request: Request<Incoming>,
) -> Answer {
    let options = options(query);
    let instance = running(node, pod, container).await?;
    let runtime = std::sync::Arc::clone(node.runtime());
    accept(request, &[V5, V4], tasks, move |socket| async move {
        let session = runtime.attach(&instance.id, &options).await;
        serve(socket, session).await;
    })
}

fn options(query: &Query) -> ExecOptions {
    let tty = query.flag("tty");
    ExecOptions {
        command: query.all("command").map(str::to_owned).collect(),
        stdin: query.flag("input") || query.flag("stdin"),
        stdout: query.flag("output") || query.flag("stdout"),
        stderr: (query.flag("error") || query.flag("stderr")) && !tty,
        tty,
    }
}

/// Connects the command to the client until either ends, then tells how the command ended.
async fn serve(mut socket: Socket, session: Result<Session>) {
    let outcome = match session {
        Ok(session) => pump(&mut socket, session).await,
        Err(error) => Some(failure(&error.to_string())),
    };
    let Some(status) = outcome else { return };
    let sent = socket.send(message(STATUS, status.to_string().as_bytes())).await;
    if sent.is_ok()
        && let Err(error) = socket.close(Some(normal())).await
        && !is_hangup(&error)
    {
        tracing::debug!(%error, "could not close a stream");
    }
}

/// The status to tell, or nothing when the client has left.
async fn pump(socket: &mut Socket, mut session: Session) -> Option<Value> {
    loop {
        tokio::select! {
            output = session.output.next() => match output {
                None => break,
                Some(Ok(output)) => send(socket, output).await?,
                Some(Err(error)) => return Some(failure(&error.to_string())),
            },
            incoming = socket.next() => match incoming {
                None | Some(Err(_)) => return None,
                Some(Ok(incoming)) => take(received(incoming), &mut session).await,
            },
        }
    }
    Some(match session.exit.await {
        Ok(0) => json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}),
        Ok(code) => non_zero(code),
        Err(error) => failure(&error.to_string()),
    })
}

async fn send(socket: &mut Socket, output: Output) -> Option<()> {
    let (channel, bytes) = match output {
        Output::Stdout(bytes) => (STDOUT, bytes),
        Output::Stderr(bytes) => (STDERR, bytes),
    };
    socket.send(message(channel, &bytes)).await.ok()
}

/// A command that no longer reads has its input dropped; its output still matters.
async fn take(incoming: Received, session: &mut Session) {
    match incoming {
        Received::Data(STDIN, bytes) => {
            if let Some(input) = &mut session.input
                && (input.write_all(&bytes).await.is_err() || input.flush().await.is_err())
            {
                session.input = None;
            }
        }
        Received::Closed(STDIN) => {
            if let Some(mut input) = session.input.take() {
                drop(input.shutdown().await);
            }
        }
        Received::Data(RESIZE, bytes) => {
            if let Ok(size) = serde_json::from_slice::<Size>(&bytes) {
                let resized = (session.resize)(TerminalSize { width: size.width, height: size.height }).await;
                if let Err(error) = resized {
                    tracing::debug!(%error, "could not resize a terminal");
                }
            }
        }
        Received::Data(..) | Received::Closed(_) | Received::Other => {}
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Size {
    width: u16,
    height: u16,
}

fn non_zero(code: i32) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
        "message": format!("command terminated with non-zero exit code: exit status {code}"),
        "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
    })
}

fn failure(message: &str) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "InternalError",
        "code": 500, "message": format!("error executing command in container: {message}"),
    })
}

/// Without a code, clients take the end for a broken connection (RFC 6455, 7.4.1).
fn normal() -> tokio_tungstenite::tungstenite::protocol::CloseFrame {
    use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
    tokio_tungstenite::tungstenite::protocol::CloseFrame { code: CloseCode::Normal, reason: "".into() }
}
