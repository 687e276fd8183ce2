//! What a namespace may use: ResourceQuotas and LimitRanges; and what classes give to what names them.

use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use http::Method;
use serde_json::{Value, json};
use trimtab_store::{Entry, ListPage, Memory, Observer, Outcome, Page, ReadError, Revision, Store, Watch, Write};

use crate::harness::{MAPS, PODS, SERVICES, Server, map, pod};

const QUOTAS: &str = "/api/v1/namespaces/default/resourcequotas";
const RANGES: &str = "/api/v1/namespaces/default/limitranges";

/// A store that notes which keys each commit wrote.
struct Steps {
    inner: Memory,
    made: Mutex<Vec<Vec<String>>>,
}

impl Store for Steps {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Arc<Entry>>, ReadError>> {
        self.inner.get(key)
    }

    fn list<'a>(&'a self, prefix: &'a str, page: Page) -> BoxFuture<'a, Result<ListPage, ReadError>> {
        self.inner.list(prefix, page)
    }

    fn observe(&self, observer: Observer) {
        self.inner.observe(observer);
    }

    fn commit_with(&self, beside: Vec<Write>, write: Write) -> BoxFuture<'_, Outcome> {
        let keys = beside.iter().chain([&write]).map(|write| write.key.clone()).collect();
        self.made.lock().unwrap().push(keys);
        self.inner.commit_with(beside, write)
    }

    fn watch<'a>(&'a self, prefix: &'a str, after: Revision) -> BoxFuture<'a, Result<Watch, ReadError>> {
        self.inner.watch(prefix, after)
    }

    fn revision(&self) -> Revision {
        self.inner.revision()
    }

    fn reached(&self, revision: Revision) -> BoxFuture<'_, ()> {
        self.inner.reached(revision)
    }

    fn compact(&self, revision: Revision) -> BoxFuture<'_, Result<(), ReadError>> {
        self.inner.compact(revision)
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.inner.close()
    }
}

/// A quota that says what is used of it, as its controller would.
async fn limit(server: &Server, hard: Value, used: Value) {
    let quota = json!({"metadata": {"name": "q"}, "spec": {"hard": hard}});
    server.post(QUOTAS, quota).await.ok();
    let status = json!({"status": {"hard": hard, "used": used}});
    server.patch(&format!("{QUOTAS}/q/status"), "merge", status).await.ok();
}

async fn used(server: &Server) -> Value {
    server.get(&format!("{QUOTAS}/q")).await.ok()["status"]["used"].clone()
}

#[tokio::test]
async fn a_quota_is_used_up() {
    let server = Server::new().await;
    limit(
        &server,
        json!({"configmaps": "1", "services": "5", "services.nodeports": "1"}),
        json!({"configmaps": "0", "services": "0", "services.nodeports": "0"}),
    )
    .await;
    // A dry run takes nothing, and neither does what is not made.
    server.post(&format!("{MAPS}?dryRun=All"), map("a", json!({}))).await.ok();
    server.post(MAPS, json!({"metadata": {"name": "A"}})).await.refused(422, "Invalid", "metadata.name");
    server.post(MAPS, map("a", json!({}))).await.ok();
    let full = "configmaps \"b\" is forbidden: exceeded quota: q, requested: configmaps=1, used: configmaps=1, limited: configmaps=1";
    server.post(MAPS, map("b", json!({}))).await.refused(403, "Forbidden", full);
    server.patch(&format!("{MAPS}/a"), "merge", json!({"data": {"x": "y"}})).await.ok();
    // A change counts for as much as it adds.
    let service = |type_: &str| json!({"metadata": {"name": "s"}, "spec": {"type": type_, "ports": [{"port": 80}]}});
    server.post(SERVICES, service("ClusterIP")).await.ok();
    server.post(SERVICES, service("ClusterIP")).await.refused(409, "AlreadyExists", "already exists");
    server.patch(&format!("{SERVICES}/s"), "merge", json!({"spec": {"type": "NodePort"}})).await.ok();
    assert_eq!(used(&server).await, json!({"configmaps": "1", "services": "1", "services.nodeports": "1"}));
    let more = json!({"spec": {"ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "b"}]}});
    let refused = server.patch(&format!("{SERVICES}/s"), "merge", more).await;
    refused.refused(403, "Forbidden", "exceeded quota: q, requested: services.nodeports=1");
    server.patch(&format!("{SERVICES}/s"), "merge", json!({"spec": {"type": "ClusterIP"}})).await.ok();
    assert_eq!(used(&server).await["services.nodeports"], "0");
}

// What was taken before was written first: whoever added up in between, as the quota controller did when it heard of the
// quota's change, found less used than there was to be, and the next write could have it, too.
#[tokio::test]
async fn what_is_taken_is_there_at_once_with_what_takes_it() {
    let steps = Arc::new(Steps { inner: Memory::new(), made: Mutex::default() });
    let server = Server::over(Arc::clone(&steps) as Arc<dyn Store>).await;
    limit(&server, json!({"configmaps": "3"}), json!({"configmaps": "0"})).await;
    steps.made.lock().unwrap().clear();
    server.post(MAPS, map("a", json!({}))).await.ok();
    let made = std::mem::take(&mut *steps.made.lock().unwrap());
    assert_eq!(made, [["/registry/resourcequotas/default/q", "/registry/configmaps/default/a"]]);
    // Of those who ask at once, as many as there is room for get it.
    let answers = ["b", "c", "d", "e"].map(|name| server.post_owned(MAPS, map(name, json!({}))));
    let mut codes: Vec<u16> = futures::future::join_all(answers).await.iter().map(|answer| answer.code).collect();
    codes.sort_unstable();
    assert_eq!((codes, used(&server).await), (vec![201, 201, 403, 403], json!({"configmaps": "3"})));
}

#[tokio::test]
async fn a_load_balancer_takes_only_the_node_ports_that_it_asks_for() {
    let server = Server::new().await;
    let ports = json!([{"port": 80, "name": "a"}, {"port": 81, "name": "b", "nodePort": 30500}]);
    let spec = json!({"type": "LoadBalancer", "allocateLoadBalancerNodePorts": false, "ports": ports});
    let made = server.post(SERVICES, json!({"metadata": {"name": "lb"}, "spec": spec})).await.ok();
    let ports: Vec<_> = made["spec"]["ports"].as_array().unwrap().iter().map(|port| port.get("nodePort")).collect();
    assert_eq!(ports, [None, Some(&json!(30500))]);
}

#[tokio::test]
async fn a_quota_wants_pods_to_say_what_they_need() {
    let server = Server::new().await;
    limit(&server, json!({"pods": "5", "limits.cpu": "1"}), json!({"pods": "0", "limits.cpu": "0"})).await;
    let missing = "pods \"web\" is forbidden: failed quota: q: must specify limits.cpu for: c";
    server.post(PODS, pod("web")).await.refused(403, "Forbidden", missing);
    let limits = json!({"limits": [{"type": "Container", "default": {"cpu": "500m"}, "max": {"cpu": "600m"}}]});
    server.post(RANGES, json!({"metadata": {"name": "r"}, "spec": limits})).await.ok();
    let made = server.post(PODS, pod("web")).await.ok();
    let resources = &made["spec"]["containers"][0]["resources"];
    assert_eq!(*resources, json!({"limits": {"cpu": "500m"}, "requests": {"cpu": "500m"}}));
    assert_eq!(
        made["metadata"]["annotations"]["kubernetes.io/limit-ranger"],
        "LimitRanger plugin set: cpu request for container c; cpu limit for container c"
    );
    let mut large = pod("large");
    large["spec"]["containers"][0]["resources"] = json!({"limits": {"cpu": "700m"}});
    let most = "pods \"large\" is forbidden: maximum cpu usage per Container is 600m, but limit is 700m";
    server.post(PODS, large).await.refused(403, "Forbidden", most);
    assert_eq!(used(&server).await, json!({"pods": "1", "limits.cpu": "500m"}));
}

#[tokio::test]
async fn a_pod_gets_what_its_classes_say() {
    let server = Server::new().await;
    let named = |name: &str, field: &str, class: &str| {
        let mut pod = pod(name);
        pod["spec"][field] = class.into();
        pod
    };
    let none = "pods \"a\" is forbidden: no PriorityClass with name mine was found";
    server.post(PODS, named("a", "priorityClassName", "mine")).await.refused(403, "Forbidden", none);
    let critical = server.post(PODS, named("a", "priorityClassName", "system-node-critical")).await.ok();
    assert_eq!(critical["spec"]["priority"], 2_000_001_000);
    let classes = "/apis/scheduling.k8s.io/v1/priorityclasses";
    let class = json!({"metadata": {"name": "mine"}, "value": 7, "globalDefault": true, "preemptionPolicy": "Never"});
    server.post(classes, class).await.ok();
    let other = json!({"metadata": {"name": "other"}, "value": 8, "globalDefault": true});
    let one = "PriorityClass mine is already marked as default. Only one default can exist";
    server.post(classes, other).await.refused(403, "Forbidden", one);
    let made = server.post(PODS, pod("b")).await.ok();
    let spec = &made["spec"];
    assert_eq!(
        [&spec["priorityClassName"], &spec["priority"], &spec["preemptionPolicy"]],
        [&json!("mine"), &json!(7), &json!("Never")]
    );
    let runtime = named("c", "runtimeClassName", "sandbox");
    let none = "pods \"c\" is forbidden: pod rejected: RuntimeClass \"sandbox\" not found";
    server.post(PODS, runtime.clone()).await.refused(403, "Forbidden", none);
    let class = json!({"metadata": {"name": "sandbox"}, "handler": "s", "overhead": {"podFixed": {"cpu": "10m"}},
        "scheduling": {"nodeSelector": {"disk": "fast"}}});
    server.post("/apis/node.k8s.io/v1/runtimeclasses", class).await.ok();
    let made = server.post(PODS, runtime).await.ok();
    assert_eq!([&made["spec"]["overhead"]["cpu"], &made["spec"]["nodeSelector"]["disk"]], ["10m", "fast"]);
}

#[tokio::test]
async fn a_claim_and_an_ingress_get_the_default_class() {
    let server = Server::new().await;
    let class = |name: &str, group: &str| {
        json!({"metadata": {"name": name, "annotations": {format!("{group}.kubernetes.io/is-default-class"): "true"}},
            "provisioner": "demo.io/disk"})
    };
    server.post("/apis/storage.k8s.io/v1/storageclasses", class("disk", "storageclass")).await.ok();
    let claims = "/api/v1/namespaces/default/persistentvolumeclaims";
    let claim = |name: &str, class: Value| {
        json!({"metadata": {"name": name}, "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": class,
            "resources": {"requests": {"storage": "1Gi"}}}})
    };
    assert_eq!(server.post(claims, claim("a", Value::Null)).await.ok()["spec"]["storageClassName"], "disk");
    assert_eq!(server.post(claims, claim("b", "".into())).await.ok()["spec"]["storageClassName"], "");
    let mut ingress = class("b", "ingressclass");
    ingress["spec"] = json!({"controller": "demo.io/ingress"});
    ingress.as_object_mut().unwrap().remove("provisioner");
    server.post("/apis/networking.k8s.io/v1/ingressclasses", ingress).await.ok();
    let ingresses = "/apis/networking.k8s.io/v1/namespaces/default/ingresses";
    let spec = json!({"defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}});
    let made = server.post(ingresses, json!({"metadata": {"name": "i"}, "spec": spec})).await.ok();
    assert_eq!(made["spec"]["ingressClassName"], "b");
}

#[tokio::test]
async fn a_claim_grows_if_its_class_lets_it() {
    let server = Server::new().await;
    let classes = "/apis/storage.k8s.io/v1/storageclasses";
    let claims = "/api/v1/namespaces/default/persistentvolumeclaims";
    for (class, may_grow) in [("fixed", Value::Null), ("growing", true.into())] {
        let definition =
            json!({"metadata": {"name": class}, "provisioner": "demo.io/disk", "allowVolumeExpansion": may_grow});
        server.post(classes, definition).await.ok();
    }
    let size = |size: &str| json!({"spec": {"resources": {"requests": {"storage": size}}}});
    let why = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize";
    for (name, class, grows) in [("a", "fixed", false), ("b", "growing", true), ("c", "", false), ("d", "none", false)]
    {
        let mut claim = size("1Gi");
        claim["metadata"] = json!({"name": name});
        claim["spec"]["accessModes"] = json!(["ReadWriteOnce"]);
        claim["spec"]["storageClassName"] = class.into();
        server.post(claims, claim).await.ok();
        let path = format!("{claims}/{name}");
        server.patch(&path, "merge", size("2Gi")).await.refused(422, "Invalid", "spec is immutable after creation");
        let bound = json!({"status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}});
        server.patch(&format!("{path}/status"), "merge", bound).await.ok();
        server.patch(&path, "merge", size("1024Mi")).await.ok();
        let grown = server.patch(&path, "merge", size("2Gi")).await;
        if grows {
            assert_eq!(grown.ok()["spec"]["resources"]["requests"]["storage"], "2Gi");
        } else {
            grown.refused(403, "Forbidden", why);
        }
    }
}

#[tokio::test]
async fn a_cluster_has_what_every_cluster_has() {
    let server = Server::new().await;
    let level = server.get("/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations/catch-all").await.ok();
    assert_eq!(level["spec"]["limited"]["limitResponse"]["type"], "Reject");
    let schema = server.get("/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas/exempt").await.ok();
    assert_eq!(schema["spec"]["matchingPrecedence"], 1);
    assert_eq!(schema["metadata"]["annotations"], json!({"apf.kubernetes.io/autoupdate-spec": "true"}));
    // Who asks is told of which flow the question was, and of which level.
    let told = |answer: &crate::harness::Answer| {
        ["flowschema", "prioritylevel"]
            .map(|what| answer.headers[&format!("x-kubernetes-pf-{what}-uid")].to_str().unwrap().to_owned())
    };
    let uid = |object: &Value| object["metadata"]["uid"].as_str().unwrap().to_owned();
    assert_eq!(told(&server.get(MAPS).await)[0], uid(&schema));
    let anna = server.by("anna", &["system:authenticated"]);
    let level = server.get("/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations/workload-low").await.ok();
    let rules = json!([{"subjects": [{"kind": "User", "user": {"name": "anna"}}],
        "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/version"]}]}]);
    let spec = json!({"matchingPrecedence": 3, "priorityLevelConfiguration": {"name": "workload-low"}, "rules": rules});
    let schemas = "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas";
    let schema = server.post(schemas, json!({"metadata": {"name": "annas"}, "spec": spec})).await.ok();
    assert_eq!(told(&anna.get("/version").await), [uid(&schema), uid(&level)]);
    server.delete(&format!("{schemas}/annas"), json!({})).await.ok();
    assert_ne!(told(&anna.get("/version").await)[0], uid(&schema));
    let range = server.get("/apis/networking.k8s.io/v1/servicecidrs/kubernetes").await.ok();
    assert_eq!(range["status"]["conditions"][0]["type"], "Ready");
}

#[tokio::test]
async fn a_write_of_the_status_may_change_labels_but_of_some_kinds() {
    let server = Server::new().await;
    server.post(PODS, pod("web")).await.ok();
    let change = json!({"metadata": {"labels": {"a": "b"}, "name": "other"}, "status": {"message": "x"}});
    let refused = server.patch(&format!("{PODS}/web/status"), "merge", change).await;
    refused.refused(400, "BadRequest", "the name of the object (other) does not match the name on the URL (web)");
    let change = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"nodeName": "n"}, "status": {"message": "x"}});
    let told = server.patch(&format!("{PODS}/web/status"), "merge", change.clone()).await.ok();
    assert_eq!((&told["metadata"]["labels"]["a"], &told["status"]["message"]), (&json!("b"), &json!("x")));
    assert!(told["spec"].get("nodeName").is_none());
    let schema = "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas/exempt/status";
    let told = server.patch(schema, "merge", json!({"metadata": {"labels": {"a": "b"}}})).await.ok();
    assert!(told["metadata"].get("labels").is_none());
}

#[tokio::test]
async fn what_stands_twice_in_what_is_written_is_told() {
    let server = Server::new().await;
    let body = |name: &str| {
        format!(
            "{{\"metadata\": {{\"name\": \"{name}\"}}, \"x\": 1, \"x\": 2, \"immutable\": true, \"immutable\": false}}"
        )
    };
    let ask = async |method: Method, path: &str, type_: &str, body: String| {
        server.ask(method, path, &[("content-type", type_)], body.into()).await
    };
    let warned = ask(Method::POST, MAPS, "application/json", body("a")).await;
    let warnings: Vec<_> = warned.headers.get_all("warning").iter().map(|value| value.to_str().unwrap()).collect();
    assert_eq!(warnings, [r#"299 - "unknown field \"x\"""#, r#"299 - "duplicate field \"immutable\"""#]);
    let strict = format!("{MAPS}?fieldValidation=Strict");
    let refused = ask(Method::POST, &strict, "application/json", body("b")).await;
    refused.refused(400, "BadRequest", "strict decoding error: unknown field \"x\", duplicate field \"immutable\"");
    let yaml = "metadata:\n  name: b\nimmutable: true\nimmutable: false\n".to_owned();
    let refused = ask(Method::POST, &strict, "application/yaml", yaml.clone()).await;
    let told = "strict decoding error: yaml: unmarshal errors:\n  line 4: key \"immutable\" already set in map";
    refused.refused(400, "BadRequest", told);
    let applied = format!("{MAPS}/b?fieldValidation=Strict&fieldManager=m");
    let refused = ask(Method::PATCH, &applied, "application/apply-patch+yaml", yaml).await;
    let told = "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  line 4: key";
    refused.refused(400, "BadRequest", told);
    let patch = r#"{"data": {"x": "1", "x": "2"}, "y": 1}"#.to_owned();
    let at = format!("{MAPS}/a?fieldValidation=Strict");
    let refused = ask(Method::PATCH, &at, "application/merge-patch+json", patch).await;
    refused.refused(422, "Invalid", "strict decoding error: duplicate field \"data.x\", unknown field \"y\"");
    let operations = r#"[{"op": "add", "op": "add", "path": "/data", "value": {}, "why": 1}]"#.to_owned();
    let refused = ask(Method::PATCH, &at, "application/json-patch+json", operations).await;
    let told = "json patch duplicate field \"[0].op\", json patch unknown field \"[0].why\"";
    refused.refused(422, "Invalid", told);
    let refused = ask(Method::PATCH, &at, "application/merge-patch+json", r#"{"data": 1}"#.to_owned()).await;
    refused.refused(422, "Invalid", " \"\" is invalid: patch: Invalid value: ");
}

#[tokio::test]
async fn a_namespace_says_what_its_pods_may_do() {
    let server = Server::new().await;
    let namespaces = "/api/v1/namespaces";
    let labelled = |name: &str, label: &str, level: &str| json!({"metadata": {"name": name, "labels": {format!("pod-security.kubernetes.io/{label}"): level}}});
    let unknown = "metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: \"strict\": must be one of privileged, baseline, restricted";
    server.post(namespaces, labelled("a", "enforce", "strict")).await.refused(422, "Invalid", unknown);
    server.post(namespaces, labelled("a", "enforce", "baseline")).await.ok();
    let pods = "/api/v1/namespaces/a/pods";
    server.post(pods, pod("plain")).await.ok();
    let mut host = pod("host");
    host["spec"]["hostNetwork"] = true.into();
    let refused =
        "pods \"host\" is forbidden: violates PodSecurity \"baseline:latest\": host namespaces (hostNetwork=true)";
    server.post(pods, host).await.refused(403, "Forbidden", refused);
    let warned = async |path: &str, body: Value| {
        let answer = server.patch(path, "merge", body).await;
        let all = answer.headers.get_all("warning").iter();
        all.map(|value| value.to_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let label = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
    assert_eq!(
        warned("/api/v1/namespaces/a", label).await,
        [
            r#"299 - "existing pods in namespace \"a\" violate the new PodSecurity enforce level \"restricted:latest\"""#,
            r#"299 - "plain: allowPrivilegeEscalation != false, unrestricted capabilities, runAsNonRoot != true, seccompProfile""#,
        ]
    );
    // What makes pods is warned of, and let in.
    server.post(namespaces, labelled("b", "warn", "restricted")).await.ok();
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let rc = json!({"metadata": {"name": "rc"}, "spec": {"selector": {"a": "b"}, "template": template}});
    let made = server.post("/api/v1/namespaces/b/replicationcontrollers", rc).await;
    let warning = made.headers["warning"].to_str().unwrap();
    assert!(
        warning.contains("would violate PodSecurity \\\"restricted:latest\\\": allowPrivilegeEscalation"),
        "{warning}"
    );
    assert_eq!(made.code, 201);
}
