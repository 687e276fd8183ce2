//! What there is in a cluster, but for what differs from run to run.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use serde_json::{Map, Value};
use trimtab_store::Page;

use super::TestCluster;

/// What is told of what happened, and how nodes are: it differs with the time that something took.
const LEFT_OUT: [&str; 4] = ["/events/", "/leases/", "/nodes/", "/csinodes/"];
/// Of an object's metadata, what the server gives it.
const GIVEN: [&str; 6] = ["uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink"];

/// Every object as text, in order.
pub(super) type State = Vec<String>;

/// All objects, without what the server gives them, with the same word for each time and address, and called
/// after what their generated name begins with.
pub(super) async fn of(cluster: &TestCluster) -> State {
    let page = cluster.store.list("/registry/", Page::default()).await.expect("the store can be read");
    let kept = page.entries.iter().filter(|entry| LEFT_OUT.iter().all(|part| !entry.key.contains(part)));
    let objects: Vec<Value> = kept.filter_map(|entry| serde_json::from_slice(&entry.value).ok()).collect();
    let names: BTreeMap<String, String> = objects.iter().filter_map(generated).collect();
    let mut state: State = objects
        .into_iter()
        .map(|mut object| {
            if let Some(metadata) = object["metadata"].as_object_mut() {
                metadata.retain(|name, _| !GIVEN.contains(&name.as_str()));
            }
            mask(&mut object, &names);
            object.to_string()
        })
        .collect();
    state.sort();
    state
}

fn generated(object: &Value) -> Option<(String, String)> {
    let metadata = &object["metadata"];
    Some((metadata["name"].as_str()?.to_owned(), format!("{}*", metadata["generateName"].as_str()?)))
}

fn mask(value: &mut Value, names: &BTreeMap<String, String>) {
    match value {
        Value::String(text) => {
            if let Some(name) = names.get(text) {
                name.clone_into(text);
            } else if text.parse::<Timestamp>().is_ok() {
                "a time".clone_into(text);
            } else if text.parse::<IpAddr>().is_ok() {
                "an address".clone_into(text);
            }
        }
        Value::Array(items) => {
            items.iter_mut().for_each(|item| mask(item, names));
            // As the things that they tell of, some lists are in the order of generated names.
            items.sort_by_cached_key(Value::to_string);
        }
        Value::Object(fields) => {
            fields.retain(|name, _| {
                !["uid", "resourceVersion", "containerID", "observedGeneration"].contains(&name.as_str())
            });
            let taken: Map<String, Value> = std::mem::take(fields);
            for (name, mut field) in taken {
                mask(&mut field, names);
                fields.insert(name, field);
            }
        }
        _ => {}
    }
}

/// The objects that only one of two states has, or has more of.
pub(super) fn difference(expected: &State, found: &State) -> String {
    let less = |from: &State, taken: &State, what: &str| {
        let mut taken = taken.clone();
        let kept = from.iter().filter(|object| match taken.iter().position(|other| other == *object) {
            Some(at) => {
                taken.swap_remove(at);
                false
            }
            None => true,
        });
        kept.map(|object| format!("{what}: {object}\n")).collect::<String>()
    };
    less(expected, found, "missing") + &less(found, expected, "too much")
}
