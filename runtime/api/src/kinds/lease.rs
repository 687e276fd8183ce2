//! Leases (`pkg/apis/coordination/validation`).

use k8s_openapi::api::coordination::v1::Lease as Typed;

use crate::field::Path;
use crate::kinds::typed;
use crate::object::Object;
use crate::strategy::{Admission, Operation, Strategy};

/// Leases.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lease;

impl Strategy for Lease {
    fn admit(&self, _: Operation<'_>, object: &mut Object) -> Admission {
        typed(object, |lease: &mut Typed, checks| {
            let Some(spec) = &lease.spec else { return };
            let path = Path::new("spec");
            if let Some(seconds) = spec.lease_duration_seconds.filter(|seconds| *seconds <= 0) {
                checks.invalid(&path.child("leaseDurationSeconds"), seconds, "must be greater than 0");
            }
            checks.non_negative(&path.child("leaseTransitions"), spec.lease_transitions);
            if spec.holder_identity.as_deref() == Some("") {
                checks.invalid(&path.child("holderIdentity"), "", "must not be empty");
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::fixture::create_errors;

    #[test]
    fn a_lease_lasts() {
        for (spec, expected) in [
            ("{leaseDurationSeconds: 40, renewTime: '2026-01-01T00:00:00.000000Z'}", vec![]),
            (
                "{leaseDurationSeconds: 0, leaseTransitions: -1}",
                vec![
                    "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
                    "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0",
                ],
            ),
        ] {
            let yaml = format!("{{metadata: {{name: l, namespace: d}}, spec: {spec}}}");
            assert_eq!(create_errors(&Lease, &yaml), expected, "{spec}");
        }
    }
}
