//! Which requests are logged, and how much of them: `audit.k8s.io/v1.Policy`
//! (<https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/>).

use serde::{Deserialize, Serialize};
use serde_json::Value;
use trimtab_api::field::{Error, Path};
use trimtab_api::names;
use trimtab_api::rbac::{Attributes, User};

const LEVELS: [&str; 4] = ["None", "Metadata", "Request", "RequestResponse"];
const STAGES: [&str; 4] = ["RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"];

/// How much of a request is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) enum Level {
    None,
    Metadata,
    Request,
    RequestResponse,
}

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Stage {
    RequestReceived,
    ResponseStarted,
    ResponseComplete,
    Panic,
}

/// What a policy says of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub level: Level,
    /// A bit for each stage that is not logged.
    omitted: u8,
    pub omits_managed_fields: bool,
}

impl Verdict {
    pub(super) fn omits(self, stage: Stage) -> bool {
        self.omitted & (1 << stage as u8) != 0
    }
}

/// Which requests are logged, and how much of them. The first rule that fits a request decides; a
/// request that none fits is not logged.
#[derive(Clone, Debug)]
pub struct AuditPolicy {
    rules: Vec<(Rule, Verdict)>,
}

/// Why a policy cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// It is no YAML, or has fields that no policy has: a rule that is misspelt would log too much
    /// or too little.
    #[error("failed to decode the audit policy: {0}")]
    Unreadable(String),
    /// It is a file of another kind.
    #[error(
        "the audit policy is of kind {kind:?} in version {version:?}, not of kind \"Policy\" in \"audit.k8s.io/v1\""
    )]
    Kind {
        /// Its `apiVersion`.
        version: String,
        /// Its `kind`.
        kind: String,
    },
    /// It would log nothing at all.
    #[error("loaded illegal policy with 0 rules")]
    Empty,
    /// Fields that do not fit, each as upstream says it.
    #[error("{0}")]
    Invalid(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    #[serde(default, rename = "metadata")]
    _metadata: Option<Value>,
    rules: Option<Vec<Rule>>,
    omit_stages: Option<Vec<String>>,
    omit_managed_fields: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
struct Rule {
    level: String,
    users: Vec<String>,
    user_groups: Vec<String>,
    verbs: Vec<String>,
    resources: Vec<GroupResources>,
    namespaces: Vec<String>,
    #[serde(rename = "nonResourceURLs")]
    non_resource_urls: Vec<String>,
    omit_stages: Vec<String>,
    omit_managed_fields: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
struct GroupResources {
    group: String,
    resources: Vec<String>,
    resource_names: Vec<String>,
}

impl AuditPolicy {
    /// Reads a policy: YAML or JSON.
    ///
    /// # Errors
    /// When it is none, with everything that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let file: File = serde_yaml::from_str(text).map_err(|error| PolicyError::Unreadable(error.to_string()))?;
        if (&*file.api_version, &*file.kind) != ("audit.k8s.io/v1", "Policy") {
            return Err(PolicyError::Kind { version: file.api_version, kind: file.kind });
        }
        let (rules, omitted) = (file.rules.unwrap_or_default(), file.omit_stages.unwrap_or_default());
        if rules.is_empty() {
            return Err(PolicyError::Empty);
        }
        let mut errors = check_stages(&omitted, &Path::new("omitStages"));
        for (index, rule) in rules.iter().enumerate() {
            errors.extend(rule.check(&Path::new("rules").index(index)));
        }
        match errors.as_slice() {
            [] => {}
            [one] => return Err(PolicyError::Invalid(one.to_string())),
            many => {
                let all: Vec<String> = many.iter().map(ToString::to_string).collect();
                return Err(PolicyError::Invalid(format!("[{}]", all.join(", "))));
            }
        }
        let managed = file.omit_managed_fields.unwrap_or(false);
        let judged = |rule: Rule| {
            let verdict = Verdict {
                level: level(&rule.level).unwrap_or(Level::None),
                omitted: bits(&omitted) | bits(&rule.omit_stages),
                omits_managed_fields: rule.omit_managed_fields.unwrap_or(managed),
            };
            (rule, verdict)
        };
        Ok(Self { rules: rules.into_iter().map(judged).collect() })
    }

    /// What is logged of a request; `None` when nothing is. `user` is absent when nobody knows who asks.
    pub(super) fn judge(&self, user: Option<User<'_>>, asked: &Attributes<'_>) -> Option<Verdict> {
        let found = self.rules.iter().find(|(rule, _)| rule.fits(user, asked));
        found.map(|(_, verdict)| *verdict).filter(|verdict| verdict.level != Level::None)
    }
}

fn level(text: &str) -> Option<Level> {
    let index = LEVELS.iter().position(|known| *known == text)?;
    [Level::None, Level::Metadata, Level::Request, Level::RequestResponse].get(index).copied()
}

fn bits(stages: &[String]) -> u8 {
    STAGES.iter().enumerate().filter(|(_, known)| stages.iter().any(|stage| stage == *known)).map(|(i, _)| 1 << i).sum()
}

fn check_stages(stages: &[String], path: &Path) -> Vec<Error> {
    let unknown = stages.iter().enumerate().filter(|(_, stage)| !STAGES.contains(&stage.as_str()));
    unknown.map(|(index, stage)| Error::not_supported(&path.index(index), stage, &STAGES)).collect()
}

/// Whether `list` restricts nothing, or has `text`.
fn admits(list: &[String], text: &str) -> bool {
    list.is_empty() || list.iter().any(|one| one == text)
}

impl Rule {
    fn check(&self, path: &Path) -> Vec<Error> {
        let mut errors = Vec::new();
        let at = path.child("level");
        match self.level.as_str() {
            "" => errors.push(Error::required(&at, "")),
            text if level(text).is_none() => errors.push(Error::not_supported(&at, text, &LEVELS)),
            _ => {}
        }
        let at = path.child("nonResourceURLs");
        for (index, url) in self.non_resource_urls.iter().enumerate().filter(|(_, url)| *url != "*") {
            if !url.starts_with('/') {
                let detail = "non-resource URL rules must begin with a '/' character";
                errors.push(Error::invalid(&at.index(index), url, detail));
            }
            if url.strip_suffix('*').unwrap_or(url).contains('*') {
                let detail = "non-resource URL wildcards '*' must be the final character of the rule";
                errors.push(Error::invalid(&at.index(index), url, detail));
            }
        }
        for (index, resources) in self.resources.iter().enumerate() {
            errors.extend(resources.check(&path.child("resources").index(index)));
        }
        errors.extend(check_stages(&self.omit_stages, &path.child("omitStages")));
        let of_resources = !self.resources.is_empty() || !self.namespaces.is_empty();
        if of_resources && !self.non_resource_urls.is_empty() {
            let detail = "rules cannot apply to both regular resources and non-resource URLs";
            errors.push(Error::invalid(&at, &self.non_resource_urls, detail));
        }
        errors
    }

    fn fits(&self, user: Option<User<'_>>, asked: &Attributes<'_>) -> bool {
        let (name, groups) = user.map_or((None, &[][..]), |user| (Some(user.name), user.groups));
        let verb = match *asked {
            Attributes::Resource { verb, .. } | Attributes::Path { verb, .. } => verb,
        };
        let known = (self.users.is_empty() || name.is_some_and(|name| admits(&self.users, name)))
            && (self.user_groups.is_empty() || groups.iter().any(|group| self.user_groups.contains(group)));
        known && admits(&self.verbs, verb) && self.fits_target(asked)
    }

    fn fits_target(&self, asked: &Attributes<'_>) -> bool {
        match (asked, self.resources.is_empty() && self.namespaces.is_empty()) {
            (_, true) if self.non_resource_urls.is_empty() => true,
            (Attributes::Path { path, .. }, true) => {
                self.non_resource_urls.iter().any(|url| match url.strip_suffix('*') {
                    Some(prefix) => path.starts_with(prefix),
                    None => path == url,
                })
            }
            (Attributes::Resource { namespace, .. }, false) => {
                let among = |of: &GroupResources| of.fits(asked);
                admits(&self.namespaces, namespace) && (self.resources.is_empty() || self.resources.iter().any(among))
            }
            _ => false,
        }
    }
}

impl GroupResources {
    fn check(&self, path: &Path) -> Vec<Error> {
        let mut errors = Vec::new();
        let wrong = if self.group.is_empty() { Vec::new() } else { names::dns1123_subdomain(&self.group) };
        if !wrong.is_empty() {
            errors.push(Error::invalid(&path.child("group"), &self.group, wrong.join(",")));
        }
        if !self.resource_names.is_empty() && self.resources.is_empty() {
            let detail = "using resourceNames requires at least one resource";
            errors.push(Error::invalid(&path.child("resourceNames"), &self.resource_names, detail));
        }
        errors
    }

    fn fits(&self, asked: &Attributes<'_>) -> bool {
        let Attributes::Resource { group, resource, subresource, name, .. } = *asked else { return false };
        let is = |rule: &str| match rule.split_once('/') {
            None => rule == "*" || (rule == resource && subresource.is_empty()),
            Some(("*", of)) => !subresource.is_empty() && of == subresource,
            Some((of, "*")) => of == resource,
            Some((of, sub)) => of == resource && sub == subresource,
        };
        self.group == group
            && (self.resources.is_empty()
                || (admits(&self.resource_names, name) && self.resources.iter().any(|rule| is(rule))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "apiVersion: audit.k8s.io/v1\nkind: Policy\n";

    fn parse(rules: &str) -> Result<AuditPolicy, String> {
        AuditPolicy::parse(&format!("{HEAD}{rules}")).map_err(|error| error.to_string())
    }

    #[track_caller]
    fn refused(rules: &str, why: &str) {
        assert_eq!(parse(rules).unwrap_err(), why);
    }

    #[test]
    fn a_bad_file_is_refused_with_everything_that_is_wrong() {
        refused("rules: []", "loaded illegal policy with 0 rules");
        refused("rules: [{users: [a]}]", "rules[0].level: Required value");
        let levels = r#"supported values: "None", "Metadata", "Request", "RequestResponse""#;
        refused("rules: [{level: All}]", &format!("rules[0].level: Unsupported value: \"All\": {levels}"));
        let stages = r#"supported values: "RequestReceived", "ResponseStarted", "ResponseComplete", "Panic""#;
        refused(
            "omitStages: [x]\nrules: [{level: None, omitStages: [Panic, y]}]",
            &format!(
                "[omitStages[0]: Unsupported value: \"x\": {stages}, rules[0].omitStages[1]: Unsupported value: \"y\": {stages}]"
            ),
        );
        refused(
            "rules: [{level: None, nonResourceURLs: [api]}]",
            "rules[0].nonResourceURLs[0]: Invalid value: \"api\": non-resource URL rules must begin with a '/' character",
        );
        refused(
            "rules: [{level: None, nonResourceURLs: ['/a*/b']}]",
            "rules[0].nonResourceURLs[0]: Invalid value: \"/a*/b\": non-resource URL wildcards '*' must be the final character of the rule",
        );
        let both = parse("rules: [{level: None, nonResourceURLs: ['/a'], namespaces: [b]}]").unwrap_err();
        assert!(both.ends_with("rules cannot apply to both regular resources and non-resource URLs"), "{both}");
        let names = parse("rules: [{level: None, resources: [{resourceNames: [x]}]}]").unwrap_err();
        assert!(names.ends_with("using resourceNames requires at least one resource"), "{names}");
        let group = parse("rules: [{level: None, resources: [{group: A_B}]}]").unwrap_err();
        assert!(group.starts_with("rules[0].resources[0].group: Invalid value: \"A_B\""), "{group}");
        let misspelt = parse("rules: [{level: None, user: [a]}]").unwrap_err();
        assert!(misspelt.contains("unknown field `user`"), "{misspelt}");
        let other = AuditPolicy::parse("apiVersion: v1\nkind: Pod\nrules: []").unwrap_err();
        assert!(matches!(other, PolicyError::Kind { .. }), "{other}");
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let policy = parse(
            r#"
omitStages: [RequestReceived]
rules:
- {level: None, users: ["system:kube-proxy"], verbs: [watch], resources: [{group: "", resources: [endpoints]}]}
- {level: None, userGroups: ["system:authenticated"], nonResourceURLs: ["/api*", /version]}
- {level: Request, resources: [{group: "", resources: [configmaps], resourceNames: [a]}], namespaces: [kube-system]}
- {level: Metadata, omitStages: [Panic], resources: [{resources: [pods/log, "*/scale", "nodes/*"]}]}
- {level: RequestResponse, resources: [{group: apps}]}
- {level: Metadata, userGroups: [ops]}
"#,
        )
        .unwrap();
        let check = |user: &str, groups: &[&str], asked: Attributes<'_>, expected: Option<Level>| {
            let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
            let found = policy.judge(Some(User { name: user, groups: &groups }), &asked);
            assert_eq!(found.map(|verdict| verdict.level), expected, "{user} {asked:?}");
            if let Some(verdict) = found {
                assert!(verdict.omits(Stage::RequestReceived) && !verdict.omits(Stage::ResponseComplete));
            }
        };
        let of = |verb, group, resource, subresource, namespace, name| Attributes::Resource {
            verb,
            namespace,
            group,
            version: "v1",
            resource,
            subresource,
            name,
        };
        let path = |path| Attributes::Path { verb: "get", path };
        check("system:kube-proxy", &["ops"], of("watch", "", "endpoints", "", "", ""), None);
        check("system:kube-proxy", &["ops"], of("list", "", "endpoints", "", "", ""), Some(Level::Metadata));
        check("a", &["system:authenticated", "ops"], path("/apis/apps"), None);
        check("a", &["ops"], path("/apis/apps"), Some(Level::Metadata));
        check("a", &[], of("get", "", "configmaps", "", "kube-system", "a"), Some(Level::Request));
        check("a", &[], of("get", "", "configmaps", "", "kube-system", "b"), None);
        check("a", &[], of("get", "", "configmaps", "", "default", "a"), None);
        check("a", &[], of("get", "", "pods", "log", "d", "p"), Some(Level::Metadata));
        check("a", &[], of("get", "", "pods", "", "d", "p"), None);
        check("a", &[], of("get", "", "replicationcontrollers", "scale", "d", "p"), Some(Level::Metadata));
        check("a", &[], of("get", "", "nodes", "", "", "n"), Some(Level::Metadata));
        check("a", &[], of("get", "", "nodes", "proxy", "", "n"), Some(Level::Metadata));
        check("a", &[], of("patch", "apps", "deployments", "scale", "d", "x"), Some(Level::RequestResponse));
        assert!(policy.judge(None, &path("/api")).is_none());
    }
}
