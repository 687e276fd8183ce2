//! What a request asks for, as roles name it (`k8s.io/apiserver/pkg/endpoints/request`).

use http::Method;
use trimtab_api::rbac::Attributes;
use trimtab_api::{ApiError, FieldSelector};

use super::Identity;
use crate::path::{Query, ResourcePath};

/// Subresources whose streams a WebSocket opens with a GET.
const STREAMS: [&str; 3] = ["attach", "exec", "portforward"];

/// What a request asks for.
pub(crate) struct Asked<'a> {
    path: &'a str,
    method: &'a Method,
    resource: Option<&'a ResourcePath<'a>>,
    watches: bool,
    /// Of a list or watch, what it selects.
    pub(super) selector: Option<FieldSelector>,
    /// Of a list or watch of one object, its name.
    selected: Option<String>,
}

impl<'a> Asked<'a> {
    /// `resource` is what `path` names, if it names a resource.
    pub(crate) fn of(
        method: &'a Method,
        path: &'a str,
        resource: Option<&'a ResourcePath<'a>>,
        query: &Query<'_>,
    ) -> Self {
        let selector = Some(query.get("fieldSelector")).filter(|text| !text.is_empty());
        let selector = selector.and_then(|text| FieldSelector::parse(text).ok());
        let selected = selector.as_ref().and_then(selected_name);
        Self { path, method, resource, watches: query.flag("watch"), selector, selected }
    }

    pub(crate) fn attributes(&self) -> Attributes<'_> {
        match self.resource {
            Some(resource) => self.of_resource(resource),
            None => Attributes::Path { verb: lower(self.method), path: self.path },
        }
    }

    fn of_resource<'b>(&'b self, path: &'b ResourcePath<'b>) -> Attributes<'b> {
        let one = !path.name.is_empty();
        let (verb, name) = match *self.method {
            Method::GET | Method::HEAD if one => ("get", path.name),
            Method::GET | Method::HEAD => {
                (if self.watches { "watch" } else { "list" }, self.selected.as_deref().unwrap_or_default())
            }
            Method::POST => ("create", path.name),
            Method::PUT => ("update", path.name),
            Method::PATCH => ("patch", path.name),
            Method::DELETE if one => ("delete", path.name),
            Method::DELETE => ("deletecollection", ""),
            _ => ("", path.name),
        };
        // A namespace is in itself, so that a role in it can give it to be read.
        let namespace = if path.plural == "namespaces" { path.name } else { path.namespace };
        Attributes::Resource {
            verb,
            namespace,
            group: path.group,
            version: path.version,
            resource: path.plural,
            subresource: path.subresource,
            name,
        }
    }

    /// What must be allowed besides: whoever opens a stream creates something, also by a GET
    /// (`AuthorizePodWebsocketUpgradeCreatePermission`).
    pub(crate) fn besides(&self) -> Option<Attributes<'_>> {
        let path = self.resource.filter(|path| {
            *self.method == Method::GET
                && path.group.is_empty()
                && path.plural == "pods"
                && STREAMS.contains(&path.subresource)
        })?;
        match self.of_resource(path) {
            Attributes::Resource { namespace, group, version, resource, subresource, name, .. } => {
                Some(Attributes::Resource { verb: "create", namespace, group, version, resource, subresource, name })
            }
            Attributes::Path { .. } => None,
        }
    }
}

fn selected_name(selector: &FieldSelector) -> Option<String> {
    let name = selector.exact("metadata.name")?;
    trimtab_api::names::path_segment(name).is_empty().then(|| name.to_owned())
}

fn lower(method: &Method) -> &str {
    match method.as_str() {
        "GET" => "get",
        "HEAD" => "head",
        "POST" => "post",
        "PUT" => "put",
        "PATCH" => "patch",
        "DELETE" => "delete",
        "OPTIONS" => "options",
        other => other,
    }
}

/// 403 in upstream's words (`k8s.io/apiserver/pkg/endpoints/handlers/responsewriters/errors.go`).
pub(super) fn forbidden(identity: &Identity, asked: &Attributes<'_>, reason: &str) -> ApiError {
    let user = &identity.user;
    let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    let Attributes::Resource { verb, namespace, group, resource, subresource, name, .. } = *asked else {
        let Attributes::Path { verb, path } = asked else { return ApiError::unauthorized() };
        let message = format!("forbidden: User {user:?} cannot {verb} path {path:?}{reason}");
        return ApiError::new(403, "Forbidden", message).with_details(|_| ());
    };
    let full = if subresource.is_empty() { resource.to_owned() } else { format!("{resource}/{subresource}") };
    let place = if namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace {namespace:?}")
    };
    let detail = format!("User {user:?} cannot {verb} resource {full:?} in API group {group:?} {place}{reason}");
    refused(group, resource, name, &detail)
}

/// 403 for `resource`, which need not be a kind that is served.
pub(crate) fn refused(group: &str, resource: &str, name: &str, detail: &str) -> ApiError {
    let of_group = if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") };
    let named = if name.is_empty() { String::new() } else { format!(" {name:?}") };
    ApiError::new(403, "Forbidden", format!("{of_group}{named} is forbidden: {detail}")).with_details(|details| {
        details.group = (!group.is_empty()).then(|| group.to_owned());
        details.kind = Some(resource.to_owned());
        details.name = (!name.is_empty()).then(|| name.to_owned());
    })
}

#[cfg(test)]
mod tests {
    use http::Uri;

    use super::*;
    use crate::path;

    fn check(request: &str, expected: &str) {
        let (method, uri) = request.split_once(' ').unwrap();
        let (method, uri): (Method, Uri) = (method.parse().unwrap(), uri.parse().unwrap());
        let resource = path::resource(uri.path());
        let asked = Asked::of(&method, uri.path(), resource.as_ref(), &Query::of(&uri));
        let text = |attributes: Attributes<'_>| match attributes {
            Attributes::Path { verb, path } => format!("{verb} {path}"),
            Attributes::Resource { verb, namespace, group, resource, subresource, name, .. } => {
                format!("{verb} {group}|{resource}|{subresource}|{namespace}|{name}")
            }
        };
        let besides = asked.besides().map(|besides| format!(" + {}", text(besides))).unwrap_or_default();
        assert_eq!(format!("{}{besides}", text(asked.attributes())), expected, "{request}");
    }

    #[test]
    fn requests_on_resources() {
        check("GET /api/v1/namespaces/d/pods", "list |pods||d|");
        check("GET /api/v1/pods?watch=true", "watch |pods|||");
        check("GET /api/v1/namespaces/d/pods/p", "get |pods||d|p");
        check("HEAD /api/v1/namespaces/d/pods/p", "get |pods||d|p");
        check("GET /api/v1/namespaces/d/pods?fieldSelector=metadata.name%3Dp", "list |pods||d|p");
        check("GET /api/v1/pods?watch=1&fieldSelector=metadata.name%3Dp,status.phase%3DRunning", "watch |pods|||p");
        check("GET /api/v1/pods?fieldSelector=metadata.name%3Da%2Fb", "list |pods|||");
        check("POST /api/v1/namespaces/d/pods", "create |pods||d|");
        check("PUT /apis/apps/v1/namespaces/d/deployments/x", "update apps|deployments||d|x");
        check("PATCH /apis/apps/v1/namespaces/d/deployments/x/scale", "patch apps|deployments|scale|d|x");
        check("DELETE /api/v1/namespaces/d/pods/p", "delete |pods||d|p");
        check("DELETE /api/v1/namespaces/d/pods", "deletecollection |pods||d|");
        check("GET /api/v1/nodes/n/proxy/a/b", "get |nodes|proxy||n");
    }

    #[test]
    fn namespaces_are_in_themselves() {
        check("GET /api/v1/namespaces/d", "get |namespaces||d|d");
        check("PUT /api/v1/namespaces/d/finalize", "update |namespaces|finalize|d|d");
        check("GET /api/v1/namespaces", "list |namespaces|||");
    }

    #[test]
    fn streams_are_created_also_by_a_get() {
        check("GET /api/v1/namespaces/d/pods/p/log", "get |pods|log|d|p");
        check("POST /api/v1/namespaces/d/pods/p/exec", "create |pods|exec|d|p");
        check("GET /api/v1/namespaces/d/pods/p/exec", "get |pods|exec|d|p + create |pods|exec|d|p");
    }

    #[test]
    fn other_paths() {
        check("GET /healthz", "get /healthz");
        check("POST /metrics", "post /metrics");
        check("GET /api/v1", "get /api/v1");
        check("GET /apis/apps/v1/", "get /apis/apps/v1/");
    }
}
