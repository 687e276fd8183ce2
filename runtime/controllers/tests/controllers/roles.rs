//! Roles that are gathered from others.

use k8s_openapi::api::rbac::v1::ClusterRole;
use serde_json::json;
use trimtab_client::Api;

use crate::harness::ControlPlane;

/// Whether `role` lets `verb` be done to `resource`, which is given only by the roles it gathers.
async fn gives(plane: &ControlPlane, role: &str, verb: &str, resource: &str) -> bool {
    let role = Api::<ClusterRole>::all(&plane.client).get(role).await.unwrap();
    assert!(role.aggregation_rule.is_some(), "the rule by which it is gathered stays");
    role.rules.iter().flatten().any(|rule| {
        let has = |list: &[String], text: &str| list.iter().any(|item| item == text);
        has(&rule.verbs, verb) && has(rule.resources.as_deref().unwrap_or_default(), resource)
    })
}

#[tokio::test(start_paused = true)]
async fn admin_is_edit_and_more_and_edit_is_view_and_more() {
    let plane = ControlPlane::new().await;
    plane.until("admin has the rules of view", async |plane| gives(plane, "admin", "get", "pods/log").await).await;
    assert!(gives(&plane, "edit", "create", "pods").await && !gives(&plane, "view", "create", "pods").await);

    let labels = json!({"rbac.authorization.k8s.io/aggregate-to-view": "true"});
    let rules = json!([{"verbs": ["get"], "apiGroups": ["demo.io"], "resources": ["websites"]}]);
    let role = json!({"metadata": {"name": "websites", "labels": labels}, "rules": rules});
    let roles = Api::<ClusterRole>::all(&plane.client);
    roles.create(&serde_json::from_value(role).unwrap()).await.unwrap();
    plane.until("admin has a new rule", async |plane| gives(plane, "admin", "get", "websites").await).await;
    plane.settle().await;
    let revision = plane.store.revision();
    plane.settle().await;
    assert_eq!(plane.store.revision(), revision, "it comes to rest");
    roles.delete("websites", &Default::default()).await.unwrap();
    plane.until("admin has lost it", async |plane| !gives(plane, "admin", "get", "websites").await).await;
    plane.end().await;
}
