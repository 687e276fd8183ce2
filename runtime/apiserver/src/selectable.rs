//! What selectors look at: computed once for each version of an object, for all who select.
//!
//! Only the labels and the selectable fields are read out of the stored bytes; the rest is skipped
//! without being built.

use std::fmt;
use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use trimtab_api::Kind;
use trimtab_store::Entry;

/// One version's labels and selectable fields.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Selectable {
    labels: Vec<(String, String)>,
    /// Name and namespace, then the kind's selectable fields in their order.
    fields: Vec<String>,
    /// What said which fields: a definition and its version, or a view; nothing for most kinds.
    of: (u64, String),
}

/// Stands for the labels where others have an index into [`Selectable::fields`].
const LABELS: usize = usize::MAX;

impl Selectable {
    pub(crate) fn of(kind: &Kind, entry: &Entry) -> Arc<Self> {
        let memo = entry.memo.get_or_init(|| Arc::new(Self::read(kind, &entry.value)));
        match Arc::clone(memo).downcast::<Self>() {
            Ok(memo) if (memo.of.0, memo.of.1.as_str()) == says(kind) => memo,
            // Another version of the kind selects by other fields, or the definition has changed.
            _ => Arc::new(Self::read(kind, &entry.value)),
        }
    }

    fn read(kind: &Kind, stored: &[u8]) -> Self {
        let (since, version) = says(kind);
        let fields = vec![String::new(); kind.selectable_fields.len() + 2];
        let mut found = Self { labels: Vec::new(), fields, of: (since, version.to_owned()) };
        let mut wanted = vec![(LABELS, "metadata.labels"), (0, "metadata.name"), (1, "metadata.namespace")];
        let own = kind.selectable_fields.iter().map(|path| match kind.view {
            Some(view) => (view.field)(path).trim_start_matches('.'),
            None => path.trim_start_matches('.'),
        });
        wanted.extend(own.enumerate().map(|(index, path)| (index + 2, path)));
        let mut json = serde_json::Deserializer::from_slice(stored);
        if let Err(error) = (Reader { wanted, found: &mut found }).deserialize(&mut json) {
            tracing::error!(kind = &*kind.kind, %error, "a stored object cannot be read");
        }
        found
    }

    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        self.labels.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    pub(crate) fn field(&self, kind: &Kind, name: &str) -> &str {
        field_index(kind, name).and_then(|index| self.fields.get(index)).map_or("", String::as_str)
    }
}

fn says(kind: &Kind) -> (u64, &str) {
    match &kind.defined {
        Some(defined) => (defined.since, &kind.version),
        None => (0, if kind.view.is_some() { &kind.group } else { "" }),
    }
}

/// Where a field stands in [`Selectable::fields`]; `None` when it cannot be selected by.
pub(crate) fn field_index(kind: &Kind, name: &str) -> Option<usize> {
    match name {
        "metadata.name" => Some(0),
        "metadata.namespace" => Some(1),
        _ => kind.selectable_fields.iter().position(|path| path.trim_start_matches('.') == name).map(|index| index + 2),
    }
}

/// Reads one value, in which `wanted` are looked for: what is left of each path, and whose it is.
struct Reader<'a> {
    wanted: Vec<(usize, &'a str)>,
    found: &'a mut Selectable,
}

impl Reader<'_> {
    fn set(self, text: &str) {
        for (index, _) in self.wanted.iter().filter(|(index, rest)| rest.is_empty() && *index != LABELS) {
            text.clone_into(&mut self.found.fields[*index]);
        }
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        if self.wanted.contains(&(LABELS, "")) {
            while let Some(pair) = map.next_entry()? {
                self.found.labels.push(pair);
            }
            return Ok(());
        }
        while let Some(wanted) = map.next_key_seed(Below(&self.wanted))? {
            if wanted.is_empty() {
                map.next_value::<IgnoredAny>()?;
            } else {
                map.next_value_seed(Reader { wanted, found: self.found })?;
            }
        }
        Ok(())
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<(), S::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.set(text);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.set(if value { "true" } else { "false" });
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.set(&value.to_string());
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.set(&value.to_string());
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.set(&value.to_string());
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// Reads a key: which paths go on below it.
struct Below<'a, 'b>(&'b [(usize, &'a str)]);

impl<'de, 'a> DeserializeSeed<'de> for Below<'a, '_> {
    type Value = Vec<(usize, &'a str)>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'_> for Below<'a, '_> {
    type Value = Vec<(usize, &'a str)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        let below = |(index, path): &(usize, &'a str)| {
            let (first, rest) = path.split_once('.').unwrap_or((path, ""));
            (first == key).then_some((*index, rest))
        };
        Ok(self.0.iter().filter_map(below).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn labels_and_selectable_fields_are_read_and_the_rest_is_skipped() {
        let kinds = trimtab_api::builtin();
        let pods = kinds.by_resource("", "v1", "pods").unwrap();
        let pod = json!({"metadata": {"name": "p", "namespace": "n", "labels": {"a": "b", "c": "d"}, "annotations": {"name": "x"}},
            "spec": {"nodeName": "node", "hostNetwork": true, "containers": [{"nodeName": "no"}], "restartPolicy": null},
            "status": {"phase": "Running", "podIP": ["odd"]}});
        let found = Selectable::read(pods, pod.to_string().as_bytes());
        assert_eq!((found.label("a"), found.label("c"), found.label("e")), (Some("b"), Some("d"), None));
        for (field, expected) in [
            ("metadata.name", "p"),
            ("metadata.namespace", "n"),
            ("spec.nodeName", "node"),
            ("spec.hostNetwork", "true"),
            ("spec.restartPolicy", ""),
            ("spec.schedulerName", ""),
            ("status.phase", "Running"),
            ("status.podIP", ""),
        ] {
            assert_eq!(found.field(pods, field), expected, "{field}");
        }
        assert_eq!(field_index(pods, "spec.containers"), None);
    }
}
