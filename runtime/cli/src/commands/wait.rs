//! `trimtab wait`.

use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;
use trimtab_api::{Object, jsonpath};
use trimtab_client::{Client, ListParams};
use trimtab_env::Env;

use super::logs::seconds;
use crate::print;
use crate::target;

/// How often the objects are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// `KIND NAME…`, or `KIND/NAME…`.
    #[arg(required = true)]
    what: Vec<String>,
    /// `delete`, `condition=TYPE[=STATUS]` or `jsonpath={PATH}=VALUE`.
    #[arg(long = "for")]
    until: String,
    /// How long, as `30s`.
    #[arg(long, default_value = "30s", value_parser = seconds)]
    timeout: i64,
    /// Everything with these labels.
    #[arg(short = 'l', long)]
    selector: Option<String>,
    /// Everything of the kind in the namespace.
    #[arg(long)]
    all: bool,
}

enum Until {
    Deleted,
    Condition(String, String),
    Path(jsonpath::JsonPath, String),
}

impl Until {
    fn parse(text: &str) -> anyhow::Result<Self> {
        if text == "delete" {
            return Ok(Self::Deleted);
        }
        if let Some(condition) = text.strip_prefix("condition=") {
            let (type_, status) = condition.split_once('=').unwrap_or((condition, "True"));
            return Ok(Self::Condition(type_.to_owned(), status.to_owned()));
        }
        let path = text.strip_prefix("jsonpath=").with_context(|| format!("unrecognized condition: {text:?}"))?;
        let (path, value) = path.rsplit_once("}=").with_context(|| format!("{text:?} lacks a value: jsonpath={{PATH}}=VALUE"))?;
        Ok(Self::Path(jsonpath::JsonPath::template(&format!("{path}}}"))?, value.to_owned()))
    }

    fn holds(&self, object: Option<&Object>) -> bool {
        match (self, object) {
            (Self::Deleted, object) => object.is_none(),
            (_, None) => false,
            (Self::Condition(type_, status), Some(object)) => {
                let conditions = object.at(&["status", "conditions"]).and_then(Value::as_array);
                let named = |condition: &&Value| condition["type"].as_str().is_some_and(|t| t.eq_ignore_ascii_case(type_));
                conditions.into_iter().flatten().find(named).is_some_and(|c| c["status"].as_str().is_some_and(|s| s.eq_ignore_ascii_case(status)))
            }
            (Self::Path(template, value), Some(object)) => {
                template.render(&Value::Object(object.0.clone())).is_ok_and(|found| found == *value)
            }
        }
    }
}

pub(crate) async fn run(args: Args, client: &Client) -> anyhow::Result<()> {
    let until = Until::parse(&args.until)?;
    let env = Env::system();
    let deadline = env.now() + Duration::from_secs(args.timeout.unsigned_abs());
    for target in target::parse(client, &args.what).await? {
        let api = target.api(client, Some(client.default_namespace()));
        let names = match &target.name {
            Some(name) => vec![name.clone()],
            None if args.all || args.selector.is_some() => {
                let params = ListParams { labels: args.selector.clone(), ..ListParams::default() };
                api.list(&params).await?.items.iter().map(|object| object.name().to_owned()).collect()
            }
            None => bail!("name what to wait for, or say --all"),
        };
        for name in names {
            loop {
                let object = api.get_opt(&name).await?;
                if object.is_none() && !matches!(until, Until::Deleted) {
                    api.get(&name).await?;
                }
                if until.holds(object.as_ref()) {
                    break;
                }
                if env.now() >= deadline {
                    bail!("timed out waiting for the condition on {}", target.label(&name));
                }
                env.sleep(LOOK_EVERY).await;
            }
            print::line(format_args!("{} condition met", target.label(&name)));
        }
    }
    Ok(())
}
