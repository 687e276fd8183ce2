//! What a server serves.

use serde::Deserialize;

use crate::client::Client;
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
    /// also with the group behind a dot.
    pub fn is_called(&self, name: &str) -> bool {
        let (name, group) = match name.split_once('.') {
            Some((name, group)) => (name, Some(group)),
            None => (name, None),
        };
        let version_of_group = |group: &str| group.split_once('.').map(|(_, group)| group.to_owned());
        let in_group = group
            .is_none_or(|g| g == self.resource.group || version_of_group(g).as_deref() == Some(&*self.resource.group));
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

#[derive(Deserialize)]
struct Groups {
    #[serde(default)]
    groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    versions: Vec<Version>,
    preferred_version: Option<Version>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    group_version: String,
}

#[derive(Deserialize)]
struct Resources {
    #[serde(default)]
    resources: Vec<Listed>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Listed {
    name: String,
    singular_name: String,
    namespaced: bool,
    kind: String,
    verbs: Vec<String>,
    short_names: Vec<String>,
    categories: Vec<String>,
}

impl Client {
    /// Everything served, the core group first; each resource in its group's preferred version, or
    /// when that does not have it in the next that does.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub async fn discover(&self) -> Result<Vec<Discovered>, Error> {
        let groups: Groups = self.get("/apis").await?;
        let mut found = self.resources("v1").await.unwrap_or_default();
        for mut group in groups.groups {
            let preferred = group.preferred_version.take().map(|version| version.group_version);
            group.versions.sort_by_key(|version| Some(&version.group_version) != preferred.as_ref());
            let first = found.len();
            for version in group.versions {
                // A group whose server is away takes nothing else with it.
                let Ok(mut more) = self.resources(&version.group_version).await else { continue };
                more.retain(|new| found[first..].iter().all(|old| old.resource.plural != new.resource.plural));
                found.extend(more);
            }
        }
        Ok(found)
    }

    async fn resources(&self, group_version: &str) -> Result<Vec<Discovered>, Error> {
        let path = if group_version == "v1" { "/api/v1".to_owned() } else { format!("/apis/{group_version}") };
        Ok(collect(group_version, self.get::<Resources>(&path).await?.resources))
    }
}

fn collect(group_version: &str, listed: Vec<Listed>) -> Vec<Discovered> {
    let (group, version) = group_version.split_once('/').unwrap_or(("", group_version));
    let (subresources, resources): (Vec<_>, Vec<_>) = listed.into_iter().partition(|item| item.name.contains('/'));
    let describe = |item: Listed| {
        let prefix = format!("{}/", item.name);
        let subresources =
            subresources.iter().filter_map(|s| s.name.strip_prefix(&prefix)).map(str::to_owned).collect();
        let singular =
            if item.singular_name.is_empty() { item.kind.to_lowercase() } else { item.singular_name.clone() };
        let resource = ApiResource {
            group: group.to_owned().into(),
            version: version.to_owned().into(),
            kind: item.kind.clone().into(),
            plural: item.name.clone().into(),
            namespaced: item.namespaced,
        };
        let Listed { short_names, categories, verbs, .. } = item;
        Discovered { resource, singular, short_names, categories, verbs, subresources }
    };
    resources.into_iter().map(describe).collect()
}
