//! A container runtime that pretends: no containers, scriptable latency and failure.
//!
//! Thousands of nodes fit into one process. Nothing runs: how a container behaves is a function
//! of its [`Behaviour`] and the time, so there are no tasks, and virtual time works.

mod behaviour;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::io::ReaderStream;
use trimtab_env::{Env, HashMap, lock};

use crate::images::architecture;
use crate::runtime::{
    Container, ContainerSpec, Credentials, Error, Event, EventKind, ExecOptions, Host, Image, Limits, LogOptions,
    Observed, Output, PodId, Result, Runtime, Sandbox, SandboxSpec, Session, State, Stats, Version,
};
pub use behaviour::Behaviour;

/// SIGKILL's exit code.
const KILLED: i32 = 137;

/// Bytes that an echo holds before it is read.
const ECHO_BUFFER: usize = 64 << 10;

/// A pretended runtime of one node.
#[derive(Clone)]
pub struct Sim {
    env: Env,
    index: u32,
    script: Arc<dyn Fn(&ContainerSpec) -> Behaviour + Send + Sync>,
    world: Arc<Mutex<World>>,
    changed: Arc<Notify>,
}

#[derive(Default)]
struct World {
    made: u64,
    sandboxes: HashMap<String, Sandbox>,
    containers: HashMap<String, Pretended>,
    /// Whether it pretends to be dead.
    down: bool,
}

struct Pretended {
    container: Container,
    behaviour: Behaviour,
    /// Whether its end by itself has been told.
    told: bool,
}

impl Sim {
    /// The runtime of the `index`th node: its pods have addresses of `10.128.0.0/9`, 254 a node.
    pub fn new(env: Env, index: u32) -> Self {
        Self::scripted(env, index, Behaviour::of)
    }

    /// As [`Sim::new`], with containers that behave as `script` says.
    pub fn scripted(
        env: Env,
        index: u32,
        script: impl Fn(&ContainerSpec) -> Behaviour + Send + Sync + 'static,
    ) -> Self {
        let (world, changed) = (Arc::default(), Arc::default());
        Self { env, index, script: Arc::new(script), world, changed }
    }

    /// Pretends that the runtime is dead, or alive again.
    pub fn set_down(&self, down: bool) {
        self.world().down = down;
        self.changed.notify_waiters();
    }

    /// Ends all containers with an error, as if the machine had run out of memory.
    pub fn crash(&self) {
        let now = self.env.now();
        for pretended in self.world().containers.values_mut().filter(|pretended| pretended.container.state.is_running())
        {
            pretended.exit(now, KILLED);
        }
        self.changed.notify_waiters();
    }

    fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }

    /// The world, with every container whose time is over ended.
    fn now(&self) -> Result<MutexGuard<'_, World>> {
        let mut world = self.world();
        if world.down {
            return Err(Error::Unavailable { message: "the simulated runtime is down".to_owned(), source: None });
        }
        let now = self.env.now();
        world.containers.values_mut().for_each(|pretended| pretended.advance(now));
        Ok(world)
    }

    /// The lowest address of the node that no running sandbox has.
    fn address(&self, world: &World) -> IpAddr {
        let base = u32::from(Ipv4Addr::new(10, 128, 0, 0)) + self.index * 256;
        let taken: Vec<IpAddr> =
            world.sandboxes.values().filter(|s| s.state.is_running()).filter_map(|s| s.ip).collect();
        let mut hosts = (1..=254).map(|host| IpAddr::from(Ipv4Addr::from(base + host)));
        hosts.find(|ip| !taken.contains(ip)).unwrap_or(IpAddr::from(Ipv4Addr::from(base + 255)))
    }

    fn behaviour(&self, id: &str) -> Result<Behaviour> {
        let world = self.now()?;
        let known = world.containers.get(id).map(|pretended| pretended.behaviour.clone());
        known
            .or_else(|| world.sandboxes.get(id).map(|_| Behaviour::default()))
            .ok_or_else(|| Error::NotFound(id.to_owned()))
    }

    /// The next end of a container by itself, told once.
    async fn next_event(&self) -> Result<Event> {
        loop {
            let changed = self.changed.notified();
            let wait = {
                let mut world = self.now()?;
                if let Some(event) = world.containers.values_mut().find_map(Pretended::tell) {
                    return Ok(event);
                }
                let now = self.env.now();
                world.containers.values().filter_map(|pretended| pretended.left(now)).min()
            };
            match wait {
                Some(wait) => drop(tokio::time::timeout(wait, changed).await),
                None => changed.await,
            }
        }
    }
}

impl Pretended {
    /// When it ends by itself.
    fn end(&self) -> Option<Timestamp> {
        let State::Running { started_at } = self.container.state else { return None };
        started_at.checked_add(self.behaviour.exit_after?).ok()
    }

    fn left(&self, now: Timestamp) -> Option<Duration> {
        self.end().map(|end| Duration::try_from(end.duration_since(now)).unwrap_or_default())
    }

    fn advance(&mut self, now: Timestamp) {
        if let Some(end) = self.end().filter(|end| *end <= now) {
            self.exit(end, self.behaviour.exit_code);
        }
    }

    fn exit(&mut self, finished_at: Timestamp, exit_code: i32) {
        let started_at = match self.container.state {
            State::Running { started_at } => started_at,
            State::Created => finished_at,
            State::Exited { .. } => return,
        };
        self.container.state =
            State::Exited { started_at, finished_at, exit_code, oom_killed: false, error: String::new() };
    }

    fn tell(&mut self) -> Option<Event> {
        if self.told || !self.container.state.is_exited() {
            return None;
        }
        self.told = true;
        Some(Event { uid: self.container.uid.clone(), id: self.container.id.clone(), kind: EventKind::Died })
    }
}

impl Runtime for Sim {
    fn version(&self) -> BoxFuture<'_, Result<Version>> {
        let version = Version { name: "sim".to_owned(), version: "1".to_owned(), endpoint: "none".to_owned() };
        futures::future::ready(self.now().map(|_| version)).boxed()
    }

    fn host(&self) -> BoxFuture<'_, Result<Host>> {
        let host = Host {
            cpus: 16,
            memory: 64 << 30,
            os: "linux".to_owned(),
            arch: architecture().to_owned(),
            os_image: "Simulated".to_owned(),
            kernel: "0".to_owned(),
            machine_id: format!("sim-{}", self.index),
        };
        futures::future::ready(Ok(host)).boxed()
    }

    fn prepare(&self) -> BoxFuture<'_, Result<()>> {
        futures::future::ready(Ok(())).boxed()
    }

    fn observe<'a>(&'a self, pod_uid: Option<&'a str>) -> BoxFuture<'a, Result<Observed>> {
        let observe = || {
            let world = self.now()?;
            let wanted = |uid: &str| pod_uid.is_none_or(|wanted| wanted == uid);
            Ok(Observed {
                sandboxes: world.sandboxes.values().filter(|s| wanted(&s.uid)).cloned().collect(),
                containers: world
                    .containers
                    .values()
                    .map(|p| &p.container)
                    .filter(|c| wanted(&c.uid))
                    .cloned()
                    .collect(),
            })
        };
        futures::future::ready(observe()).boxed()
    }

    fn create_sandbox<'a>(&'a self, spec: &'a SandboxSpec) -> BoxFuture<'a, Result<String>> {
        let create = || {
            let mut world = self.now()?;
            world.made += 1;
            let id = format!("{:08x}{:056x}", self.index, world.made);
            let PodId { namespace, name, uid } = spec.pod.clone();
            let (attempt, created_at) = (spec.attempt, self.env.now());
            let state = State::Created;
            let sandbox = Sandbox { id: id.clone(), namespace, pod: name, uid, attempt, state, ip: None, created_at };
            world.sandboxes.insert(id.clone(), sandbox);
            Ok(id)
        };
        futures::future::ready(create()).boxed()
    }

    fn start_sandbox<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Sandbox>> {
        let start = || {
            let mut world = self.now()?;
            let ip = self.address(&world);
            let started_at = self.env.now();
            let sandbox = world.sandboxes.get_mut(id).ok_or_else(|| Error::NotFound(id.to_owned()))?;
            sandbox.state = State::Running { started_at };
            sandbox.ip = Some(ip);
            Ok(sandbox.clone())
        };
        futures::future::ready(start()).boxed()
    }

    fn create_container<'a>(
        &'a self,
        sandbox_id: &'a str,
        pod: &'a PodId,
        spec: &'a ContainerSpec,
    ) -> BoxFuture<'a, Result<String>> {
        let create = || {
            let behaviour = (self.script)(spec);
            let mut world = self.now()?;
            world.made += 1;
            let id = format!("{:08x}{:056x}", self.index, world.made);
            let container = Container {
                id: id.clone(),
                uid: pod.uid.clone(),
                sandbox_id: sandbox_id.to_owned(),
                name: spec.name.clone(),
                attempt: spec.attempt,
                hash: spec.hash.clone(),
                image: spec.image.clone(),
                image_id: format!("sha256:{:064x}", 0),
                created_at: self.env.now(),
                state: State::Created,
            };
            world.containers.insert(id.clone(), Pretended { container, behaviour, told: false });
            Ok(id)
        };
        futures::future::ready(create()).boxed()
    }

    fn start_container<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Container>> {
        async move {
            let delay = self.behaviour(id)?.start_delay;
            if !delay.is_zero() {
                self.env.sleep(delay).await;
            }
            let started_at = self.env.now();
            let mut world = self.now()?;
            let pretended = world.containers.get_mut(id).ok_or_else(|| Error::NotFound(id.to_owned()))?;
            pretended.container.state = State::Running { started_at };
            if pretended.behaviour.exit_after.is_some() {
                self.changed.notify_waiters();
            }
            Ok(pretended.container.clone())
        }
        .boxed()
    }

    fn update<'a>(&'a self, id: &'a str, _: &'a Limits) -> BoxFuture<'a, Result<()>> {
        futures::future::ready(self.behaviour(id).map(drop)).boxed()
    }

    fn stop<'a>(&'a self, id: &'a str, grace_seconds: u32) -> BoxFuture<'a, Result<()>> {
        async move {
            let Ok(behaviour) = self.behaviour(id) else { return self.now().map(drop) };
            let grace = Duration::from_secs(grace_seconds.into());
            let delay = behaviour.stop_delay.min(grace);
            if !delay.is_zero() {
                self.env.sleep(delay).await;
            }
            let (now, killed) = (self.env.now(), behaviour.stop_delay > grace);
            let mut world = self.now()?;
            if let Some(pretended) = world.containers.get_mut(id) {
                pretended.exit(now, if killed { KILLED } else { 0 });
                pretended.told = true;
            }
            if let Some(sandbox) = world.sandboxes.get_mut(id)
                && let State::Running { started_at } = sandbox.state
            {
                let error = String::new();
                sandbox.state = State::Exited { started_at, finished_at: now, exit_code: 0, oom_killed: false, error };
            }
            Ok(())
        }
        .boxed()
    }

    fn remove<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<()>> {
        let removed = self.now().map(|mut world| {
            world.containers.remove(id);
            world.sandboxes.remove(id);
        });
        futures::future::ready(removed).boxed()
    }

    /// Every image is there, but those of the registry `missing.example`.
    fn image<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Image>>> {
        let image = || Image { id: format!("sha256:{:064x}", 0), tags: vec![name.to_owned()], ..Image::default() };
        let found = self.now().map(|_| (!name.starts_with("missing.example/")).then(image));
        futures::future::ready(found).boxed()
    }

    fn pull<'a>(&'a self, name: &'a str, _credentials: Option<&'a Credentials>) -> BoxFuture<'a, Result<Image>> {
        async move { self.image(name).await?.ok_or_else(|| Error::ImageNotFound(name.to_owned())) }.boxed()
    }

    fn images(&self) -> BoxFuture<'_, Result<Vec<Image>>> {
        futures::future::ready(Ok(Vec::new())).boxed()
    }

    fn load(&self, _: Bytes) -> BoxFuture<'_, Result<()>> {
        futures::future::ready(Ok(())).boxed()
    }

    fn logs<'a>(
        &'a self,
        id: &'a str,
        options: &'a LogOptions,
    ) -> BoxFuture<'a, Result<BoxStream<'static, Result<Output>>>> {
        let lines = self.behaviour(id).map(|behaviour| {
            // All is said when it starts.
            let time = self.world().containers.get(id).and_then(|pretended| pretended.container.state.started_at());
            let time = time.unwrap_or_else(|| self.env.now());
            let is_before = options.since.is_some_and(|since| time < since);
            let stamp = if options.timestamps { format!("{time:.9} ") } else { String::new() };
            let log = if is_before { "" } else { &behaviour.log };
            let lines: Vec<String> = log.lines().map(|line| format!("{stamp}{line}\n")).collect();
            let tail = options.tail.and_then(|tail| usize::try_from(tail).ok()).unwrap_or(usize::MAX);
            let skip = lines.len().saturating_sub(tail);
            stream::iter(lines.into_iter().skip(skip).map(|line| Ok(Output::Stdout(line.into())))).boxed()
        });
        futures::future::ready(lines).boxed()
    }

    /// The scripted answer, whatever the command. An empty command asks whether the container is ready.
    fn exec<'a>(&'a self, id: &'a str, options: &'a ExecOptions) -> BoxFuture<'a, Result<Session>> {
        let session = self.behaviour(id).map(|behaviour| {
            let is_probe = options.command.is_empty();
            let code = if is_probe { i32::from(!behaviour.ready) } else { behaviour.exec_code };
            let text = if is_probe { String::new() } else { behaviour.exec_output };
            let session = session(text, code);
            if behaviour.exec_echo && options.stdin && !is_probe { echoing(session) } else { session }
        });
        futures::future::ready(session).boxed()
    }

    fn attach<'a>(&'a self, id: &'a str, _: &'a ExecOptions) -> BoxFuture<'a, Result<Session>> {
        futures::future::ready(self.behaviour(id).map(|behaviour| session(behaviour.log, 0))).boxed()
    }

    fn stats<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Stats>> {
        futures::future::ready(self.behaviour(id).map(|_| Stats::default())).boxed()
    }

    fn events(&self, _since: Timestamp) -> BoxStream<'static, Result<Event>> {
        let events = stream::unfold(Some(self.clone()), |sim| async {
            let sim = sim?;
            match sim.next_event().await {
                Ok(event) => Some((Ok(event), Some(sim))),
                Err(error) => Some((Err(error), None)),
            }
        });
        events.boxed()
    }

    fn is_simulated(&self) -> bool {
        true
    }
}

fn session(text: String, code: i32) -> Session {
    let output = (!text.is_empty()).then(|| Ok(Output::Stdout(Bytes::from(text))));
    Session {
        input: Some(Box::pin(tokio::io::sink())),
        output: stream::iter(output).boxed(),
        resize: Box::new(|_| futures::future::ready(Ok(())).boxed()),
        exit: futures::future::ready(Ok(code)).boxed(),
    }
}

/// Writes what it reads, after what it has to say, and ends with its input.
fn echoing(session: Session) -> Session {
    let (input, output) = tokio::io::simplex(ECHO_BUFFER);
    let echo = ReaderStream::new(input)
        .map(|read| read.map(Output::Stdout).map_err(|error| Error::refused(error.to_string())));
    Session { input: Some(Box::pin(output)), output: session.output.chain(echo).boxed(), ..session }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn started(sim: &Sim) -> Container {
        let sandbox = sim.create_sandbox(&SandboxSpec::default()).await.unwrap();
        sim.start_sandbox(&sandbox).await.unwrap();
        let id = sim.create_container(&sandbox, &PodId::default(), &ContainerSpec::default()).await.unwrap();
        sim.start_container(&id).await.unwrap()
    }

    fn env() -> Env {
        Env::seeded(1, Timestamp::from_second(1_800_000_000).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_container_ends_by_itself_and_that_is_told() {
        let behaviour = Behaviour { exit_after: Some(Duration::from_secs(5)), exit_code: 3, ..Behaviour::default() };
        let sim = Sim::scripted(env(), 0, move |_| behaviour.clone());
        let container = started(&sim).await;
        assert!(container.state.is_running());
        let event = sim.events(Timestamp::UNIX_EPOCH).next().await.unwrap().unwrap();
        assert_eq!((event.id, event.kind), (container.id, EventKind::Died));
        let observed = sim.observe(None).await.unwrap();
        assert!(matches!(observed.containers[0].state, State::Exited { exit_code: 3, .. }));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_container_is_killed_after_the_grace() {
        let behaviour = Behaviour { stop_delay: Duration::from_secs(60), ..Behaviour::default() };
        let sim = Sim::scripted(env(), 0, move |_| behaviour.clone());
        let container = started(&sim).await;
        let begun = tokio::time::Instant::now();
        sim.stop(&container.id, 30).await.unwrap();
        assert_eq!(begun.elapsed(), Duration::from_secs(30));
        let observed = sim.observe(None).await.unwrap();
        assert!(matches!(observed.containers[0].state, State::Exited { exit_code: KILLED, .. }));
    }

    #[tokio::test(start_paused = true)]
    async fn a_container_says_what_it_says_when_it_starts() {
        let behaviour = Behaviour { log: "one\ntwo\n".to_owned(), ..Behaviour::default() };
        let sim = Sim::scripted(env(), 0, move |_| behaviour.clone());
        let container = started(&sim).await;
        let at = container.state.started_at().unwrap();
        tokio::time::advance(Duration::from_secs(5)).await;
        let check = async |options: LogOptions, expected: &str| {
            let lines: Vec<Result<Output>> = sim.logs(&container.id, &options).await.unwrap().collect().await;
            let text: Vec<Bytes> = lines.into_iter().map(|line| line.unwrap().into_bytes()).collect();
            assert_eq!(text.concat(), expected.as_bytes(), "{options:?}");
        };
        check(LogOptions { tail: Some(1), ..LogOptions::default() }, "two\n").await;
        let stamped = "2027-01-15T08:00:00.000000000Z one\n2027-01-15T08:00:00.000000000Z two\n";
        check(LogOptions { timestamps: true, since: Some(at), ..LogOptions::default() }, stamped).await;
        let later = at.checked_add(Duration::from_secs(1)).unwrap();
        check(LogOptions { since: Some(later), ..LogOptions::default() }, "").await;
    }

    #[tokio::test]
    async fn addresses_are_the_nodes_own_and_a_dead_runtime_is_unavailable() {
        let sim = Sim::new(env(), 3);
        started(&sim).await;
        started(&sim).await;
        let mut ips: Vec<_> =
            sim.observe(None).await.unwrap().sandboxes.iter().map(|s| s.ip.unwrap().to_string()).collect();
        ips.sort();
        assert_eq!(ips, ["10.128.3.1", "10.128.3.2"]);
        sim.set_down(true);
        assert!(sim.version().await.unwrap_err().is_unavailable());
        assert!(sim.events(Timestamp::UNIX_EPOCH).next().await.unwrap().is_err());
    }
}
