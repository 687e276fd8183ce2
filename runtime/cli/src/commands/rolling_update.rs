//! `trimtab rolling-update`: replaces the pods of a ReplicationController one by one.
//!
//! The work is done here, not by the server, and can be taken up again after a kill at any point:
//! all there is to know stands in the annotations of the two controllers.
//!
//! ```text
//! 1  old, new       told apart by a label that both select by
//! 2  old n, new 0   new one up, ready, old one down, until old 0, new n
//! 3  old remembers new's spec; new is deleted, its pods stay; old takes the spec, and the pods
//! ```
//!
//! Step 3 gives the new pods the old name. It is left out when the new controller has its own.

use std::hash::Hasher;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use trimtab_api::Object;
use trimtab_client::{Api, DeleteParams, ListParams, Patch, Propagation};

use crate::session::{Session, duration};
use crate::{files, watching};

/// The name of the other controller, on both.
const PARTNER: &str = "kubectl.kubernetes.io/update-partner";
/// How many pods the new controller is to have, on it.
const DESIRED: &str = "kubectl.kubernetes.io/desired-replicas";
/// How many pods the old controller had, on it.
const ORIGINAL: &str = "kubectl.kubernetes.io/original-replicas";
/// The spec that the old controller takes over, on it, once the new one has all pods.
const NEXT: &str = "trimtab.dev/next-spec";

/// Replace the pods of a replication controller one by one
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// The controller whose pods are replaced
    #[arg(value_name = "OLD")]
    old: String,
    /// The controller that replaces it; without this, the old name is kept
    #[arg(value_name = "NEW")]
    new: Option<String>,
    /// Image to use for upgrading the replication controller
    #[arg(long, conflicts_with = "filename")]
    image: Option<String>,
    /// Container name which will have its image upgraded; only needed with several containers
    #[arg(long, requires = "image")]
    container: Option<String>,
    /// File that contains the new replication controller
    #[arg(short, long)]
    filename: Option<PathBuf>,
    /// Time to wait between updating pods
    #[arg(long, default_value = "1m0s", value_parser = duration)]
    update_period: Duration,
    /// Max time to wait for a pod to become ready before giving up
    #[arg(long, default_value = "5m0s", value_parser = duration)]
    timeout: Duration,
    /// The key to use to differentiate between two different controllers
    #[arg(long, default_value = "deployment")]
    deployment_label_key: String,
    /// If true, abort an update in progress: the old pods come back, the new ones go
    #[arg(long, conflicts_with_all = ["image", "filename"])]
    rollback: bool,
}

/// Runs the command. What was done before an error stays: the same command goes on from there.
pub(crate) async fn run(args: Args, session: &mut Session) -> Result<u8> {
    let kind = session.kind("replicationcontrollers").await?;
    let api = session.api(&kind, false);
    let mut update = Update { args, api, session };
    if update.args.rollback {
        update.roll_back().await?
    } else {
        update.roll_forward().await?
    }
    Ok(0)
}

struct Update<'a> {
    args: Args,
    api: Api<Object>,
    session: &'a mut Session,
}

impl Update<'_> {
    async fn roll_forward(&mut self) -> Result<()> {
        let old = self.api.get(&self.args.old).await?;
        if annotation(&old, NEXT).is_some() {
            self.session.console.note(format!("Found existing update in progress ({}), resuming.", old.name()));
            return self.take_over(old).await;
        }
        let (new, desired) = self.new_controller(&old).await?;
        let renamed = self.args.new.is_none() && annotation(&new, PARTNER) == Some(old.name());
        self.tell_apart(&old).await?;
        self.roll(old.name(), new.name(), desired).await?;
        if !renamed {
            self.session.console.note(format!("Update succeeded. Deleting old controller: {}", old.name()));
            self.remove(&old, Propagation::Background).await?;
            self.annotate(new.name(), &[(PARTNER, None), (DESIRED, None)]).await?;
            return self.done(new.name(), "rolling updated");
        }
        self.session.console.note(format!("Update succeeded. Renaming {} to {}", new.name(), old.name()));
        let new = self.api.get(new.name()).await?;
        let next = serde_json::to_string(new.0.get("spec").unwrap_or(&Value::Null))?;
        let old = self.annotate(old.name(), &[(NEXT, Some(next)), (PARTNER, Some(new.name().to_owned()))]).await?;
        self.take_over(old).await
    }

    /// Step 3. The new controller may be gone already.
    async fn take_over(&mut self, old: Object) -> Result<()> {
        let partner = annotation(&old, PARTNER).context("the update's other controller is not known")?.to_owned();
        if let Some(new) = self.api.get_opt(&partner).await? {
            self.remove(&new, Propagation::Orphan).await?;
        }
        let next = annotation(&old, NEXT).context("the update's new spec is not known")?;
        let spec: Value = serde_json::from_str(next).context("could not read the update's new spec")?;
        // The pods are nobody's only until this one write: it brings selector, template and number.
        let cleared = json!({PARTNER: null, DESIRED: null, ORIGINAL: null, NEXT: null});
        let patch = json!([
            {"op": "replace", "path": "/spec", "value": spec},
        ]);
        self.api.patch(old.name(), &Patch::Json(patch)).await?;
        self.api.patch(old.name(), &Patch::Merge(json!({"metadata": {"annotations": cleared}}))).await?;
        self.done(old.name(), "rolling updated")
    }

    async fn roll_back(&mut self) -> Result<()> {
        let old = self.api.get(&self.args.old).await?;
        if annotation(&old, NEXT).is_some() {
            bail!("the update has succeeded already; update again with the old image to go back");
        }
        let partner = self.args.new.clone().or_else(|| annotation(&old, PARTNER).map(str::to_owned));
        let partner = partner.with_context(|| format!("no update of {} is in progress", old.name()))?;
        let original = annotation(&old, ORIGINAL).and_then(|text| text.parse().ok());
        let desired = original.unwrap_or_else(|| number(&old, &["spec", "replicas"]));
        if let Some(new) = self.api.get_opt(&partner).await? {
            self.roll(new.name(), old.name(), desired).await?;
            self.remove(&new, Propagation::Background).await?;
        }
        self.annotate(old.name(), &[(PARTNER, None), (ORIGINAL, None)]).await?;
        self.done(old.name(), "rolled back")
    }

    /// The controller that takes over, made if an earlier run has not, and how many pods it gets.
    async fn new_controller(&mut self, old: &Object) -> Result<(Object, i64)> {
        let wanted = self.wanted(old).await?;
        if let Some(found) = self.api.get_opt(wanted.name()).await? {
            let desired = annotation(&found, DESIRED).and_then(|text| text.parse().ok());
            let Some(desired) = desired.filter(|_| annotation(&found, PARTNER) == Some(old.name())) else {
                bail!("replicationcontroller {:?} exists and is no part of an update of {}", found.name(), old.name());
            };
            self.session.console.note(format!("Found existing update in progress ({}), resuming.", found.name()));
            return Ok((found, desired));
        }
        let desired = number(&wanted, &["spec", "replicas"]);
        let original = number(old, &["spec", "replicas"]).to_string();
        let partner = Some(wanted.name().to_owned());
        self.annotate(old.name(), &[(ORIGINAL, Some(original)), (PARTNER, partner)]).await?;
        let mut new = wanted;
        new.set(&["spec", "replicas"], 0);
        new.set(&["metadata", "annotations", DESIRED], desired.to_string());
        new.set(&["metadata", "annotations", PARTNER], old.name());
        self.session.console.note(format!("Created {}", new.name()));
        Ok((self.create(&new).await?, desired))
    }

    /// The new controller as it should be in the end.
    async fn wanted(&self, old: &Object) -> Result<Object> {
        let mut new = match (&self.args.filename, &self.args.image) {
            (Some(file), _) => self.read_file(file, old).await?,
            (None, Some(image)) => self.with_image(old, image)?,
            (None, None) => bail!("must specify the controller for update: --filename or --image"),
        };
        let own_name = self.args.new.as_deref().unwrap_or_else(|| new.name()).to_owned();
        let same_selector = new.at(&["spec", "selector"]) == old.at(&["spec", "selector"]);
        if own_name == old.name() || same_selector {
            let key = self.args.deployment_label_key.clone();
            let hash = hash(new.at(&["spec", "template"]));
            new.set(&["spec", "selector", &key], hash.as_str());
            new.set(&["spec", "template", "metadata", "labels", &key], hash.as_str());
            let name = if own_name == old.name() { format!("{own_name}-{hash}") } else { own_name };
            new.set(&["metadata", "name"], name);
        } else {
            new.set(&["metadata", "name"], own_name);
        }
        new.set(&["metadata", "namespace"], old.namespace());
        Ok(new)
    }

    async fn read_file(&self, file: &PathBuf, old: &Object) -> Result<Object> {
        let mut objects = Vec::new();
        for file in files::read(std::slice::from_ref(file), false).await? {
            objects.extend(file.objects?);
        }
        let [object] = objects.as_mut_slice() else { bail!("{} must hold one object", file.display()) };
        if object.kind() != "ReplicationController" {
            bail!("{} does not specify a valid ReplicationController", file.display());
        }
        if object.at(&["spec", "selector"]).is_none() {
            let labels = object.at(&["spec", "template", "metadata", "labels"]).cloned().unwrap_or_else(|| json!({}));
            object.set(&["spec", "selector"], labels);
        }
        if object.at(&["spec", "replicas"]).is_none() {
            object.set(&["spec", "replicas"], number(old, &["spec", "replicas"]));
        }
        Ok(object.clone())
    }

    fn with_image(&self, old: &Object, image: &str) -> Result<Object> {
        let mut spec = old.0.get("spec").cloned().unwrap_or_default();
        // An interrupted update has fewer pods than were asked for.
        if let Some(original) = annotation(old, ORIGINAL).and_then(|text| text.parse::<i64>().ok()) {
            spec["replicas"] = original.into();
        }
        let key = &self.args.deployment_label_key;
        for labels in ["/selector", "/template/metadata/labels"] {
            spec.pointer_mut(labels).and_then(Value::as_object_mut).map(|labels| labels.remove(key));
        }
        let containers = spec.pointer_mut("/template/spec/containers").and_then(Value::as_array_mut);
        let containers = containers.map_or(&mut [][..], Vec::as_mut_slice);
        let container = match (&self.args.container, containers) {
            (None, [one]) => one,
            (None, _) => bail!("Image update is only supported with a single container, or with --container"),
            (Some(name), all) => {
                let found = all.iter_mut().find(|container| container["name"] == **name);
                found.with_context(|| format!("there is no container called {name:?}"))?
            }
        };
        container["image"] = image.into();
        let metadata = json!({"name": old.name(), "labels": old.at(&["metadata", "labels"])});
        let new = json!({"apiVersion": "v1", "kind": "ReplicationController", "metadata": metadata, "spec": spec});
        Ok(trimtab_api::from_value(&new)?)
    }

    /// Step 1: the old controller and its pods get a label of their own, so that it does not select
    /// the new pods. First the template, then the pods, then the selector: no pod is ever let go.
    async fn tell_apart(&self, old: &Object) -> Result<()> {
        let key = self.args.deployment_label_key.as_str();
        if old.at(&["spec", "selector", key]).is_some() {
            return Ok(());
        }
        let labelled = old.at(&["spec", "template", "metadata", "labels", key]).and_then(Value::as_str);
        let value = labelled.map_or_else(|| hash(old.at(&["spec", "template"])), str::to_owned);
        let labels = json!({key: value});
        let template = json!({"spec": {"template": {"metadata": {"labels": labels}}}});
        self.api.patch(old.name(), &Patch::Merge(template)).await?;
        self.label_pods(old, &labels).await?;
        self.api.patch(old.name(), &Patch::Merge(json!({"spec": {"selector": labels}}))).await?;
        // Pods that were made while the others were labelled.
        self.label_pods(old, &labels).await
    }

    async fn label_pods(&self, old: &Object, labels: &Value) -> Result<()> {
        let pods = Api::<k8s_openapi::api::core::v1::Pod>::namespaced(&self.session.client, old.namespace());
        let selector = old.at(&["spec", "selector"]).and_then(Value::as_object).into_iter().flatten();
        let selector = selector.filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)));
        let list = pods.list(&ListParams::default().labels(selector.collect::<Vec<_>>().join(","))).await?;
        let (key, value) = labels.as_object().and_then(|map| map.iter().next()).expect("made with one label");
        for pod in list.items {
            let owner = pod.metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
            let elsewhere = owner.is_some_and(|owner| owner.uid != old.uid());
            let has = pod.metadata.labels.as_ref().and_then(|labels| labels.get(key));
            if !elsewhere && has.map(String::as_str) != value.as_str() {
                let patch = Patch::Merge(json!({"metadata": {"labels": labels}}));
                match pods.patch(pod.metadata.name.as_deref().unwrap_or_default(), &patch).await {
                    Err(error) if !error.is_not_found() => return Err(error.into()),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Step 2. At no time are fewer than `desired` pods ready of those that were.
    async fn roll(&mut self, from: &str, to: &str, desired: i64) -> Result<()> {
        loop {
            let old = number(&self.api.get(from).await?, &["spec", "replicas"]);
            let new = number(&self.api.get(to).await?, &["spec", "replicas"]);
            let target = (new + 1).min(desired);
            if target > new {
                self.scale(to, "up", target).await?;
            }
            self.wait(to, &["status", "readyReplicas"], |ready| ready >= target).await?;
            let left = old.min(desired - target).max(0);
            if left < old {
                self.scale(from, "down", left).await?;
                self.wait(from, &["status", "replicas"], |replicas| replicas <= left).await?;
            }
            if target >= desired && left == 0 {
                return Ok(());
            }
            self.session.env.sleep(self.args.update_period).await;
        }
    }

    async fn scale(&mut self, name: &str, direction: &str, replicas: i64) -> Result<()> {
        self.session.console.note(format!("Scaling {name} {direction} to {replicas}"));
        self.api.patch(name, &Patch::Merge(json!({"spec": {"replicas": replicas}}))).await?;
        Ok(())
    }

    async fn wait(&self, name: &str, field: &[&str], holds: impl Fn(i64) -> bool) -> Result<()> {
        let reached = watching::until(&self.session.env, &self.api, name, self.args.timeout, |object| {
            let object = object.with_context(|| format!("replicationcontroller {name:?} is gone"))?;
            // A status that does not know the spec yet says nothing.
            let seen = number(object, &["status", "observedGeneration"]) >= number(object, &["metadata", "generation"]);
            Ok(seen && holds(number(object, field)))
        });
        if !reached.await? {
            bail!("timed out waiting for {name} to make progress; run the same command again to go on");
        }
        Ok(())
    }

    async fn remove(&self, controller: &Object, propagation: Propagation) -> Result<()> {
        let params = DeleteParams::default().uid(controller.uid()).propagation(propagation);
        match self.api.delete(controller.name(), &params).await {
            Err(error) if !error.is_not_found() => return Err(error.into()),
            _ => {}
        }
        let gone = |object: Option<&Object>| Ok(object.is_none_or(|object| object.uid() != controller.uid()));
        if !watching::until(&self.session.env, &self.api, controller.name(), self.args.timeout, gone).await? {
            bail!("timed out waiting for replicationcontroller {:?} to be deleted", controller.name());
        }
        Ok(())
    }

    async fn create(&self, object: &Object) -> Result<Object> {
        let body = serde_json::to_vec(object)?;
        let path = self.api.path("", "", "");
        let body = Some(("application/json", bytes::Bytes::from(body)));
        Ok(self.session.client.json(trimtab_client::request(http::Method::POST, &path, body)?).await?)
    }

    async fn annotate(&self, name: &str, changes: &[(&str, Option<String>)]) -> Result<Object> {
        let annotations: serde_json::Map<_, _> =
            changes.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        Ok(self.api.patch(name, &Patch::Merge(json!({"metadata": {"annotations": annotations}}))).await?)
    }

    fn done(&mut self, name: &str, what: &str) -> Result<()> {
        Ok(self.session.console.line(format!("replicationcontroller/{name} {what}"))?)
    }
}

fn annotation<'a>(object: &'a Object, key: &str) -> Option<&'a str> {
    object.annotations().find(|(k, _)| *k == key).map(|(_, value)| value)
}

fn number(object: &Object, path: &[&str]) -> i64 {
    object.at(path).and_then(Value::as_i64).unwrap_or(0)
}

/// What tells one template from another, the same at every run: FNV-1a over its JSON, whose maps
/// are in order.
fn hash(template: Option<&Value>) -> String {
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    hasher.write(template.unwrap_or(&Value::Null).to_string().as_bytes());
    format!("{:016x}", hasher.finish())
}

struct Fnv(u64);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
