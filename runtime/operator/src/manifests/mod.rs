//! All that a cluster needs to run the program, in YAML.

mod deployment;
mod roles;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::arguments::{Crds, Manifests, Rbac};
use crate::operator::{Operator, definition_name};
use crate::webhook;

/// The definitions.
pub(crate) fn crds(operator: &Operator, args: &Crds) -> anyhow::Result<String> {
    let authority = match &args.webhook_ca_file {
        Some(path) => {
            Some(std::fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))?)
        }
        None => None,
    };
    let webhook = args.webhook.client_config(authority.as_deref());
    let mut text = String::new();
    if webhook.is_none() {
        for declaration in operator.converted() {
            text += &format!(
                "# {} has several versions: --webhook-service or --webhook-url name what converts between them.\n",
                definition_name(declaration)
            );
        }
    }
    let all = operator.definitions.iter().map(|known| webhook::definition(known, webhook.as_ref()));
    Ok(text + &documents(all))
}

/// The service account and its roles.
pub(crate) fn rbac(operator: &Operator, args: &Rbac) -> anyhow::Result<String> {
    Ok(documents(roles::all(operator, args)))
}

/// The namespace, the definitions, the roles, and a Deployment.
pub(crate) fn all(operator: &Operator, args: &Manifests) -> anyhow::Result<String> {
    // What converts has to be told of in the definitions, with a certificate that is made at the start.
    let converts = operator.converted().next().is_some();
    if converts && args.replicas > 1 && args.webhook_cert_secret.is_none() {
        bail!(
            "each replica would make a certificate of its own, and the API server trusts one: give --webhook-cert-secret NAME"
        );
    }
    let rbac = Rbac {
        operator_namespace: args.rbac.operator_namespace.clone(),
        namespaces: args.rbac.namespaces.clone(),
        install_crds: args.rbac.install_crds || converts,
    };
    let namespace = json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": namespace(operator, &rbac), "labels": labels(operator)},
    });
    let definitions = operator.definitions.iter().map(|declaration| declaration.definition());
    let objects = std::iter::once(namespace).chain(definitions).chain(roles::all(operator, &rbac));
    Ok(documents(objects.chain(deployment::all(operator, args, &rbac, converts))))
}

/// Where the program runs.
fn namespace(operator: &Operator, args: &Rbac) -> String {
    args.operator_namespace.clone().unwrap_or_else(|| format!("{}-system", operator.name))
}

/// What all of it has in common.
fn labels(operator: &Operator) -> Value {
    json!({"app.kubernetes.io/name": operator.name})
}

fn documents(objects: impl IntoIterator<Item = Value>) -> String {
    let all: Vec<_> = objects.into_iter().map(|object| trimtab_api::to_yaml(&object)).collect();
    all.join("---\n")
}
