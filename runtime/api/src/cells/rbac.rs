//! RoleBindings and ClusterRoleBindings.

use serde_json::Value;

use super::{list, text};
use crate::object::Object;

/// The cell of the column `name` of a RoleBinding or a ClusterRoleBinding.
pub(crate) fn role_binding(name: &str, object: &Object) -> Value {
    let of_kind = |kind: &'static str| {
        let subjects = object.0.get("subjects").map_or(&[][..], list);
        subjects.iter().filter(move |subject| subject["kind"] == kind)
    };
    let names = |kind| of_kind(kind).map(|subject| text(&subject["name"]).to_owned()).collect::<Vec<_>>();
    match name {
        "Role" => format!("{}/{}", object.str_at(&["roleRef", "kind"]), object.str_at(&["roleRef", "name"])).into(),
        "Users" => names("User").join(", ").into(),
        "Groups" => names("Group").join(", ").into(),
        "ServiceAccounts" => {
            let accounts = of_kind("ServiceAccount");
            let accounts = accounts.map(|s| format!("{}/{}", text(&s["namespace"]), text(&s["name"])));
            accounts.collect::<Vec<_>>().join(", ").into()
        }
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binding_shows_its_role_and_subjects() {
        let yaml = "{roleRef: {kind: ClusterRole, name: view}, subjects: [{kind: User, name: a}, {kind: User, name: b}, {kind: ServiceAccount, name: s, namespace: n}]}";
        let binding: Object = serde_yaml::from_str(yaml).unwrap();
        let cells = ["Role", "Users", "Groups", "ServiceAccounts"].map(|name| role_binding(name, &binding));
        assert_eq!(cells, ["ClusterRole/view", "a, b", "", "n/s"]);
    }
}
