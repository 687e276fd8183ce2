//! One line of the log: `audit.k8s.io/v1.Event`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use http::HeaderMap;
use http::header::USER_AGENT;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use trimtab_api::rbac::Attributes;
use trimtab_client::header_list;

use super::policy::{Level, Stage};

/// As much of a client's program is told, in bytes, as upstream.
const MAX_AGENT: usize = 1_024;

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event {
    pub kind: &'static str,
    pub api_version: &'static str,
    pub level: Level,
    #[serde(rename = "auditID")]
    pub audit_id: String,
    pub stage: Stage,
    #[serde(rename = "requestURI")]
    pub request_uri: String,
    pub verb: String,
    pub user: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub impersonated_user: Option<Value>,
    #[serde(rename = "sourceIPs", skip_serializing_if = "Vec::is_empty")]
    pub source_ips: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user_agent: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_ref: Option<ObjectRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_status: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_object: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_object: Option<Value>,
    pub request_received_timestamp: String,
    pub stage_timestamp: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<Cow<'static, str>, String>,
}

/// What a request is about (`audit.k8s.io/v1.ObjectReference`).
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ObjectRef {
    #[serde(skip_serializing_if = "String::is_empty")]
    resource: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    namespace: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    uid: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    api_group: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    api_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    resource_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    subresource: String,
}

impl ObjectRef {
    pub(super) fn of(asked: &Attributes<'_>) -> Option<Self> {
        let Attributes::Resource { namespace, group, version, resource, subresource, name, .. } = *asked else {
            return None;
        };
        Some(Self {
            resource: resource.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            api_group: group.to_owned(),
            api_version: version.to_owned(),
            subresource: subresource.to_owned(),
            ..Self::default()
        })
    }

    /// Takes from what is sent what the path does not say.
    pub(super) fn complete(&mut self, sent: &Value) {
        let fields = [
            (&mut self.namespace, "namespace"),
            (&mut self.name, "name"),
            (&mut self.uid, "uid"),
            (&mut self.resource_version, "resourceVersion"),
        ];
        for (own, name) in fields.into_iter().filter(|(own, _)| own.is_empty()) {
            if let Some(text) = sent["metadata"][name].as_str() {
                text.clone_into(own);
            }
        }
    }
}

/// A `Status` of a code alone.
pub(super) fn status(code: u16) -> Value {
    json!({"metadata": {}, "code": code})
}

/// The time as `MicroTime` writes it.
pub(super) fn micros(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

pub(super) fn agent(headers: &HeaderMap) -> String {
    let text = headers.get(USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes())).unwrap_or_default();
    if text.len() <= MAX_AGENT {
        return text.into_owned();
    }
    format!("{}...TRUNCATED", &text[..text.floor_char_boundary(MAX_AGENT)])
}

/// Where a request came by, as it says, and last where it came from, as upstream.
pub(super) fn sources(headers: &HeaderMap, from: Option<std::net::IpAddr>) -> Vec<String> {
    let list = |name| header_list(headers, name).filter_map(|text| text.parse::<std::net::IpAddr>().ok());
    let mut all: Vec<_> = list("x-forwarded-for").collect();
    for ip in list("x-real-ip").take(1).chain(from) {
        if all.last() != Some(&ip) {
            all.push(ip);
        }
    }
    all.iter().map(ToString::to_string).collect()
}

/// Takes the managed fields out of an object, or out of each of a list.
pub(super) fn without_managed_fields(value: &mut Value) {
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    if let Some(items) = value.get_mut("items").and_then(Value::as_array_mut) {
        items.iter_mut().for_each(without_managed_fields);
    }
}
