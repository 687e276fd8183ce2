//! Backups: pods that run to their end.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use trimtab::client::DeleteParams;
use trimtab::{Context, EventType, Named, Next, Result};

use crate::Database;

/// How the last backup stands.
pub(crate) enum Last {
    Running,
    Saved,
}

impl Database {
    /// Has each stretch of time have its backup, and forgets old ones.
    pub(crate) async fn back_up(&self, cx: &Context<Self>) -> Result<Next> {
        let (every, now) = (self.spec.backup.every_minutes * 60, cx.env().now().as_second());
        let name = format!("{}-backup-{}", self.name(), now / every);
        let backups = self.backups(cx);
        if !backups.iter().any(|backup| backup.name() == name) {
            cx.create_owned(self.pod(&name, "backup", "Never")).await?;
        }
        let saved: Vec<_> = backups.iter().filter(|backup| has_ended(backup, "Succeeded")).collect();
        let kept = usize::try_from(self.spec.backup.keep).unwrap_or(1);
        for old in &saved[..saved.len().saturating_sub(kept)] {
            cx.delete(&***old, DeleteParams::default()).await?;
        }
        Ok(Next::after(Duration::from_secs((every - now % every).unsigned_abs())))
    }

    /// The name of the newest backup that succeeded.
    pub(crate) fn last_backup(&self, cx: &Context<Self>) -> Option<String> {
        let backups = self.backups(cx);
        backups.iter().rev().find(|backup| has_ended(backup, "Succeeded")).map(|backup| backup.name().to_owned())
    }

    /// Makes the backup without which the database may not go. One that failed is made again.
    pub(crate) async fn save_for_good(&self, cx: &Context<Self>) -> Result<Last> {
        let name = format!("{}-last-backup", self.name());
        match cx.owned::<Pod>().iter().find(|pod| pod.name() == name) {
            None => {
                cx.create_owned(self.pod(&name, "backup", "Never")).await?;
            }
            Some(backup) if has_ended(backup, "Succeeded") => {
                cx.event(self, EventType::Normal, "Saved", format!("by pod {name}"));
                return Ok(Last::Saved);
            }
            Some(backup) if has_ended(backup, "Failed") => cx.delete(&**backup, DeleteParams::default()).await?,
            Some(_) => {}
        }
        Ok(Last::Running)
    }

    /// All but the last one, the oldest first.
    fn backups(&self, cx: &Context<Self>) -> Vec<Arc<Pod>> {
        let prefix = format!("{}-backup-", self.name());
        let is_backup = |pod: &Arc<Pod>| pod.name().starts_with(&prefix) && pod.metadata.deletion_timestamp.is_none();
        cx.owned::<Pod>().into_iter().filter(is_backup).collect()
    }
}

fn has_ended(pod: &Pod, phase: &str) -> bool {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some(phase)
}
