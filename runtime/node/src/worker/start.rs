//! Starting containers. What can be done at the same time is.
//!
//! ```text
//!  create sandbox ─┬─▶ start sandbox ──────┬─▶ hosts ─▶ start containers ─▶ postStart
//!  images, sources,┤                       │
//!  volumes ────────┴─▶ create containers ──┘
//! ```

use std::net::IpAddr;

use futures::future::{join_all, try_join_all};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Container as Wanted, Secret};
use trimtab_api::ObjectRef;
use trimtab_client::Api;

use super::Worker;
use super::fault::Fault;
use super::images::Images;
use crate::pod::actions::{Start, current_sandbox, latest};
use crate::pod::env::Sources;
use crate::pod::references::{References, has_object_volumes};
use crate::pod::{self, spec, support};
use crate::runtime::{Container, Error, Sandbox};
use crate::volume::Volumes;

/// What containers are made with.
pub(super) struct Prepared {
    pub(super) images: Images,
    sources: Sources,
    volumes: Volumes,
}

impl Worker {
    /// Starts containers, after their sandbox if it is to be made. What fails is noted, and tried again later.
    pub(super) async fn start_all(&mut self, create_sandbox: Option<u32>, starts: Vec<Start>, now: Timestamp) {
        for start in &starts {
            if start.changed {
                self.backoff.reset(&start.name);
            } else if let Some(failed) = start.failed {
                self.backoff.next(&start.name, failed, now);
            }
        }
        let (sandbox, prepared) = tokio::join!(self.sandbox(create_sandbox), self.prepare(&starts));
        let sandbox = match sandbox {
            Ok(sandbox) => sandbox,
            Err(error) => return self.sandbox_failed(&starts, error, now),
        };
        let mut prepared = match prepared {
            Ok(prepared) => prepared,
            Err(fault) => return self.all_failed(&starts, fault, "FailedMount", now),
        };
        self.pull_missing(&starts, &mut prepared).await;
        match self.run_all(&sandbox, create_sandbox.is_some(), &starts, &prepared).await {
            Err(error) => self.sandbox_failed(&starts, error, now),
            Ok((sandbox, results)) => {
                self.observed.sandboxes.extend(sandbox);
                for (start, result) in starts.iter().zip(results) {
                    self.note_start(&start.name, result, now);
                }
            }
        }
    }

    fn sandbox_failed(&mut self, starts: &[Start], error: Error, now: Timestamp) {
        let fault = match Fault::because("ContainerCreating")(error) {
            Fault::Waits(reason, why) => Fault::Waits(reason, format!("Failed to create pod sandbox: {why}")),
            fault => fault,
        };
        self.all_failed(starts, fault, "FailedCreatePodSandBox", now);
    }

    /// Starts the sandbox while containers are made in it, then starts them.
    async fn run_all(
        &self,
        sandbox_id: &str,
        is_new: bool,
        starts: &[Start],
        prepared: &Prepared,
    ) -> Result<(Option<Sandbox>, Vec<Result<Container, Fault>>), Error> {
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
            Some(attempt) => {
                let spec = spec::sandbox(&self.pod, attempt, &self.node.shared.domain).map_err(Error::refused)?;
                self.runtime().create_sandbox(&spec).await
            }
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
    async fn prepare(&self, starts: &[Start]) -> Result<Prepared, Fault> {
        if self.runtime().is_simulated() {
            // It has no files, but waits for what its environment refers to, as any other does.
            let environment = self.objects(References::of_environment(&self.pod));
            let (images, sources) = tokio::join!(self.present_images(starts), environment);
            return Ok(Prepared { images, sources: sources?, volumes: Volumes::new() });
        }
        let (images, sources) = tokio::join!(self.present_images(starts), self.sources());
        let sources = sources?;
        let (files, shared) = (&self.node.shared.files, &self.node.shared);
        let volumes = files.volumes(&self.pod, &sources).map_err(|why| Fault::Waits("ContainerCreating", why))?;
        let unwritten = |error: std::io::Error| Fault::config(format!("could not write the pod's files: {error}"));
        // There before the containers are made, for it is mounted into them; filled in once the address is known.
        files.write_hosts(&self.pod, self.ip()).map_err(unwritten)?;
        files.write_resolv_conf(&self.pod, shared.dns, &shared.domain).map_err(unwritten)?;
        Ok(Prepared { images, sources, volumes })
    }

    async fn create_one(
        &self,
        sandbox: &str,
        start: &Start,
        ip: Option<IpAddr>,
        prepared: &Prepared,
    ) -> Result<String, Fault> {
        let wanted = self.wanted(&start.name).ok_or_else(|| Fault::config(format!("no container {}", start.name)))?;
        if let Some(why) =
            support::refusal_of_ephemeral(&self.pod, &start.name).filter(|_| !self.runtime().is_simulated())
        {
            return Err(Fault::config(why));
        }
        let target = self.target(&start.name)?;
        let name = wanted.image.as_deref().unwrap_or_default();
        let missing = || Fault::Waits("ErrImagePull", format!("no such image: {name}"));
        let image = prepared.images.get(name).cloned().unwrap_or_else(|| Err(missing()))?;
        let mounts = if self.runtime().is_simulated() {
            Vec::new()
        } else {
            let files = &self.node.shared.files;
            files.make_last_words(self.uid(), &start.name, start.attempt).map_err(Fault::config)?;
            files.mounts(&self.pod, wanted, start.attempt, &prepared.volumes).map_err(Fault::config)?
        };
        let sources = &prepared.sources;
        let made = spec::Made { attempt: start.attempt, image: &image, pod_ip: ip, sources, mounts, target };
        let spec = spec::container(&self.pod, wanted, made).map_err(Fault::config)?;
        match self.runtime().create_container(sandbox, &pod::id(&self.pod), &spec).await {
            Ok(id) => {
                let message = format!("Container created: {}", start.name);
                self.node.event(&self.pod, Some(&start.name), false, "Created", message);
                Ok(id)
            }
            Err(Error::ImageNotFound(image)) => {
                self.node.forget_image(&image);
                Err(missing())
            }
            Err(error) => Err(Fault::because("CreateContainerError")(error)),
        }
    }

    /// The running container whose processes the container `name` is to see.
    fn target(&self, name: &str) -> Result<Option<String>, Fault> {
        let Some(target) = pod::target(&self.pod, name) else { return Ok(None) };
        let found = latest(&self.observed, target).filter(|container| container.state.is_running());
        let found = found.ok_or_else(|| Fault::config(format!("unable to find target container {target:?}")))?;
        Ok(Some(found.id.clone()))
    }

    async fn start_one(&self, start: &Start, id: String) -> Result<Container, Fault> {
        let container = self.runtime().start_container(&id).await.map_err(|error| match error.is_unavailable() {
            true => Fault::Postponed(error.to_string()),
            false => Fault::Ended(error.to_string()),
        })?;
        self.node.event(&self.pod, Some(&start.name), false, "Started", format!("Container started: {}", start.name));
        let wanted = self.wanted(&start.name);
        let hook = wanted.and_then(|wanted| Some((wanted, wanted.lifecycle.as_ref()?.post_start.as_ref()?)));
        if let Some((wanted, hook)) = hook
            && let Err(why) = self.hook(wanted, &id, hook).await
        {
            let message = format!("PostStartHook failed: {why}");
            self.node.event(&self.pod, Some(&start.name), true, "FailedPostStartHook", message);
            let stopped = self.runtime().stop(&id, pod::grace_seconds(&self.pod)).await;
            self.report("could not stop a container whose postStart hook failed", stopped);
            return Err(Fault::Ended(why));
        }
        Ok(container)
    }

    /// Fetches these of the pod's objects.
    async fn objects(&self, references: References) -> Result<Sources, Fault> {
        let References { config_maps, secrets, .. } = references;
        let api = Api::<ConfigMap>::namespaced(&self.node.shared.client, &pod::id(&self.pod).namespace);
        let maps = try_join_all(config_maps.into_iter().map(|name| {
            let api = &api;
            async move { Ok::<_, Fault>(api.get_opt(&name).await?.map(|map| (name, map))) }
        }));
        let secrets = try_join_all(
            secrets
                .into_iter()
                .map(|name| async move { Ok::<_, Fault>(self.secret(&name).await?.map(|secret| (name, secret))) }),
        );
        let ((maps, secrets), host) = (tokio::try_join!(maps, secrets)?, &self.node.host);
        Ok(Sources {
            config_maps: maps.into_iter().flatten().collect(),
            secrets: secrets.into_iter().flatten().collect(),
            host_ip: Some(self.node.config.address),
            capacity: (host.cpus, host.memory),
            ..Sources::default()
        })
    }

    /// Fetches all that the pod is made from.
    async fn sources(&self) -> Result<Sources, Fault> {
        let (shared, namespace) = (&self.node.shared, pod::id(&self.pod).namespace);
        let objects = self.objects(References::of(&self.pod));
        let tokens = shared.tokens.of(&self.pod, &shared.client, &shared.env);
        let ((), objects, tokens) = tokio::join!(shared.services.synced(), objects, tokens);
        // The API's own Service is told in every namespace.
        let master = (namespace != "default").then(|| shared.services.get(&ObjectRef::new("default", "kubernetes")));
        let mut services: Vec<_> =
            shared.services.in_namespace(&namespace).into_iter().chain(master.flatten()).collect();
        services.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
        Ok(Sources { tokens: tokens.map_err(token_refused)?, services, ..objects? })
    }

    /// A Secret of the pod's namespace.
    pub(super) async fn secret(&self, name: &str) -> Result<Option<Secret>, Fault> {
        let namespace = pod::id(&self.pod).namespace;
        Ok(Api::<Secret>::namespaced(&self.node.shared.client, &namespace).get_opt(name).await?)
    }

    /// Brings volumes that are made from objects up to date.
    pub(super) async fn refresh_volumes(&mut self) {
        self.sources_changed = false;
        let running = self.observed.containers.iter().any(|container| container.state.is_running());
        if !running {
            // Whatever starts next asks for new ones.
            self.node.shared.tokens.forget(self.uid());
        }
        if self.runtime().is_simulated() || !running || !has_object_volumes(&self.pod) {
            return;
        }
        let sources = match self.sources().await {
            Ok(sources) => sources,
            Err(_) => {
                (self.sources_changed, self.postponed) = (true, true);
                return;
            }
        };
        if let Err(why) = self.node.shared.files.volumes(&self.pod, &sources) {
            self.node.event(&self.pod, None, true, "FailedMount", why);
        }
    }
}

/// Without its token a pod is not started; it is asked for again.
fn token_refused(error: trimtab_client::Error) -> Fault {
    match Fault::from(error) {
        Fault::Waits(_, why) => Fault::Waits("ContainerCreating", format!("failed to fetch token: {why}")),
        fault => fault,
    }
}

fn asks_for_ip(container: &Wanted) -> bool {
    let mut fields = container.env.iter().flatten().filter_map(|v| v.value_from.as_ref()?.field_ref.as_ref());
    fields.any(|field| field.field_path.starts_with("status.podIP"))
}
