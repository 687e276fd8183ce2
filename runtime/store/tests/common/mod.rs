//! The backends under test, and short ways to say what is written.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;
use trimtab_store::{Embedded, Entry, Memory, Precondition, Store, Write};

/// A store and the folder it lives in.
pub struct Backend {
    store: Arc<dyn Store>,
    _folder: Option<tempfile::TempDir>,
}

impl Backend {
    pub fn memory() -> Self {
        Self { store: Arc::new(Memory::new()), _folder: None }
    }

    pub fn embedded() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Embedded::open(&folder.path().join("store.redb")).unwrap();
        Self { store: Arc::new(store), _folder: Some(folder) }
    }
}

impl Deref for Backend {
    type Target = dyn Store;

    fn deref(&self) -> &Self::Target {
        &*self.store
    }
}

pub fn put(key: &str, value: &str) -> Write {
    let value = Some(Bytes::copy_from_slice(value.as_bytes()));
    Write { key: key.to_owned(), value, precondition: Precondition::None }
}

pub fn delete(key: &str) -> Write {
    Write { key: key.to_owned(), value: None, precondition: Precondition::None }
}

/// Adds a precondition to a write.
pub trait When {
    fn when(self, precondition: Precondition) -> Self;
}

impl When for Write {
    fn when(self, precondition: Precondition) -> Self {
        Self { precondition, ..self }
    }
}

pub fn value_of(entry: &Entry) -> String {
    String::from_utf8(entry.value.to_vec()).unwrap()
}

pub fn key_of(entries: &[Arc<Entry>]) -> Vec<&str> {
    entries.iter().map(|entry| &*entry.key).collect()
}
