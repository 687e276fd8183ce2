//! Types out of files: definitions as large as real ones, in their shapes. What the types say of
//! themselves is what the files say, and objects come through them unharmed.

use k8s_openapi::Resource;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use trimtab::Conditions;
use trimtab::reconcile::IsCondition;

mod kinds {
    trimtab::resources_from!("tests/crds/*.yaml");
}

use kinds::{
    Application, ApplicationOperation, ApplicationSpec, Certificate, CertificateAlgorithm, CertificateConditionStatus,
    CertificateIssuerRef, CertificatePrivateKey, CertificateSpec, CertificateStatus, CompositeDefinition, Composition,
    HTTPRoute, Leftover, Lock, LockStatus, Pipeline, PipelineMetric, PipelineStatus, ProviderConfigUsage,
    ProviderConfigUsageProviderConfigRef, ProviderConfigUsageResourceRef, ScrapeTarget, Scraper, TrafficRule,
    http_route, traffic_rule,
};

/// The definition called `name` in `file`.
fn in_file(file: &str, name: &str) -> Value {
    let path = format!("{}/tests/crds/{file}.yaml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let documents = text.split("---\n").map(|document| trimtab::api::from_yaml(document).unwrap());
    documents.into_iter().find(|document| document["metadata"]["name"] == name).unwrap()
}

/// Leaves out what says nothing: the order of what is required, that something is required which has a
/// default, and that a number or text is a number or text.
fn meaning(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            map.values_mut().for_each(meaning);
            if map.get("anyOf") == Some(&json!([{"type": "integer"}, {"type": "string"}])) {
                map.remove("anyOf");
            }
            let has_default = |name: &Value, map: &serde_json::Map<String, Value>| {
                map.get("properties").is_some_and(|all| all[name.as_str().unwrap_or_default()].get("default").is_some())
            };
            if let Some(Value::Array(mut required)) = map.remove("required") {
                required.retain(|name| !has_default(name, map));
                required.sort_by_key(ToString::to_string);
                if !required.is_empty() {
                    map.insert("required".to_owned(), required.into());
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(meaning),
        _ => {}
    }
}

/// The first place where two values differ.
fn difference(path: &str, a: &Value, b: &Value) -> Option<String> {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            let names: std::collections::BTreeSet<_> = a.keys().chain(b.keys()).collect();
            names.into_iter().find_map(|name| {
                difference(
                    &format!("{path}.{name}"),
                    a.get(name).unwrap_or(&Value::Null),
                    b.get(name).unwrap_or(&Value::Null),
                )
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().find_map(|(index, (a, b))| difference(&format!("{path}[{index}]"), a, b))
        }
        _ if a == b => None,
        _ => Some(format!("{path}: the type says {a}, the file {b}")),
    }
}

#[test]
fn the_types_say_what_the_files_say() {
    for (file, name, mut definition) in [
        ("certificate", "certificates.certs.demo.io", Certificate::crd()),
        ("scraper", "scrapers.monitoring.demo.io", Scraper::crd()),
        ("scraper", "scrapetargets.monitoring.demo.io", ScrapeTarget::crd()),
        ("http_route", "httproutes.gateway.demo.io", HTTPRoute::crd()),
        ("http_route", "httproutes.gateway.demo.io", http_route::v1beta1::HTTPRoute::crd()),
        ("pipeline", "pipelines.pipelines.demo.io", Pipeline::crd()),
        ("traffic_rule", "trafficrules.traffic.demo.io", TrafficRule::crd()),
        ("traffic_rule", "trafficrules.traffic.demo.io", traffic_rule::v1alpha3::TrafficRule::crd()),
        ("composition", "compositedefinitions.compose.demo.io", CompositeDefinition::crd()),
        ("composition", "compositions.compose.demo.io", Composition::crd()),
        ("application", "applications.deploy.demo.io", Application::crd()),
        ("usage", "providerconfigusages.clouds.demo.io", ProviderConfigUsage::crd()),
        ("usage", "locks.clouds.demo.io", Lock::crd()),
        ("usage", "leftovers.clouds.demo.io", Leftover::crd()),
    ] {
        let mut expected = in_file(file, name);
        meaning(&mut definition);
        meaning(&mut expected);
        assert_eq!(difference(name, &definition, &expected), None);
    }
}

#[test]
fn the_files_are_what_kubernetes_takes() {
    for result in [
        Certificate::check(),
        Scraper::check(),
        ScrapeTarget::check(),
        HTTPRoute::check(),
        Pipeline::check(),
        TrafficRule::check(),
        CompositeDefinition::check(),
        Composition::check(),
        Application::check(),
        ProviderConfigUsage::check(),
        Lock::check(),
        Leftover::check(),
    ] {
        result.unwrap();
    }
}

/// Reads an object and writes it again.
fn through<K: Resource + Serialize + DeserializeOwned>(spec: Value, status: Value) -> K {
    let parts = if status.is_null() { json!({"spec": spec}) } else { json!({"spec": spec, "status": status}) };
    whole(parts)
}

/// The same, of an object with these fields besides its metadata.
fn whole<K: Resource + Serialize + DeserializeOwned>(mut object: Value) -> K {
    object["apiVersion"] = K::API_VERSION.into();
    object["kind"] = K::KIND.into();
    object["metadata"] = json!({"name": "a", "namespace": "b"});
    let typed: K = serde_json::from_value(object.clone()).unwrap();
    assert_eq!(difference(K::KIND, &serde_json::to_value(&typed).unwrap(), &object), None);
    typed
}

#[test]
fn objects_come_through_the_types() {
    let certificate: Certificate = through(
        json!({"secretName": "s", "issuerRef": {"name": "i"}, "usages": ["server auth", "s/mime"],
            "privateKey": {"algorithm": "Ed25519", "size": 256}, "nameConstraints": {"permitted": {"dnsDomains": ["a.b"]}},
            "keystores": {"jks": {"create": true, "passwordSecretRef": {"name": "p"}}}}),
        json!({"notAfter": "2026-01-01T00:00:00Z", "revision": 3, "conditions": [{"type": "Ready", "status": "True",
            "reason": "Issued", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}),
    );
    let spec = certificate.spec.unwrap();
    assert_eq!(spec.private_key.unwrap().algorithm, Some(CertificateAlgorithm::Ed25519));
    assert_eq!(certificate.status.unwrap().revision, Some(3));

    let scraper: Scraper = through(
        json!({"resources": {"limits": {"cpu": "500m"}}, "logLevel": "", "affinity": {"any": [1, {"thing": null}]},
            "remoteWrite": [{"url": "u", "metadataConfig": {"maxSamplesPerSend": -1}}],
            "alerting": {"managers": [{"name": "m", "port": "web"}, {"name": "n", "port": 80}]}}),
        Value::Null,
    );
    let limits = scraper.spec.resources.unwrap().limits.unwrap();
    assert_eq!(limits["cpu"].0, "500m");

    let pipeline: Pipeline = through(
        json!({"entrypoint": "main", "templates": [
            {"name": "main", "steps": [[{"name": "a", "withItems": [1, "b", {"c": [true]}]}], [{"name": "d", "withSequence": {"count": "3"}}]],
             "metrics": [{"counter": {"value": "1"}}, {"histogram": {"buckets": [0.5, 2.0], "value": "x"}}]}],
            "volumeClaimTemplates": [{"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "w"}}]}),
        json!({"phase": "Running", "startedAt": "2026-01-01T00:00:00Z", "nodes": {"n": {"id": "n", "name": "n", "type": "Pod"}}}),
    );
    let metrics = pipeline.spec.templates.unwrap()[0].metrics.clone().unwrap();
    assert!(matches!(&metrics[0], PipelineMetric::Counter(counter) if counter.value == "1"), "{metrics:?}");

    let route = json!({"parentRefs": [{"name": "g"}], "rules": [{"backendRefs": [{"name": "s", "port": 80, "weight": 3}],
        "matches": [{"path": {"type": "Exact", "value": "/x"}, "method": "GET"}],
        "filters": [{"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplaceFullPath", "replaceFullPath": "/y"}}}]}]});
    let new: HTTPRoute = through(route.clone(), Value::Null);
    let old: http_route::v1beta1::HTTPRoute = through(route, Value::Null);
    assert_eq!(new.spec.rules.unwrap().len(), old.spec.rules.unwrap().len());

    let rule: TrafficRule = through(
        json!({"hosts": ["h"], "http": [{"match": [{"uri": {"prefix": "/"}, "headers": {"x": {"exact": "y"}}}],
            "directResponse": {"status": 200, "body": {"bytes": "aGk="}}}]}),
        json!({"observedGeneration": 3, "conditions": [], "more": {"than": "known"}}),
    );
    assert_eq!(rule.status.unwrap().other["more"], json!({"than": "known"}));
    let body = rule.spec.unwrap().http.unwrap()[0].direct_response.clone().unwrap().body.unwrap();
    assert_eq!(body.bytes.unwrap().0, b"hi");

    let composition: Composition = through(
        json!({"compositeTypeRef": {"apiVersion": "a/v1", "kind": "K"}, "mode": "Pipeline",
            "resources": [{"base": {"apiVersion": "v1", "kind": "Pod", "spec": {"any": "thing"}},
                "patches": [{"type": "PatchSet", "transforms": [{"type": "map", "map": {"a": 1, "b": null}}]}]}]}),
        Value::Null,
    );
    assert_eq!(composition.spec.resources.unwrap()[0].base["kind"], "Pod");
}

#[test]
fn objects_have_what_their_file_has_beside_the_spec() {
    let application: Application = whole(json!({
        "operation": {"sync": {"revision": "r1", "syncOptions": ["Prune=true"]}, "initiatedBy": {"username": "u"}},
        "spec": {"destination": {"namespace": "n"}}, "status": {"sync": {"status": "OutOfSync"}}}));
    assert_eq!(application.operation.unwrap().initiated_by.unwrap().username.as_deref(), Some("u"));
    let _: Application = whole(json!({"spec": {"destination": {}}}));

    let usage: ProviderConfigUsage =
        whole(json!({"providerConfigRef": {"name": "default", "policy": {"resolution": "Optional"}},
        "resourceRef": {"apiVersion": "v1", "kind": "Bucket", "name": "b", "uid": "1"}}));
    assert_eq!((usage.provider_config_ref.name.as_str(), usage.resource_ref.kind.as_str()), ("default", "Bucket"));
    let missing = json!({"apiVersion": "clouds.demo.io/v1beta1", "kind": "ProviderConfigUsage", "metadata": {},
        "resourceRef": {"apiVersion": "v1", "kind": "Bucket", "name": "b"}});
    let error = serde_json::from_value::<ProviderConfigUsage>(missing).unwrap_err().to_string();
    assert_eq!(error, "missing field `providerConfigRef`");

    let lock: Lock = whole(json!({"packages": [{"name": "p", "source": "s", "version": "v", "dependencies": [
        {"package": "q", "constraints": ">1", "type": "Provider"}, {"package": "r", "constraints": ""}]}],
        "status": {"conditions": []}}));
    assert_eq!(lock.packages.unwrap()[0].dependencies.len(), 2);
    let empty: Lock = whole(json!({}));
    assert!(empty.packages.is_none() && empty.status.is_none());

    let leftover: Leftover = whole(json!({"spec": {"a": 1}, "data": [null, "x"]}));
    assert_eq!(leftover.other["data"], json!([null, "x"]));
}

#[test]
fn objects_without_a_spec_are_made_of_what_they_need() {
    let config = ProviderConfigUsageProviderConfigRef { name: "default".to_owned(), ..Default::default() };
    let resource = ProviderConfigUsageResourceRef { kind: "Bucket".to_owned(), ..Default::default() };
    assert_eq!(
        serde_json::to_value(ProviderConfigUsage::new("a", config, resource)).unwrap(),
        json!({"apiVersion": "clouds.demo.io/v1beta1", "kind": "ProviderConfigUsage", "metadata": {"name": "a"},
            "providerConfigRef": {"name": "default"}, "resourceRef": {"apiVersion": "", "kind": "Bucket", "name": ""}}),
    );
    let mut application = Application::new("a", ApplicationSpec::default());
    application.operation = Some(ApplicationOperation::default());
    assert_eq!(serde_json::to_value(application).unwrap()["operation"], json!({}));
    assert!(Lock::new("lock").packages.is_none() && Leftover::new("l").other.is_empty());
}

/// What people find of `conditions` after they were put twice, with the same status.
fn put_twice<C: IsCondition>(conditions: &mut Option<Vec<C>>, status: &str) -> Value {
    for (reason, at) in [("Early", "2026-01-01T00:00:00Z"), ("Late", "2026-01-01T00:00:09Z")] {
        let condition = json!({"type": "Ready", "status": status, "reason": reason, "message": "m", "lastTransitionTime": at,
            "observedGeneration": 3});
        conditions.put(serde_json::from_value(condition).unwrap());
    }
    assert_eq!(conditions.holds("Ready"), status == "True");
    serde_json::to_value(conditions).unwrap()
}

#[test]
fn conditions_of_a_file_s_own_types_are_put_as_kubernetes_own() {
    let whole = |status: &str| {
        json!([{"type": "Ready", "status": status, "reason": "Late", "message": "m", "observedGeneration": 3,
            "lastTransitionTime": "2026-01-01T00:00:00Z"}])
    };
    let mut certificate = CertificateStatus::default();
    assert_eq!(put_twice(&mut certificate.conditions, "Unknown"), whole("Unknown"));
    assert_eq!(certificate.conditions.unwrap()[0].status, CertificateConditionStatus::Unknown);
    let mut lock = LockStatus::default();
    assert_eq!(put_twice(&mut lock.conditions, "True"), whole("True"));
    // One that has less keeps less.
    let mut pipeline = PipelineStatus::default();
    let least = json!([{"type": "Ready", "status": "False", "message": "m"}]);
    assert_eq!(put_twice(&mut pipeline.conditions, "False"), least);
}

#[test]
fn objects_are_made_of_the_types() {
    let spec = CertificateSpec {
        secret_name: "s".to_owned(),
        issuer_ref: CertificateIssuerRef { name: "i".to_owned(), ..CertificateIssuerRef::default() },
        private_key: Some(CertificatePrivateKey {
            algorithm: Some(CertificateAlgorithm::Ecdsa),
            ..CertificatePrivateKey::default()
        }),
        ..CertificateSpec::default()
    };
    assert_eq!(
        serde_json::to_value(Certificate::new("a", spec)).unwrap(),
        json!({"apiVersion": "certs.demo.io/v1", "kind": "Certificate", "metadata": {"name": "a"},
            "spec": {"secretName": "s", "issuerRef": {"name": "i"}, "privateKey": {"algorithm": "ECDSA"}}}),
    );
}

#[test]
fn kinds_of_files_are_kinds_as_others_are() {
    let kind = HTTPRoute::kind();
    assert_eq!((&*kind.plural, &*kind.version, kind.status), ("httproutes", "v1", true));
    let headings: Vec<_> = kind.columns.iter().map(|column| &*column.name).collect();
    assert_eq!(headings, ["Name", "Hostnames", "Age"]);
    let old = http_route::v1beta1::HTTPRoute::kind();
    assert_eq!(old.deprecation.as_deref(), Some("gateway.demo.io/v1beta1 HTTPRoute is deprecated; use v1"));
    let kind = Certificate::kind();
    assert_eq!(kind.selectable_fields, [".spec.secretName"]);
    assert_eq!(Scraper::kind().scale.unwrap().spec_replicas, ".spec.shards");
    let scopes = [ScrapeTarget::kind().scope, Composition::kind().scope];
    assert_eq!(scopes.map(|scope| format!("{scope:?}")), ["Namespaced", "Cluster"]);
}
