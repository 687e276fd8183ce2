//! Audit policies.

use trimtab_apiserver::AuditPolicy;

/// A policy is read, or refused with a reason.
pub fn audit_policy(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Err(error) = AuditPolicy::parse(text) {
        assert!(!error.to_string().is_empty());
    }
}
