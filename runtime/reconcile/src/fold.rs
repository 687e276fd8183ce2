//! What this process wrote is in all of its caches of the kind, whatever each of them holds of it.

use std::any::Any;
use std::cell::OnceCell;
use std::sync::Arc;

use serde_json::Value;
use trimtab_api::selector::FieldSelector;
use trimtab_api::{ObjectRef, Selector};
use trimtab_client::ListParams;

use crate::cache::Cache;
use crate::resource::{Resource, View, revision};

/// An object as it was written, or as it was when it was deleted.
pub(crate) struct Written<'a, K> {
    object: &'a K,
    key: ObjectRef,
    json: OnceCell<Value>,
}

impl<'a, K: Resource> Written<'a, K> {
    pub(crate) fn new(object: &'a K) -> Self {
        Self { object, key: ObjectRef::of(object), json: OnceCell::new() }
    }
}

/// The same, of any kind.
pub(crate) trait AnyWritten {
    fn object(&self) -> &dyn Any;
    fn key(&self) -> &ObjectRef;
    fn uid(&self) -> &str;
    fn revision(&self) -> u64;
    fn label(&self, key: &str) -> Option<&str>;
    fn json(&self) -> &Value;
}

impl<K: Resource> AnyWritten for Written<'_, K> {
    fn object(&self) -> &dyn Any {
        self.object
    }

    fn key(&self) -> &ObjectRef {
        &self.key
    }

    fn uid(&self) -> &str {
        self.object.metadata().uid.as_deref().unwrap_or_default()
    }

    fn revision(&self) -> u64 {
        revision(self.object)
    }

    fn label(&self, key: &str) -> Option<&str> {
        self.object.metadata().labels.as_ref()?.get(key).map(String::as_str)
    }

    fn json(&self) -> &Value {
        // It was read from JSON.
        self.json.get_or_init(|| serde_json::to_value(self.object).unwrap_or_default())
    }
}

/// A cache that takes in what was written, if it is among what it selects.
pub(crate) trait Folding: Send + Sync {
    fn fold(&self, written: &dyn AnyWritten);
    fn fold_delete(&self, deleted: &dyn AnyWritten);
    /// There is nothing but what is folded in.
    fn settle_empty(&self);
    fn is_synced(&self) -> bool;
    /// Whether it is among what the cache holds.
    fn selects(&self, written: &dyn AnyWritten) -> bool;
}

/// What `params` selects by.
///
/// # Errors
/// A text, when it says no selector.
pub(crate) fn selectors(params: &ListParams) -> Result<(Selector, FieldSelector), String> {
    let (labels, fields) = (params.labels.as_deref().unwrap_or_default(), params.fields.as_deref().unwrap_or_default());
    Ok((
        Selector::parse(labels).map_err(|error| format!("labels = {labels:?}: {error}"))?,
        FieldSelector::parse(fields).map_err(|error| format!("fields = {fields:?}: {error}"))?,
    ))
}

/// A cache and what it selects.
pub(crate) struct Selected<V> {
    pub(crate) cache: Cache<V>,
    namespaces: Option<Arc<[String]>>,
    /// `None` when the server will not understand it, either.
    selectors: Option<(Selector, FieldSelector)>,
}

impl<V: View> Selected<V> {
    pub(crate) fn new(cache: Cache<V>, namespaces: Option<Arc<[String]>>, params: &ListParams) -> Self {
        Self { cache, namespaces, selectors: selectors(params).ok() }
    }
}

fn field<'a>(object: &'a Value, path: &str) -> &'a str {
    match path.split('.').try_fold(object, |value, name| value.get(name)) {
        Some(Value::String(text)) => text,
        Some(Value::Bool(true)) => "true",
        Some(Value::Bool(false)) => "false",
        _ => "",
    }
}

impl<V: View> Folding for Selected<V> {
    fn fold(&self, written: &dyn AnyWritten) {
        if !self.selects(written) {
            self.cache.fold_out(written.key(), written.revision());
        } else if let Some(object) = written.object().downcast_ref::<V>() {
            self.cache.fold(object);
        } else if let Ok(view) = serde_json::from_value(written.json().clone()) {
            // What a view cannot read, its watch passes over as well.
            self.cache.fold(&view);
        }
    }

    fn fold_delete(&self, deleted: &dyn AnyWritten) {
        self.cache.fold_delete(deleted.key(), deleted.uid(), deleted.revision(), self.selects(deleted));
    }

    fn settle_empty(&self) {
        self.cache.replace(Vec::new(), 0, "");
    }

    fn is_synced(&self) -> bool {
        self.cache.is_synced()
    }

    fn selects(&self, written: &dyn AnyWritten) -> bool {
        let Some((labels, fields)) = &self.selectors else { return false };
        self.namespaces.as_ref().is_none_or(|namespaces| namespaces.contains(&written.key().namespace))
            && labels.matches(|key| written.label(key))
            && (fields.is_empty() || fields.matches(|path| field(written.json(), path)))
    }
}
