//! What is known of one file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use trimtab_api::Object;
use trimtab_env::Instant;

use crate::manifest_file::{AppliedObject, ManifestFile, ManifestFileStatus};
use crate::plan::{Fingerprint, Key};
use crate::scan::Stamp;

/// The pause after a failure: the first, doubled by each further one, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(60));

/// Someone who undoes each repair within this time is in a fight with the file, which then takes
/// its time.
const FIGHT: Duration = Duration::from_secs(10);

/// One file: as it is on disk, as it is in the cluster.
pub(crate) struct Known {
    pub(crate) file: ManifestFile,
    /// What was read last; `None` when nothing was since the start.
    pub(crate) stamp: Option<Stamp>,
    /// The objects of the last version that could be read.
    pub(crate) objects: Vec<Object>,
    /// What is wrong with the present version.
    pub(crate) fault: Option<String>,
    /// What the objects are: what this file lays claim to.
    pub(crate) claims: BTreeSet<Key>,
    /// What has been applied, and may have to be pruned.
    pub(crate) memory: Vec<AppliedObject>,
    /// What is in the cluster as the file has it.
    pub(crate) applied: BTreeMap<Key, (Object, Fingerprint)>,
    /// Since when the file is not there.
    pub(crate) missing: Option<Instant>,
    /// When there is something to do.
    pub(crate) due: Option<Instant>,
    failures: u32,
    repairs: u32,
    repaired: Option<Instant>,
}

impl Known {
    /// A file that has just been found.
    pub(crate) fn new(path: &Path) -> Self {
        Self::remembered(ManifestFile::of(path))
    }

    /// A file as its object tells.
    pub(crate) fn remembered(file: ManifestFile) -> Self {
        let memory = file.status.as_ref().map(|status| status.objects.clone()).unwrap_or_default();
        Self {
            file,
            stamp: None,
            objects: Vec::new(),
            fault: None,
            claims: BTreeSet::new(),
            memory,
            applied: BTreeMap::new(),
            missing: None,
            due: None,
            failures: 0,
            repairs: 0,
            repaired: None,
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(&self.file.spec.path)
    }

    /// Takes in what is in the file now. A version with a mistake leaves the last good one in
    /// force.
    pub(crate) fn take(&mut self, stamp: Stamp, read: Result<Vec<Object>, String>, now: Instant) {
        self.stamp = Some(stamp);
        self.fault = match read {
            Ok(objects) => {
                self.objects = objects;
                None
            }
            Err(fault) => Some(fault),
        };
        self.failures = 0;
        self.due = Some(now);
    }

    /// Someone changed or deleted what the file applied.
    pub(crate) fn drifted(&mut self, key: &Key, now: Instant) {
        if self.applied.remove(key).is_none() || self.missing.is_some() {
            return;
        }
        let fights = self.repaired.is_some_and(|then| now.duration_since(then) < FIGHT + pause(self.repairs));
        self.repairs = if fights { self.repairs + 1 } else { 0 };
        self.repaired = Some(now);
        let wait = if fights { pause(self.repairs) } else { Duration::ZERO };
        self.due = Some(self.due.map_or(now + wait, |due| due.min(now + wait)));
    }

    /// Notes how an attempt ended; after a failure there is another.
    pub(crate) fn attempted(&mut self, problems: &[String], now: Instant) {
        self.failures = if problems.is_empty() { 0 } else { self.failures + 1 };
        self.due = (!problems.is_empty()).then(|| now + pause(self.failures));
    }

    /// The status that tells of `problems`.
    pub(crate) fn status(&self, problems: &[String], now: Timestamp) -> ManifestFileStatus {
        let before = self.file.status.as_ref().map(|status| &status.conditions[..]).unwrap_or_default();
        let parsed = self.fault.as_ref().map_or(Ok(("Parsed", "")), |fault| Err(("Unreadable", fault.clone())));
        let ready = match (&self.fault, problems) {
            (Some(fault), _) => Err(("Unreadable", format!("{fault}; its last good state is kept"))),
            (None, []) => Ok(("Applied", "")),
            (None, problems) => Err(("Failed", problems.join("; "))),
        };
        let mut errors: Vec<_> = self.fault.iter().chain(problems).cloned().collect();
        errors.dedup();
        ManifestFileStatus {
            object_count: i32::try_from(self.memory.len()).unwrap_or(i32::MAX),
            objects: self.memory.clone(),
            conditions: vec![condition("Parsed", parsed, before, now), condition("Ready", ready, before, now)],
            last_error: (!errors.is_empty()).then(|| errors.join("; ")),
        }
    }
}

fn pause(failures: u32) -> Duration {
    PAUSES.0.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(PAUSES.1)
}

fn condition(
    type_: &str,
    holds: Result<(&str, &str), (&str, String)>,
    before: &[Condition],
    now: Timestamp,
) -> Condition {
    let (status, reason, message) = match holds {
        Ok((reason, message)) => ("True", reason, message.to_owned()),
        Err((reason, message)) => ("False", reason, message),
    };
    let same = before.iter().find(|condition| condition.type_ == type_ && condition.status == status);
    Condition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message,
        last_transition_time: same.map_or(Time(now), |condition| condition.last_transition_time.clone()),
        observed_generation: None,
    }
}
