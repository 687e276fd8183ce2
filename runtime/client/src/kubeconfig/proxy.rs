//! Which proxy leads to a server.

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::Proxy;

use super::entries::given;
use super::{ClusterEntry, ConfigError, Named, is_of_this_machine};
use crate::error::root_cause;

/// `proxy-url`, or what the environment says.
pub(super) fn proxy(cluster: &Named<ClusterEntry>) -> Result<Option<Proxy>, ConfigError> {
    let info = &cluster.entry.cluster;
    if let Some(url) = given(info.proxy_url.as_ref()) {
        let refused = |why: String| cluster.refused("cluster.proxy-url", why);
        return at(url).map(Some).map_err(refused);
    }
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let Some((name, url)) = of_environment(&info.server, variable) else { return Ok(None) };
    at(&url).map(Some).map_err(|detail| ConfigError::Credentials { what: name, detail })
}

fn at(url: &str) -> Result<Proxy, String> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let scheme = match scheme {
        "http" | "https" => scheme,
        // The server's name is the proxy's to look up, as for Go's clients.
        "socks5" | "socks5h" => "socks5h",
        other => return Err(format!("begins with {other:?}; http, https and socks5 are supported")),
    };
    Proxy::all(format!("{scheme}://{rest}")).map_err(|error| format!("is no URL: {}", root_cause(&error)))
}

/// The variable that names the proxy for `server`, and what it says; `NO_PROXY` and this machine are left out.
fn of_environment(server: &str, variable: impl Fn(&str) -> Option<String>) -> Option<(&'static str, String)> {
    if is_of_this_machine(server) {
        return None;
    }
    let either = |name: &str| variable(name).or_else(|| variable(&name.to_lowercase()));
    let uri: http::Uri = server.parse().ok()?;
    let name = match uri.scheme_str()? {
        "https" => "HTTPS_PROXY",
        "http" => "HTTP_PROXY",
        _ => return None,
    };
    let url = either(name)?;
    let excepting = Matcher::builder().all("http://any").no(either("NO_PROXY").unwrap_or_default()).build();
    excepting.intercept(&uri).map(|_| (name, url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_a_proxy_for_other_machines() {
        let found = |server: &str| {
            let variables = [("HTTPS_PROXY", "http://a:1"), ("http_proxy", "b:2"), ("NO_PROXY", "10.0.0.0/8,near.io")];
            of_environment(server, |name| {
                variables.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned())
            })
        };
        let secure = Some(("HTTPS_PROXY", "http://a:1".to_owned()));
        assert_eq!(found("https://far.io:6443"), secure);
        assert_eq!(found("https://192.168.1.1:6443"), secure);
        assert_eq!(found("http://far.io"), Some(("HTTP_PROXY", "b:2".to_owned())));
        for server in [
            "https://10.1.2.3",
            "https://api.near.io:6443",
            "https://127.0.0.1:6443",
            "https://localhost",
            "far.io",
            "",
        ] {
            assert_eq!(found(server), None, "{server}");
        }
    }

    #[test]
    fn what_is_no_proxy_is_told() {
        assert!(["http://a", "https://u:p@a:1", "socks5://a", "a:3128"].iter().all(|url| at(url).is_ok()));
        assert_eq!(at("ftp://a").unwrap_err(), "begins with \"ftp\"; http, https and socks5 are supported");
        assert!(at("http://").unwrap_err().starts_with("is no URL: "));
    }
}
