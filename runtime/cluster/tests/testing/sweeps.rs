//! Every built-in controller, the scheduler and the nodes' agent, under the full sweep: each may die at each of its
//! writes, lose the answer to it, and hear late or not at all of what it watches.

use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::Resource as Kind;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use k8s_openapi::api::core::v1::{
    ConfigMap, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, ResourceQuota, Secret, Service,
    ServiceAccount,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::flowcontrol::v1::FlowSchema;
use k8s_openapi::api::networking::v1::ServiceCIDR;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::ClusterRole;
use serde_json::json;
use trimtab_client::{Api, DeleteParams, Patch, Propagation};
use trimtab_cluster::testing::{TestCluster, sweep, sweep_outages};
use trimtab_reconcile::Resource;

use super::{WEB, pods, ready};

const CONTROLLERS: &str = "kube-controller-manager";

/// On so many nodes: each costs time for as long as a scenario takes.
fn check(nodes: u32, scenario: impl AsyncFn(&TestCluster)) {
    let runs = sweep(CONTROLLERS, || TestCluster::builder(3).nodes(nodes), scenario);
    assert!(runs > 3, "the controllers have something to do");
}

async fn web_runs(cluster: &TestCluster) {
    cluster.apply(WEB).await;
    cluster.until("three pods are ready", async |cluster| ready(cluster).await == Some(3)).await;
}

async fn delete<K: Resource>(cluster: &TestCluster, namespace: &str, name: &str, params: DeleteParams) {
    cluster.api::<K>(namespace).delete(name, &params).await.unwrap();
}

async fn gone<K: Resource>(cluster: &TestCluster, namespace: &str, name: &str) {
    let api = cluster.api::<K>(namespace);
    let what = format!("there is no {} {name}", <K as Kind>::KIND);
    cluster.until(&what, async |_| api.get_opt(name).await.unwrap().is_none()).await;
}

async fn there<K: Resource>(cluster: &TestCluster, namespace: &str, name: &str) {
    let api = cluster.api::<K>(namespace);
    let what = format!("there is a {} {name}", <K as Kind>::KIND);
    cluster.until(&what, async |_| api.get_opt(name).await.unwrap().is_some()).await;
}

async fn scaled(cluster: &TestCluster, replicas: usize) {
    let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    let controllers = cluster.api::<k8s_openapi::api::core::v1::ReplicationController>("default");
    controllers.patch("web", &patch).await.unwrap();
    cluster.until("there are so many pods", async |cluster| pods(cluster).await.len() == replicas).await;
}

#[test]
fn replication_and_endpoints() {
    check(1, async |cluster| {
        web_runs(cluster).await;
        scaled(cluster, 1).await;
        delete::<Service>(cluster, "default", "web", DeleteParams::default()).await;
        let slices = cluster.api::<EndpointSlice>("default");
        let none = async |_: &TestCluster| slices.list(&Default::default()).await.unwrap().items.is_empty();
        cluster.until("its slices are gone", none).await;
    });
}

#[test]
fn nodes_containers_and_the_clock() {
    let runs = sweep_outages(|| TestCluster::builder(3).nodes(2), web_runs);
    assert!(runs > 6, "something is written at more than one point in time: {runs}");
}

#[test]
fn another_that_leads_meanwhile() {
    sweep(
        CONTROLLERS,
        || TestCluster::builder(3).elected(),
        async |cluster| {
            web_runs(cluster).await;
            scaled(cluster, 1).await;
        },
    );
    sweep("kube-scheduler", || TestCluster::builder(3).nodes(2).elected(), web_runs);
}

#[test]
fn the_scheduler() {
    sweep("kube-scheduler", || TestCluster::builder(3).nodes(2), web_runs);
}

#[test]
fn the_nodes_agent() {
    sweep(
        "kubelet",
        || TestCluster::builder(3),
        async |cluster| {
            web_runs(cluster).await;
            scaled(cluster, 1).await;
        },
    );
}

#[test]
fn garbage_collection() {
    for (propagation, stays) in
        [(Propagation::Background, false), (Propagation::Foreground, false), (Propagation::Orphan, true)]
    {
        check(0, async |cluster| {
            let maps = cluster.api::<ConfigMap>("default");
            let map = |name: &str, owner: Option<&str>| -> ConfigMap {
                let owner = owner.map(|uid| {
                    json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid, "blockOwnerDeletion": true}])
                });
                serde_json::from_value(json!({"metadata": {"name": name, "ownerReferences": owner}})).unwrap()
            };
            let owner = maps.create(&map("owner", None)).await.unwrap();
            for name in ["one", "other"] {
                maps.create(&map(name, owner.metadata.uid.as_deref())).await.unwrap();
            }
            cluster.advance(Duration::from_secs(1)).await;
            let params = DeleteParams::default().propagation(propagation);
            delete::<ConfigMap>(cluster, "default", "owner", params).await;
            gone::<ConfigMap>(cluster, "default", "owner").await;
            for name in ["one", "other"] {
                if stays {
                    let owners = maps.get(name).await.unwrap().metadata.owner_references;
                    assert!(owners.is_none_or(|owners| owners.is_empty()));
                } else {
                    gone::<ConfigMap>(cluster, "default", name).await;
                }
            }
        });
    }
}

#[test]
fn namespaces() {
    check(0, async |cluster| {
        cluster
            .apply(
                "{apiVersion: v1, kind: Namespace, metadata: {name: shop}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: prices, namespace: shop}}
---
{apiVersion: v1, kind: Service, metadata: {name: till, namespace: shop}, spec: {ports: [{port: 80}]}}",
            )
            .await;
        there::<ServiceAccount>(cluster, "shop", "default").await;
        there::<ConfigMap>(cluster, "shop", "kube-root-ca.crt").await;
        delete::<Namespace>(cluster, "", "shop", DeleteParams::default()).await;
        gone::<Namespace>(cluster, "", "shop").await;
    });
}

#[test]
fn service_accounts_and_the_root_certificate() {
    check(0, async |cluster| {
        there::<ServiceAccount>(cluster, "default", "default").await;
        there::<ConfigMap>(cluster, "default", "kube-root-ca.crt").await;
        delete::<ServiceAccount>(cluster, "default", "default", DeleteParams::default()).await;
        delete::<ConfigMap>(cluster, "default", "kube-root-ca.crt", DeleteParams::default()).await;
        there::<ServiceAccount>(cluster, "default", "default").await;
        there::<ConfigMap>(cluster, "default", "kube-root-ca.crt").await;
        let patch = Patch::Merge(json!({"data": {"ca.crt": "another"}}));
        cluster.api::<ConfigMap>("default").patch("kube-root-ca.crt", &patch).await.unwrap();
    });
}

#[test]
fn tokens() {
    check(0, async |cluster| {
        cluster
            .apply(
                "apiVersion: v1
kind: Secret
metadata: {name: bootstrap-token-abcdef, namespace: kube-system}
type: bootstrap.kubernetes.io/token
stringData: {token-id: abcdef, token-secret: 0123456789abcdef, expiration: 2026-01-01T00:01:00Z}",
            )
            .await;
        gone::<Secret>(cluster, "kube-system", "bootstrap-token-abcdef").await;
    });
}

#[test]
fn tokens_of_service_accounts() {
    check(0, async |cluster| {
        cluster
            .apply(
                "{apiVersion: v1, kind: ServiceAccount, metadata: {name: robot}}
---
apiVersion: v1
kind: Secret
metadata: {name: robot-token, annotations: {kubernetes.io/service-account.name: robot}}
type: kubernetes.io/service-account-token",
            )
            .await;
        let secrets = cluster.api::<Secret>("default");
        let holds = async || {
            let data = secrets.get("robot-token").await.unwrap().data.unwrap_or_default();
            ["token", "ca.crt", "namespace"].iter().all(|key| data.contains_key(*key))
        };
        cluster.until("it holds a token", async |_| holds().await).await;
        delete::<ServiceAccount>(cluster, "default", "robot", DeleteParams::default()).await;
        gone::<Secret>(cluster, "default", "robot-token").await;
    });
}

#[test]
fn disruption_budgets() {
    check(1, async |cluster| {
        cluster
            .apply(
                "apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {minAvailable: 2, selector: {matchLabels: {app: web}}}",
            )
            .await;
        web_runs(cluster).await;
        let budgets = cluster.api::<PodDisruptionBudget>("default");
        let healthy = async |_: &TestCluster| {
            budgets.get("web").await.unwrap().status.is_some_and(|status| status.disruptions_allowed == Some(1))
        };
        cluster.until("one pod may go", healthy).await;
    });
}

#[test]
fn quotas() {
    check(1, async |cluster| {
        cluster
            .apply("{apiVersion: v1, kind: ResourceQuota, metadata: {name: few}, spec: {hard: {pods: 5, secrets: 3}}}")
            .await;
        let quotas = cluster.api::<ResourceQuota>("default");
        let used = async |pods: &str| {
            let status = quotas.get("few").await.unwrap().status;
            status.and_then(|status| status.used?.get("pods").map(|used| used.0 == pods)).unwrap_or(false)
        };
        cluster.until("it is counted", async |_| used("0").await).await;
        web_runs(cluster).await;
        scaled(cluster, 2).await;
        cluster.until("it is counted again", async |_| used("2").await).await;
    });
}

#[test]
fn storage_in_use() {
    check(1, async |cluster| {
        cluster
            .apply(
                "apiVersion: v1
kind: PersistentVolume
metadata: {name: disk}
spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], hostPath: {path: /srv}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: user}
spec:
  nodeName: node-0
  containers: [{name: c, image: i}]
  volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]",
            )
            .await;
        let volumes = cluster.api::<PersistentVolume>("");
        let bound = |phase: &str| Patch::Merge(json!({"status": {"phase": phase}}));
        volumes.patch_status("disk", &bound("Bound")).await.unwrap();
        delete::<PersistentVolumeClaim>(cluster, "default", "data", DeleteParams::default()).await;
        delete::<PersistentVolume>(cluster, "", "disk", DeleteParams::default()).await;
        cluster.settle().await;
        there::<PersistentVolumeClaim>(cluster, "default", "data").await;
        there::<PersistentVolume>(cluster, "", "disk").await;
        delete::<Pod>(cluster, "default", "user", DeleteParams::default()).await;
        gone::<PersistentVolumeClaim>(cluster, "default", "data").await;
        volumes.patch_status("disk", &bound("Released")).await.unwrap();
        gone::<PersistentVolume>(cluster, "", "disk").await;
    });
}

#[test]
fn service_ranges() {
    check(0, async |cluster| {
        cluster
            .apply(
                "apiVersion: networking.k8s.io/v1
kind: ServiceCIDR
metadata: {name: more}
spec: {cidrs: [10.97.0.0/28]}
---
apiVersion: v1
kind: Service
metadata: {name: till}
spec: {clusterIP: 10.97.0.9, ports: [{port: 80}]}",
            )
            .await;
        let ranges = cluster.api::<ServiceCIDR>("");
        let ready = async |status: &str| {
            let conditions = ranges.get("more").await.unwrap().status.and_then(|status| status.conditions);
            conditions.into_iter().flatten().any(|condition| condition.status == status)
        };
        cluster.until("it is ready", async |_| ready("True").await).await;
        delete::<ServiceCIDR>(cluster, "", "more", DeleteParams::default()).await;
        cluster.until("it waits for its address", async |_| ready("False").await).await;
        delete::<Service>(cluster, "default", "till", DeleteParams::default()).await;
        gone::<ServiceCIDR>(cluster, "", "more").await;
    });
}

#[test]
fn aggregated_roles() {
    check(0, async |cluster| {
        cluster
            .apply(
                "apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: all}
aggregationRule: {clusterRoleSelectors: [{matchLabels: {part: of-all}}]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: some, labels: {part: of-all}}
rules: [{apiGroups: [''], resources: [pods], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: more, labels: {part: of-all}}
rules: [{apiGroups: [''], resources: [nodes], verbs: [get]}]",
            )
            .await;
        let roles = cluster.api::<ClusterRole>("");
        let rules = async || roles.get("all").await.unwrap().rules.map_or(0, |rules| rules.len());
        cluster.until("it has the rules of both", async |_| rules().await == 2).await;
        delete::<ClusterRole>(cluster, "", "some", DeleteParams::default()).await;
        cluster.until("it has those of the other", async |_| rules().await == 1).await;
    });
}

#[test]
fn flow_schemas_and_policies() {
    check(0, async |cluster| {
        cluster
            .apply(
                "apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: FlowSchema
metadata: {name: mine}
spec:
  priorityLevelConfiguration: {name: mine}
  matchingPrecedence: 500
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: small}
spec:
  matchConstraints: {resourceRules: [{apiGroups: [''], apiVersions: [v1], operations: [CREATE], resources: [pods]}]}
  validations: [{expression: 'object.spec.containers.size() < 9'}]",
            )
            .await;
        let schemas = cluster.api::<FlowSchema>("");
        let dangling = async |status: &str| {
            let conditions = schemas.get("mine").await.unwrap().status.and_then(|status| status.conditions);
            conditions.into_iter().flatten().any(|condition| condition.status.as_deref() == Some(status))
        };
        cluster.until("it hangs in the air", async |_| dangling("True").await).await;
        cluster
            .apply(
                "apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: PriorityLevelConfiguration
metadata: {name: mine}
spec: {type: Limited, limited: {limitResponse: {type: Reject}}}",
            )
            .await;
        cluster.until("it does not any more", async |_| dangling("False").await).await;
    });
}

/// One for all runs: it is another one each time that it is made.
static REQUEST: LazyLock<String> = LazyLock::new(|| {
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::OrganizationName, "system:nodes");
    params.distinguished_name.push(rcgen::DnType::CommonName, "system:node:node-0");
    let key = rcgen::KeyPair::generate().unwrap();
    STANDARD.encode(params.serialize_request(&key).unwrap().pem().unwrap())
});

#[test]
fn certificates() {
    check(0, async |cluster| {
        cluster
            .apply(
                "apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: nodes-ask}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: 'system:certificates.k8s.io:certificatesigningrequests:selfnodeclient'}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: 'system:nodes'}]",
            )
            .await;
        let node = cluster.client_of("system:node:node-0", &["system:nodes", "system:authenticated"]);
        let request = json!({"metadata": {"name": "mine"}, "spec": {
            "request": *REQUEST,
            "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
            "usages": ["digital signature", "client auth"],
        }});
        let requests = Api::<CertificateSigningRequest>::all(&node);
        requests.create(&serde_json::from_value(request).unwrap()).await.unwrap();
        let all = cluster.api::<CertificateSigningRequest>("");
        let signed = async || all.get("mine").await.unwrap().status.is_some_and(|status| status.certificate.is_some());
        cluster.until("it is signed", async |_| signed().await).await;
        // What is signed is cleaned away an hour later.
        cluster.advance(Duration::from_secs(3_700)).await;
        gone::<CertificateSigningRequest>(cluster, "", "mine").await;
    });
}

/// Pods that do not wait for a node that is gone.
const IMPATIENT: &str = "
apiVersion: v1
kind: ReplicationController
metadata: {name: web}
spec:
  replicas: 2
  selector: {app: web}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: web:1}]
      tolerations:
      - {key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 2}
      - {key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 2}
";

#[test]
fn dead_nodes() {
    // Where no node is left, none is taken for dead.
    let builder = || TestCluster::builder(3).nodes(2);
    sweep(CONTROLLERS, builder, async |cluster| {
        cluster.apply(IMPATIENT).await;
        cluster.until("two pods are ready", async |cluster| ready(cluster).await == Some(2)).await;
        let victim = pods(cluster).await[0].spec.clone().unwrap().node_name.unwrap();
        let is_on_it = |pod: &Pod| pod.spec.as_ref().unwrap().node_name.as_ref() == Some(&victim);
        cluster.node(&victim).set_down(true);
        // Silent for so long it counts as dead.
        cluster.advance(Duration::from_secs(60)).await;
        let elsewhere = async |cluster: &TestCluster| {
            ready(cluster).await == Some(2) && pods(cluster).await.iter().filter(|pod| !is_on_it(pod)).count() == 2
        };
        cluster.until("its pods run elsewhere", elsewhere).await;
        cluster.node(&victim).set_down(false);
        cluster.until("what was on it is gone", async |cluster| pods(cluster).await.len() == 2).await;
        let nodes = cluster.api::<Node>("");
        let taints = async || nodes.get(&victim).await.unwrap().spec.and_then(|spec| spec.taints);
        cluster.until("it is trusted again", async |_| taints().await.is_none_or(|taints| taints.is_empty())).await;
    });
}
