//! URLs: absolute ones, and paths from the root, as Go's `url.ParseRequestURI` takes them.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::{Answer, Call};
use crate::cel::error::EvalError;
use crate::cel::value::{Key, Map, Text, Value};

/// A URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    scheme: String,
    host: String,
    path: String,
    query: String,
}

impl Url {
    fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || text.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
            return None;
        }
        let (before, query) = text.split_once('?').unwrap_or((text, ""));
        let made = |scheme: &str, host: &str, path: &str| {
            let escapes = path
                .split('%')
                .skip(1)
                .all(|rest| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit()));
            escapes.then(|| Self {
                scheme: scheme.to_owned(),
                host: host.to_owned(),
                path: path.to_owned(),
                query: query.to_owned(),
            })
        };
        if before.starts_with('/') {
            return made("", "", before);
        }
        let (scheme, rest) = before.split_once(':')?;
        let fits = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        if !fits {
            return None;
        }
        let scheme = scheme.to_ascii_lowercase();
        let Some(rest) = rest.strip_prefix("//") else {
            return made(&scheme, "", if rest.starts_with('/') { rest } else { "" });
        };
        let end = rest.find('/').unwrap_or(rest.len());
        let host = rest[..end].rsplit('@').next().unwrap_or_default();
        let port = host.rsplit_once(':').filter(|(name, _)| !name.contains('[') || name.ends_with(']'));
        let fits = port.is_none_or(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()))
            && host.contains('[') == host.contains(']')
            && !host.contains(['<', '>', '"', '\\', '^', '`', '{', '|', '}']);
        fits.then(|| made(&scheme, host, &rest[end..]))?
    }

    fn host_and_port(&self) -> (&str, &str) {
        match self.host.rsplit_once(':') {
            Some((host, port)) if !host.contains('[') || host.ends_with(']') => (host, port),
            _ => (&self.host, ""),
        }
    }
}

pub(super) fn call<'a>(call: &Call<'_>, args: &[Value<'a>]) -> Option<Answer<'a>> {
    let text = |text: &str| Some(Ok(Value::text(text)));
    match (call.function, args) {
        ("isURL", [Value::String(text)]) => Some(Ok(Value::Bool(Url::parse(text).is_some()))),
        ("url", [Value::String(text)]) => Some(match Url::parse(text) {
            Some(url) => Ok(Value::Url(Rc::new(url))),
            None => Err(EvalError::new(format!(
                "URL parse error during conversion from string: parse {:?}: invalid URI for request",
                &**text
            ))),
        }),
        ("getScheme", [Value::Url(url)]) => text(&url.scheme),
        ("getHost", [Value::Url(url)]) => text(&url.host),
        ("getHostname", [Value::Url(url)]) => text(url.host_and_port().0.trim_start_matches('[').trim_end_matches(']')),
        ("getPort", [Value::Url(url)]) => text(url.host_and_port().1),
        ("getEscapedPath", [Value::Url(url)]) => text(&url.path),
        ("getQuery", [Value::Url(url)]) => Some(Ok(query(&url.query))),
        _ => None,
    }
}

fn query<'a>(query: &str) -> Value<'a> {
    let mut found: BTreeMap<Key<'a>, Vec<Value<'a>>> = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty() && !pair.contains(';')) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if let (Some(name), Some(value)) = (unescaped(name), unescaped(value)) {
            found.entry(Key::String(Text::Made(name.into()))).or_default().push(Value::text(value));
        }
    }
    Value::Map(Map::Made(Rc::new(found.into_iter().map(|(name, values)| (name, Value::list(values))).collect())))
}

fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = &rest[2..];
            }
            byte => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).ok()
}
