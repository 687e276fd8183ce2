//! `/containerLogs`.

use bytes::Bytes;
use futures::{Stream, StreamExt};
use http::{HeaderValue, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use trimtab_api::ApiError;

use super::query::Query;
use super::{Answer, instances};
use crate::node::Node;
use crate::runtime::{Container, LogOptions, Output, Result, State};

pub(super) async fn logs(node: &Node, pod: &Pod, container: &str, query: &Query) -> Answer {
    let instance = choose(instances(node, pod, container).await?, pod, container, query.flag("previous"))?;
    let options = options(query, node.shared.env.now());
    let lines = node.runtime().logs(&instance.id, &options).await.map_err(ApiError::internal)?;
    let limit = query.number::<usize>("limitBytes").unwrap_or(usize::MAX);
    let frames = bounded(lines, limit).map(|bytes| bytes.map(Frame::data));
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(response)
}

fn choose(instances: Vec<Container>, pod: &Pod, container: &str, previous: bool) -> Result<Container, ApiError> {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let mut begun = instances.into_iter().filter(|instance| instance.state != State::Created);
    if previous {
        let before = begun.by_ref().skip(1).find(|instance| instance.state.is_exited());
        let missing = || format!("previous terminated container \"{container}\" in pod \"{name}\" not found");
        return before.ok_or_else(|| ApiError::bad_request(missing()));
    }
    begun.next().ok_or_else(|| {
        let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
        let mut waiting =
            statuses.filter(|status| status.name == container).filter_map(|s| s.state.as_ref()?.waiting.as_ref());
        let reason =
            waiting.next().and_then(|waiting| waiting.reason.clone()).unwrap_or_else(|| "ContainerCreating".to_owned());
        ApiError::bad_request(format!("container \"{container}\" in pod \"{name}\" is waiting to start: {reason}"))
    })
}

fn options(query: &Query, now: Timestamp) -> LogOptions {
    let seconds = query.number::<i64>("sinceSeconds");
    let since = seconds.and_then(|seconds| now.checked_sub(SignedDuration::from_secs(seconds)).ok());
    LogOptions {
        follow: query.flag("follow"),
        tail: query.number("tailLines"),
        since: since.or_else(|| query.number("sinceTime")),
        timestamps: query.flag("timestamps"),
    }
}

/// At most `limit` bytes of a log.
fn bounded(
    lines: impl Stream<Item = Result<Output>> + Send + 'static,
    limit: usize,
) -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    lines.scan(limit, |left, line| {
        let piece = match line {
            _ if *left == 0 => None,
            Ok(output) => {
                let mut bytes = output.into_bytes();
                bytes.truncate(*left);
                *left -= bytes.len();
                Some(Ok(bytes))
            }
            Err(error) => {
                *left = 0;
                Some(Err(std::io::Error::other(error)))
            }
        };
        futures::future::ready(piece)
    })
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn a_log_is_cut_at_the_limit() {
        let lines = || futures::stream::iter(["one\n", "two\n"].map(|line| Ok(Output::Stdout(Bytes::from(line)))));
        for (limit, expected) in [(0, ""), (5, "one\nt"), (99, "one\ntwo\n")] {
            let text: Vec<Bytes> = bounded(lines(), limit).try_collect().await.unwrap();
            assert_eq!(text.concat(), expected.as_bytes());
        }
    }
}
