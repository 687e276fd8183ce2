//! Credentials of image registries, from Secrets of type `kubernetes.io/dockerconfigjson` or
//! `kubernetes.io/dockercfg`, and which of them are for an image.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Map, Value};

use crate::runtime::Credentials;

/// Where images without a registry's name come from.
const DEFAULT_REGISTRY: &str = "index.docker.io";

/// Credentials by the images they are for: a registry's name, in which `*` stands for any part of a label, with a
/// port and the beginning of a path where given.
#[derive(Debug, Default)]
pub(crate) struct Keyring(Vec<(String, Credentials)>);

impl Keyring {
    /// Adds what a Secret holds.
    ///
    /// # Errors
    /// What is wrong with the Secret.
    pub(crate) fn add(&mut self, secret: &Secret) -> Result<(), String> {
        let data = |key: &str| secret.data.as_ref().and_then(|data| data.get(key));
        let read = |key: &str, bytes: &[u8]| {
            serde_json::from_slice::<Map<String, Value>>(bytes).map_err(|error| format!("data[{key}]: {error}"))
        };
        let registries = match (data(".dockerconfigjson"), data(".dockercfg")) {
            (Some(bytes), _) => match read(".dockerconfigjson", &bytes.0)?.remove("auths") {
                Some(Value::Object(auths)) => auths,
                _ => return Err("data[.dockerconfigjson]: auths is missing".to_owned()),
            },
            (None, Some(bytes)) => read(".dockercfg", &bytes.0)?,
            (None, None) => return Err("it has neither data[.dockerconfigjson] nor data[.dockercfg]".to_owned()),
        };
        for (place, entry) in registries {
            let place = normal(&place);
            let (username, password) =
                entry_credentials(&entry).ok_or_else(|| format!("auths[{place}] has no credentials"))?;
            self.0.push((place.clone(), Credentials { registry: place, username, password }));
        }
        // The longest path first: it says the most.
        self.0.sort_by(|(a, _), (b, _)| b.cmp(a));
        Ok(())
    }

    /// The credentials for an image, those that say the most about it first.
    pub(crate) fn lookup(&self, image: &str) -> Vec<&Credentials> {
        let default = comes_from_default_registry(image);
        let fits = |place: &str| matches(place, image) || (default && place == DEFAULT_REGISTRY);
        self.0.iter().filter(|(place, _)| fits(place)).map(|(_, credentials)| credentials).collect()
    }
}

/// A place without scheme, API version and trailing slash: `https://index.docker.io/v1/` is `index.docker.io`.
fn normal(place: &str) -> String {
    let place = place.strip_prefix("https://").or_else(|| place.strip_prefix("http://")).unwrap_or(place);
    let (host, path) = place.split_once('/').unwrap_or((place, ""));
    let path = path.strip_prefix("v1/").or_else(|| path.strip_prefix("v2/")).unwrap_or(path);
    let path = if path == "v1" || path == "v2" { "" } else { path };
    format!("{host}/{path}").trim_end_matches('/').to_owned()
}

/// User and password, which may stand together in `auth`, in base64.
fn entry_credentials(entry: &Value) -> Option<(String, String)> {
    let text = |key: &str| entry.get(key)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    if let Some(auth) = text("auth") {
        let decoded = String::from_utf8(STANDARD.decode(auth).ok()?).ok()?;
        let (username, password) = decoded.split_once(':')?;
        return Some((username.to_owned(), password.trim_matches('\0').to_owned()));
    }
    Some((text("username")?, text("password")?))
}

fn comes_from_default_registry(image: &str) -> bool {
    match image.split_once('/') {
        None => true,
        Some(("docker.io" | DEFAULT_REGISTRY, _)) => true,
        Some((first, _)) => !first.contains(['.', ':']) && first != "localhost",
    }
}

/// Whether the image lies at or below the place.
fn matches(place: &str, image: &str) -> bool {
    let ((place_host, place_path), (image_host, image_path)) = (split(place), split(image));
    let ((place_name, place_port), (image_name, image_port)) = (port(place_host), port(image_host));
    let (place_labels, image_labels) = (place_name.split('.'), image_name.split('.'));
    place_port == image_port
        && place_labels.clone().count() == image_labels.clone().count()
        && place_labels.zip(image_labels).all(|(pattern, label)| label_matches(pattern, label))
        && image_path.starts_with(place_path)
}

fn split(text: &str) -> (&str, &str) {
    text.split_once('/').unwrap_or((text, ""))
}

fn port(host: &str) -> (&str, Option<&str>) {
    host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port)))
}

fn label_matches(pattern: &str, label: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == label,
        Some((start, end)) => {
            let Some(rest) = label.strip_prefix(start) else { return false };
            (0..=rest.len()).any(|at| rest.is_char_boundary(at) && label_matches(end, &rest[at..]))
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;
    use serde_json::json;

    use super::*;

    fn secret(key: &str, content: &Value) -> Secret {
        let data = [(key.to_owned(), ByteString(content.to_string().into_bytes()))];
        Secret { data: Some(data.into()), ..Secret::default() }
    }

    fn users(places: &[&str], image: &str) -> Vec<String> {
        let auths: Map<String, Value> =
            places.iter().map(|place| ((*place).to_owned(), json!({"username": place, "password": "x"}))).collect();
        let mut keyring = Keyring::default();
        keyring.add(&secret(".dockerconfigjson", &json!({"auths": auths}))).unwrap();
        keyring.lookup(image).into_iter().map(|credentials| credentials.username.clone()).collect()
    }

    #[test]
    fn the_image_decides_and_the_longest_place_comes_first() {
        let all = ["https://index.docker.io/v1/", "reg.io", "reg.io/team", "*.reg.io", "reg.io:5000"];
        for (image, expected) in [
            ("nginx", &["https://index.docker.io/v1/"][..]),
            ("team/nginx:1", &["https://index.docker.io/v1/"]),
            ("docker.io/team/nginx", &["https://index.docker.io/v1/"]),
            ("reg.io/team/web:1", &["reg.io/team", "reg.io"]),
            ("reg.io/other/web", &["reg.io"]),
            ("eu.reg.io/web", &["*.reg.io"]),
            ("a.eu.reg.io/web", &[]),
            ("reg.io:5000/web", &["reg.io:5000"]),
        ] {
            assert_eq!(users(&all, image), expected, "{image}");
        }
    }

    #[test]
    fn both_forms_of_secrets_and_of_credentials_are_read() {
        let mut keyring = Keyring::default();
        keyring.add(&secret(".dockercfg", &json!({"reg.io": {"auth": STANDARD.encode("ann:p:w")}}))).unwrap();
        let found = keyring.lookup("reg.io/x")[0];
        assert_eq!((found.username.as_str(), found.password.as_str()), ("ann", "p:w"));
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (key, content, expected) in [
            ("other", json!({}), "it has neither data[.dockerconfigjson] nor data[.dockercfg]"),
            (".dockerconfigjson", json!({"x": 1}), "data[.dockerconfigjson]: auths is missing"),
            (".dockercfg", json!({"reg.io": {"auth": "%"}}), "auths[reg.io] has no credentials"),
        ] {
            assert_eq!(Keyring::default().add(&secret(key, &content)).unwrap_err(), expected);
        }
    }
}
