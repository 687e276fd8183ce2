//! What goes wrong in a run, and where.

use std::fmt;
use std::time::Duration;

/// What goes wrong with one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The program dies before it has asked.
    CrashBefore,
    /// The program dies when the write is made, before it has heard so.
    CrashAfter,
    /// The write is made, and the answer lost.
    ReplyLost,
    /// The server refuses with this code, as it does when somebody else has written (409), when it is asked too
    /// much (429) and when something failed (500).
    Refused(u16),
    /// The program is cut off from the server for longer than another that stands for election waits: that one leads
    /// then ([`TestCluster::run_elected`](super::TestCluster::run_elected)). The write is on its way meanwhile, and
    /// arrives when the other has made so many writes; at the latest when the program can be heard again.
    LeaderLost(u32),
}

/// What goes wrong with one watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchFault {
    /// The server refuses it with this code, as it does when it is asked too much (429) and when something failed
    /// (500).
    Refused(u16),
    /// It breaks off after so many pieces of news.
    Dropped(u32),
    /// After so many pieces of news, nothing more comes for a while.
    Stalled(u32, Duration),
    /// After so many pieces of news, the version that it is at has expired: whoever watches must list again.
    Expired(u32),
    /// All news comes so late: what is known of the kind is old. Where two kinds come late by different times, what
    /// happened to the one first is heard of last.
    Late(Duration),
}

/// What happens to the cluster itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outage {
    /// A node loses its containers, and is away for a while.
    Node(String, Duration),
    /// All containers of a node end with an error.
    Containers(String),
    /// The clock is set forward, or back, by so many seconds.
    Clock(i64),
}

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A program's write.
    Write {
        /// Whose: `kube-controller-manager`, `kube-scheduler`, `kubelet` (that of all nodes), or the controller's name.
        program: String,
        /// Which one of all that the program makes, counted from 0.
        number: u64,
        /// What becomes of it.
        fault: Fault,
    },
    /// What a program reads otherwise than by watching.
    Read {
        /// Whose.
        program: String,
        /// Which one of all that the program reads, counted from 0.
        number: u64,
        /// The server refuses with this code.
        code: u16,
    },
    /// A program's watch.
    Watch {
        /// Whose.
        program: String,
        /// Of what: `/api/v1/pods`.
        path: String,
        /// Which one of all that the program begins of this path, counted from 0.
        number: u64,
        /// What becomes of it.
        fault: WatchFault,
    },
    /// Something else.
    Outage {
        /// How long after the cluster was ready.
        after: Duration,
        /// What happens.
        outage: Outage,
    },
}

/// All that goes wrong in a run.
pub type Plan = Vec<Trouble>;

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CrashBefore => f.write_str("it dies before"),
            Self::CrashAfter => f.write_str("it dies right after"),
            Self::ReplyLost => f.write_str("the write is made and the answer lost"),
            Self::Refused(code) => write!(f, "the server refuses with {code}"),
            Self::LeaderLost(u32::MAX) => f.write_str("it is cut off; the write arrives when it is back"),
            Self::LeaderLost(after) => write!(f, "it is cut off; the write arrives after {after} of the next leader"),
        }
    }
}

impl fmt::Display for WatchFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(code) => write!(f, "{}", Fault::Refused(*code)),
            Self::Dropped(after) => write!(f, "it breaks off after {after} pieces of news"),
            Self::Stalled(after, time) => write!(f, "after {after} pieces of news nothing comes for {time:?}"),
            Self::Expired(after) => write!(f, "after {after} pieces of news its version has expired"),
            Self::Late(time) => write!(f, "all news comes {time:?} late"),
        }
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(name, time) => write!(f, "{name} loses its containers and is away for {time:?}"),
            Self::Containers(name) => write!(f, "the containers of {name} end with an error"),
            Self::Clock(seconds) => write!(f, "the clock is set by {seconds:+} s"),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write { program, number, fault } => write!(f, "{program}, write {number}: {fault}"),
            Self::Read { program, number, code } => write!(f, "{program}, read {number}: {}", Fault::Refused(*code)),
            Self::Watch { program, path, number, fault } => write!(f, "{program}, watch {number} of {path}: {fault}"),
            Self::Outage { after, outage } => write!(f, "{after:?} after the start: {outage}"),
        }
    }
}
