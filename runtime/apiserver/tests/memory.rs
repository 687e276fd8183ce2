//! What many definitions cost: memory in proportion to what they say, for what is not used of them is
//! not read.

// An allocator is a place where nothing else will do.
#![allow(unsafe_code, clippy::print_stderr)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{Method, Request};
use serde_json::{Value, json};
use trimtab_apiserver::{ApiServer, Config, Identity};
use trimtab_env::Env;
use trimtab_store::Memory;

/// The bytes that are in use.
static LIVE: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: all is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A definition of about as many fields as those of real operators have.
fn definition(number: usize) -> Value {
    let text = json!({"type": "string", "description": "What a field is for, in about as many words as it takes.", "maxLength": 64});
    let fields: serde_json::Map<String, Value> = (0..60).map(|n| (format!("field{n}"), text.clone())).collect();
    let rules = json!([{"rule": "self.field1 != self.field2 || self.field3.startsWith('a')", "message": "no"}]);
    let spec = json!({"type": "object", "properties": fields, "x-kubernetes-validations": rules});
    json!({"metadata": {"name": format!("kinds{number}.demo.io")}, "spec": {
        "group": "demo.io", "scope": "Namespaced", "names": {"plural": format!("kinds{number}"), "kind": format!("Kind{number}")},
        "versions": [{"name": "v1", "served": true, "storage": true,
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}}]}})
}

#[tokio::test]
async fn a_thousand_definitions_cost_what_they_say() {
    let server = ApiServer::new(Config::new(
        trimtab_api::builtin(),
        Arc::new(Memory::new()),
        Env::seeded(7, "2026-01-01T00:00:00Z".parse().unwrap()),
        ("10.96.0.0".parse().unwrap(), 24),
    ))
    .await
    .unwrap();
    let tester = server.transport(Identity::new("tester", &["system:masters"]));
    let make = async |number: usize| {
        let body = definition(number).to_string();
        let size = body.len();
        let request = Request::builder()
            .method(Method::POST)
            .uri("/apis/apiextensions.k8s.io/v1/customresourcedefinitions")
            .header("content-type", "application/json")
            .body(body.into())
            .unwrap();
        assert_eq!(tester.send(request).await.unwrap().status(), 201);
        size
    };
    // What is made once, however many there are.
    make(0).await;
    let before = LIVE.load(Ordering::Relaxed);
    let mut said = 0;
    for number in 1..=COUNT {
        said += make(number).await;
    }
    let cost = LIVE.load(Ordering::Relaxed).saturating_sub(before);
    eprintln!("{COUNT} definitions of {} bytes take {} bytes each", said / COUNT, cost / COUNT);
    // The definition itself, its managed fields, and what is known of its kind.
    assert!(cost < said * 3, "{cost} bytes for {said} said");
}

const COUNT: usize = 1_000;
