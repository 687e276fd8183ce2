//! The definitions of the program's kinds, in the cluster.

use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;
use trimtab_api::Object;
use trimtab_api::custom::Declaration;
use trimtab_client::{Api, Client, Patch};
use trimtab_env::Env;

use crate::operator::{definition_name, definitions};

/// How long a definition may take to be served, and how often it is looked at meanwhile.
const PATIENCE: Duration = Duration::from_secs(60);
const GLANCE: Duration = Duration::from_millis(100);

/// Applies definitions and waits until they are served.
pub(crate) async fn install(
    client: &Client,
    env: &Env,
    manager: &str,
    all: impl IntoIterator<Item = Value>,
) -> anyhow::Result<()> {
    let api: Api<Object> = Api::dynamic(client, &definitions(), None);
    for definition in all {
        let name = definition["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let patch = Patch::Apply { object: definition, manager: manager.to_owned(), force: true };
        api.patch(&name, &patch).await.with_context(|| format!("could not apply the definition {name}"))?;
        established(&api, env, &name).await?;
        tracing::info!(definition = name, "is served");
    }
    Ok(())
}

async fn established(api: &Api<Object>, env: &Env, name: &str) -> anyhow::Result<()> {
    let end = env.now() + PATIENCE;
    loop {
        let found = api.get(name).await.with_context(|| format!("could not read the definition {name}"))?;
        let conditions = found.0.get("status").map(|status| status["conditions"].clone()).unwrap_or_default();
        let condition = |type_: &str| conditions.as_array()?.iter().find(|condition| condition["type"] == type_);
        if condition("Established").is_some_and(|condition| condition["status"] == "True") {
            return Ok(());
        }
        if let Some(refused) = condition("NamesAccepted").filter(|condition| condition["status"] == "False") {
            bail!("the definition {name} is not served: {}", refused["message"].as_str().unwrap_or_default());
        }
        if env.now() >= end {
            bail!("the definition {name} is not served after {} s", PATIENCE.as_secs());
        }
        env.sleep(GLANCE).await;
    }
}

/// Tells which kind the server does not know.
pub(crate) async fn check(client: &Client, program: &str, declarations: &[&'static Declaration]) -> anyhow::Result<()> {
    for declaration in declarations {
        let path = format!("/apis/{}/{}", declaration.names.group, declaration.version);
        let served: Value = match client.get(&path).await {
            Ok(served) => served,
            Err(error) if error.is_not_found() => Value::Null,
            Err(error) => {
                return Err(error).with_context(|| format!("could not ask {} what it serves", client.server()));
            }
        };
        let resources = served["resources"].as_array();
        if !resources.is_some_and(|all| all.iter().any(|resource| resource["name"] == declaration.names.plural)) {
            bail!(
                "the server does not know {}/{}: start with --install-crds, or `{program} crds | kubectl apply -f -`",
                definition_name(declaration),
                declaration.version,
            );
        }
    }
    Ok(())
}
