//! Keeps the cluster as the files have it: looks, applies, prunes, repairs, reports.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::oneshot;
use trimtab_client::{Api, Client, Discovery, Error, ListParams};
use trimtab_env::{Env, Instant, Tasks};

use crate::cluster::{self, MANAGER, explain};
use crate::drift::{Drift, News};
use crate::file::Known;
use crate::folders::Folders;
use crate::manifest_file::ManifestFile;
use crate::plan::{self, Fingerprint, Key, Resolved, Wanted};
use crate::scan::{self, Scan, Stamp};

/// A file that was written less than this ago may still be being written.
const SETTLED: Duration = Duration::from_millis(200);

/// A file that is gone is pruned after this: many programs replace a file by removing it and
/// writing it anew.
const GONE: Duration = Duration::from_secs(1);

/// Changes to a directory come in swarms; this long the swarm is awaited.
const DEBOUNCE: Duration = Duration::from_millis(50);

/// The pause before a directory that is not there is looked for again.
const AWAY: Duration = Duration::from_secs(1);

/// The pause before an API server that does not answer is asked again.
const ABSENT: Duration = Duration::from_millis(500);

pub(crate) struct Syncer {
    client: Client,
    env: Env,
    tasks: Tasks,
    /// Canonical paths.
    roots: Vec<PathBuf>,
    files: BTreeMap<PathBuf, Known>,
    served: Discovery,
    drift: Drift,
    rescan: Option<Instant>,
    /// The roots' inodes as they were when the watch of the directories began.
    watched: Vec<Option<u64>>,
}

/// A file on its way through one pass.
struct Work {
    path: PathBuf,
    wanted: Vec<Wanted>,
    problems: Vec<String>,
    /// Whether a kind is not served; one of the files may define it.
    unknown_kind: bool,
}

impl Syncer {
    pub(crate) fn new(client: Client, env: Env, tasks: Tasks, roots: Vec<PathBuf>) -> Self {
        let drift = Drift::new(&client, &env, &tasks);
        let rescan = Some(Instant::now());
        let watched = scan::inodes(&roots);
        Self { client, env, tasks, roots, files: BTreeMap::new(), served: Discovery::default(), drift, rescan, watched }
    }

    /// Works until dropped.
    pub(crate) async fn run(mut self, mut folders: Folders) {
        self.remember().await;
        loop {
            self.pass().await;
            self.watch_again(&mut folders);
            let wait = self.next_due().map(|due| due.saturating_duration_since(Instant::now()));
            let timer = async {
                match wait {
                    Some(wait) => self.env.sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            // Each branch that loses is only a wait, and loses nothing.
            tokio::select! {
                () = timer => {}
                () = folders.changed() => {
                    self.env.sleep(DEBOUNCE).await;
                    self.rescan = Some(Instant::now());
                }
                news = self.drift.news() => self.heed(news),
            }
        }
    }

    /// A directory that was removed and made anew is another one, which nobody watches yet.
    fn watch_again(&mut self, folders: &mut Folders) {
        let there = scan::inodes(&self.roots);
        let now = Instant::now();
        if there.contains(&None) {
            self.rescan.get_or_insert(now + AWAY);
        } else if there != self.watched {
            match Folders::watch(&self.roots) {
                Ok(watch) => (*folders, self.watched) = (watch, there),
                Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "a directory is not watched"),
            }
            self.rescan.get_or_insert(now + AWAY);
        }
    }

    /// Learns from the API server what it serves, and what the files have applied so far.
    async fn remember(&mut self) {
        loop {
            match self.recollect().await {
                Ok(()) => return,
                Err(error) => {
                    tracing::warn!(error = explain(&error), "the watched directory waits for the API server");
                    self.env.sleep(ABSENT).await;
                }
            }
        }
    }

    async fn recollect(&mut self) -> Result<(), Error> {
        self.served = self.client.discover().await?;
        let files = Api::<ManifestFile>::all(&self.client).list(&ListParams::default()).await?;
        for file in files.items {
            let known = Known::remembered(file);
            // A file of a directory that is not watched this time is let be.
            if self.roots.iter().any(|root| known.path().starts_with(root)) {
                self.files.insert(known.path(), known);
            }
        }
        Ok(())
    }

    fn next_due(&self) -> Option<Instant> {
        let files = self.files.values();
        let wakes =
            files.filter_map(|known| known.missing.map(|since| since + GONE).into_iter().chain(known.due).max());
        wakes.chain(self.rescan).min()
    }

    /// Does everything that is due.
    async fn pass(&mut self) {
        let now = Instant::now();
        if self.rescan.is_some_and(|due| due <= now) {
            self.rescan = None;
            self.look(now).await;
        }
        let is_due = |known: &Known| known.due.is_some_and(|due| due <= now);
        let present = self.files.iter().filter(|(_, known)| known.missing.is_none() && is_due(known));
        let present: Vec<PathBuf> = present.map(|(path, _)| path.clone()).collect();
        let gone = self.files.iter().filter(|(_, known)| {
            known.missing.is_some_and(|since| since + GONE <= now) && known.due.is_none_or(|due| due <= now)
        });
        let gone: Vec<PathBuf> = gone.map(|(path, _)| path.clone()).collect();
        if !present.is_empty() {
            self.apply_files(present).await;
        }
        for path in gone {
            self.bury(&path).await;
        }
        let applied = self.files.values().flat_map(|known| &known.memory);
        let kinds: HashSet<_> = applied.filter_map(|applied| plan::resource_of(applied, &self.served)).collect();
        self.drift.watch(&kinds);
    }

    /// Looks through the directories and reads what has changed.
    async fn look(&mut self, now: Instant) {
        let roots = self.roots.clone();
        let found = self.blocking(move || {
            let mut found = Scan::default();
            roots.iter().for_each(|root| scan::scan(root, &mut found));
            found
        });
        let Ok(found) = found.await else { return };
        for (path, error) in &found.unread {
            tracing::warn!(path = %path.display(), error, "not all of a watched directory can be read");
        }
        let there: BTreeSet<_> = found.files.iter().map(|(path, _)| path.clone()).collect();
        for (path, stamp) in found.files {
            self.visit(path, stamp, now).await;
        }
        for (path, known) in &mut self.files {
            let unread = found.unread.iter().any(|(unread, _)| path.starts_with(unread));
            if !there.contains(path) && !unread {
                known.missing.get_or_insert(now);
            }
        }
    }

    async fn visit(&mut self, path: PathBuf, stamp: Stamp, now: Instant) {
        let known = self.files.entry(path.clone()).or_insert_with(|| Known::new(&path));
        if known.missing.take().is_some() && known.due.is_none() {
            known.due = Some(now);
        }
        if known.stamp == Some(stamp) {
            return;
        }
        if !settled(&stamp, &self.env) {
            self.rescan = Some(now + SETTLED);
            return;
        }
        let objects = self.blocking({
            let path = path.clone();
            move || scan::objects(&path)
        });
        let Ok(objects) = objects.await else { return };
        if let Some(known) = self.files.get_mut(&path) {
            known.take(stamp, objects, now);
        }
    }

    fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> oneshot::Receiver<T> {
        let (sender, receiver) = oneshot::channel();
        self.tasks.spawn_blocking(move || drop(sender.send(work())));
        receiver
    }

    /// Applies files in the order of their objects' ranks, then prunes what they no longer hold.
    async fn apply_files(&mut self, paths: Vec<PathBuf>) {
        let mut works = Vec::new();
        for path in &paths {
            works.push(self.resolve(path.clone()).await);
        }
        if works.iter().any(|work| work.unknown_kind) && self.define(&works).await {
            works.clear();
            for path in paths {
                works.push(self.resolve(path).await);
            }
        }
        for work in &mut works {
            self.prepare(work).await;
        }
        let mut order: Vec<(usize, usize, Wanted)> = Vec::new();
        for (index, work) in works.iter_mut().enumerate() {
            order.extend(std::mem::take(&mut work.wanted).into_iter().map(|wanted| (wanted.rank(), index, wanted)));
        }
        order.sort_by_key(|(rank, index, _)| (*rank, *index));
        for (_, index, wanted) in order {
            self.apply(&mut works[index], wanted).await;
        }
        for work in works {
            self.conclude(work).await;
        }
    }

    /// Applies the definitions among what is wanted, so that it is known what the rest is. Whether
    /// there was any; what is wrong with it is told when everything is applied.
    async fn define(&mut self, works: &[Work]) -> bool {
        let mut any = false;
        for work in works {
            let definitions = work.wanted.iter().filter(|wanted| wanted.is_definition()).cloned().collect();
            let mut first =
                Work { path: work.path.clone(), wanted: definitions, problems: vec![], unknown_kind: false };
            self.prepare(&mut first).await;
            for wanted in std::mem::take(&mut first.wanted) {
                any = true;
                let name = wanted.key.name.clone();
                self.apply(&mut first, wanted).await;
                cluster::established(&self.client, &self.env, &name).await;
            }
        }
        any
    }

    async fn resolve(&mut self, path: PathBuf) -> Work {
        let mut resolved = self.resolved(&path);
        if resolved.unknown_kind
            && let Ok(discovery) = self.client.discover().await
        {
            self.served = discovery;
            resolved = self.resolved(&path);
        }
        if let Some(known) = self.files.get_mut(&path) {
            known.claims = resolved.wanted.iter().map(|wanted| wanted.key.clone()).collect();
        }
        Work { path, wanted: resolved.wanted, problems: resolved.problems, unknown_kind: resolved.unknown_kind }
    }

    fn resolved(&self, path: &Path) -> Resolved {
        let objects = self.files.get(path).map(|known| &known.objects[..]).unwrap_or_default();
        plan::resolve(objects, &self.served, self.client.default_namespace())
    }

    /// Leaves out what an earlier file holds, and remembers the rest before it is applied: a crash
    /// in between leaves nothing that is not remembered.
    async fn prepare(&mut self, work: &mut Work) {
        let (path, problems) = (&work.path, &mut work.problems);
        let earlier = |key: &Key| {
            let mut others = self.files.range(..path.clone()).filter(|(_, known)| known.missing.is_none());
            others.find(|(_, known)| known.claims.contains(key)).map(|(path, _)| path.clone())
        };
        work.wanted.retain(|wanted| {
            let holder = earlier(&wanted.key);
            problems.extend(holder.iter().map(|path| format!("{}: {} holds it already", wanted.key, path.display())));
            holder.is_none()
        });
        if let Err(error) = self.remember_wanted(work).await {
            work.wanted.clear();
            work.problems.push(explain(&error));
        }
    }

    async fn remember_wanted(&mut self, work: &Work) -> Result<(), Error> {
        let mut created = BTreeSet::new();
        for wanted in &work.wanted {
            let remembered = self.memories(&wanted.key).next().map(|applied| applied.created);
            let is_created = match remembered {
                Some(created) => created,
                None => !cluster::exists(&self.client, wanted).await?,
            };
            if is_created {
                created.insert(wanted.key.clone());
            }
        }
        let Some(known) = self.files.get_mut(&work.path) else { return Ok(()) };
        let next = plan::remembering(&known.memory, &work.wanted, |key| created.contains(key));
        if next == known.memory {
            return Ok(());
        }
        known.memory = next;
        let status = known.file.status.clone().unwrap_or_default();
        let count = i32::try_from(known.memory.len()).unwrap_or(i32::MAX);
        let status = crate::ManifestFileStatus { objects: known.memory.clone(), object_count: count, ..status };
        cluster::report(&self.client, &known.file, &status).await?;
        known.file.status = Some(status);
        Ok(())
    }

    /// What files, this or another, remember of an object.
    fn memories<'a>(&'a self, key: &'a Key) -> impl Iterator<Item = &'a crate::AppliedObject> {
        self.files.values().flat_map(|known| &known.memory).filter(move |applied| Key::of(applied) == *key)
    }

    async fn apply(&mut self, work: &mut Work, wanted: Wanted) {
        let Some(known) = self.files.get_mut(&work.path) else { return };
        if known.applied.get(&wanted.key).is_some_and(|(object, _)| *object == wanted.object) {
            return;
        }
        match cluster::apply(&self.client, &wanted).await {
            Ok(live) => {
                let fingerprint = Fingerprint::of(&live, MANAGER);
                known.applied.insert(wanted.key, (wanted.object, fingerprint));
            }
            Err(error) => {
                known.applied.remove(&wanted.key);
                work.problems.push(format!("{}: {}", wanted.key, explain(&error)));
            }
        }
    }

    /// Prunes and reports. A file of which something could not be applied prunes nothing: what looks
    /// removed may be what is misspelt.
    async fn conclude(&mut self, mut work: Work) {
        let Some(known) = self.files.get(&work.path) else { return };
        if known.fault.is_none() && work.problems.is_empty() {
            let keep = known.claims.clone();
            work.problems = self.prune(&work.path, &keep).await;
        }
        let (now, time) = (Instant::now(), self.env.now());
        let Some(known) = self.files.get_mut(&work.path) else { return };
        known.attempted(&work.problems, now);
        let status = known.status(&work.problems, time);
        if known.file.status.as_ref() == Some(&status) {
            return;
        }
        match cluster::report(&self.client, &known.file, &status).await {
            Ok(()) => known.file.status = Some(status),
            Err(error) => known.attempted(&[explain(&error)], now),
        }
    }

    /// Takes back all that the file has applied but `keep`. Answers what could not be taken back.
    async fn prune(&mut self, path: &Path, keep: &BTreeSet<Key>) -> Vec<String> {
        let Some(known) = self.files.get(path) else { return Vec::new() };
        let superfluous: Vec<_> = plan::superfluous(&known.memory, keep).into_iter().cloned().collect();
        let mut problems = Vec::new();
        for applied in superfluous {
            let key = Key::of(&applied);
            if !self.is_claimed_by_another(&key, path)
                && let Some(resource) = plan::resource_of(&applied, &self.served)
                && let Err(error) = cluster::prune(&self.client, &applied, &resource).await
            {
                problems.push(format!("{key}: it cannot be pruned: {}", explain(&error)));
                continue;
            }
            if let Some(known) = self.files.get_mut(path) {
                known.memory.retain(|other| *other != applied);
                known.applied.remove(&key);
            }
        }
        problems
    }

    fn is_claimed_by_another(&self, key: &Key, path: &Path) -> bool {
        let mut others = self.files.iter().filter(|(other, known)| *other != path && known.missing.is_none());
        others.any(|(_, known)| known.claims.contains(key))
    }

    /// Prunes a file that is gone, and forgets it.
    async fn bury(&mut self, path: &Path) {
        let mut problems = self.prune(path, &BTreeSet::new()).await;
        let Some(known) = self.files.get_mut(path) else { return };
        if problems.is_empty() {
            match cluster::forget(&self.client, &known.file).await {
                Ok(()) => return drop(self.files.remove(path)),
                Err(error) => problems.push(explain(&error)),
            }
        }
        tracing::warn!(path = %path.display(), problem = problems[0], "a removed file is not pruned yet");
        known.attempted(&problems, Instant::now());
    }

    /// Notes what has become of applied objects.
    fn heed(&mut self, news: News) {
        let now = Instant::now();
        let mut next = Some(news);
        while let Some(news) = next {
            for known in self.files.values_mut() {
                for key in drifted(&known.applied, &news) {
                    known.drifted(&key, now);
                }
            }
            next = self.drift.more();
        }
    }
}

/// Of what was applied, what `news` tells is not as it was.
fn drifted(applied: &BTreeMap<Key, (trimtab_api::Object, Fingerprint)>, news: &News) -> Vec<Key> {
    match news {
        News::Seen(key, seen) => {
            let changed = |own: &Fingerprint| seen.as_ref().is_none_or(|seen| own.is_changed_by(seen));
            applied.get(key).filter(|(_, own)| changed(own)).map(|_| key.clone()).into_iter().collect()
        }
        News::Listed(kind, live) => {
            let listed = applied.iter().filter(|(key, _)| key.group == kind.group && key.kind == kind.kind);
            let changed = listed.filter(|(key, (_, own))| live.get(key).is_none_or(|seen| own.is_changed_by(seen)));
            changed.map(|(key, _)| key.clone()).collect()
        }
    }
}

fn settled(stamp: &Stamp, env: &Env) -> bool {
    let Some(modified) = stamp.modified.and_then(|time| jiff::Timestamp::try_from(time).ok()) else { return true };
    // A time far in the future is a wrong clock, not a write in progress.
    env.now().duration_since(modified).unsigned_abs() >= SETTLED
}
