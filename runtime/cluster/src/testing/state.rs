//! What there is in a cluster, but for what differs from run to run.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use jiff::Timestamp;
use serde_json::{Map, Value};
use trimtab_store::{Entry, Page};

use super::TestCluster;

/// What is told of what happened, and how nodes are: it differs with the time that something took.
const LEFT_OUT: [&str; 4] = [
    "/registry/events/",
    "/registry/coordination.k8s.io/leases/",
    "/registry/nodes/",
    "/registry/storage.k8s.io/csinodes/",
];
/// Of an object's metadata, what the server gives it.
const GIVEN: [&str; 6] = ["uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink"];
/// Of anything else, what follows from those, or counts what was done again.
const FOLLOWS: [&str; 4] = ["uid", "resourceVersion", "containerID", "observedGeneration"];
/// How often a container died, and of what.
const DEATHS: [&str; 2] = ["restartCount", "lastState"];
/// How a text begins that is base64 of what is written between `-----BEGIN` and `-----END`.
const PEM: &str = "LS0tLS1CRUdJTi";

/// Every object as text, in order.
#[derive(Clone, Default)]
pub(super) struct State {
    objects: Vec<Shown>,
}

#[derive(Clone)]
struct Shown {
    text: String,
    key: String,
}

/// What is left out, or has the same word.
struct Mask<'a> {
    /// What each generated name begins with.
    names: BTreeMap<String, String>,
    nodes: &'a BTreeSet<String>,
    deaths: bool,
}

/// The objects that owners have gone from, without being gone themselves.
pub(super) fn orphans(entries: &[(String, Value)]) -> Vec<String> {
    let uids: BTreeSet<&str> = entries.iter().filter_map(|(_, object)| object["metadata"]["uid"].as_str()).collect();
    let orphaned = |object: &Value| {
        let owners = object["metadata"]["ownerReferences"].as_array();
        owners.into_iter().flatten().filter_map(|owner| owner["uid"].as_str()).any(|uid| !uids.contains(uid))
    };
    entries.iter().filter(|(_, object)| orphaned(object)).map(|(key, _)| key.clone()).collect()
}

/// Everything that is stored.
pub(super) async fn read(cluster: &TestCluster) -> Vec<(String, Value)> {
    let page = cluster.store.list("/registry/", Page::default()).await.expect("the store can be read");
    let object =
        |entry: &std::sync::Arc<Entry>| Some((entry.key.to_string(), serde_json::from_slice(&entry.value).ok()?));
    page.entries.iter().filter_map(object).collect()
}

/// All objects, without what the server gives them, with the same word for each time and address and for each of
/// `nodes`, and called after what their generated name begins with. Where nodes or containers have died, `deaths`
/// are not counted.
pub(super) fn of(entries: &[(String, Value)], nodes: &BTreeSet<String>, deaths: bool) -> State {
    let names = entries.iter().filter_map(|(_, object)| generated(object)).collect();
    let mask = Mask { names, nodes, deaths };
    let kept = entries.iter().filter(|(key, _)| LEFT_OUT.iter().all(|prefix| !key.starts_with(prefix)));
    let shown = kept.map(|(key, object)| {
        let mut object = object.clone();
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.retain(|name, _| !GIVEN.contains(&name.as_str()));
        }
        mask.apply(&mut object);
        Shown { text: object.to_string(), key: key.clone() }
    });
    let mut objects: Vec<_> = shown.collect();
    objects.sort_by(|a, b| a.text.cmp(&b.text));
    State { objects }
}

fn generated(object: &Value) -> Option<(String, String)> {
    let metadata = &object["metadata"];
    Some((metadata["name"].as_str()?.to_owned(), format!("{}*", metadata["generateName"].as_str()?)))
}

impl Mask<'_> {
    fn apply(&self, value: &mut Value) {
        match value {
            Value::String(text) => self.apply_text(text),
            Value::Array(items) => {
                items.iter_mut().for_each(|item| self.apply(item));
                // As the things that they tell of, some lists are in the order of generated names.
                items.sort_by_cached_key(Value::to_string);
            }
            Value::Object(fields) => {
                let dropped = |name: &str| FOLLOWS.contains(&name) || (self.deaths && DEATHS.contains(&name));
                let taken: Map<String, Value> = std::mem::take(fields);
                for (name, mut field) in taken.into_iter().filter(|(name, _)| !dropped(name)) {
                    self.apply(&mut field);
                    fields.insert(name, field);
                }
            }
            _ => {}
        }
    }

    fn apply_text(&self, text: &mut String) {
        if let Some(name) = self.names.get(text) {
            name.clone_into(text);
        } else if self.nodes.contains(text) {
            "a node".clone_into(text);
        } else if text.parse::<Timestamp>().is_ok() {
            "a time".clone_into(text);
        } else if text.parse::<IpAddr>().is_ok() {
            "an address".clone_into(text);
        } else if text.starts_with(PEM) {
            // It says from when on it is valid.
            "a certificate".clone_into(text);
        } else if text.contains(' ') {
            // A message.
            for (name, common) in self.names.iter().filter(|(name, _)| text.contains(name.as_str())).collect::<Vec<_>>()
            {
                *text = text.replace(name.as_str(), common);
            }
        }
    }
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.objects.iter().map(|shown| &shown.text).eq(other.objects.iter().map(|shown| &shown.text))
    }
}

/// The objects that only one of two states has, or has more of, a line each; and the keys of those found.
pub(super) fn difference(expected: &State, found: &State) -> (String, Vec<String>) {
    let less = |from: &State, taken: &State| -> Vec<Shown> {
        let mut taken = taken.objects.clone();
        let kept =
            from.objects.iter().filter(|object| match taken.iter().position(|other| other.text == object.text) {
                Some(at) => {
                    taken.swap_remove(at);
                    false
                }
                None => true,
            });
        kept.cloned().collect()
    };
    let (missing, extra) = (less(expected, found), less(found, expected));
    let line = |what: &str, shown: &Shown| format!("{what}: {}\n", shown.text);
    let text =
        missing.iter().map(|shown| line("missing", shown)).chain(extra.iter().map(|shown| line("too much", shown)));
    (text.collect(), missing.iter().chain(&extra).map(|shown| shown.key.clone()).collect())
}
