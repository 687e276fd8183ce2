//! What the agent asks of a container runtime. Backends: `docker`, `sim`.
//!
//! The interface is cut as the CRI is: a pod is a *sandbox*, which holds the namespaces its
//! containers share, and the containers in it. Backends know nothing of the API: names, mounts
//! and environment arrive resolved. Every call may be repeated.

mod error;
mod record;
mod session;
mod spec;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use jiff::Timestamp;

pub use error::{Error, Result};
pub use record::{Container, Event, EventKind, Host, Image, Observed, Sandbox, State, Stats, Version};
pub use session::{ExecOptions, Input, LogOptions, Output, Session, TerminalSize};
pub use spec::{ContainerSpec, Credentials, Limits, Mount, PodId, PortMapping, SandboxSpec, Security};

/// A container runtime, as the agent sees it.
pub trait Runtime: Send + Sync + 'static {
    /// Its name and versions. Answers only while the runtime lives, so it is the probe of it, too.
    fn version(&self) -> BoxFuture<'_, Result<Version>>;

    /// What the machine has and is.
    fn host(&self) -> BoxFuture<'_, Result<Host>>;

    /// Makes whatever pods need beside sandboxes (the pod network, the sandbox's image).
    fn prepare(&self) -> BoxFuture<'_, Result<()>>;

    /// All sandboxes and containers of this cluster, or of one pod; in any state.
    fn observe<'a>(&'a self, pod_uid: Option<&'a str>) -> BoxFuture<'a, Result<Observed>>;

    /// Makes a sandbox without starting it, and returns its id. Containers may be created in it at once.
    fn create_sandbox<'a>(&'a self, spec: &'a SandboxSpec) -> BoxFuture<'a, Result<String>>;

    /// Starts a sandbox; afterwards it has its address.
    fn start_sandbox<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Sandbox>>;

    /// Makes a container in a sandbox without starting it, and returns its id.
    fn create_container<'a>(
        &'a self,
        sandbox_id: &'a str,
        pod: &'a PodId,
        spec: &'a ContainerSpec,
    ) -> BoxFuture<'a, Result<String>>;

    /// Starts a container.
    fn start_container<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Container>>;

    /// Changes what a running container may use, all but its `oom_score_adj`.
    fn update<'a>(&'a self, id: &'a str, limits: &'a Limits) -> BoxFuture<'a, Result<()>>;

    /// Asks a container (or sandbox) to end, and kills it after `grace_seconds`. One that has ended already is fine.
    fn stop<'a>(&'a self, id: &'a str, grace_seconds: u32) -> BoxFuture<'a, Result<()>>;

    /// Removes a container or sandbox, killing it when it runs. One that is gone already is fine.
    fn remove<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<()>>;

    /// The image, when it is present.
    fn image<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Image>>>;

    /// Fetches an image from its registry, as somebody or as nobody.
    fn pull<'a>(&'a self, name: &'a str, credentials: Option<&'a Credentials>) -> BoxFuture<'a, Result<Image>>;

    /// All images.
    fn images(&self) -> BoxFuture<'_, Result<Vec<Image>>>;

    /// Loads images from a tar in the form of `docker save`.
    fn load(&self, tar: Bytes) -> BoxFuture<'_, Result<()>>;

    /// What a container wrote.
    fn logs<'a>(
        &'a self,
        id: &'a str,
        options: &'a LogOptions,
    ) -> BoxFuture<'a, Result<BoxStream<'static, Result<Output>>>>;

    /// Runs a command in a running container.
    fn exec<'a>(&'a self, id: &'a str, options: &'a ExecOptions) -> BoxFuture<'a, Result<Session>>;

    /// Joins the main process of a running container. `options.command` is not looked at.
    fn attach<'a>(&'a self, id: &'a str, options: &'a ExecOptions) -> BoxFuture<'a, Result<Session>>;

    /// What a running container uses.
    fn stats<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Stats>>;

    /// What happens, and since `since` has happened, to this cluster's sandboxes and containers. Ends when the
    /// runtime does.
    fn events(&self, since: Timestamp) -> BoxStream<'static, Result<Event>>;

    /// Whether containers are only pretended: then pods get no volumes, files or environment.
    fn is_simulated(&self) -> bool {
        false
    }
}
