//! Tells when something in the watched directories changes. The only module that knows notify.

use std::path::PathBuf;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Config, Event, EventKind, PollWatcher, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

/// How often a directory is looked through where the system does not tell of changes.
const POLL: Duration = Duration::from_secs(2);

/// Watches directories until dropped.
pub(crate) struct Folders {
    _watcher: Box<dyn Watcher + Send>,
    changed: mpsc::Receiver<()>,
}

impl Folders {
    /// Watches `roots`: by the system's events, or by polling where it has none to give (a network
    /// file system, no more inotify watches).
    ///
    /// # Errors
    /// When a directory cannot even be polled.
    pub(crate) fn watch(roots: &[PathBuf]) -> notify::Result<Self> {
        // One waiting signal says as much as many.
        let (sender, changed) = mpsc::channel(1);
        let config = Config::default().with_poll_interval(POLL).with_follow_symlinks(false);
        let by_events = started::<RecommendedWatcher>(roots, sender.clone(), config);
        let watcher = by_events.or_else(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "watching by polling every {POLL:?}");
            started::<PollWatcher>(roots, sender, config)
        })?;
        Ok(Self { _watcher: watcher, changed })
    }

    /// Waits for a change.
    pub(crate) async fn changed(&mut self) {
        if self.changed.recv().await.is_none() {
            // The watcher is gone; what else wakes the caller still does.
            std::future::pending().await
        }
    }
}

fn started<W: Watcher + Send + 'static>(
    roots: &[PathBuf],
    sender: mpsc::Sender<()>,
    config: Config,
) -> notify::Result<Box<dyn Watcher + Send>> {
    let tell = move |event: notify::Result<Event>| {
        if event.is_ok_and(|event| is_reading(event.kind)) {
            return;
        }
        // Full means that a signal is waiting already.
        let _ = sender.try_send(());
    };
    let mut watcher = W::new(tell, config)?;
    for root in roots {
        watcher.watch(root, RecursiveMode::Recursive)?;
    }
    Ok(Box::new(watcher))
}

/// Whether nothing was changed. Our own reading is told of, too.
fn is_reading(kind: EventKind) -> bool {
    matches!(kind, EventKind::Access(access) if access != AccessKind::Close(AccessMode::Write))
}
