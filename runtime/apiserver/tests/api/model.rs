//! Random writes, and watchers that must end up with what a list shows.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use trimtab_env::Env;

use crate::harness::{MAPS, Server, Watch, map, version};

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
const STEPS: usize = 200;
const WATCHERS: usize = 6;

/// A watcher, and what it believes.
struct Informer {
    watch: Watch,
    selector: &'static str,
    known: BTreeMap<String, Value>,
}

impl Informer {
    async fn begin(server: &Server, selector: &'static str) -> Self {
        let list = server.get(&format!("{MAPS}?{selector}")).await.ok();
        let path = format!("{MAPS}?watch=true&{selector}&resourceVersion={}", version(&list));
        Self { watch: server.watch(&path).await, selector, known: by_name(&list) }
    }

    /// Reads on until an event of the object that marks the end.
    async fn read_on(&mut self) {
        loop {
            let event = self.watch.next().await.expect("the watch goes on");
            let (object, type_) = (event["object"].clone(), event["type"].as_str().unwrap());
            let name = object["metadata"]["name"].as_str().unwrap().to_owned();
            if name == "end" {
                return;
            }
            let before = match type_ {
                "DELETED" => self.known.remove(&name),
                _ => self.known.insert(name.clone(), object),
            };
            assert_eq!(before.is_none(), type_ == "ADDED", "{type_} {name} under {}", self.selector);
        }
    }
}

fn by_name(list: &Value) -> BTreeMap<String, Value> {
    let named = |item: &Value| (item["metadata"]["name"].as_str().unwrap().to_owned(), item.clone());
    let mut all: BTreeMap<_, _> = list["items"].as_array().unwrap().iter().map(named).collect();
    // The items of a list do without what an event carries; upstream's typed lists do so too.
    for item in all.values_mut() {
        item["apiVersion"] = json!("v1");
        item["kind"] = json!("ConfigMap");
    }
    all
}

async fn step(server: &Server, env: &Env) {
    let name = NAMES[usize::try_from(env.below(5)).unwrap()];
    let app = ["x", "y"][usize::try_from(env.below(2)).unwrap()];
    let at = format!("{MAPS}/{name}");
    match env.below(4) {
        0 => drop(server.post(MAPS, map(name, json!({"app": app}))).await),
        1 => drop(server.delete(&at, json!({})).await),
        2 => drop(server.patch(&at, "merge", json!({"metadata": {"labels": {"app": app}}})).await),
        _ => drop(server.patch(&at, "merge", json!({"data": {"k": env.below(9).to_string()}})).await),
    }
}

async fn run(seed: u64) {
    let server = Server::new().await;
    let env = Env::seeded(seed, "2026-01-01T00:00:00Z".parse().unwrap());
    let mut informers = Vec::new();
    for index in 0..STEPS {
        if index % (STEPS / WATCHERS) == 0 {
            let selector = ["", "labelSelector=app%20in%20(x,end)", "labelSelector=app!%3Dy"][index % 3];
            informers.push(Informer::begin(&server, selector).await);
        }
        step(&server, &env).await;
    }
    server.post(MAPS, map("end", json!({"app": "end"}))).await.ok();
    server.delete(&format!("{MAPS}/end"), json!({})).await.ok();
    for mut informer in informers {
        informer.read_on().await;
        let list = server.get(&format!("{MAPS}?{}", informer.selector)).await.ok();
        assert_eq!(informer.known, by_name(&list), "seed {seed}, {}", informer.selector);
    }
}

#[tokio::test]
async fn every_watcher_ends_up_with_what_a_list_shows() {
    for seed in 0..8 {
        run(seed).await;
    }
}
