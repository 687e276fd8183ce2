//! Programs beside the server, which may die and are then started again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use trimtab_client::Transport;
use trimtab_env::{Env, Tasks, lock};

use super::faults::Weather;
use super::history::History;
use super::line::{Counts, Line};
use super::managers::Managers;
use super::roles::Roles;

/// How long after its death a program is started again.
const RESTART: Duration = Duration::from_secs(1);

/// The present life of a program, if it lives.
type Life = Arc<Mutex<Option<Arc<Line>>>>;

/// All programs, dead or alive.
pub(super) struct Programs {
    weather: Arc<Weather>,
    history: History,
    pub(super) roles: Arc<Roles>,
    pub(super) managers: Arc<Managers>,
    known: Mutex<BTreeMap<String, Arc<Counts>>>,
    alive: Mutex<Vec<Life>>,
    env: Env,
    tasks: Tasks,
}

impl Programs {
    pub(super) fn new(weather: Arc<Weather>, history: History, env: Env, tasks: Tasks) -> Self {
        let (known, alive) = (Mutex::default(), Mutex::default());
        Self { weather, history, roles: Arc::default(), managers: Arc::default(), known, alive, env, tasks }
    }

    /// What is known of the program, if it was ever started.
    pub(super) fn counts(&self, program: &str) -> Option<Arc<Counts>> {
        lock(&self.known).get(program).cloned()
    }

    /// Whether any waits to lead.
    pub(super) fn are_elected(&self) -> bool {
        lock(&self.known).values().any(|counts| counts.is_elected)
    }

    /// Has every program die now.
    pub(super) fn restart(&self) {
        for current in lock(&self.alive).iter() {
            if let Some(line) = &*lock(current) {
                line.kill();
            }
        }
    }

    /// Runs what `start` starts on a way to the server, after `before` and again after each death.
    pub(super) fn start(
        &self,
        name: &str,
        is_elected: bool,
        transport: Arc<dyn Transport>,
        before: impl Future<Output = ()> + Send + 'static,
        start: impl Fn(&Arc<Line>, &Tasks) + Send + 'static,
    ) -> Running {
        let new = || Arc::new(Counts::new(name, is_elected, &self.weather, &self.history, &self.roles));
        let counts = Arc::clone(lock(&self.known).entry(name.to_owned()).or_insert_with(new));
        let current = Life::default();
        lock(&self.alive).push(Arc::clone(&current));
        let (running, env) = (Tasks::under(self.tasks.token()), self.env.clone());
        let (ending, own) = (running.token().clone(), running.clone());
        running.spawn("program", async move {
            if ending.run_until_cancelled(before).await.is_none() {
                return;
            }
            loop {
                let line = Arc::new(Line::new(Arc::clone(&transport), &counts, &own));
                *lock(&current) = Some(Arc::clone(&line));
                let alive = Tasks::new();
                start(&line, &alive);
                tokio::select! {
                    biased;
                    () = ending.cancelled() => {
                        *lock(&current) = None;
                        return alive.shutdown().await;
                    }
                    () = line.died() => {}
                }
                // Nobody waits for the dead: what they had asked for is never answered.
                alive.token().cancel();
                *lock(&current) = None;
                tokio::select! {
                    biased;
                    () = ending.cancelled() => return,
                    () = env.sleep(RESTART) => {}
                }
            }
        });
        let all = running.clone();
        self.tasks.spawn("program", async move { all.join().await });
        Running(running)
    }
}

/// A program that runs; dropping this leaves it running.
pub struct Running(Tasks);

impl Running {
    /// Ends it, each of its reconciles first.
    pub async fn stop(self) {
        self.0.shutdown().await;
    }
}
