//! Programs beside the server, which may die and are then started again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use trimtab_client::{Client, Transport};
use trimtab_env::{Env, Tasks};

use super::faults::{Fault, Line};

/// How long after its death a program is started again.
const RESTART: Duration = Duration::from_secs(1);

/// Who has written how often, and whose write is to meet a fault.
pub(super) struct Programs {
    fault: Mutex<Option<(String, u64, Fault)>>,
    writes: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
}

impl Programs {
    pub(super) fn new(fault: Option<(String, u64, Fault)>) -> Self {
        Self { fault: Mutex::new(fault), writes: Mutex::default() }
    }

    pub(super) fn writes_of(&self, program: &str) -> u64 {
        lock(&self.writes).get(program).map_or(0, |writes| writes.load(Ordering::Relaxed))
    }

    /// Runs what `start` starts with a client, again after each death.
    pub(super) fn start(
        &self,
        name: &str,
        transport: Arc<dyn Transport>,
        env: &Env,
        tasks: &Tasks,
        start: impl Fn(Client, &Tasks) + Send + 'static,
    ) -> Running {
        let mut fault =
            lock(&self.fault).take_if(|(program, ..)| program == name).map(|(_, write, fault)| (write, fault));
        let writes = Arc::clone(lock(&self.writes).entry(name.to_owned()).or_default());
        let (running, env) = (Tasks::under(tasks.token()), env.clone());
        let ending = running.token().clone();
        running.spawn("program", async move {
            loop {
                let line = Arc::new(Line::new(Arc::clone(&transport), fault.take(), Arc::clone(&writes)));
                let alive = Tasks::new();
                start(Client::new(Arc::<Line>::clone(&line)), &alive);
                tokio::select! {
                    biased;
                    () = ending.cancelled() => return alive.shutdown().await,
                    () = line.died() => {}
                }
                // Nobody waits for the dead: what they had asked for is never answered.
                alive.token().cancel();
                tokio::select! {
                    biased;
                    () = ending.cancelled() => return,
                    () = env.sleep(RESTART) => {}
                }
            }
        });
        let all = running.clone();
        tasks.spawn("program", async move { all.join().await });
        Running(running)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A program that runs; dropping this leaves it running.
pub struct Running(Tasks);

impl Running {
    /// Ends it, each of its reconciles first.
    pub async fn stop(self) {
        self.0.shutdown().await;
    }
}
