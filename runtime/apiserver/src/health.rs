//! `/livez`, `/readyz`, `/healthz` and `/version`.

use http::{StatusCode, Uri};

use crate::body;
use crate::handler::Answer;
use crate::path::Query;
use crate::server::ApiServer;

/// What each health path looks at. The server listens only once its store is read, so that whoever
/// can ask gets a yes; it says no while it is ending.
const CHECKS: [&str; 2] = ["ping", "store"];

pub(crate) fn answer(server: &ApiServer, path: &str, uri: &Uri) -> Option<Answer> {
    if path.trim_end_matches('/') == "/version" {
        return Some(Ok(body::json(StatusCode::OK, &version())));
    }
    let mut parts = path.trim_matches('/').splitn(2, '/');
    let endpoint = parts.next().filter(|name| matches!(*name, "livez" | "readyz" | "healthz"))?;
    let check = parts.next();
    if check.is_some_and(|check| !CHECKS.contains(&check)) {
        return None;
    }
    let ending = endpoint == "readyz" && server.inner.ending.is_cancelled();
    let (code, verdict) =
        if ending { (StatusCode::INTERNAL_SERVER_ERROR, "failed") } else { (StatusCode::OK, "passed") };
    let query = Query::of(uri);
    let verbose = uri.query().is_some() && (query.has("verbose", "") || query.flag("verbose"));
    let text = if verbose {
        let lines: String = CHECKS.iter().map(|check| format!("[+]{check} ok\n")).collect();
        format!("{lines}{endpoint} check {verdict}\n")
    } else if ending {
        "shutting down".to_owned()
    } else {
        "ok".to_owned()
    };
    Some(Ok(body::bytes(code, "text/plain; charset=utf-8", text)))
}

fn version() -> serde_json::Value {
    serde_json::json!({
        "major": "1", "minor": "36", "gitVersion": concat!("v1.36.0+trimtab.", env!("CARGO_PKG_VERSION")),
        "gitCommit": "", "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "none", "compiler": "rustc", "platform": format!("linux/{}", arch()),
    })
}

fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
