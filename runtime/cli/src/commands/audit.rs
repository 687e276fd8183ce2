//! The flags of the audit log, under upstream's names.

use std::path::PathBuf;

use trimtab_cluster::component::{AuditConfig, AuditDestination, AuditRotation};

/// A megabyte, as upstream counts the log's size.
const MEGABYTE: u64 = 1 << 20;

#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Flags {
    /// What is logged of which requests: an audit.k8s.io/v1 Policy; without it, nothing is.
    #[arg(long, value_name = "FILE", requires = "audit_log_path")]
    audit_policy_file: Option<PathBuf>,
    /// Where the audit log goes; `-` is the standard output.
    #[arg(long, value_name = "FILE", requires = "audit_policy_file")]
    audit_log_path: Option<PathBuf>,
    /// The size in megabytes at which the audit log is put aside; 0 for none.
    #[arg(long, value_name = "MB", default_value_t = 100)]
    audit_log_maxsize: u64,
    /// How many audit logs that were put aside are kept; 0 for all.
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    audit_log_maxbackup: usize,
}

impl Flags {
    pub(crate) fn config(self) -> Option<AuditConfig> {
        let (policy_file, path) = (self.audit_policy_file?, self.audit_log_path?);
        let max_size = self.audit_log_maxsize.saturating_mul(MEGABYTE);
        let destination = if path.as_os_str() == "-" {
            AuditDestination::Stdout
        } else {
            AuditDestination::File(path, AuditRotation { max_size, max_backups: self.audit_log_maxbackup })
        };
        Some(AuditConfig { policy_file, destination })
    }
}
