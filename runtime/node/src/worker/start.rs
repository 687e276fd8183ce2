//! Starting containers. What can be done at the same time is.
//!
//! ```text
//!  create sandbox ─┬─▶ start sandbox ──────┬─▶ hosts ─▶ start containers ─▶ postStart
//!  images, sources,┤                       │
//!  volumes ────────┴─▶ create containers ──┘
//! ```

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use futures::future::join_all;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Container as Wanted, Secret, Service};
use trimtab_client::{Api, ListParams};

use super::Worker;
use crate::pod::actions::{Start, current_sandbox};
use crate::pod::env::Sources;
use crate::pod::{self, spec};
use crate::runtime::{Container, Error, Image, Sandbox};
use crate::volume::Volumes;

/// Why a container could not be started: reason and message.
type Problem = (String, String);

/// What containers are made with.
struct Prepared {
    images: HashMap<String, Result<Image, Problem>>,
    sources: Sources,
    volumes: Result<Volumes, String>,
}

impl Worker {
    /// Starts containers, after their sandbox if it is to be made. What fails is noted, and tried again later.
    pub(super) async fn start_all(&mut self, create_sandbox: Option<u32>, starts: Vec<Start>, now: Timestamp) {
        for start in &starts {
            if let Some(failed) = start.failed {
                self.backoff.next(&start.name, failed, now);
            }
        }
        let (sandbox, prepared) = tokio::join!(self.sandbox(create_sandbox), self.prepare(&starts));
        let (sandbox, mut prepared) = match (sandbox, prepared) {
            (Ok(sandbox), Ok(prepared)) => (sandbox, prepared),
            (Err(error), _) => return self.sandbox_failed(&starts, &error, now),
            (_, Err(why)) => return self.all_failed(&starts, "CreateContainerConfigError", &why, now),
        };
        self.pull_missing(&starts, &mut prepared).await;
        if let Err(why) = &prepared.volumes {
            self.node.event(&self.pod, None, true, "FailedMount", why.clone());
            let why = why.clone();
            self.all_failed(&starts, "ContainerCreating", &why, now);
            self.dirty |= create_sandbox.is_some();
            return;
        }
        let started = self.run_all(&sandbox, create_sandbox.is_some(), &starts, &prepared).await;
        match started {
            Err(error) => self.sandbox_failed(&starts, &error, now),
            Ok((sandbox, results)) => {
                self.observed.sandboxes.extend(sandbox);
                for (start, result) in starts.iter().zip(results) {
                    self.note_start(&start.name, result, now);
                }
            }
        }
    }

    /// Starts the sandbox while containers are made in it, then starts them.
    async fn run_all(
        &self,
        sandbox_id: &str,
        is_new: bool,
        starts: &[Start],
        prepared: &Prepared,
    ) -> Result<(Option<Sandbox>, Vec<Result<Container, Problem>>), Error> {
        let starting =
            async { if is_new { self.runtime().start_sandbox(sandbox_id).await.map(Some) } else { Ok(None) } };
        // Only a container that asks for the pod's address has to wait for it.
        let early = join_all(starts.iter().map(|start| async move {
            let wanted = self.wanted(&start.name)?;
            let waits = is_new && asks_for_ip(wanted);
            if waits { None } else { Some(self.create_one(sandbox_id, start, self.ip(), prepared).await) }
        }));
        let (sandbox, created) = tokio::join!(starting, early);
        let sandbox = sandbox?;
        let ip = match &sandbox {
            Some(_) if spec::is_host_network(&self.pod) => Some(self.node.config.address),
            Some(sandbox) => sandbox.ip,
            None => self.ip(),
        };
        if is_new && !self.runtime().is_simulated() {
            self.write_hosts(ip);
        }
        let results = starts.iter().zip(created).map(|(start, created)| async move {
            let created = match created {
                Some(created) => created,
                None => self.create_one(sandbox_id, start, ip, prepared).await,
            };
            self.start_one(start, created?).await
        });
        Ok((sandbox, join_all(results).await))
    }

    async fn sandbox(&self, attempt: Option<u32>) -> Result<String, Error> {
        match attempt {
            Some(attempt) => self.runtime().create_sandbox(&spec::sandbox(&self.pod, attempt)).await,
            None => {
                let current = current_sandbox(&self.observed).map(|sandbox| sandbox.id.clone());
                current.ok_or_else(|| Error::NotFound("the pod's sandbox".to_owned()))
            }
        }
    }

    fn write_hosts(&self, ip: Option<IpAddr>) {
        if let Err(error) = self.node.shared.files.write_hosts(&self.pod, ip) {
            tracing::warn!(pod = %self.uid(), %error, "could not write the hosts file");
        }
    }

    /// Looks for images, fetches what the pod refers to, and makes its files.
    async fn prepare(&self, starts: &[Start]) -> Result<Prepared, String> {
        if self.runtime().is_simulated() {
            let images = self.present_images(starts).await;
            return Ok(Prepared { images, sources: self.no_sources(), volumes: Ok(Volumes::new()) });
        }
        let (images, sources) = tokio::join!(self.present_images(starts), self.sources());
        let sources = sources?;
        let (files, shared) = (&self.node.shared.files, &self.node.shared);
        let volumes = files.volumes(&self.pod, &sources);
        let text = |error: std::io::Error| format!("could not write the pod's files: {error}");
        // There before the containers are made, for it is mounted into them; filled in once the address is known.
        files.write_hosts(&self.pod, self.ip()).map_err(text)?;
        files.write_resolv_conf(&self.pod, shared.dns, &shared.domain).map_err(text)?;
        Ok(Prepared { images, sources, volumes })
    }

    /// The images that are there and need not be asked for again.
    async fn present_images(&self, starts: &[Start]) -> HashMap<String, Result<Image, Problem>> {
        let names: BTreeSet<&str> = starts.iter().filter_map(|s| self.wanted(&s.name)?.image.as_deref()).collect();
        let lookups = names.into_iter().map(|name| async move { (name.to_owned(), self.node.image(name).await) });
        let mut images = HashMap::new();
        for (name, found) in join_all(lookups).await {
            match found {
                Ok(Some(image)) => drop(images.insert(name, Ok(image))),
                Ok(None) => {}
                Err(error) => drop(images.insert(name, Err(("ImageInspectError".to_owned(), error.to_string())))),
            }
        }
        images
    }

    /// Pulls images by their containers' policies. That takes long, so the status is written first.
    async fn pull_missing(&mut self, starts: &[Start], prepared: &mut Prepared) {
        let mut wanted: BTreeMap<String, String> = BTreeMap::new();
        for start in starts {
            let Some(container) = self.wanted(&start.name) else { continue };
            let image = container.image.clone().unwrap_or_default();
            let policy = container.image_pull_policy.as_deref().unwrap_or("IfNotPresent");
            let present = prepared.images.contains_key(&image);
            match (policy, present) {
                ("Always", _) | ("IfNotPresent", false) => drop(wanted.insert(image, container.name.clone())),
                ("Never", false) => {
                    let message = format!("Container image \"{image}\" is not present with pull policy of Never");
                    self.node.event(&self.pod, Some(&container.name), true, "ErrImageNeverPull", message.clone());
                    prepared.images.insert(image, Err(("ErrImageNeverPull".to_owned(), message)));
                }
                _ => {
                    let message = format!("Container image \"{image}\" already present on machine");
                    self.node.event(&self.pod, Some(&container.name), false, "Pulled", message);
                }
            }
        }
        if wanted.is_empty() {
            return;
        }
        self.write_status(&[]).await;
        let pulls =
            wanted.iter().map(|(image, container)| async { (image.clone(), self.pull(image, container).await) });
        let pulled = join_all(pulls).await;
        prepared.images.extend(pulled);
    }

    async fn pull(&self, image: &str, container: &str) -> Result<Image, Problem> {
        self.node.event(&self.pod, Some(container), false, "Pulling", format!("Pulling image \"{image}\""));
        self.node.forget_image(image);
        match self.runtime().pull(image).await {
            Ok(pulled) => {
                let message = format!("Successfully pulled image \"{image}\". Image size: {} bytes.", pulled.size);
                self.node.event(&self.pod, Some(container), false, "Pulled", message);
                Ok(pulled)
            }
            Err(error) => {
                let message = format!("failed to pull image \"{image}\": {error}");
                self.node.event(
                    &self.pod,
                    Some(container),
                    true,
                    "Failed",
                    format!("Failed to pull image \"{image}\": {error}"),
                );
                Err(("ErrImagePull".to_owned(), message))
            }
        }
    }

    async fn create_one(
        &self,
        sandbox: &str,
        start: &Start,
        ip: Option<IpAddr>,
        prepared: &Prepared,
    ) -> Result<String, Problem> {
        let config_error = |why: String| ("CreateContainerConfigError".to_owned(), why);
        let wanted = self.wanted(&start.name).ok_or_else(|| config_error(format!("no container {}", start.name)))?;
        let name = wanted.image.as_deref().unwrap_or_default();
        let missing = || ("ErrImagePull".to_owned(), format!("no such image: {name}"));
        let image = prepared.images.get(name).cloned().unwrap_or_else(|| Err(missing()))?;
        let volumes = prepared.volumes.as_ref().map_err(|why| config_error(why.clone()))?;
        let mounts = if self.runtime().is_simulated() {
            Vec::new()
        } else {
            let files = &self.node.shared.files;
            files.make_last_words(self.uid(), &start.name, start.attempt).map_err(|e| config_error(e.to_string()))?;
            files.mounts(&self.pod, wanted, start.attempt, volumes).map_err(config_error)?
        };
        let made = spec::Made { attempt: start.attempt, image: &image, pod_ip: ip, sources: &prepared.sources, mounts };
        let spec = spec::container(&self.pod, wanted, made).map_err(config_error)?;
        match self.runtime().create_container(sandbox, &pod::id(&self.pod), &spec).await {
            Ok(id) => {
                self.node.event(
                    &self.pod,
                    Some(&start.name),
                    false,
                    "Created",
                    format!("Container created: {}", start.name),
                );
                Ok(id)
            }
            Err(Error::ImageNotFound(image)) => {
                self.node.forget_image(&image);
                Err(missing())
            }
            Err(error) => Err(("CreateContainerError".to_owned(), error.to_string())),
        }
    }

    async fn start_one(&self, start: &Start, id: String) -> Result<Container, Problem> {
        let started = self.runtime().start_container(&id).await;
        let container = started.map_err(|error| ("RunContainerError".to_owned(), error.to_string()))?;
        self.node.event(&self.pod, Some(&start.name), false, "Started", format!("Container started: {}", start.name));
        let wanted = self.wanted(&start.name);
        let hook = wanted.and_then(|wanted| Some((wanted, wanted.lifecycle.as_ref()?.post_start.as_ref()?)));
        if let Some((wanted, hook)) = hook
            && let Err(why) = self.hook(wanted, &id, hook).await
        {
            self.node.event(
                &self.pod,
                Some(&start.name),
                true,
                "FailedPostStartHook",
                format!("PostStartHook failed: {why}"),
            );
            let stopped = self.runtime().stop(&id, pod::grace_seconds(&self.pod)).await;
            self.report("could not stop a container whose postStart hook failed", stopped);
            return Err(("PostStartHookError".to_owned(), why));
        }
        Ok(container)
    }

    fn note_start(&mut self, name: &str, result: Result<Container, Problem>, now: Timestamp) {
        let key = format!("{name}/start");
        match result {
            Ok(container) => {
                self.problems.remove(name);
                self.backoff.reset(&key);
                self.observed.containers.push(container);
            }
            // It was made and has ended: how the runtime tells, and its restart waits as after a crash.
            Err((reason, why)) if reason == "RunContainerError" || reason == "PostStartHookError" => {
                self.node.event(&self.pod, Some(name), true, "Failed", format!("Error: {why}"));
                self.dirty = true;
                self.mailbox.tell(|news| news.dirty = true);
                if self.backoff.remaining(name, now, now).is_none() {
                    self.backoff.next(name, now, now);
                }
            }
            Err((reason, message)) => {
                self.node.event(&self.pod, Some(name), true, "Failed", format!("Error: {message}"));
                self.problem(name, &reason, &message, now);
            }
        }
    }

    /// Notes why a container waits, and when it is tried again.
    fn problem(&mut self, name: &str, reason: &str, message: &str, now: Timestamp) {
        let known = self
            .problems
            .get(name)
            .is_some_and(|(old, _)| old.starts_with("ErrImagePull") || old == "ImagePullBackOff");
        let (reason, message) = match self.wanted(name).and_then(|wanted| wanted.image.clone()) {
            Some(image) if known && reason == "ErrImagePull" => {
                ("ImagePullBackOff".to_owned(), format!("Back-off pulling image \"{image}\": ErrImagePull: {message}"))
            }
            _ => (reason.to_owned(), message.to_owned()),
        };
        self.backoff.next(&format!("{name}/start"), now, now);
        self.problems.insert(name.to_owned(), (reason, message));
    }

    fn all_failed(&mut self, starts: &[Start], reason: &str, message: &str, now: Timestamp) {
        for start in starts {
            self.problem(&start.name, reason, message, now);
        }
    }

    fn sandbox_failed(&mut self, starts: &[Start], error: &Error, now: Timestamp) {
        let message = format!("Failed to create pod sandbox: {error}");
        self.node.event(&self.pod, None, true, "FailedCreatePodSandBox", message.clone());
        self.dirty = true;
        self.all_failed(starts, "ContainerCreating", &message, now);
    }

    fn no_sources(&self) -> Sources {
        let host = &self.node.host;
        Sources { host_ip: Some(self.node.config.address), capacity: (host.cpus, host.memory), ..Sources::default() }
    }

    /// Fetches the objects that the pod's environment and volumes refer to.
    async fn sources(&self) -> Result<Sources, String> {
        let (client, namespace) = (&self.node.shared.client, pod::id(&self.pod).namespace);
        let (maps, secrets) = references(&self.pod);
        let mut sources = self.no_sources();
        let text = |error: trimtab_client::Error| error.to_string();
        let map_api = Api::<ConfigMap>::namespaced(client, &namespace);
        for name in maps {
            let found = map_api.get_opt(&name).await.map_err(text)?;
            sources.config_maps.extend(found.map(|map| (name, map)));
        }
        let secret_api = Api::<Secret>::namespaced(client, &namespace);
        for name in secrets {
            let found = secret_api.get_opt(&name).await.map_err(text)?;
            sources.secrets.extend(found.map(|secret| (name, secret)));
        }
        let services =
            Api::<Service>::namespaced(client, &namespace).list(&ListParams::default()).await.map_err(text)?;
        sources.services = services.items;
        if namespace != "default" {
            let master = Api::<Service>::namespaced(client, "default").get_opt("kubernetes").await.map_err(text)?;
            sources.services.extend(master);
        }
        Ok(sources)
    }

    /// Brings volumes that are made from objects up to date.
    pub(super) async fn refresh_volumes(&mut self) {
        self.sources_changed = false;
        let running = self.observed.containers.iter().any(|container| container.state.is_running());
        if self.runtime().is_simulated() || !running || !has_object_volumes(&self.pod) {
            return;
        }
        let refreshed = match self.sources().await {
            Ok(sources) => self.node.shared.files.volumes(&self.pod, &sources).map(drop),
            Err(why) => Err(why),
        };
        if let Err(why) = refreshed {
            self.node.event(&self.pod, None, true, "FailedMount", why);
        }
    }
}

fn asks_for_ip(container: &Wanted) -> bool {
    let mut fields = container.env.iter().flatten().filter_map(|v| v.value_from.as_ref()?.field_ref.as_ref());
    fields.any(|field| field.field_path.starts_with("status.podIP"))
}

pub(crate) fn has_object_volumes(pod: &k8s_openapi::api::core::v1::Pod) -> bool {
    let mut volumes = pod::spec(pod).volumes.iter().flatten();
    volumes.any(|v| v.config_map.is_some() || v.secret.is_some() || v.downward_api.is_some() || v.projected.is_some())
}

/// The names of the config maps and secrets that a pod refers to.
fn references(pod: &k8s_openapi::api::core::v1::Pod) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut maps, mut secrets) = (BTreeSet::new(), BTreeSet::new());
    for container in pod::spec(pod).containers.iter().chain(pod::init_containers(pod)) {
        for from in container.env_from.iter().flatten() {
            maps.extend(from.config_map_ref.as_ref().map(|reference| reference.name.clone()));
            secrets.extend(from.secret_ref.as_ref().map(|reference| reference.name.clone()));
        }
        for from in container.env.iter().flatten().filter_map(|variable| variable.value_from.as_ref()) {
            maps.extend(from.config_map_key_ref.as_ref().map(|reference| reference.name.clone()));
            secrets.extend(from.secret_key_ref.as_ref().map(|reference| reference.name.clone()));
        }
    }
    for volume in pod::spec(pod).volumes.iter().flatten() {
        maps.extend(volume.config_map.as_ref().map(|source| source.name.clone()));
        secrets.extend(volume.secret.as_ref().and_then(|source| source.secret_name.clone()));
        for source in volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten()) {
            maps.extend(source.config_map.as_ref().map(|source| source.name.clone()));
            secrets.extend(source.secret.as_ref().map(|source| source.name.clone()));
        }
    }
    (maps, secrets)
}
