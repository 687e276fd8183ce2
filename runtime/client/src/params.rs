//! What a request asks for beside the object.

use serde_json::{Value, json};
use url::form_urlencoded::Serializer;

/// What a list or watch selects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ListParams {
    /// A label selector, as `app in (a,b),tier!=front`.
    pub labels: Option<String>,
    /// A field selector, as `spec.nodeName=node-1`.
    pub fields: Option<String>,
    /// At most so many objects; 0 for all.
    pub limit: usize,
    /// Where the last page ended.
    pub continue_token: Option<String>,
    /// The revision to read at.
    pub resource_version: Option<String>,
    /// `Exact` or `NotOlderThan`.
    pub resource_version_match: Option<&'static str>,
    /// How long a watch runs at most, in seconds; the server decides when absent.
    pub timeout_seconds: Option<u32>,
}

impl ListParams {
    /// Only objects with these labels.
    #[must_use]
    pub fn labels(mut self, selector: impl Into<String>) -> Self {
        self.labels = Some(selector.into());
        self
    }

    /// Only objects with these fields.
    #[must_use]
    pub fn fields(mut self, selector: impl Into<String>) -> Self {
        self.fields = Some(selector.into());
        self
    }

    /// At most `limit` objects a page.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// The query of a list.
    pub fn query(&self) -> String {
        let mut query = Serializer::new(String::new());
        let mut pair = |key: &str, value: &Option<String>| {
            if let Some(value) = value {
                query.append_pair(key, value);
            }
        };
        pair("labelSelector", &self.labels);
        pair("fieldSelector", &self.fields);
        pair("limit", &(self.limit > 0).then(|| self.limit.to_string()));
        pair("continue", &self.continue_token);
        pair("resourceVersion", &self.resource_version);
        pair("resourceVersionMatch", &self.resource_version_match.map(str::to_owned));
        query.finish()
    }

    pub(crate) fn watch_query(&self, resource_version: &str) -> String {
        let selection = Self { limit: 0, continue_token: None, resource_version: None, ..self.clone() };
        let selection = Self { resource_version_match: None, ..selection }.query();
        let mut query = Serializer::new(selection);
        query.append_pair("watch", "true").append_pair("allowWatchBookmarks", "true");
        query.append_pair("resourceVersion", resource_version);
        if let Some(seconds) = self.timeout_seconds {
            query.append_pair("timeoutSeconds", &seconds.to_string());
        }
        query.finish().trim_start_matches('&').to_owned()
    }
}

/// What becomes of the objects that the deleted one owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// They go afterwards.
    Background,
    /// They go first.
    Foreground,
    /// They stay.
    Orphan,
}

/// How to delete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteParams {
    /// Seconds given to end; the object's own when absent, at once when 0.
    pub grace_period_seconds: Option<u32>,
    /// What becomes of owned objects.
    pub propagation: Option<Propagation>,
    /// Only the object with this uid.
    pub uid: Option<String>,
    /// Only this version of it.
    pub resource_version: Option<String>,
    /// Only pretend.
    pub dry_run: bool,
}

impl DeleteParams {
    /// At once, without grace.
    pub fn now() -> Self {
        Self { grace_period_seconds: Some(0), ..Self::default() }
    }

    /// Only the object with this uid.
    #[must_use]
    pub fn uid(mut self, uid: impl Into<String>) -> Self {
        self.uid = Some(uid.into());
        self
    }

    /// What becomes of owned objects.
    #[must_use]
    pub fn propagation(mut self, propagation: Propagation) -> Self {
        self.propagation = Some(propagation);
        self
    }

    pub(crate) fn body(&self) -> Value {
        let mut body = json!({"apiVersion": "v1", "kind": "DeleteOptions"});
        if let Some(seconds) = self.grace_period_seconds {
            body["gracePeriodSeconds"] = seconds.into();
        }
        if let Some(propagation) = self.propagation {
            body["propagationPolicy"] = format!("{propagation:?}").into();
        }
        if let Some(uid) = &self.uid {
            body["preconditions"]["uid"] = uid.as_str().into();
        }
        if let Some(version) = &self.resource_version {
            body["preconditions"]["resourceVersion"] = version.as_str().into();
        }
        if self.dry_run {
            body["dryRun"] = json!(["All"]);
        }
        body
    }
}

/// A partial change.
#[derive(Clone, Debug, PartialEq)]
pub enum Patch {
    /// RFC 6902.
    Json(Value),
    /// RFC 7386.
    Merge(Value),
    /// Kubernetes' own merge, which knows lists by their keys. Built-in kinds only.
    Strategic(Value),
    /// Server-side apply (KEP-555): `manager` owns the fields of `object` and no others.
    Apply {
        /// The object with the fields that are to be owned.
        object: Value,
        /// Who owns them.
        manager: String,
        /// Take fields that others own.
        force: bool,
    },
}

impl Patch {
    pub(crate) fn content_type(&self) -> &'static str {
        match self {
            Self::Json(_) => "application/json-patch+json",
            Self::Merge(_) => "application/merge-patch+json",
            Self::Strategic(_) => "application/strategic-merge-patch+json",
            Self::Apply { .. } => "application/apply-patch+yaml",
        }
    }

    pub(crate) fn body(&self) -> &Value {
        match self {
            Self::Json(value) | Self::Merge(value) | Self::Strategic(value) => value,
            Self::Apply { object, .. } => object,
        }
    }

    pub(crate) fn query(&self) -> String {
        match self {
            Self::Apply { manager, force, .. } => Serializer::new(String::new())
                .append_pair("fieldManager", manager)
                .append_pair("force", if *force { "true" } else { "false" })
                .finish(),
            _ => String::new(),
        }
    }
}
