//! HorizontalPodAutoscalers of `autoscaling/v1`, which knows of one measure alone, the processor;
//! the others stand in annotations (`pkg/apis/autoscaling/v1/conversion.go`).

use serde_json::{Map, Value, json};

use super::View;
use crate::object::Object;

/// `autoscaling/v1`.
pub static AUTOSCALER: View = View { group: "autoscaling", version: "v2", to_stored, from_stored, field: |path| path };

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const CURRENT_METRICS: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
/// Annotations that hold a field as it is stored.
const AS_STORED: [(&str, [&str; 2]); 2] = [
    ("autoscaling.alpha.kubernetes.io/behavior", ["spec", "behavior"]),
    ("autoscaling.alpha.kubernetes.io/conditions", ["status", "conditions"]),
];
const TARGET: [&str; 2] = ["spec", "targetCPUUtilizationPercentage"];
const CURRENT: [&str; 2] = ["status", "currentCPUUtilizationPercentage"];

/// Of each type of metric: its field, and what that holds in `v2` and in `v1`.
type Source = (&'static str, &'static str, &'static [(&'static [&'static str], &'static str)]);

const SOURCES: [Source; 5] = [
    (
        "Resource",
        "resource",
        &[
            (&["name"], "name"),
            (&["target", "averageUtilization"], "targetAverageUtilization"),
            (&["target", "averageValue"], "targetAverageValue"),
            (&["current", "averageUtilization"], "currentAverageUtilization"),
            (&["current", "averageValue"], "currentAverageValue"),
        ],
    ),
    (
        "ContainerResource",
        "containerResource",
        &[
            (&["name"], "name"),
            (&["container"], "container"),
            (&["target", "averageUtilization"], "targetAverageUtilization"),
            (&["target", "averageValue"], "targetAverageValue"),
            (&["current", "averageUtilization"], "currentAverageUtilization"),
            (&["current", "averageValue"], "currentAverageValue"),
        ],
    ),
    (
        "Pods",
        "pods",
        &[
            (&["metric", "name"], "metricName"),
            (&["metric", "selector"], "selector"),
            (&["target", "averageValue"], "targetAverageValue"),
            (&["current", "averageValue"], "currentAverageValue"),
        ],
    ),
    (
        "Object",
        "object",
        &[
            (&["describedObject"], "target"),
            (&["metric", "name"], "metricName"),
            (&["metric", "selector"], "selector"),
            (&["target", "value"], "targetValue"),
            (&["target", "averageValue"], "averageValue"),
            (&["current", "value"], "currentValue"),
            (&["current", "averageValue"], "averageValue"),
        ],
    ),
    (
        "External",
        "external",
        &[
            (&["metric", "name"], "metricName"),
            (&["metric", "selector"], "metricSelector"),
            (&["target", "value"], "targetValue"),
            (&["target", "averageValue"], "targetAverageValue"),
            (&["current", "value"], "currentValue"),
            (&["current", "averageValue"], "currentAverageValue"),
        ],
    ),
];

fn to_stored(autoscaler: &mut Object) {
    let mut metrics = annotated(autoscaler, METRICS).map(|list| convert_all(list, "target", stored_metric));
    if let Some(percent) = autoscaler.remove(&TARGET) {
        let cpu = json!({"type": "Resource", "resource": {"name": "cpu",
            "target": {"type": "Utilization", "averageUtilization": percent}}});
        metrics.get_or_insert_default().insert(0, cpu);
    }
    let mut current = annotated(autoscaler, CURRENT_METRICS).map(|list| convert_all(list, "current", stored_metric));
    if let Some(percent) = autoscaler.remove(&CURRENT) {
        let cpu = json!({"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": percent}}});
        if current.as_ref().is_none_or(|current| !current.iter().any(is_of_processor)) {
            current.get_or_insert_default().push(cpu);
        }
    }
    for (path, list) in [(["spec", "metrics"], metrics), (["status", "currentMetrics"], current)] {
        if let Some(list) = list {
            autoscaler.set(&path, list);
        }
    }
    for (annotation, path) in AS_STORED {
        if let Some(value) = annotated(autoscaler, annotation) {
            autoscaler.set(&path, value);
        }
    }
}

fn from_stored(autoscaler: &mut Object) {
    let metrics = autoscaler.remove(&["spec", "metrics"]);
    let (cpu, others): (Vec<_>, Vec<_>) = list(metrics).into_iter().partition(is_of_processor);
    if let Some(percent) = cpu.first().and_then(|cpu| cpu.pointer("/resource/target/averageUtilization")) {
        autoscaler.set(&TARGET, percent.clone());
    }
    annotate(autoscaler, METRICS, others);
    let current = list(autoscaler.remove(&["status", "currentMetrics"]));
    let cpu = current.iter().find(|metric| is_of_processor(metric));
    if let Some(percent) = cpu.and_then(|cpu| cpu.pointer("/resource/current/averageUtilization")) {
        autoscaler.set(&CURRENT, percent.clone());
    }
    annotate(autoscaler, CURRENT_METRICS, current);
    for (annotation, path) in AS_STORED {
        if let Some(value) = autoscaler.remove(&path) {
            autoscaler.set(&["metadata", "annotations", annotation], value.to_string());
        }
    }
}

fn list(value: Option<Value>) -> Vec<Value> {
    if let Some(Value::Array(list)) = value { list } else { Vec::new() }
}

fn is_of_processor(metric: &Value) -> bool {
    let resource = &metric["resource"];
    let measured = ["target", "current"].iter().any(|side| resource[*side]["averageUtilization"].is_number());
    metric["type"] == "Resource" && resource["name"] == "cpu" && measured
}

/// Takes what an annotation holds out of it; what cannot be read stays.
fn annotated(autoscaler: &mut Object, annotation: &str) -> Option<Value> {
    let path = ["metadata", "annotations", annotation];
    let value: Value = serde_json::from_str(autoscaler.at(&path)?.as_str()?).ok()?;
    autoscaler.remove(&path);
    if autoscaler.at(&path[..2]).and_then(Value::as_object).is_some_and(Map::is_empty) {
        autoscaler.remove(&path[..2]);
    }
    Some(value)
}

fn annotate(autoscaler: &mut Object, annotation: &str, metrics: Vec<Value>) {
    if !metrics.is_empty() {
        let metrics: Value = metrics.into_iter().map(served_metric).collect();
        autoscaler.set(&["metadata", "annotations", annotation], metrics.to_string());
    }
}

fn convert_all(metrics: Value, side: &str, convert: fn(Value, &str) -> Value) -> Vec<Value> {
    list(Some(metrics)).into_iter().map(|metric| convert(metric, side)).collect()
}

fn source_of(metric: &Value) -> Option<&'static Source> {
    SOURCES.iter().find(|(type_, ..)| metric["type"] == *type_)
}

fn served_metric(mut metric: Value) -> Value {
    if let Some((_, field, names)) = source_of(&metric)
        && let Some(Value::Object(source)) = metric.get_mut(*field).map(Value::take)
    {
        let (mut stored, mut source) = (Object(source), Object::default());
        for (path, name) in *names {
            if let Some(value) = stored.remove(path) {
                source.set(&[name], value);
            }
        }
        metric[*field] = Value::Object(source.0);
    }
    metric
}

fn stored_metric(mut metric: Value, side: &str) -> Value {
    if let Some((_, field, names)) = source_of(&metric)
        && let Some(Value::Object(source)) = metric.get_mut(*field).map(Value::take)
    {
        let (mut served, mut source) = (Object(source), Object::default());
        let other = if side == "target" { "current" } else { "target" };
        for (stored, name) in names.iter().filter(|(stored, _)| stored[0] != other) {
            if let Some(value) = served.remove(&[name]) {
                source.set(stored, value);
            }
        }
        if side == "target" {
            let has = |name: &str| source.at(&["target", name]).is_some();
            let type_ = match () {
                () if has("averageUtilization") => "Utilization",
                () if has("value") => "Value",
                () => "AverageValue",
            };
            source.set(&["target", "type"], type_);
        }
        metric[*field] = Value::Object(source.0);
    }
    metric
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_v1_has_no_field_for_comes_back_from_its_annotations() {
        let stored = json!({
            "spec": {"maxReplicas": 3, "behavior": {"scaleUp": {"selectPolicy": "Max"}}, "metrics": [
                {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}},
                {"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}}},
                {"type": "Pods", "pods": {"metric": {"name": "p", "selector": {}}, "target": {"type": "AverageValue", "averageValue": "1"}}},
                {"type": "Object", "object": {"describedObject": {"kind": "K", "name": "n"}, "metric": {"name": "o"}, "target": {"type": "Value", "value": "2"}}},
                {"type": "External", "external": {"metric": {"name": "e"}, "target": {"type": "Value", "value": "2"}}},
            ]},
            "status": {"conditions": [{"type": "AbleToScale"}], "currentMetrics": [
                {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 40}}},
                {"type": "Object", "object": {"describedObject": {"kind": "K", "name": "n"}, "metric": {"name": "o"}, "current": {"value": "2"}}},
            ]},
        });
        let stored: Object = serde_json::from_value(stored).unwrap();
        let mut served = stored.clone();
        from_stored(&mut served);
        assert_eq!(served.at(&TARGET), Some(&json!(50)));
        assert_eq!(served.at(&CURRENT), Some(&json!(40)));
        let metrics: Value = serde_json::from_str(served.str_at(&["metadata", "annotations", METRICS])).unwrap();
        assert_eq!(
            metrics[0],
            json!({"type": "Resource", "resource": {"name": "memory", "targetAverageValue": "1Gi"}})
        );
        assert_eq!(
            metrics[2]["object"],
            json!({"target": {"kind": "K", "name": "n"}, "metricName": "o", "targetValue": "2"})
        );
        let mut back = served.clone();
        to_stored(&mut back);
        back.remove(&["metadata"]);
        assert_eq!(back, stored);
        assert_eq!(served.0["spec"].as_object().unwrap().len(), 2);
    }

    #[test]
    fn an_annotation_that_cannot_be_read_stays() {
        let mut autoscaler = Object::default();
        autoscaler.set(&["metadata", "annotations", METRICS], "{");
        let before = autoscaler.clone();
        to_stored(&mut autoscaler);
        assert_eq!(autoscaler, before);
    }
}
