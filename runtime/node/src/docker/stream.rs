//! Logs, exec and attach.

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, ResizeExecOptions, StartExecOptions, StartExecResults};
use bollard::query_parameters::{AttachContainerOptionsBuilder, LogsOptionsBuilder, ResizeContainerTTYOptionsBuilder};
use futures::stream::BoxStream;
use futures::{FutureExt, Stream, StreamExt};

use super::convert::failed;
use crate::runtime::{Error, ExecOptions, LogOptions, Output, Result, Session, State, TerminalSize};

type Lines = BoxStream<'static, Result<Output>>;

pub(super) async fn logs(engine: &Docker, id: &str, options: &LogOptions) -> Result<Lines> {
    let since = options.since.map_or(0, |time| i32::try_from(time.as_second()).unwrap_or(i32::MAX));
    let tail = options.tail.map_or_else(|| "all".to_owned(), |lines| lines.to_string());
    let request = LogsOptionsBuilder::new()
        .follow(options.follow)
        .stdout(true)
        .stderr(true)
        .since(since)
        .timestamps(options.timestamps)
        .tail(&tail)
        .build();
    // Only asking shows whether the container is there.
    engine.inspect_container(id, None).await.map_err(|error| failed(error, id))?;
    Ok(outputs(engine.logs(id, Some(request)), id))
}

fn outputs(stream: impl Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send + 'static, id: &str) -> Lines {
    let id = id.to_owned();
    let output = move |item: Result<LogOutput, bollard::errors::Error>| match item {
        Ok(LogOutput::StdErr { message }) => Ok(Output::Stderr(message)),
        Ok(other) => Ok(Output::Stdout(other.into_bytes())),
        Err(error) => Err(failed(error, &id)),
    };
    stream.map(output).boxed()
}

pub(super) async fn exec(engine: &Docker, id: &str, options: &ExecOptions) -> Result<Session> {
    let request = CreateExecOptions {
        attach_stdin: Some(options.stdin),
        attach_stdout: Some(options.stdout),
        attach_stderr: Some(options.stderr && !options.tty),
        tty: Some(options.tty),
        cmd: Some(options.command.clone()),
        ..CreateExecOptions::default()
    };
    let exec = engine.create_exec(id, request).await.map_err(|error| failed(error, id))?.id;
    let start = StartExecOptions { detach: false, tty: options.tty, output_capacity: None };
    let started = engine.start_exec(&exec, Some(start)).await.map_err(|error| failed(error, id))?;
    let StartExecResults::Attached { output, input } = started else {
        return Err(Error::refused("the engine detached from the command"));
    };
    let (resizer, target) = (engine.clone(), exec.clone());
    let resize = move |size: TerminalSize| {
        let (engine, exec) = (resizer.clone(), target.clone());
        let size = ResizeExecOptions { height: size.height, width: size.width };
        async move { engine.resize_exec(&exec, size).await.map_err(|error| failed(error, &exec)) }.boxed()
    };
    Ok(Session {
        input: options.stdin.then_some(input),
        output: outputs(output, id),
        resize: Box::new(resize),
        exit: exit_code(engine.clone(), exec).boxed(),
    })
}

/// The output may end a moment before the engine knows the exit code.
async fn exit_code(engine: Docker, exec: String) -> Result<i32> {
    loop {
        let inspected = engine.inspect_exec(&exec).await.map_err(|error| failed(error, &exec))?;
        if inspected.running != Some(true) {
            return Ok(i32::try_from(inspected.exit_code.unwrap_or_default()).unwrap_or(-1));
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

pub(super) async fn attach(engine: &Docker, id: &str, options: &ExecOptions) -> Result<Session> {
    let request = AttachContainerOptionsBuilder::new()
        .stream(true)
        .stdin(options.stdin)
        .stdout(options.stdout)
        .stderr(options.stderr && !options.tty)
        .build();
    let attached = engine.attach_container(id, Some(request)).await.map_err(|error| failed(error, id))?;
    let (resizer, target) = (engine.clone(), id.to_owned());
    let resize = move |size: TerminalSize| {
        let (engine, id) = (resizer.clone(), target.clone());
        let size = ResizeContainerTTYOptionsBuilder::new().h(size.height.into()).w(size.width.into()).build();
        async move { engine.resize_container_tty(&id, size).await.map_err(|error| failed(error, &id)) }.boxed()
    };
    Ok(Session {
        input: options.stdin.then_some(attached.input),
        output: outputs(attached.output, id),
        resize: Box::new(resize),
        exit: container_exit(engine.clone(), id.to_owned()).boxed(),
    })
}

/// 0 while it runs: then it was the client that left.
async fn container_exit(engine: Docker, id: String) -> Result<i32> {
    let inspection = engine.inspect_container(&id, None).await.map_err(|error| failed(error, &id))?;
    Ok(match super::convert::state(&inspection) {
        State::Exited { exit_code, .. } => exit_code,
        State::Created | State::Running { .. } => 0,
    })
}
