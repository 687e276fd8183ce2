//! `kubectl create`, of everything that it can make, and `kubectl run`.
//!
//! Typed commands send protobuf, and what they print is made from protobuf.

use super::Kubectl;

/// What is made, in this order, and by which command: some refer to those before.
const MADE: &[(&str, &str)] = &[
    ("namespace/team", "create namespace team"),
    ("secret/pass", "create secret generic pass --from-literal=k=v"),
    ("secret/reg", "create secret docker-registry reg --docker-server=r.io --docker-username=u --docker-password=p"),
    ("secret/pair", "create secret tls pair --cert=cert.pem --key=key.pem"),
    ("configmap/settings", "create configmap settings --from-literal=k=v --from-file=cert.pem"),
    ("serviceaccount/robot", "create serviceaccount robot"),
    ("deployment.apps/web", "create deployment web --image=i --replicas=2 --port=80"),
    ("resourcequota/few", "create quota few --hard=pods=3,cpu=1500m -n team"),
    (
        "role.rbac.authorization.k8s.io/reader",
        "create role reader --verb=get,list --resource=pods,deployments.apps/scale",
    ),
    ("clusterrole.rbac.authorization.k8s.io/peek", "create clusterrole peek --verb=get --non-resource-url=/logs/*"),
    ("clusterrole.rbac.authorization.k8s.io/sum", "create clusterrole sum --aggregation-rule=of=sum"),
    (
        "rolebinding.rbac.authorization.k8s.io/readers",
        "create rolebinding readers --role=reader --serviceaccount=default:robot",
    ),
    (
        "clusterrolebinding.rbac.authorization.k8s.io/peeks",
        "create clusterrolebinding peeks --clusterrole=peek --group=dev",
    ),
    ("service/inner", "create service clusterip inner --tcp=80:8080"),
    ("service/headless", "create service clusterip headless --clusterip=None"),
    ("service/outer", "create service nodeport outer --tcp=80"),
    ("service/balanced", "create service loadbalancer balanced --tcp=443:https"),
    ("service/away", "create service externalname away --external-name=example.org"),
    ("job.batch/once", "create job once --image=i"),
    ("cronjob.batch/often", "create cronjob often --image=i --schedule=@hourly"),
    ("job.batch/now", "create job now --from=cronjob/often"),
    ("ingress.networking.k8s.io/door", "create ingress door --class=c --rule=example.org/a*=inner:80,tls"),
    ("poddisruptionbudget.policy/some", "create poddisruptionbudget some --selector=app=web --min-available=50%"),
    ("priorityclass.scheduling.k8s.io/high", "create priorityclass high --value=1000 --description=d"),
    ("pod/one", "run one --image=i --env=A=b --port=80 --annotations=why=so"),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_generator_makes_its_object() {
    let Some(kubectl) = Kubectl::new().await else { return };
    let pair = rcgen::generate_simple_self_signed(["example.org".to_owned()]).unwrap();
    kubectl.write("cert.pem", &pair.cert.pem());
    kubectl.write("key.pem", &pair.signing_key.serialize_pem());
    let help = kubectl.run("create --help").await;
    let listed =
        help.lines().skip_while(|line| *line != "Available Commands:").skip(1).take_while(|line| !line.is_empty());
    for generator in listed.filter_map(|line| line.split_whitespace().next()) {
        let known = MADE.iter().any(|(_, command)| command.starts_with(&format!("create {generator} ")));
        assert!(known || generator == "token", "{generator} is tested nowhere");
    }
    for (object, command) in MADE {
        kubectl.prints(&format!("{command} --dry-run=server"), &format!("{object} created (server dry run)\n")).await;
        kubectl.prints(command, &format!("{object} created\n")).await;
    }
    for (object, path, expected) in [
        ("deployment/web", "{.spec.replicas}/{.spec.template.spec.containers[0].image}", "2/i"),
        ("quota/few -n team", "{.spec.hard.cpu}/{.spec.hard.pods}", "1500m/3"),
        ("secret/pass", "{.type}/{.data.k}", "Opaque/dg=="),
        ("secret/pair", "{.type}", "kubernetes.io/tls"),
        ("secret/reg", "{.type}", "kubernetes.io/dockerconfigjson"),
        ("service/outer", "{.spec.type}/{.spec.ports[0].targetPort}", "NodePort/80"),
        ("service/balanced", "{.spec.type}/{.spec.ports[0].targetPort}", "LoadBalancer/https"),
        ("service/headless", "{.spec.clusterIP}", "None"),
        ("service/away", "{.spec.externalName}", "example.org"),
        ("role/reader", "{.rules[*].resources}", r#"["pods"]/["deployments/scale"]"#),
        ("clusterrole/peek", "{.rules[*].nonResourceURLs}", r#"["/logs/*"]"#),
        ("clusterrole/sum", "{.aggregationRule.clusterRoleSelectors[0].matchLabels.of}", "sum"),
        ("rolebinding/readers", "{.roleRef.kind}/{.subjects[0].name}", "Role/robot"),
        ("clusterrolebinding/peeks", "{.subjects[0].kind}/{.subjects[0].name}", "Group/dev"),
        ("ingress/door", "{.spec.tls[0].hosts[0]}/{.spec.rules[0].http.paths[0].pathType}", "example.org/Prefix"),
        ("pdb/some", "{.spec.minAvailable}", "50%"),
        ("priorityclass/high", "{.value}", "1000"),
        ("job/once", "{.spec.template.spec.restartPolicy}/{.spec.completionMode}", "Never/NonIndexed"),
        ("job/now", "{.metadata.ownerReferences[0].kind}/{.spec.template.spec.containers[0].image}", "CronJob/i"),
        ("cronjob/often", "{.spec.schedule}/{.spec.jobTemplate.spec.template.spec.restartPolicy}", "@hourly/OnFailure"),
        (
            "pod/one",
            "{.spec.containers[0].env[0].value}/{.metadata.labels.run}/{.metadata.annotations.why}",
            "b/one/so",
        ),
    ] {
        let found = kubectl.run(&format!("get {object} -o jsonpath={path}")).await;
        assert_eq!(found.replace("] [", "]/["), expected, "{object}");
    }
    // A JSON web token has three parts.
    assert_eq!(kubectl.run("create token robot --duration=1h").await.split('.').count(), 3);
    let error = kubectl.refuses("create namespace team", "").await;
    assert_eq!(error, "Error from server (AlreadyExists): namespaces \"team\" already exists\n");
    let error = kubectl.refuses("create configmap Not_A_Name", "").await;
    assert!(error.contains("ConfigMap \"Not_A_Name\" is invalid: metadata.name: Invalid value"), "{error}");
    kubectl.run("autoscale deployment web --max=3").await;
    kubectl.prints("get hpa web -o jsonpath={.spec.maxReplicas}", "3").await;
    kubectl.run("expose deployment web --name=exposed").await;
    kubectl.run("set image deployment/web i=other").await;
    kubectl.run("scale deployment/web --replicas=1").await;
    kubectl.tells("describe deployment/web", &["1 desired", "Image:         other"]).await;
    kubectl.end().await;
}
