//! `trimtab wait`.

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::Value;
use trimtab_api::Object;
use trimtab_api::jsonpath::JsonPath;
use trimtab_client::Api;
use trimtab_client::discovery::Discovered;

use crate::session::{Filter, Session, Target, display_name, duration, list};
use crate::watching;

/// How long a negative `--timeout` waits: a week, as kubectl does.
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

/// Wait for a specific condition on one or many resources
#[derive(Args, Clone, Debug)]
pub(crate) struct Wait {
    /// `pod web`, `pod/web`, or a kind with -l or --all
    #[arg(required = true, value_name = "TYPE[/NAME] [NAME]")]
    resources: Vec<String>,
    /// create, delete, condition=NAME[=VALUE] or jsonpath='{PATH}'[=VALUE]
    #[arg(long = "for", value_parser = str::parse::<Wanted>)]
    wanted: Wanted,
    #[command(flatten)]
    filter: Filter,
    /// Select all resources in the namespace of the specified resource types
    #[arg(long)]
    all: bool,
    /// The length of time to wait before giving up; zero means check once, negative means wait for a week
    #[arg(long, default_value = "30s", value_parser = timeout, allow_hyphen_values = true)]
    timeout: Duration,
}

fn timeout(text: &str) -> Result<Duration, String> {
    if text.starts_with('-') { Ok(WEEK) } else { duration(text) }
}

/// What is waited for.
#[derive(Clone, Debug, PartialEq)]
enum Wanted {
    Create,
    Delete,
    Condition { name: String, value: String },
    JsonPath { path: JsonPath, value: Option<String> },
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            None if text.eq_ignore_ascii_case("create") => Ok(Self::Create),
            None if text.eq_ignore_ascii_case("delete") => Ok(Self::Delete),
            Some(("condition", rest)) => {
                let (name, value) = rest.split_once('=').unwrap_or((rest, "true"));
                Ok(Self::Condition { name: name.to_owned(), value: value.to_owned() })
            }
            Some(("jsonpath", rest)) => {
                // The shell takes quotes around all of it away, but not those inside.
                let rest = rest.replace("}'=", "}=").replace("}\"=", "}=");
                let rest = rest.trim_start_matches(['\'', '"']);
                let (path, value) = match rest.rsplit_once("}=") {
                    Some((path, value)) => (format!("{path}}}"), Some(value.trim_matches(['\'', '"']).to_owned())),
                    None => (rest.to_owned(), None),
                };
                let path = JsonPath::path(path.trim_matches('\'')).map_err(|error| error.to_string())?;
                Ok(Self::JsonPath { path, value })
            }
            _ => Err(format!("unrecognized condition: {text:?}")),
        }
    }
}

impl Wanted {
    fn holds(&self, object: Option<&Object>) -> Result<bool> {
        let Some(object) = object else { return Ok(*self == Self::Delete) };
        Ok(match self {
            Self::Create => true,
            Self::Delete => false,
            Self::Condition { name, value } => {
                let conditions = object.at(&["status", "conditions"]).and_then(Value::as_array);
                let text =
                    |condition: &Value, field: &str| condition[field].as_str().unwrap_or_default().to_lowercase();
                conditions.into_iter().flatten().any(|condition| {
                    text(condition, "type") == name.to_lowercase() && text(condition, "status") == value.to_lowercase()
                })
            }
            Self::JsonPath { path, value } => {
                let root = Value::Object(object.0.clone());
                let found = path.find(&root)?;
                let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                match value {
                    Some(value) => found.first().is_some_and(|first| text(first) == *value),
                    None => !found.is_empty(),
                }
            }
        })
    }
}

/// Runs the command: every object in turn, all within one timeout.
pub(crate) async fn run(args: Wait, session: &mut Session) -> Result<u8> {
    let begin = trimtab_env::Instant::now();
    let mut met = 0;
    for target in session.targets(&args.resources).await? {
        for (api, name) in select(&args, &target, session).await? {
            let left = args.timeout.saturating_sub(begin.elapsed());
            if !meets(&args, &api, &name, left, session).await? {
                bail!("timed out waiting for the condition on {}/{name}", target.kind.resource.plural);
            }
            met += 1;
            session.console.line(format!("{} condition met", display_name(&target.kind, &name)))?;
        }
    }
    if met == 0 && args.wanted != Wanted::Delete {
        bail!("no matching resources found");
    }
    Ok(0)
}

async fn select(args: &Wait, target: &Target, session: &Session) -> Result<Vec<(Api<Object>, String)>> {
    let api = session.api(&target.kind, args.filter.all_namespaces);
    if !target.names.is_empty() {
        return Ok(target.names.iter().map(|name| (api.clone(), name.clone())).collect());
    }
    if !args.all && !args.filter.is_given() {
        bail!("resource name, --all or a selector must be specified");
    }
    let kind: &Discovered = &target.kind;
    let one = |object: Object| {
        (Api::dynamic(&session.client, &kind.resource, Some(object.namespace())), object.name().to_owned())
    };
    Ok(list(&api, args.filter.params()).await?.into_iter().map(one).collect())
}

async fn meets(args: &Wait, api: &Api<Object>, name: &str, left: Duration, session: &Session) -> Result<bool> {
    // What is not there cannot come to hold a condition: said at once, unless its coming or going
    // is what is waited for.
    if !matches!(args.wanted, Wanted::Create | Wanted::Delete) && args.wanted.holds(Some(&api.get(name).await?))? {
        return Ok(true);
    }
    if left.is_zero() {
        return args.wanted.holds(api.get_opt(name).await?.as_ref());
    }
    watching::until(&session.env, api, name, left, |object| args.wanted.holds(object)).await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(wanted: &str, expected: bool) {
        let pod = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
        let pod: Object = serde_json::from_value(pod).unwrap();
        assert_eq!(wanted.parse::<Wanted>().unwrap().holds(Some(&pod)).unwrap(), expected, "{wanted}");
    }

    #[test]
    fn what_is_waited_for_is_read() {
        check("condition=Ready", true);
        check("condition=ready=False", false);
        check("condition=Initialized", false);
        check("jsonpath={.status.phase}=Running", true);
        check("jsonpath='{.status.phase}'=Pending", false);
        check("jsonpath={.status.podIP}", false);
        check("create", true);
        check("delete", false);
        assert!("never".parse::<Wanted>().is_err());
    }
}
