//! The unmodified `kubectl` on PATH, against a server in this process.

use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::authority::Authority;
use crate::harness::Server;
use crate::tls::Served;

const DEFINITION: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: sites.demo.io}
spec:
  group: demo.io
  scope: Namespaced
  names: {plural: sites, kind: Site, shortNames: [st], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}, scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}}
    additionalPrinterColumns:
    - {name: Image, type: string, jsonPath: .spec.image}
    schema:
      openAPIV3Schema:
        description: A site is what people look at.
        type: object
        properties:
          spec:
            type: object
            required: [image]
            properties:
              image: {type: string, description: What to run.}
              replicas: {type: integer, default: 1, maximum: 10}
          status: {type: object, properties: {replicas: {type: integer}}}
"#;
const SITE: &str = "apiVersion: demo.io/v1\nkind: Site\nmetadata: {name: a}\nspec: {image: x}\n";

struct Kubectl {
    served: Served,
    dir: tempfile::TempDir,
}

impl Kubectl {
    /// `None` when there is no kubectl.
    #[expect(clippy::print_stdout, reason = "says what is left out")]
    async fn new() -> Option<Self> {
        let mut found = Command::new("kubectl");
        found.args(["version", "--client"]).stdout(Stdio::null()).stderr(Stdio::null());
        if !found.status().await.is_ok_and(|status| status.success()) {
            println!("left out: no kubectl on PATH");
            return None;
        }
        let served = Served::of(Server::with_tokens().await, Authority::new()).await;
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config"), served.kubeconfig().to_string()).unwrap();
        Some(Self { served, dir })
    }

    /// What it prints; `Err` with what it complains of.
    async fn ask(&self, args: &[&str], input: &str) -> Result<String, String> {
        let mut command = Command::new("kubectl");
        // Discovery is cached in the home folder: each test has its own.
        command.args(args).env("KUBECONFIG", self.dir.path().join("config")).env("HOME", self.dir.path());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
        let output = child.wait_with_output().await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    async fn run(&self, args: &[&str], input: &str) -> String {
        self.ask(args, input).await.unwrap_or_else(|error| panic!("kubectl {args:?}: {error}"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_custom_kind_is_like_any_other() {
    let Some(kubectl) = Kubectl::new().await else { return };
    let apply = ["apply", "-f", "-"];
    assert!(
        kubectl
            .run(&apply, DEFINITION)
            .await
            .contains("customresourcedefinition.apiextensions.k8s.io/sites.demo.io created")
    );
    kubectl.run(&["wait", "--for=condition=Established", "crd/sites.demo.io", "--timeout=5s"], "").await;
    assert_eq!(kubectl.run(&apply, SITE).await, "site.demo.io/a created\n");
    assert_eq!(kubectl.run(&apply, SITE).await, "site.demo.io/a unchanged\n");
    assert!(kubectl.run(&apply, DEFINITION).await.ends_with(" unchanged\n"));
    let table = kubectl.run(&["get", "st"], "").await;
    assert_eq!(table.split_whitespace().collect::<Vec<_>>(), ["NAME", "IMAGE", "a", "x"]);
    assert!(kubectl.run(&["get", "all"], "").await.contains("site.demo.io/a"));
    assert!(kubectl.run(&["get", "crd"], "").await.contains("sites.demo.io"));
    let table = kubectl.run(&["get", "apiservice", "v1.apps"], "").await;
    let words: Vec<_> = table.split_whitespace().collect();
    assert_eq!(words[..7], ["NAME", "SERVICE", "AVAILABLE", "AGE", "v1.apps", "Local", "True"]);
    kubectl.run(&["wait", "--for=condition=Available", "apiservice", "--all", "--timeout=5s"], "").await;
    let explained = kubectl.run(&["explain", "site.spec.image"], "").await;
    assert!(explained.contains("What to run.") && explained.contains("KIND:       Site"), "{explained}");
    assert!(kubectl.run(&["explain", "site"], "").await.contains("A site is what people look at."));
    let twice = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
    assert_eq!(kubectl.run(&twice, SITE).await, "site.demo.io/a serverside-applied\n");
    kubectl.run(&["scale", "st", "a", "--replicas=3"], "").await;
    assert_eq!(kubectl.run(&["get", "site", "a", "-o", "jsonpath={.spec.replicas}"], "").await, "3");
    let error =
        kubectl.ask(&["patch", "st", "a", "--type=merge", "-p", r#"{"spec":{"replicas":11}}"#], "").await.unwrap_err();
    assert!(error.contains("spec.replicas in body should be less than or equal to 10"), "{error}");
    let misspelt = SITE.replace("image", "imag");
    let error = kubectl.ask(&apply, &misspelt).await.unwrap_err();
    assert!(error.contains("unknown field \"spec.imag\""), "{error}");
    kubectl.run(&["delete", "crd", "sites.demo.io", "--timeout=10s"], "").await;
    let error = kubectl.ask(&["get", "sites"], "").await.unwrap_err();
    assert!(error.contains("the server doesn't have a resource type") || error.contains("could not find"), "{error}");
    kubectl.served.end().await;
}

/// Typed commands send protobuf, and what they print is made from protobuf.
#[tokio::test(flavor = "multi_thread")]
async fn every_generator_makes_its_object() {
    let Some(kubectl) = Kubectl::new().await else { return };
    let made = async |args: &str, expected: &str| {
        let args: Vec<&str> = args.split(' ').collect();
        assert_eq!(kubectl.run(&args, "").await, format!("{expected} created\n"), "{args:?}");
    };
    made("create namespace team", "namespace/team").await;
    made("create secret generic pass --from-literal=k=v", "secret/pass").await;
    made(
        "create secret docker-registry reg --docker-server=r.io --docker-username=u --docker-password=p",
        "secret/reg",
    )
    .await;
    made("create configmap settings --from-literal=k=v", "configmap/settings").await;
    made("create serviceaccount robot", "serviceaccount/robot").await;
    made("create deployment web --image=i --replicas=2 --port=80", "deployment.apps/web").await;
    made("create quota few --hard=pods=3,cpu=1500m", "resourcequota/few").await;
    made("create role reader --verb=get,list --resource=pods", "role.rbac.authorization.k8s.io/reader").await;
    made("create clusterrole peek --verb=get --resource=nodes", "clusterrole.rbac.authorization.k8s.io/peek").await;
    made(
        "create rolebinding readers --role=reader --serviceaccount=default:robot",
        "rolebinding.rbac.authorization.k8s.io/readers",
    )
    .await;
    made(
        "create clusterrolebinding peeks --clusterrole=peek --user=jane",
        "clusterrolebinding.rbac.authorization.k8s.io/peeks",
    )
    .await;
    made("create service clusterip inner --tcp=80:8080", "service/inner").await;
    made("create service nodeport outer --tcp=80", "service/outer").await;
    made("create service externalname away --external-name=example.org", "service/away").await;
    made("create job once --image=i", "job.batch/once").await;
    made("create cronjob often --image=i --schedule=@hourly", "cronjob.batch/often").await;
    made("create job now --from=cronjob/often", "job.batch/now").await;
    made("create ingress door --rule=example.org/a*=inner:80,tls", "ingress.networking.k8s.io/door").await;
    made("create poddisruptionbudget some --selector=app=web --min-available=50%", "poddisruptionbudget.policy/some")
        .await;
    made("create priorityclass high --value=1000 --description=d", "priorityclass.scheduling.k8s.io/high").await;
    // In a whole cluster a controller makes it.
    made("create serviceaccount default", "serviceaccount/default").await;
    made("run one --image=i --env=A=b", "pod/one").await;
    for (object, path, expected) in [
        ("deployment/web", "{.spec.replicas} {.spec.template.spec.containers[0].image}", "2 i"),
        ("quota/few", "{.spec.hard.cpu} {.spec.hard.pods}", "1500m 3"),
        ("secret/pass", "{.type} {.data.k}", "Opaque dg=="),
        ("service/outer", "{.spec.type} {.spec.ports[0].targetPort}", "NodePort 80"),
        ("ingress/door", "{.spec.tls[0].hosts[0]} {.spec.rules[0].http.paths[0].pathType}", "example.org Prefix"),
        ("pdb/some", "{.spec.minAvailable}", "50%"),
        ("priorityclass/high", "{.value}", "1000"),
        ("cronjob/often", "{.spec.schedule} {.spec.jobTemplate.spec.template.spec.restartPolicy}", "@hourly OnFailure"),
        ("pod/one", "{.spec.containers[0].env[0].value} {.metadata.labels.run}", "b one"),
    ] {
        let found = kubectl.run(&["get", object, "-o", &format!("jsonpath={path}")], "").await;
        assert_eq!(found, expected, "{object}");
    }
    // A JSON web token has three parts.
    assert_eq!(kubectl.run(&["create", "token", "robot", "--duration=1h"], "").await.split('.').count(), 3);
    assert_eq!(kubectl.run(&["auth", "can-i", "create", "pods"], "").await, "yes\n");
    assert!(kubectl.run(&["auth", "can-i", "--list"], "").await.contains("[*]"));
    let who = kubectl.run(&["auth", "whoami"], "").await;
    assert!(who.lines().any(|line| line.split_whitespace().eq(["Username", "admin"])), "{who}");
    let error = kubectl.ask(&["create", "namespace", "team"], "").await.unwrap_err();
    assert_eq!(error, "Error from server (AlreadyExists): namespaces \"team\" already exists\n");
    let error = kubectl.ask(&["create", "configmap", "Not_A_Name"], "").await.unwrap_err();
    assert!(error.contains("ConfigMap \"Not_A_Name\" is invalid: metadata.name: Invalid value"), "{error}");
    kubectl.run(&["autoscale", "deployment", "web", "--max=3"], "").await;
    assert_eq!(kubectl.run(&["get", "hpa", "web", "-o", "jsonpath={.spec.maxReplicas}"], "").await, "3");
    kubectl.run(&["expose", "deployment", "web", "--name=exposed"], "").await;
    kubectl.run(&["set", "image", "deployment/web", "i=other"], "").await;
    kubectl.run(&["scale", "deployment/web", "--replicas=1"], "").await;
    assert!(kubectl.run(&["describe", "deployment/web"], "").await.contains("1 desired"));
    kubectl.served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_requests_and_acting_as_others() {
    let Some(kubectl) = Kubectl::new().await else { return };
    kubectl.run(&["create", "serviceaccount", "robot"], "").await;
    let token = kubectl.run(&["create", "token", "robot", "--duration=10m", "--audience=vault"], "").await;
    assert_eq!(token.trim().split('.').count(), 3, "{token}");
    let who = ["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}", "--as"];
    assert_eq!(kubectl.run(&[&who[..], &["jane", "--as-group=dev"]].concat(), "").await, "jane");
    let refused = kubectl.ask(&["get", "pods", "--as=jane"], "").await.unwrap_err();
    assert!(refused.contains(r#"User "jane" cannot list resource "pods""#), "{refused}");

    for name in ["good", "bad"] {
        let mut request = crate::certificates::request(name, "dev");
        request["apiVersion"] = "certificates.k8s.io/v1".into();
        request["kind"] = "CertificateSigningRequest".into();
        kubectl.run(&["create", "-f", "-"], &request.to_string()).await;
    }
    kubectl.run(&["certificate", "approve", "good"], "").await;
    kubectl.run(&["certificate", "deny", "bad"], "").await;
    let table = kubectl.run(&["get", "csr", "--no-headers"], "").await;
    let ends: Vec<_> = table.lines().map(|line| line.split_whitespace().last().unwrap_or_default()).collect();
    assert_eq!(ends, ["Denied", "Approved"], "{table}");
    kubectl.served.end().await;
}
