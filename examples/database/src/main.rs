//! Databases: a server with a password of its own, backups at set times, and one more before it goes.

mod backups;
mod server;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::{Deserialize, Serialize};
use trimtab::{Conditions, Context, Error, Next, Resource, Result, Schema, controller};

use crate::backups::Last;

/// A database.
#[derive(Resource, Schema, Serialize, Deserialize, Clone, Debug)]
#[serde(rename_all = "camelCase")]
#[resource(group = "demo.io", version = "v1", kind = "Database", short = "db", status = DatabaseStatus,
           column("Ready", ".status.conditions[?(@.type==\"Ready\")].status"),
           column("Backup", ".status.lastBackup"))]
struct DatabaseSpec {
    image: String,
    #[resource(default = Backup { every_minutes: 60, keep: 3 })]
    backup: Backup,
}

/// When its content is saved.
#[derive(Schema, Serialize, Deserialize, Clone, Debug)]
#[serde(rename_all = "camelCase")]
struct Backup {
    #[resource(default = 60, rule = "self >= 1")]
    every_minutes: i64,
    /// How many are kept, beside the last one.
    #[resource(default = 3, rule = "self >= 1")]
    keep: i32,
}

#[derive(Schema, Serialize, Deserialize, Clone, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct DatabaseStatus {
    /// The last backup that succeeded.
    last_backup: Option<String>,
    #[serde(default)]
    conditions: Vec<Condition>,
}

#[controller(owns(Pod, Secret, Service), finalizer = "demo.io/last-backup")]
impl Reconcile for Database {
    async fn reconcile(&self, cx: &Context<Self>) -> Result<Next> {
        cx.apply(self.secret(cx)?).await?;
        cx.apply(self.service()).await?;
        let server = cx.apply(self.server()).await?;
        let is_ready = server::is_ready(&server);
        let next = if is_ready { self.back_up(cx).await? } else { Next::on_change() };
        let last_backup = self.last_backup(cx);
        let ready = match is_ready {
            true => cx.condition("Ready", true, "Running", ""),
            false => cx.condition("Ready", false, "Starting", "the server is not ready"),
        };
        cx.status(|status| {
            status.last_backup = last_backup.or(status.last_backup.take());
            status.conditions.put(ready);
        })
        .await?;
        Ok(next)
    }

    async fn cleanup(&self, cx: &Context<Self>) -> Result<()> {
        match self.save_for_good(cx).await? {
            Last::Saved => Ok(()),
            Last::Running => Err(Error::waiting("the last backup runs")),
        }
    }
}

fn main() -> ExitCode {
    trimtab::operator!(Database)
}
