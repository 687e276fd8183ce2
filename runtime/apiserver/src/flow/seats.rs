//! The seats of the priority levels: who is served at once, who waits, and who is sent away.
//!
//! A level is sure of a part of its share and may use the rest of it, and of the others' shares, as long as
//! they leave room. Whoever finds no seat waits in one of its level's queues, or is refused. Of the queues,
//! the one that has been served least goes first: a flow that asks much stands in its own way
//! (<https://kubernetes.io/docs/concepts/cluster-administration/flow-control/>).

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use http::{Method, Uri};
use tokio::sync::oneshot;
use trimtab_env::{Env, Instant, lock};

use super::Distinguisher;
use super::stats::{Ended, Stats};

/// How many requests are served at a time, over all levels: upstream's `--max-requests-inflight` and
/// `--max-mutating-requests-inflight` together.
const SEATS: usize = 600;
/// How long anybody waits: a quarter of upstream's `--request-timeout`.
const PATIENCE: Duration = Duration::from_secs(15);
/// What a request is taken to cost until it is known.
const GUESS: Duration = Duration::from_millis(3);

/// How a level's requests wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Queuing {
    pub queues: usize,
    pub hand_size: usize,
    pub length: usize,
}

/// What a PriorityLevelConfiguration says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shares {
    pub name: Arc<str>,
    /// Nobody of the level waits, or is refused.
    pub exempt: bool,
    /// Its part of the seats, to those of the others.
    pub shares: usize,
    /// How much of them others may use, in percent.
    pub lendable: usize,
    /// How much it may use of others', in percent of its own; `None`: as much as there is.
    pub borrowing: Option<usize>,
    /// `None`: its requests are refused rather than wait.
    pub queuing: Option<Queuing>,
}

/// What a level may use, in seats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Limits {
    /// Its share.
    pub nominal: usize,
    /// What it always may.
    pub lower: usize,
    /// What it may at most.
    pub upper: usize,
}

/// A level by its place in the list, which it keeps as long as the server runs.
pub(super) type LevelId = usize;

/// A request, for who asks which are there.
#[derive(Clone, Default)]
pub(super) struct Request {
    pub user: String,
    pub method: Method,
    pub uri: Uri,
    pub by: Distinguisher,
}

/// What a request is, to those who give seats.
pub(super) struct Ticket<'a> {
    pub level: LevelId,
    /// Whose count it is in.
    pub schema: usize,
    /// What tells its flow from others of its schema.
    pub distinguisher: &'a str,
    pub request: Request,
}

/// Why a request is not served, as the metrics name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Refusal {
    ConcurrencyLimit,
    QueueFull,
    TimeOut,
}

/// How a level stands.
pub(super) struct Standing {
    pub name: Arc<str>,
    /// Whether it is configured still.
    pub is_there: bool,
    pub waiting: usize,
    pub executing: usize,
    pub ended: Ended,
    pub queues: Vec<QueueStanding>,
}

/// How a queue stands.
pub(super) struct QueueStanding {
    pub waiting: usize,
    /// Those that have waited in it: who has found a seat at once has been in none.
    pub executing: usize,
    /// For how long its requests have been served; the queue with the least goes first.
    pub served: Duration,
    /// For how long those that wait are taken to be served.
    pub work: Duration,
}

impl QueueStanding {
    fn of(Queue { waiting, executing, served }: &Queue) -> Self {
        let waiting = waiting.len();
        let work = GUESS.saturating_mul(u32::try_from(waiting).unwrap_or(u32::MAX));
        Self { waiting, executing: *executing, served: *served, work }
    }
}

/// A request that waits or is served.
pub(super) struct Listed {
    pub level: Arc<str>,
    pub schema: Arc<str>,
    /// `None` when it has found a seat at once.
    pub queue: Option<usize>,
    /// How many go before it in its queue, as long as it waits.
    pub place: Option<usize>,
    /// How long it has been there.
    pub age: Duration,
    /// How long it has been served.
    pub served: Option<Duration>,
    pub request: Request,
}

/// All levels.
#[derive(Default)]
pub(super) struct Seats(Mutex<State>);

#[derive(Default)]
struct State {
    /// Over all levels.
    total: usize,
    executing: usize,
    /// What levels are sure of and do not use.
    reserved: usize,
    levels: Vec<Level>,
    stats: Stats,
    /// Those that wait or are served, in the order in which they came.
    present: BTreeMap<u64, Present>,
    next_id: u64,
}

struct Present {
    level: LevelId,
    schema: usize,
    queue: Option<usize>,
    since: Instant,
    /// When it was given its seat.
    started: Option<Instant>,
    request: Request,
}

struct Level {
    config: Shares,
    /// Whether it is configured still.
    is_there: bool,
    limits: Limits,
    executing: usize,
    queues: Vec<Queue>,
    waiting: usize,
    /// What the queue that was last served had been served: one that was empty does not catch up.
    floor: Duration,
    /// Where to begin among queues that have been served alike.
    next: usize,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// Those that have waited here, and have a seat.
    executing: usize,
    /// For how long its requests have been served.
    served: Duration,
}

struct Waiting {
    id: u64,
    seat: oneshot::Sender<Seat>,
}

/// A seat, for as long as it is kept.
pub(crate) struct Seat {
    seats: Arc<Seats>,
    id: u64,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let given = self.seats.state().leave(self.id);
        self.seats.seat(given);
    }
}

/// Who has been given a seat.
type Given = Vec<Waiting>;

/// A place in a queue; whoever leaves it before his turn gives it up.
struct Place<'a> {
    seats: &'a Arc<Seats>,
    level: LevelId,
    queue: usize,
    id: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.seats.state().give_up(self.level, self.queue, self.id);
    }
}

enum Asked {
    Served(u64),
    Waits(usize, u64, oneshot::Receiver<Seat>),
}

impl Seats {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }

    /// Takes what the configuration says now. Answers each level's place.
    pub(super) fn configure(self: &Arc<Self>, levels: &[Shares]) -> Vec<LevelId> {
        let (ids, given) = self.state().configure(levels);
        self.seat(given);
        ids
    }

    /// The place of a schema's counts.
    pub(super) fn schema(&self, level: &Arc<str>, schema: &str) -> usize {
        self.state().stats.of(level, schema)
    }

    /// Waits for a seat, if it need be.
    ///
    /// # Errors
    /// When there is none, and none to be waited for.
    pub(super) async fn take(self: &Arc<Self>, env: &Env, ticket: Ticket<'_>) -> Result<Seat, Refusal> {
        let (level, schema, since) = (ticket.level, ticket.schema, Instant::now());
        let (queue, id, mut seat) = match self.state().ask(ticket, since)? {
            Asked::Served(id) => return Ok(self.occupied(id)),
            Asked::Waits(queue, id, seat) => (queue, id, seat),
        };
        let place = Place { seats: self, level, queue, id };
        tokio::select! {
            biased;
            // The other end is kept until it is used, or the place given up.
            Ok(seat) = &mut seat => Ok(seat),
            () = env.sleep(PATIENCE) => {
                drop(place);
                // It may have come in between.
                match seat.try_recv() {
                    Ok(seat) => Ok(seat),
                    Err(_) => {
                        self.state().stats.refused(schema, Refusal::TimeOut, since.elapsed());
                        Err(Refusal::TimeOut)
                    }
                }
            }
        }
    }

    fn occupied(self: &Arc<Self>, id: u64) -> Seat {
        Seat { seats: Arc::clone(self), id }
    }

    /// Tells those who have been given a seat. One who has gone gives his back by dropping it.
    fn seat(self: &Arc<Self>, given: Given) {
        for Waiting { id, seat } in given {
            drop(seat.send(self.occupied(id)));
        }
    }

    /// How each level stands: of those that are configured, and of those that are asked of still.
    pub(super) fn standings(&self) -> Vec<Standing> {
        let state = self.state();
        let standing = |level: &Level| Standing {
            name: Arc::clone(&level.config.name),
            is_there: level.is_there,
            waiting: level.waiting,
            executing: level.executing,
            ended: state.stats.ended(&level.config.name),
            queues: level.queues.iter().map(QueueStanding::of).collect(),
        };
        let is_asked = |level: &&Level| level.is_there || level.waiting + level.executing > 0;
        state.levels.iter().filter(is_asked).map(standing).collect()
    }

    /// Those that wait or are served, in the order in which they came.
    pub(super) fn requests(&self) -> Vec<Listed> {
        let (state, now) = (self.state(), Instant::now());
        let listed = |(id, present): (&u64, &Present)| {
            let level = &state.levels[present.level];
            let waiting = present.queue.map(|queue| &level.queues[queue].waiting);
            Listed {
                level: Arc::clone(&level.config.name),
                schema: Arc::clone(state.stats.schema(present.schema)),
                queue: present.queue,
                place: waiting.and_then(|waiting| waiting.iter().position(|waiting| waiting.id == *id)),
                age: now.duration_since(present.since),
                served: present.started.map(|started| now.duration_since(started)),
                request: present.request.clone(),
            }
        };
        state.present.iter().map(listed).collect()
    }

    /// The metrics, in Prometheus' text format.
    pub(super) fn text(&self) -> String {
        let state = self.state();
        let there = state.levels.iter().filter(|level| level.is_there);
        state.stats.text(there.map(|level| (&*level.config.name, level.limits)))
    }
}

impl State {
    fn configure(&mut self, configs: &[Shares]) -> (Vec<LevelId>, Given) {
        let sum: usize = configs.iter().map(|config| config.shares).sum();
        // One that is no more lets those through that wait still.
        for level in &mut self.levels {
            (level.is_there, level.limits) = (false, Limits { nominal: 1, lower: 0, upper: 1 });
        }
        let mut ids = Vec::with_capacity(configs.len());
        self.total = 0;
        for config in configs {
            let nominal = (SEATS * config.shares).div_ceil(sum.max(1));
            let lendable = (nominal * config.lendable.min(100) + 50) / 100;
            let borrowing = config.borrowing.map_or(SEATS, |percent| (nominal * percent + 50) / 100);
            let limits =
                Limits { nominal, lower: nominal - lendable, upper: (nominal + borrowing).min(SEATS.max(nominal)) };
            self.total += if config.exempt { 0 } else { nominal };
            let known = self.levels.iter().position(|level| level.config.name == config.name);
            let id = known.unwrap_or(self.levels.len());
            if id == self.levels.len() {
                self.levels.push(Level::new(config.clone()));
            }
            let level = &mut self.levels[id];
            (level.config, level.limits, level.is_there) = (config.clone(), limits, true);
            let queues = config.queuing.map_or(0, |queuing| queuing.queues);
            // Those that are there are emptied, if there are to be fewer.
            level.queues.resize_with(level.queues.len().max(queues), Queue::default);
            ids.push(id);
        }
        let limited = || self.levels.iter().filter(|level| !level.config.exempt);
        let executing = limited().map(|level| level.executing).sum();
        let reserved = limited().map(|level| level.limits.lower.saturating_sub(level.executing)).sum();
        (self.executing, self.reserved) = (executing, reserved);
        (ids, self.serve())
    }

    /// Whether the level may have one more.
    fn has_room(&self, level: &Level) -> bool {
        let Level { executing, limits, config, .. } = level;
        config.exempt
            || *executing < limits.lower
            || (*executing < limits.upper && self.executing + self.reserved < self.total)
    }

    fn occupy(&mut self, id: LevelId) {
        let level = &mut self.levels[id];
        if !level.config.exempt {
            self.executing += 1;
            self.reserved -= usize::from(level.executing < level.limits.lower);
        }
        level.executing += 1;
    }

    fn ask(&mut self, ticket: Ticket<'_>, now: Instant) -> Result<Asked, Refusal> {
        let Ticket { level: at, schema, distinguisher, request } = ticket;
        let (level, id) = (&self.levels[at], self.next_id);
        let mut present = Present { level: at, schema, queue: None, since: now, started: None, request };
        if level.waiting == 0 && self.has_room(level) {
            self.occupy(at);
            self.stats.dispatched(schema, None);
            present.started = Some(now);
            self.present.insert(id, present);
            self.next_id += 1;
            return Ok(Asked::Served(id));
        }
        let refusal = match level.config.queuing {
            None => Refusal::ConcurrencyLimit,
            Some(queuing) => {
                let queue = self.levels[at].queue_for(queuing, schema, distinguisher);
                let level = &mut self.levels[at];
                if level.queues[queue].waiting.len() < queuing.length {
                    let (sender, seat) = oneshot::channel();
                    let floor = level.floor;
                    let place = &mut level.queues[queue];
                    if place.waiting.is_empty() {
                        place.served = place.served.max(floor);
                    }
                    place.waiting.push_back(Waiting { id, seat: sender });
                    level.waiting += 1;
                    self.stats.waits(schema);
                    present.queue = Some(queue);
                    self.present.insert(id, present);
                    self.next_id += 1;
                    return Ok(Asked::Waits(queue, id, seat));
                }
                Refusal::QueueFull
            }
        };
        self.stats.refused(schema, refusal, Duration::ZERO);
        Err(refusal)
    }

    fn give_up(&mut self, level: LevelId, queue: usize, id: u64) {
        let level = &mut self.levels[level];
        let waiting = &mut level.queues[queue].waiting;
        if let Some(at) = waiting.iter().position(|waiting| waiting.id == id)
            && let (Some(_), Some(gone)) = (waiting.remove(at), self.present.remove(&id))
        {
            level.waiting -= 1;
            self.stats.gave_up(gone.schema);
        }
    }

    fn leave(&mut self, id: u64) -> Given {
        let Some(gone) = self.present.remove(&id) else { return Given::new() };
        let took = gone.started.unwrap_or(gone.since).elapsed();
        self.stats.finished(gone.schema, took);
        let level = &mut self.levels[gone.level];
        level.executing -= 1;
        if let Some(queue) = gone.queue {
            let Queue { served, executing, .. } = &mut level.queues[queue];
            *served = (*served + took).saturating_sub(GUESS);
            *executing -= 1;
        }
        if !level.config.exempt {
            self.executing -= 1;
            self.reserved += usize::from(level.executing < level.limits.lower);
        }
        if self.levels.iter().all(|level| level.waiting == 0) { Given::new() } else { self.serve() }
    }

    /// Gives away what is free: first to those who have less than their share.
    fn serve(&mut self) -> Given {
        let mut given = Given::new();
        for borrows in [false, true] {
            for id in 0..self.levels.len() {
                loop {
                    let level = &self.levels[id];
                    let is_due = level.waiting > 0 && (borrows || level.executing < level.limits.nominal);
                    if !is_due || !self.has_room(level) {
                        break;
                    }
                    let Some(waiting) = self.levels[id].next() else { break };
                    self.occupy(id);
                    if let Some(present) = self.present.get_mut(&waiting.id) {
                        self.stats.waits_no_more(present.schema);
                        self.stats.dispatched(present.schema, Some(present.since.elapsed()));
                        present.started = Some(Instant::now());
                    }
                    given.push(waiting);
                }
            }
        }
        given
    }
}

impl Level {
    fn new(config: Shares) -> Self {
        let (limits, floor) = (Limits::default(), Duration::ZERO);
        Self { config, is_there: true, limits, executing: 0, queues: Vec::new(), waiting: 0, floor, next: 0 }
    }

    /// Of the queues that a flow is dealt, the one where fewest wait: two flows rarely have the same hand
    /// (shuffle sharding).
    fn queue_for(&self, Queuing { queues, hand_size, .. }: Queuing, schema: usize, distinguisher: &str) -> usize {
        let mut hasher = DefaultHasher::new();
        (schema, distinguisher).hash(&mut hasher);
        let hand = deal(hasher.finish(), queues.max(1), hand_size.clamp(1, queues.max(1)));
        hand.into_iter().min_by_key(|queue| self.queues[*queue].waiting.len()).unwrap_or_default()
    }

    /// The next one: of the queue that has been served least.
    fn next(&mut self) -> Option<Waiting> {
        let count = self.queues.len();
        let turns = (0..count).map(|turn| (self.next + turn) % count);
        let waits = turns.filter(|queue| !self.queues[*queue].waiting.is_empty());
        let queue = waits.min_by_key(|queue| self.queues[*queue].served)?;
        let place = &mut self.queues[queue];
        let waiting = place.waiting.pop_front()?;
        self.floor = self.floor.max(place.served);
        place.served += GUESS;
        place.executing += 1;
        self.waiting -= 1;
        self.next = (queue + 1) % count;
        Some(waiting)
    }
}

/// `count` different numbers below `of`, each hand as likely as any other.
fn deal(mut entropy: u64, of: usize, count: usize) -> Vec<usize> {
    let mut hand: Vec<usize> = Vec::with_capacity(count);
    for dealt in 0..count {
        let left = (of - dealt) as u64;
        let mut card = usize::try_from(entropy % left).unwrap_or_default();
        entropy /= left;
        // Those that are dealt already are not counted.
        let mut before = hand.clone();
        before.sort_unstable();
        for other in before {
            card += usize::from(other <= card);
        }
        hand.push(card);
    }
    hand
}
