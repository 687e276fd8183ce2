//! Errors in kubectl's words.

use std::error::Error as _;
use std::io;

use trimtab_client::Error;

/// What a failed command prints.
pub(crate) fn render(error: &anyhow::Error) -> String {
    match error.downcast_ref::<Error>() {
        Some(Error::Api(api)) => of_server(api, &context(error)),
        Some(Error::Transport(transport)) => {
            let cause = transport.source().map(chain).unwrap_or_default();
            if cause.contains("refused") {
                let server = transport.server.trim_start_matches("https://").trim_start_matches("http://");
                return format!(
                    "The connection to the server {server} was refused - did you specify the right host or port?"
                );
            }
            format!("Unable to connect to the server: {cause}")
        }
        _ => format!("error: {error:#}"),
    }
}

/// Whether the reader of our output went away: no error, there is nothing left to do.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe))
}

fn of_server(api: &trimtab_api::ApiError, context: &str) -> String {
    let message = api.status().message.as_deref().unwrap_or_default();
    match api.reason() {
        "Invalid" => format!("The {message}"),
        "Unauthorized" => "error: You must be logged in to the server (Unauthorized)".to_owned(),
        "" => format!("Error from server: {context}{message}"),
        reason => format!("Error from server ({reason}): {context}{message}"),
    }
}

/// What was attempted, as `error when creating "x.yaml": `.
fn context(error: &anyhow::Error) -> String {
    let outer = error.to_string();
    if error.chain().count() > 1 && outer.starts_with("error when ") { format!("{outer}: ") } else { String::new() }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use trimtab_api::ApiError;

    use super::*;

    fn check(error: anyhow::Error, expected: &str) {
        assert_eq!(render(&error), expected);
    }

    #[test]
    fn words_are_those_of_kubectl() {
        let missing = || Error::Api(ApiError::new(404, "NotFound", r#"pods "x" not found"#));
        check(missing().into(), r#"Error from server (NotFound): pods "x" not found"#);
        let within = anyhow::Error::from(missing()).context(r#"error when creating "a.yaml""#);
        check(within, r#"Error from server (NotFound): error when creating "a.yaml": pods "x" not found"#);
        let invalid = Error::Api(ApiError::new(422, "Invalid", r#"Pod "x" is invalid: spec: Required value"#));
        check(invalid.into(), r#"The Pod "x" is invalid: spec: Required value"#);
        check(anyhow::anyhow!("no such file").context("could not read a"), "error: could not read a: no such file");
    }
}
