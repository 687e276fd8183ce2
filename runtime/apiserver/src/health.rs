//! `/livez`, `/readyz`, `/healthz` and `/version`.

use http::{StatusCode, Uri};

use crate::body;
use crate::handler::Answer;
use crate::path::Query;
use crate::server::ApiServer;

/// What each health path looks at, by upstream's names. The server listens only once its store is read and
/// every step of its start is done, so that whoever can ask gets a yes; it says no while it is ending.
const CHECKS: [&str; 17] = [
    "ping",
    "log",
    "etcd",
    "store",
    "poststarthook/start-apiserver-admission-initializer",
    "poststarthook/generic-apiserver-start-informers",
    "poststarthook/priority-and-fairness-config-producer",
    "poststarthook/start-apiextensions-informers",
    "poststarthook/start-apiextensions-controllers",
    "poststarthook/crd-informer-synced",
    "poststarthook/rbac/bootstrap-roles",
    "poststarthook/scheduling/bootstrap-system-priority-classes",
    "poststarthook/start-cluster-authentication-info-controller",
    "poststarthook/apiservice-registration-controller",
    "poststarthook/apiservice-status-local-available-controller",
    "poststarthook/kube-apiserver-autoregistration",
    "autoregister-completion",
];
/// Of whether requests are to come here.
const READY_CHECKS: [&str; 2] = ["informer-sync", "shutdown"];

pub(crate) fn answer(server: &ApiServer, path: &str, uri: &Uri) -> Option<Answer> {
    if path.trim_end_matches('/') == "/version" {
        return Some(Ok(body::json(StatusCode::OK, &version())));
    }
    let mut parts = path.trim_matches('/').splitn(2, '/');
    let endpoint = parts.next().filter(|name| matches!(*name, "livez" | "readyz" | "healthz"))?;
    let asked = parts.next();
    let checks = CHECKS.iter().chain(READY_CHECKS.iter().filter(|_| endpoint == "readyz")).copied();
    if asked.is_some_and(|asked| !checks.clone().any(|check| check == asked)) {
        return None;
    }
    let query = Query::of(uri);
    let excluded = |check: &str| query.has("exclude", check);
    let fails = |check: &str| check == "shutdown" && server.inner.ending.is_cancelled() && !excluded(check);
    let ending = checks.clone().filter(|check| asked.is_none_or(|asked| asked == *check)).any(fails);
    let (code, verdict) =
        if ending { (StatusCode::INTERNAL_SERVER_ERROR, "failed") } else { (StatusCode::OK, "passed") };
    let verbose = uri.query().is_some() && (query.has("verbose", "") || query.flag("verbose"));
    let text = if verbose {
        let line = |check: &str| match () {
            () if fails(check) => format!("[-]{check} failed: reason withheld\n"),
            () if excluded(check) => format!("[+]{check} excluded: ok\n"),
            () => format!("[+]{check} ok\n"),
        };
        let lines: String = checks.map(line).collect();
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
