//! Classes, requests and levels of the cluster as a whole.

use serde_json::Value;

use super::{NONE, get, list, text};
use crate::object::Object;
use crate::table::human_duration;

/// PriorityClasses.
pub(crate) fn priority_class(name: &str, object: &Object, _now: i64) -> Value {
    match name {
        "Global-Default" => get(object, "globalDefault").as_bool().unwrap_or(false).into(),
        "PreemptionPolicy" => text(get(object, "preemptionPolicy")).into(),
        _ => Value::Null,
    }
}

/// CertificateSigningRequests.
pub(crate) fn signing_request(name: &str, object: &Object, _now: i64) -> Value {
    match name {
        "RequestedDuration" => {
            let seconds = get(object, "spec.expirationSeconds").as_i64();
            seconds.map_or_else(|| NONE.into(), |seconds| human_duration(seconds).into())
        }
        "Condition" => {
            let mut conditions: Vec<_> =
                list(get(object, "status.conditions")).iter().map(|condition| text(&condition["type"])).collect();
            if conditions.is_empty() {
                conditions.push("Pending");
            }
            if !text(get(object, "status.certificate")).is_empty() {
                conditions.push("Issued");
            }
            conditions.join(",").into()
        }
        _ => Value::Null,
    }
}

/// FlowSchemas.
pub(crate) fn flow_schema(name: &str, object: &Object, _now: i64) -> Value {
    let dangling = || list(get(object, "status.conditions")).iter().find(|condition| condition["type"] == "Dangling");
    match name {
        "DistinguisherMethod" => super::or_none(text(get(object, "spec.distinguisherMethod.type"))).into(),
        "MissingPL" => dangling().map_or("?", |condition| text(&condition["status"])).into(),
        _ => Value::Null,
    }
}

/// PriorityLevelConfigurations.
pub(crate) fn priority_level(name: &str, object: &Object, _now: i64) -> Value {
    let limited = get(object, "spec.limited");
    let queuing = &limited["limitResponse"]["queuing"];
    let found = match name {
        "NominalConcurrencyShares" => &limited["nominalConcurrencyShares"],
        "Queues" => &queuing["queues"],
        "HandSize" => &queuing["handSize"],
        "QueueLengthLimit" => &queuing["queueLengthLimit"],
        _ => return Value::Null,
    };
    found.as_i64().map_or_else(|| NONE.into(), |number| number.to_string().into())
}

/// ResourceClaims.
pub(crate) fn resource_claim(name: &str, object: &Object, _now: i64) -> Value {
    if name != "State" {
        return Value::Null;
    }
    let states = [
        (object.deletion_timestamp().is_some(), "deleted"),
        (get(object, "status.allocation").is_object(), "allocated"),
        (!list(get(object, "status.reservedFor")).is_empty(), "reserved"),
    ];
    let states: Vec<_> = states.into_iter().filter(|(holds, _)| *holds).map(|(_, state)| state).collect();
    if states.is_empty() { "pending".into() } else { states.join(",").into() }
}

/// ResourceSlices.
pub(crate) fn resource_slice(name: &str, object: &Object, _now: i64) -> Value {
    match name {
        "Node" => super::or_none(text(get(object, "spec.nodeName"))).into(),
        _ => Value::Null,
    }
}
