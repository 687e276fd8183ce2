//! Conditions of types that a kind declares for itself.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A type that every [`Condition`] can be read as: it has the same fields, if not all of them, and needs no others.
///
/// `resources_from!` implements it for what has that shape in a file.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a condition",
    note = "use `k8s_openapi`'s `Condition`; a type of `resources_from!` is one if it has `type` and `status`, and needs \
            no other fields than `reason`, `message` and `lastTransitionTime`"
)]
pub trait IsCondition: Serialize + DeserializeOwned {}

impl IsCondition for Condition {}
