//! Why containers could not be started, and when they are tried again.

use std::fmt;

use jiff::Timestamp;

use super::Worker;
use crate::pod::actions::Start;
use crate::runtime::{self, Container};

/// Why a container could not be started.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// It waits, for this reason and with this message, and is tried again later and later.
    Waits(&'static str, String),
    /// It was made, and has ended or never ran: the runtime tells how. Its restart waits as after a crash.
    Ended(String),
    /// The API or the runtime did not answer, which is no fault of the container's: it is tried again soon.
    Postponed(String),
}

impl Fault {
    /// Why a container waits, once the runtime has failed.
    pub(super) fn because(reason: &'static str) -> impl Fn(runtime::Error) -> Self {
        move |error| match error.is_unavailable() {
            true => Self::Postponed(error.to_string()),
            false => Self::Waits(reason, error.to_string()),
        }
    }

    /// The pod's configuration is at fault.
    pub(super) fn config(why: impl ToString) -> Self {
        Self::Waits("CreateContainerConfigError", why.to_string())
    }
}

impl From<trimtab_client::Error> for Fault {
    fn from(error: trimtab_client::Error) -> Self {
        match error {
            trimtab_client::Error::Transport(_) => Self::Postponed(error.to_string()),
            refused => Self::config(refused),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Waits(_, why) | Self::Ended(why) | Self::Postponed(why)) = self;
        f.write_str(why)
    }
}

impl Worker {
    pub(super) fn note_start(&mut self, name: &str, result: Result<Container, Fault>, now: Timestamp) {
        match result {
            Ok(container) => {
                self.problems.remove(name);
                self.backoff.reset(&start_key(name));
                self.observed.containers.push(container);
            }
            Err(Fault::Ended(why)) => {
                self.node.event(&self.pod, Some(name), true, "Failed", format!("Error: {why}"));
                self.dirty = true;
                self.mailbox.tell(|news| news.dirty = true);
                if self.backoff.remaining(name, now, now).is_none() {
                    self.backoff.next(name, now, now);
                }
            }
            Err(Fault::Waits(reason, message)) => {
                self.node.event(&self.pod, Some(name), true, "Failed", format!("Error: {message}"));
                self.problem(name, reason, message, now);
            }
            Err(Fault::Postponed(why)) => self.postpone(&why),
        }
    }

    /// Tries again soon, as if nothing had been tried.
    fn postpone(&mut self, why: &str) {
        tracing::debug!(pod = %self.uid(), why, "a start is postponed");
        self.node.health.suspect();
        self.postponed = true;
        self.dirty = true;
    }

    /// None of the containers could be started; what is there of the pod is looked at anew.
    pub(super) fn all_failed(&mut self, starts: &[Start], fault: Fault, event: &'static str, now: Timestamp) {
        self.dirty = true;
        match fault {
            Fault::Waits(reason, message) => {
                self.node.event(&self.pod, None, true, event, message.clone());
                for start in starts {
                    self.problem(&start.name, reason, message.clone(), now);
                }
            }
            Fault::Ended(why) | Fault::Postponed(why) => self.postpone(&why),
        }
    }

    /// Notes why a container waits, and when it is tried again.
    fn problem(&mut self, name: &str, reason: &str, message: String, now: Timestamp) {
        let known = self.problems.get(name).is_some_and(|(old, _)| old == "ErrImagePull" || old == "ImagePullBackOff");
        let (reason, message) = match self.wanted(name).and_then(|wanted| wanted.image.as_deref()) {
            Some(image) if known && reason == "ErrImagePull" => {
                ("ImagePullBackOff", format!("Back-off pulling image \"{image}\": ErrImagePull: {message}"))
            }
            _ => (reason, message),
        };
        self.backoff.next(&start_key(name), now, now);
        self.problems.insert(name.to_owned(), (reason.to_owned(), message));
    }

    /// How much longer to wait before a container that could not be started is tried again.
    pub(super) fn retry_in(&self, name: &str) -> Option<std::time::Duration> {
        if !self.problems.contains_key(name) {
            return None;
        }
        self.backoff.remaining(&start_key(name), Timestamp::MIN, self.node.shared.env.now())
    }

    /// What the pod is made from has changed: what could not be started for want of it may be now.
    pub(super) fn retry_at_once(&mut self) {
        for name in self.problems.keys() {
            self.backoff.reset(&start_key(name));
        }
    }
}

/// Starts that fail wait apart from containers that end.
fn start_key(name: &str) -> String {
    format!("{name}/start")
}
