//! The Docker Engine, or Podman behind the same API, as a container runtime.
//!
//! Start at [`Docker::connect`]. Everything it makes carries the label `dev.trimtab.cluster`;
//! it never touches anything else.

mod connect;
mod convert;
mod create;
mod network;
mod stream;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bollard::query_parameters::{
    CreateContainerOptionsBuilder, CreateImageOptionsBuilder, EventsOptionsBuilder, ImportImageOptionsBuilder,
    ListContainersOptionsBuilder, ListImagesOptions, RemoveContainerOptionsBuilder, StatsOptionsBuilder,
    StopContainerOptionsBuilder,
};
use bytes::Bytes;
use futures::future::{BoxFuture, try_join_all};
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, TryStreamExt};
use jiff::Timestamp;
use trimtab_env::lock;

use crate::images;
use crate::runtime::{
    Container, ContainerSpec, Credentials, Error, Event, ExecOptions, Host, Image, Limits, LogOptions, Observed,
    Output, PodId, Result, Runtime, Sandbox, SandboxSpec, Session, State, Stats, Version,
};
use convert::{Record, failed};
pub use network::PodNetwork;

/// How to find the engine, and what to make in it.
#[derive(Clone, Debug)]
pub struct Options {
    /// The cluster: the value of the label on everything that is made.
    pub cluster: String,
    /// The wanted range of the pod network, as `10.244.0.0/24`.
    pub subnet: String,
}

/// The Docker Engine.
#[derive(Clone)]
pub struct Docker {
    /// For calls that answer soon.
    engine: bollard::Docker,
    /// For calls that wait: stopping, pulling, loading.
    patient: bollard::Docker,
    endpoint: Arc<str>,
    options: Arc<Options>,
    /// What inspection told of containers, by id; an event about one removes it.
    inspected: Arc<Mutex<HashMap<String, State>>>,
}

impl Docker {
    /// The network of the pods; made when there is none.
    ///
    /// # Errors
    /// If the engine refuses, or no range is free.
    pub async fn pod_network(&self) -> Result<PodNetwork> {
        network::ensure(&self.engine, &self.options).await
    }

    /// Removes all sandboxes and containers of the cluster, and its network.
    ///
    /// # Errors
    /// If the engine does not answer or refuses.
    pub async fn remove_all(&self) -> Result<usize> {
        let listed = self.listed(None).await?;
        let ids: Vec<&String> = listed.iter().filter_map(|summary| summary.id.as_ref()).collect();
        try_join_all(ids.iter().map(|id| self.remove_container(id))).await?;
        network::remove(&self.engine, &self.options).await?;
        Ok(ids.len())
    }

    async fn listed(&self, pod_uid: Option<&str>) -> Result<Vec<bollard::models::ContainerSummary>> {
        let mut labels = vec![format!("{}={}", convert::CLUSTER, self.options.cluster)];
        labels.extend(pod_uid.map(|uid| format!("{}={uid}", convert::POD_UID)));
        let filters = HashMap::from([("label", labels)]);
        let filters = filters.into_iter().map(|(key, values)| (key.to_owned(), values)).collect();
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        self.engine.list_containers(Some(options)).await.map_err(|error| failed(error, ""))
    }

    async fn observed(&self, pod_uid: Option<&str>) -> Result<Observed> {
        let listed = self.listed(pod_uid).await?;
        let records = try_join_all(listed.into_iter().map(|summary| self.record(summary))).await?;
        let mut observed = Observed::default();
        for record in records.into_iter().flatten() {
            match record {
                Record::Sandbox(sandbox) => observed.sandboxes.push(sandbox),
                Record::Container(container) => observed.containers.push(container),
            }
        }
        if pod_uid.is_none() {
            let known = |id: &String| {
                observed.sandboxes.iter().any(|s| s.id == *id) || observed.containers.iter().any(|c| c.id == *id)
            };
            self.inspected().retain(|id, _| known(id));
        }
        Ok(observed)
    }

    /// The list tells everything but the times and the exit code, which only inspection tells.
    async fn record(&self, summary: bollard::models::ContainerSummary) -> Result<Option<Record>> {
        let Some(id) = summary.id.clone() else { return Ok(None) };
        let running = convert::is_running(&summary);
        let known = self.inspected().get(&id).filter(|state| state.is_running() == running).cloned();
        if let Some(state) = known {
            return Ok(convert::record(summary, state));
        }
        match self.inspect(&id).await {
            Ok((state, ip)) => {
                let mut record = convert::record(summary, state);
                if let Some(Record::Sandbox(sandbox)) = &mut record {
                    sandbox.ip = ip;
                }
                Ok(record)
            }
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn inspect(&self, id: &str) -> Result<(State, Option<std::net::IpAddr>)> {
        let inspection = self.engine.inspect_container(id, None).await.map_err(|error| failed(error, id))?;
        let state = convert::state(&inspection);
        if !matches!(state, State::Created) {
            self.inspected().insert(id.to_owned(), state.clone());
        }
        Ok((state, convert::address(&inspection)))
    }

    /// What the engine knows of one container, as a record.
    async fn one(&self, id: &str) -> Result<Record> {
        let inspection = self.engine.inspect_container(id, None).await.map_err(|error| failed(error, id))?;
        let record = convert::inspected(inspection).ok_or_else(|| Error::NotFound(id.to_owned()))?;
        self.inspected().insert(id.to_owned(), record.state().clone());
        Ok(record)
    }

    /// A name that is taken belongs to a container made just before a crash: it is replaced.
    async fn create(&self, name: &str, body: bollard::models::ContainerCreateBody) -> Result<String> {
        let image = body.image.clone().unwrap_or_default();
        let options = || Some(CreateContainerOptionsBuilder::new().name(name).build());
        let first = self.engine.create_container(options(), body.clone()).await;
        let created = match first {
            Err(error) if convert::status(&error) == Some(409) => {
                self.remove_container(name).await?;
                self.engine.create_container(options(), body).await
            }
            other => other,
        };
        created.map(|created| created.id).map_err(|error| match convert::status(&error) {
            Some(404) => Error::ImageNotFound(image),
            _ => failed(error, name),
        })
    }

    async fn start(&self, id: &str) -> Result<Record> {
        self.engine.start_container(id, None).await.map_err(|error| failed(error, id))?;
        self.one(id).await
    }

    async fn remove_container(&self, id: &str) -> Result<()> {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        self.inspected().remove(id);
        match self.patient.remove_container(id, Some(options)).await {
            Ok(()) => Ok(()),
            // 409: somebody else is removing it.
            Err(error) if matches!(convert::status(&error), Some(404 | 409)) => Ok(()),
            Err(error) => Err(failed(error, id)),
        }
    }

    async fn load_missing(&self) -> Result<()> {
        for (tag, id) in images::tags() {
            if self.image(tag).await?.is_none_or(|image| image.id != id) {
                return self.load(images::archive()).await;
            }
        }
        Ok(())
    }

    fn inspected(&self) -> std::sync::MutexGuard<'_, HashMap<String, State>> {
        lock(&self.inspected)
    }
}

impl Runtime for Docker {
    fn version(&self) -> BoxFuture<'_, Result<Version>> {
        async {
            let version = self.engine.version().await.map_err(|error| failed(error, ""))?;
            Ok(convert::version(version, &self.endpoint))
        }
        .boxed()
    }

    fn host(&self) -> BoxFuture<'_, Result<Host>> {
        async { Ok(convert::host(self.engine.info().await.map_err(|error| failed(error, ""))?)) }.boxed()
    }

    fn prepare(&self) -> BoxFuture<'_, Result<()>> {
        async { futures::try_join!(self.pod_network(), self.load_missing()).map(|_| ()) }.boxed()
    }

    fn observe<'a>(&'a self, pod_uid: Option<&'a str>) -> BoxFuture<'a, Result<Observed>> {
        self.observed(pod_uid).boxed()
    }

    fn create_sandbox<'a>(&'a self, spec: &'a SandboxSpec) -> BoxFuture<'a, Result<String>> {
        async move {
            let body = create::sandbox(spec, &self.options.cluster);
            self.create(&create::sandbox_name(spec), body).await
        }
        .boxed()
    }

    fn start_sandbox<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Sandbox>> {
        async move {
            match self.start(id).await? {
                Record::Sandbox(sandbox) => Ok(sandbox),
                Record::Container(_) => Err(Error::NotFound(id.to_owned())),
            }
        }
        .boxed()
    }

    fn create_container<'a>(
        &'a self,
        sandbox_id: &'a str,
        pod: &'a PodId,
        spec: &'a ContainerSpec,
    ) -> BoxFuture<'a, Result<String>> {
        async move {
            let body = create::container(sandbox_id, pod, spec, &self.options.cluster);
            self.create(&create::container_name(pod, spec), body).await
        }
        .boxed()
    }

    fn start_container<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Container>> {
        async move {
            match self.start(id).await? {
                Record::Container(container) => Ok(container),
                Record::Sandbox(_) => Err(Error::NotFound(id.to_owned())),
            }
        }
        .boxed()
    }

    fn update<'a>(&'a self, id: &'a str, limits: &'a Limits) -> BoxFuture<'a, Result<()>> {
        async move {
            let updated = self.engine.update_container(id, create::update(limits)).await;
            updated.map_err(|error| failed(error, id))
        }
        .boxed()
    }

    fn stop<'a>(&'a self, id: &'a str, grace_seconds: u32) -> BoxFuture<'a, Result<()>> {
        async move {
            let seconds = i32::try_from(grace_seconds).unwrap_or(i32::MAX);
            let options = StopContainerOptionsBuilder::new().t(seconds).build();
            match self.patient.stop_container(id, Some(options)).await {
                Ok(()) => Ok(()),
                Err(error) if matches!(convert::status(&error), Some(304 | 404)) => Ok(()),
                Err(error) => Err(failed(error, id)),
            }
        }
        .boxed()
    }

    fn remove<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<()>> {
        self.remove_container(id).boxed()
    }

    fn image<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Image>>> {
        async move {
            match self.engine.inspect_image(name).await {
                Ok(image) => Ok(Some(convert::image(image))),
                Err(error) if convert::status(&error) == Some(404) => Ok(None),
                Err(error) => Err(failed(error, name)),
            }
        }
        .boxed()
    }

    fn pull<'a>(&'a self, name: &'a str, credentials: Option<&'a Credentials>) -> BoxFuture<'a, Result<Image>> {
        async move {
            let options = CreateImageOptionsBuilder::new().from_image(&convert::with_tag(name)).build();
            let mut progress =
                self.patient.create_image(Some(options), None, credentials.map(create::credentials)).boxed();
            // What the registry said, whatever the status.
            while progress.try_next().await.map_err(|error| failed(error, ""))?.is_some() {}
            self.image(name).await?.ok_or_else(|| Error::ImageNotFound(name.to_owned()))
        }
        .boxed()
    }

    fn images(&self) -> BoxFuture<'_, Result<Vec<Image>>> {
        async {
            let images = self.engine.list_images(None::<ListImagesOptions>).await.map_err(|error| failed(error, ""))?;
            Ok(images.into_iter().map(convert::image_summary).collect())
        }
        .boxed()
    }

    fn load(&self, tar: Bytes) -> BoxFuture<'_, Result<()>> {
        async move {
            let options = ImportImageOptionsBuilder::new().quiet(true).build();
            let mut progress = self.patient.import_image(options, bollard::body_full(tar), None).boxed();
            while progress.try_next().await.map_err(|error| failed(error, "image archive"))?.is_some() {}
            Ok(())
        }
        .boxed()
    }

    fn logs<'a>(
        &'a self,
        id: &'a str,
        options: &'a LogOptions,
    ) -> BoxFuture<'a, Result<BoxStream<'static, Result<Output>>>> {
        stream::logs(&self.patient, id, options).boxed()
    }

    fn exec<'a>(&'a self, id: &'a str, options: &'a ExecOptions) -> BoxFuture<'a, Result<Session>> {
        stream::exec(&self.patient, id, options).boxed()
    }

    fn attach<'a>(&'a self, id: &'a str, options: &'a ExecOptions) -> BoxFuture<'a, Result<Session>> {
        stream::attach(&self.patient, id, options).boxed()
    }

    fn stats<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Stats>> {
        async move {
            let options = StatsOptionsBuilder::new().stream(false).one_shot(true).build();
            let mut stats = self.engine.stats(id, Some(options)).boxed();
            let stats = stats.try_next().await.map_err(|error| failed(error, id))?;
            stats.map(convert::stats).ok_or_else(|| Error::NotFound(id.to_owned()))
        }
        .boxed()
    }

    fn events(&self, since: Timestamp) -> BoxStream<'static, Result<Event>> {
        let label = format!("{}={}", convert::CLUSTER, self.options.cluster);
        let filters: HashMap<String, Vec<String>> =
            [("type", vec!["container"]), ("label", vec![label.as_str()]), ("event", vec!["start", "die", "destroy"])]
                .into_iter()
                .map(|(key, values)| (key.to_owned(), values.into_iter().map(str::to_owned).collect()))
                .collect();
        let options = EventsOptionsBuilder::new().filters(&filters).since(&since.as_second().to_string()).build();
        // What happened while nobody listened is unknown.
        self.inspected().clear();
        let inspected = Arc::clone(&self.inspected);
        let events = self.patient.events(Some(options)).filter_map(move |message| {
            let event = message.map(convert::event).map_err(|error| failed(error, "")).transpose();
            if let Some(Ok(event)) = &event {
                lock(&inspected).remove(&event.id);
            }
            futures::future::ready(event)
        });
        events.boxed()
    }
}
