//! Leader election by a Lease: of several processes one works, and the next takes over when it falls silent.
//!
//! The rules are client-go's (`k8s.io/client-go/tools/leaderelection`): whether a holder is silent is judged by
//! one's own clock alone, from when its last renewal was seen. A leader that could not renew for
//! [`LeaderElection::renew_deadline`] stops, well before another may take over.
//!
//! No write of a leader that was is taken for one of the leader that is: once it may not be the leader any more,
//! the fence lets no write pass; and what was on its way goes by the version that was read, so that it fails
//! where the new leader has written. Of what is to be made no version was read, and the API has no other condition for
//! it: a child that is made so late is put right by the new leader, or collected when its owner is gone. What has no
//! owner stays as a late write made it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Method, Request, Response};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use trimtab_client::{Api, Body, Client, Error, Switched, Transport, TransportError};
use trimtab_env::{Env, Instant, lock};

/// Which Lease decides, and how fast.
#[derive(Clone, Debug)]
pub struct LeaderElection {
    /// The Lease's namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Who this process is among those that stand for election.
    pub identity: String,
    /// How long the others wait for a silent leader. Whole seconds.
    pub lease_duration: Duration,
    /// How long a leader that cannot renew goes on; less than the others wait.
    pub renew_deadline: Duration,
    /// How often it is renewed, or tried to be acquired.
    pub retry_period: Duration,
}

impl LeaderElection {
    /// With client-go's times: 15, 10 and 2 seconds.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>, identity: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
            identity: identity.into(),
            lease_duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        }
    }
}

/// Another process may be the leader now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the leader's lease could not be renewed in time; another may lead now")]
pub struct LeadershipLost;

/// One who stands for election.
pub(crate) struct Candidate {
    election: LeaderElection,
    api: Api<Lease>,
    env: Env,
    fence: Arc<Fence>,
    /// The Lease as it was last seen to change, and when.
    seen: Option<(LeaseSpec, Instant)>,
}

impl Candidate {
    /// `client` is not behind the fence.
    pub(crate) fn new(election: LeaderElection, client: &Client, env: &Env, fence: &Arc<Fence>) -> Self {
        let api = Api::namespaced(client, &election.namespace);
        Self { election, api, env: env.clone(), fence: Arc::clone(fence), seen: None }
    }

    /// Returns once this is the leader.
    pub(crate) async fn acquire(&mut self) {
        let identity = self.election.identity.clone();
        while !self.attempt().await {
            self.env.sleep(self.env.jitter(self.election.retry_period, 0.2)).await;
        }
        tracing::info!(lease = self.election.name, identity, "leads now");
    }

    /// Returns once this is not the leader any more.
    pub(crate) async fn renew(&mut self) {
        let mut renewed = Instant::now();
        loop {
            self.env.sleep(self.election.retry_period).await;
            let left = self.election.renew_deadline.saturating_sub(renewed.elapsed());
            let started = Instant::now();
            match tokio::time::timeout(left, self.attempt()).await {
                Ok(true) => renewed = started,
                Ok(false) if renewed.elapsed() < self.election.renew_deadline && self.is_mine() => {}
                _ => break,
            }
        }
        self.fence.close();
        tracing::error!(lease = self.election.name, identity = self.election.identity, "leads no longer");
    }

    /// Lets another lead at once.
    pub(crate) async fn release(&mut self) {
        let Ok(Some(mut lease)) = self.api.get_opt(&self.election.name).await else { return };
        if holder(&lease) != self.election.identity {
            return;
        }
        let now = MicroTime(self.env.now());
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = None;
        spec.lease_duration_seconds = Some(1);
        (spec.acquire_time, spec.renew_time) = (Some(now.clone()), Some(now));
        if let Err(error) = self.api.replace(&lease).await {
            tracing::debug!(%error, "the lease could not be released; it runs out by itself");
        }
        self.fence.close();
    }

    fn is_mine(&self) -> bool {
        let holder = self.seen.as_ref().and_then(|(spec, _)| spec.holder_identity.as_deref());
        holder == Some(&self.election.identity)
    }

    /// Acquires or renews; whether it did.
    async fn attempt(&mut self) -> bool {
        let started = Instant::now();
        match self.write().await {
            Ok(Some(lease)) => {
                self.seen = lease.spec.map(|spec| (spec, started));
                self.fence.open_until(started + self.election.renew_deadline);
                true
            }
            Ok(None) => false,
            Err(error) => {
                // A conflict: another was quicker.
                if !error.is_conflict() && !error.is_already_exists() {
                    tracing::warn!(lease = self.election.name, %error, "the lease could not be written");
                }
                false
            }
        }
    }

    async fn write(&mut self) -> Result<Option<Lease>, Error> {
        let Some(mut lease) = self.api.get_opt(&self.election.name).await? else {
            let metadata = ObjectMeta { name: Some(self.election.name.clone()), ..ObjectMeta::default() };
            let metadata = ObjectMeta { namespace: Some(self.election.namespace.clone()), ..metadata };
            return self.api.create(&Lease { metadata, spec: Some(self.held(&LeaseSpec::default())) }).await.map(Some);
        };
        let spec = lease.spec.clone().unwrap_or_default();
        if self.seen.as_ref().is_none_or(|(seen, _)| *seen != spec) {
            self.seen = Some((spec.clone(), Instant::now()));
        }
        let mine = holder(&lease) == self.election.identity;
        if !mine && !holder(&lease).is_empty() && !self.is_silent(&spec) {
            return Ok(None);
        }
        lease.spec = Some(self.held(&spec));
        // It carries the version that was read.
        self.api.replace(&lease).await.map(Some)
    }

    fn is_silent(&self, spec: &LeaseSpec) -> bool {
        let patience = Duration::from_secs(u64::from(spec.lease_duration_seconds.unwrap_or(0).unsigned_abs()));
        self.seen.as_ref().is_some_and(|(_, since)| since.elapsed() >= patience)
    }

    /// The Lease as this process holds it, after it was `before`.
    fn held(&self, before: &LeaseSpec) -> LeaseSpec {
        let now = MicroTime(self.env.now());
        let mine = before.holder_identity.as_ref() == Some(&self.election.identity);
        let transitions = before.lease_transitions.map_or(0, |transitions| transitions + i32::from(!mine));
        LeaseSpec {
            holder_identity: Some(self.election.identity.clone()),
            lease_duration_seconds: i32::try_from(self.election.lease_duration.as_secs()).ok(),
            acquire_time: before.acquire_time.clone().filter(|_| mine).or_else(|| Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(transitions),
            ..before.clone()
        }
    }
}

fn holder(lease: &Lease) -> &str {
    lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default()
}

/// Until when this process may write.
#[derive(Debug, Default)]
pub(crate) struct Fence(Mutex<Gate>);

#[derive(Clone, Copy, Debug, Default)]
enum Gate {
    /// There is no election.
    #[default]
    Open,
    Until(Instant),
    Closed,
}

impl Fence {
    fn open_until(&self, end: Instant) {
        *lock(&self.0) = Gate::Until(end);
    }

    pub(crate) fn close(&self) {
        *lock(&self.0) = Gate::Closed;
    }

    /// The client whose writes this lets pass, or not.
    pub(crate) fn around(self: &Arc<Self>, client: Client) -> Client {
        client.through(|inner| Arc::new(Fenced { inner, fence: Arc::clone(self) }))
    }
}

struct Fenced {
    inner: Arc<dyn Transport>,
    fence: Arc<Fence>,
}

impl Fenced {
    fn refused<T>(&self) -> Result<T, TransportError> {
        Err(TransportError { server: self.inner.server().to_owned(), source: Box::new(LeadershipLost) })
    }
}

impl Transport for Fenced {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Body>, TransportError>> {
        let reads = [Method::GET, Method::HEAD].contains(request.method());
        let gate = *lock(&self.fence.0);
        match gate {
            Gate::Until(end) if !reads => Box::pin(async move {
                if Instant::now() >= end {
                    return self.refused();
                }
                // Whatever answers later answers somebody who may not be the leader.
                tokio::time::timeout_at(end, self.inner.send(request)).await.unwrap_or_else(|_| self.refused())
            }),
            Gate::Closed if !reads => Box::pin(async move { self.refused() }),
            _ => self.inner.send(request),
        }
    }

    fn upgrade(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Switched, TransportError>> {
        self.inner.upgrade(request)
    }

    fn server(&self) -> &str {
        self.inner.server()
    }
}
