//! What a server serves.

use http::Method;
use http::header::{ACCEPT, HeaderValue};
use serde::Deserialize;

use crate::client::{Client, request};
use crate::error::Error;
use crate::resource::ApiResource;

/// A resource as discovery describes it.
#[derive(Clone, Debug)]
pub struct Discovered {
    /// Where it is served.
    pub resource: ApiResource,
    /// The name in the singular.
    pub singular: String,
    /// Short names, such as `po`.
    pub short_names: Vec<String>,
    /// Categories, such as `all`.
    pub categories: Vec<String>,
    /// The verbs served.
    pub verbs: Vec<String>,
    /// Its subresources.
    pub subresources: Vec<String>,
}

impl Discovered {
    /// Whether people mean this resource by `name`: plural, singular, short name or kind, each
    /// also with the group behind a dot, or with version and group.
    pub fn is_called(&self, name: &str) -> bool {
        let (name, group) = match name.split_once('.') {
            Some((name, group)) => (name, Some(group)),
            None => (name, None),
        };
        let full = format!("{}.{}", self.resource.version, self.resource.group);
        let in_group = group.is_none_or(|group| group == self.resource.group || group == full);
        let lower = name.to_lowercase();
        in_group
            && (self.resource.plural == lower
                || self.singular == lower
                || self.resource.kind.to_lowercase() == lower
                || self.short_names.contains(&lower))
    }

    /// Whether `verb` is served.
    pub fn can(&self, verb: &str) -> bool {
        self.verbs.iter().any(|v| v == verb)
    }
}

/// All that is served.
#[derive(Clone, Debug, Default)]
pub struct Discovery {
    /// The core group first; each resource in its group's preferred version, or when that does not have it in the
    /// next that does.
    pub resources: Vec<Discovered>,
    /// The same resources in the other versions that are served: for who is told one, not for who goes through all
    /// that there is.
    pub others: Vec<Discovered>,
    /// The groups and versions of servers behind the API that are away, as `metrics.k8s.io/v1beta1`: what they serve
    /// is left out.
    pub unavailable: Vec<String>,
}

/// All groups at once (<https://kubernetes.io/docs/concepts/overview/kubernetes-api/#aggregated-discovery>), or
/// only their names from a server that is older than that.
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";

impl Client {
    /// Everything served.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub async fn discover(&self) -> Result<Discovery, Error> {
        let mut found = Discovery::default();
        let core = self.root("/api").await?;
        let others = self.root("/apis").await?;
        if core.kind == "APIGroupDiscoveryList" && others.kind == core.kind {
            core.items.into_iter().chain(others.items).for_each(|group| found.add(group));
            return Ok(found);
        }
        found.add(Group::of_versions("", vec![self.version("", "v1").await]));
        for group in others.groups {
            let mut versions = Vec::new();
            for listed in &group.versions {
                versions.push(self.version(&group.name, &listed.version).await);
            }
            let preferred = group.preferred_version.map(|preferred| preferred.version);
            versions.sort_by_key(|version| Some(&version.version) != preferred.as_ref());
            found.add(Group::of_versions(&group.name, versions));
        }
        Ok(found)
    }

    async fn root(&self, path: &str) -> Result<Root, Error> {
        let mut request = request(Method::GET, path, None)?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static(AGGREGATED));
        self.json(request).await
    }

    async fn version(&self, group: &str, version: &str) -> Version {
        let path = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
        // A group whose server is away takes nothing else with it.
        let listed = self.get::<Resources>(&path).await;
        let freshness = if listed.is_ok() { String::new() } else { STALE.to_owned() };
        let resources = listed.map(|listed| nested(listed.resources)).unwrap_or_default();
        Version { version: version.to_owned(), resources, freshness }
    }
}

impl Discovery {
    /// Every resource in every version; the preferred ones first.
    pub fn all(&self) -> impl Iterator<Item = &Discovered> {
        self.resources.iter().chain(&self.others)
    }

    /// The resource of a kind in this very version.
    pub fn of_kind(&self, api_version: &str, kind: &str) -> Option<&Discovered> {
        self.all().find(|found| found.resource.kind == kind && found.resource.api_version() == api_version)
    }

    fn add(&mut self, group: Group) {
        let (first, name) = (self.resources.len(), group.metadata.name);
        for Version { version, resources, freshness } in group.versions {
            if freshness == STALE {
                self.unavailable.push(if name.is_empty() { version } else { format!("{name}/{version}") });
                continue;
            }
            for found in resources {
                let is_known = self.resources[first..].iter().any(|known| known.resource.plural == found.resource);
                let list = if is_known { &mut self.others } else { &mut self.resources };
                let kind = found.response_kind.unwrap_or_default().kind;
                let singular = found.singular_resource;
                list.push(Discovered {
                    singular: if singular.is_empty() { kind.to_lowercase() } else { singular },
                    resource: ApiResource {
                        group: name.clone().into(),
                        version: version.clone().into(),
                        kind: kind.into(),
                        plural: found.resource.into(),
                        namespaced: found.scope == NAMESPACED,
                    },
                    short_names: found.short_names,
                    categories: found.categories,
                    verbs: found.verbs,
                    subresources: found.subresources.into_iter().map(|below| below.subresource).collect(),
                });
            }
        }
    }
}

const STALE: &str = "Stale";
const NAMESPACED: &str = "Namespaced";

/// An `APIGroupDiscoveryList`, or an `APIGroupList` or `APIVersions`.
#[derive(Deserialize)]
struct Root {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    items: Vec<Group>,
    #[serde(default)]
    groups: Vec<Listed>,
}

#[derive(Deserialize)]
struct Group {
    #[serde(default)]
    metadata: Name,
    #[serde(default)]
    versions: Vec<Version>,
}

impl Group {
    fn of_versions(name: &str, versions: Vec<Version>) -> Self {
        Self { metadata: Name { name: name.to_owned() }, versions }
    }
}

#[derive(Default, Deserialize)]
struct Name {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct Version {
    version: String,
    #[serde(default)]
    resources: Vec<Resource>,
    #[serde(default)]
    freshness: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Resource {
    resource: String,
    response_kind: Option<ResponseKind>,
    scope: String,
    singular_resource: String,
    verbs: Vec<String>,
    short_names: Vec<String>,
    categories: Vec<String>,
    subresources: Vec<Below>,
}

/// Absent of a resource that has subresources alone.
#[derive(Default, Deserialize)]
struct ResponseKind {
    #[serde(default)]
    kind: String,
}

#[derive(Deserialize)]
struct Below {
    subresource: String,
}

/// A group without its resources.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    name: String,
    versions: Vec<ListedVersion>,
    preferred_version: Option<ListedVersion>,
}

#[derive(Deserialize)]
struct ListedVersion {
    version: String,
}

/// An `APIResourceList`.
#[derive(Deserialize)]
struct Resources {
    #[serde(default)]
    resources: Vec<Flat>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Flat {
    name: String,
    singular_name: String,
    namespaced: bool,
    kind: String,
    verbs: Vec<String>,
    short_names: Vec<String>,
    categories: Vec<String>,
}

/// The subresources, which such a list has beside their resources, below them.
fn nested(listed: Vec<Flat>) -> Vec<Resource> {
    let (below, resources): (Vec<_>, Vec<_>) = listed.into_iter().partition(|item| item.name.contains('/'));
    let nest = |item: Flat| {
        let prefix = format!("{}/", item.name);
        let below = below.iter().filter_map(|below| below.name.strip_prefix(&prefix));
        Resource {
            subresources: below.map(|name| Below { subresource: name.to_owned() }).collect(),
            resource: item.name,
            response_kind: Some(ResponseKind { kind: item.kind }),
            scope: if item.namespaced { NAMESPACED } else { "Cluster" }.to_owned(),
            singular_resource: item.singular_name,
            verbs: item.verbs,
            short_names: item.short_names,
            categories: item.categories,
        }
    };
    resources.into_iter().map(nest).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use futures::future::BoxFuture;
    use http::{Request, Response};
    use http_body_util::{BodyExt, Full};
    use serde_json::{Value, json};

    use super::*;
    use crate::transport::{Body, Switched, Transport, TransportError};

    /// Answers each path with its value, and 404 for others.
    struct Canned(Value);

    impl Transport for Canned {
        fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Body>, TransportError>> {
            let found = self.0.get(request.uri().path());
            let code = if found.is_some() { 200 } else { 404 };
            let body = Full::new(Bytes::from(found.unwrap_or(&json!({})).to_string())).map_err(|never| match never {});
            let response = Response::builder().status(code).body(body.boxed_unsync());
            Box::pin(async { Ok(response.expect("a status")) })
        }

        fn upgrade(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Switched, TransportError>> {
            Box::pin(async { Ok((self.send(request).await?, None)) })
        }

        fn server(&self) -> &str {
            "a server"
        }
    }

    async fn check(answers: Value) {
        let found = Client::new(Arc::new(Canned(answers))).discover().await.unwrap();
        let line = |found: Discovered| {
            let Discovered { resource, singular, short_names, subresources, .. } = found;
            let (version, namespaced) = (resource.api_version(), resource.namespaced);
            format!(
                "{version} {} {} {singular} {namespaced} {short_names:?} {subresources:?}",
                resource.plural, resource.kind
            )
        };
        assert_eq!(found.of_kind("demo.io/v1", "Site").unwrap().resource.version, "v1");
        assert!(found.of_kind("demo.io/v3", "Site").is_none());
        let called =
            |name: &str| found.all().find(|found| found.is_called(name)).map(|found| found.resource.api_version());
        assert_eq!(called("site").as_deref(), Some("demo.io/v2"));
        assert_eq!(called("sites.demo.io").as_deref(), Some("demo.io/v2"));
        assert_eq!(called("sites.v1.demo.io").as_deref(), Some("demo.io/v1"));
        assert_eq!(called("po.v1.").as_deref(), Some("v1"));
        assert_eq!(called("sites.v3.demo.io"), None);
        assert_eq!(found.unavailable, ["demo.io/v0"]);
        let lines = |list: Vec<Discovered>| list.into_iter().map(line).collect::<Vec<_>>();
        assert_eq!(lines(found.resources), FOUND);
        assert_eq!(lines(found.others), [r"demo.io/v1 sites Site site false [] []"]);
    }

    const FOUND: [&str; 3] = [
        r#"v1 pods Pod pod true ["po"] ["log", "status"]"#,
        r"demo.io/v2 sites Site site false [] []",
        r"demo.io/v1 pages Page page true [] []",
    ];

    #[tokio::test]
    async fn all_groups_are_told_at_once() {
        let resource = |name: &str, kind: &str, scope: &str| json!({"resource": name, "responseKind": {"kind": kind}, "scope": scope, "verbs": ["get"]});
        let mut pods = resource("pods", "Pod", "Namespaced");
        pods["shortNames"] = json!(["po"]);
        pods["subresources"] = json!([{"subresource": "log"}, {"subresource": "status"}]);
        let (site, page) = (resource("sites", "Site", "Cluster"), resource("pages", "Page", "Namespaced"));
        let list = |name: &str, versions: Value| json!({"kind": "APIGroupDiscoveryList", "items": [{"metadata": {"name": name}, "versions": versions}]});
        check(json!({
            "/api": list("", json!([{"version": "v1", "freshness": "Current", "resources": [pods]}])),
            "/apis": list("demo.io", json!([
                {"version": "v2", "freshness": "Current", "resources": [site]},
                {"version": "v1", "freshness": "Current", "resources": [site, page]},
                {"version": "v0", "freshness": "Stale", "resources": [resource("olds", "Old", "Cluster")]},
            ])),
        }))
        .await;
    }

    #[tokio::test]
    async fn a_server_that_is_older_is_asked_for_each_group() {
        let resource = |name: &str, kind: &str, namespaced: bool| json!({"name": name, "kind": kind, "namespaced": namespaced, "verbs": ["get"]});
        let mut pods = resource("pods", "Pod", true);
        pods["shortNames"] = json!(["po"]);
        let below = [resource("pods/log", "Pod", true), resource("pods/status", "Pod", true)];
        let (site, page) = (resource("sites", "Site", false), resource("pages", "Page", true));
        let version = |name: &str| json!({"groupVersion": format!("demo.io/{name}"), "version": name});
        check(json!({
            "/api": {"kind": "APIVersions", "versions": ["v1"]},
            "/api/v1": {"resources": [pods, below[0], below[1]]},
            "/apis": {"kind": "APIGroupList", "groups": [{
                "name": "demo.io", "versions": [version("v0"), version("v1"), version("v2")],
                "preferredVersion": version("v2"),
            }]},
            "/apis/demo.io/v1": {"resources": [site, page]},
            "/apis/demo.io/v2": {"resources": [site]},
        }))
        .await;
    }
}
