//! `/exec` and `/attach`.

use futures::StreamExt;
use http::Request;
use hyper::body::Incoming as Body;
use k8s_openapi::api::core::v1::Pod;
use serde::Deserialize;
use serde_json::{Deserializer, Value, json};
use tokio::io::AsyncWriteExt;
use trimtab_api::ApiError;
use trimtab_env::Tasks;

use super::ends::{Ends, Wanted};
use super::query::Query;
use super::streams::{Incoming, Outgoing};
use super::upgrade::{Connection, Protocols, V4, V5, accept};
use super::{Answer, running, spdy, websocket};
use crate::node::Node;
use crate::runtime::{ExecOptions, Input, Output, Result, Session, TerminalSize};

const PROTOCOLS: Protocols = Protocols { websocket: &[V5, V4], spdy: &[V4] };
/// The longest text that tells a terminal's size, in bytes.
const MAX_SIZE: usize = 1 << 10;

/// What the client wants of the container.
#[derive(Clone, Copy)]
enum Verb {
    Exec,
    Attach,
}

pub(super) async fn exec(
    node: &Node,
    pod: &Pod,
    container: &str,
    query: &Query,
    tasks: &Tasks,
    request: Request<Body>,
) -> Answer {
    if query.get("command").is_none() {
        return Err(ApiError::bad_request("you must specify at least 1 command for the container"));
    }
    session(Verb::Exec, node, (pod, container), query, tasks, request).await
}

pub(super) async fn attach(
    node: &Node,
    pod: &Pod,
    container: &str,
    query: &Query,
    tasks: &Tasks,
    request: Request<Body>,
) -> Answer {
    session(Verb::Attach, node, (pod, container), query, tasks, request).await
}

async fn session(
    verb: Verb,
    node: &Node,
    (pod, container): (&Pod, &str),
    query: &Query,
    tasks: &Tasks,
    request: Request<Body>,
) -> Answer {
    let options = options(query);
    if !options.stdin && !options.stdout && !options.stderr {
        return Err(ApiError::bad_request("you must specify at least 1 of stdin, stdout, stderr"));
    }
    let instance = running(node, pod, container).await?;
    let runtime = std::sync::Arc::clone(node.runtime());
    accept(request, PROTOCOLS, tasks, move |connection| async move {
        let wanted = Wanted::of(&options);
        let begun = async move {
            match verb {
                Verb::Exec => runtime.exec(&instance.id, &options).await,
                Verb::Attach => runtime.attach(&instance.id, &options).await,
            }
        };
        match connection {
            Connection::WebSocket(socket) => {
                let (channels, driver) = websocket::channels(*socket, Ends::CHANNELS);
                let served = async {
                    if let Some(ends) = Ends::of_channels(channels, wanted) {
                        serve(verb, ends, begun).await;
                    }
                };
                tokio::join!(driver, served);
            }
            Connection::Spdy(stream) => {
                let (connection, driver) = spdy::connect(stream, Ends::accepts);
                let served = async {
                    if let Some(ends) = Ends::opened(connection, wanted).await {
                        serve(verb, ends, begun).await;
                    }
                };
                tokio::join!(driver, served);
            }
        }
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
async fn serve(verb: Verb, ends: Ends, begun: impl Future<Output = Result<Session>>) {
    let Ends { stdin, resize, stdout, stderr, status } = ends;
    let code = match begun.await {
        Ok(session) => {
            let Session { input, output, resize: terminal, exit } = session;
            // Neither end of the input is the end of the command.
            let fed = async {
                tokio::join!(feed(stdin, input), resized(resize, terminal));
                futures::future::pending::<()>().await;
            };
            let ran = async {
                write(output, stdout.as_ref(), stderr.as_ref()).await?;
                exit.await
            };
            tokio::select! {
                code = ran => code,
                () = fed => return,
                () = status.gone() => return,
            }
        }
        Err(error) => Err(error),
    };
    for stream in [stdout, stderr].into_iter().flatten() {
        stream.close().await;
    }
    let text = told(verb, code).to_string();
    // A client that has left does not want to know.
    if status.send(text.into()).await.is_ok() {
        status.close().await;
    }
}

/// Gives what the command writes to the client. A stream that nobody wants is read all the same.
async fn write(
    mut output: futures::stream::BoxStream<'static, Result<Output>>,
    stdout: Option<&Outgoing>,
    stderr: Option<&Outgoing>,
) -> Result<()> {
    while let Some(piece) = output.next().await {
        let (to, bytes) = match piece? {
            Output::Stdout(bytes) => (stdout, bytes),
            Output::Stderr(bytes) => (stderr, bytes),
        };
        if let Some(to) = to
            && to.send(bytes).await.is_err()
        {
            break;
        }
    }
    Ok(())
}

/// Gives what the client writes to the command. One that no longer reads has the rest dropped: its output still
/// matters.
async fn feed(stdin: Option<Incoming>, input: Option<Input>) {
    let (Some(mut stdin), Some(mut input)) = (stdin, input) else { return };
    while let Some(bytes) = stdin.recv().await {
        if input.write_all(&bytes).await.is_err() || input.flush().await.is_err() {
            return;
        }
    }
    if let Err(error) = input.shutdown().await {
        tracing::debug!(%error, "could not end a command's input");
    }
}

type Terminal = Box<dyn Fn(TerminalSize) -> futures::future::BoxFuture<'static, Result<()>> + Send + Sync>;

async fn resized(resize: Option<Incoming>, terminal: Terminal) {
    let Some(mut resize) = resize else { return };
    let mut read = Vec::new();
    while let Some(bytes) = resize.recv().await {
        read.extend_from_slice(&bytes);
        if let Some(Size { width, height }) = last_size(&mut read)
            && let Err(error) = terminal(TerminalSize { width, height }).await
        {
            tracing::debug!(%error, "could not resize a terminal");
        }
    }
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "PascalCase")]
struct Size {
    width: u16,
    height: u16,
}

/// The newest of the sizes in `read`, which are taken out of it.
fn last_size(read: &mut Vec<u8>) -> Option<Size> {
    let mut sizes = Deserializer::from_slice(read).into_iter::<Size>();
    let (mut last, mut complete) = (None, 0);
    let broken = loop {
        match sizes.next() {
            Some(Ok(size)) => (last, complete) = (Some(size), sizes.byte_offset()),
            Some(Err(error)) => break !error.is_eof(),
            None => break false,
        }
    };
    if broken || read.len() - complete > MAX_SIZE {
        read.clear();
    } else {
        drop(read.drain(..complete));
    }
    last
}

/// How the command ended, for the client. How a container ends is told by its pod, not to who is attached to it.
fn told(verb: Verb, code: Result<i32>) -> Value {
    let mut status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"});
    let failure = match (verb, code) {
        (_, Ok(0)) | (Verb::Attach, Ok(_)) => return status,
        (Verb::Exec, Ok(code)) => json!({
            "reason": "NonZeroExitCode",
            "message": format!("command terminated with non-zero exit code: exit status {code}"),
            "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
        }),
        (verb, Err(error)) => {
            let doing = match verb {
                Verb::Exec => "executing command in",
                Verb::Attach => "attaching to",
            };
            let message = format!("error {doing} container: {error}");
            json!({
                "reason": "InternalError", "code": 500,
                "message": format!("Internal error occurred: {message}"),
                "details": {"causes": [{"message": message}]},
            })
        }
    };
    status["status"] = "Failure".into();
    failure.as_object().into_iter().flatten().for_each(|(field, value)| status[field] = value.clone());
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_may_come_in_pieces_and_only_the_newest_counts() {
        let mut read = br#"{"Width":1,"Height":2}"#.to_vec();
        assert_eq!(last_size(&mut read), Some(Size { width: 1, height: 2 }));
        read.extend(b"\n{\"Width\":3,\"Height\":4}\n{\"Width\":5,");
        assert_eq!(last_size(&mut read), Some(Size { width: 3, height: 4 }));
        read.extend(b"\"Height\":6}");
        assert_eq!((last_size(&mut read), read.len()), (Some(Size { width: 5, height: 6 }), 0));
        for wrong in ["no size", "{\"Width\":-1}", &" ".repeat(2 * MAX_SIZE)] {
            read.extend(wrong.as_bytes());
            assert_eq!((last_size(&mut read), read.len()), (None, 0), "{wrong}");
        }
    }

    #[test]
    fn an_exit_code_is_a_cause_and_an_attached_container_has_none() {
        let status = told(Verb::Exec, Ok(3));
        assert_eq!((&status["status"], &status["reason"]), (&json!("Failure"), &json!("NonZeroExitCode")));
        assert_eq!(status["details"]["causes"], json!([{"reason": "ExitCode", "message": "3"}]));
        assert_eq!(told(Verb::Attach, Ok(3))["status"], "Success");
    }
}
