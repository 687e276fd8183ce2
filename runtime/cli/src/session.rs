//! What every command that talks to a server shares: the client, the namespace, discovery.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use trimtab_api::Object;
use trimtab_client::discovery::Discovered;
use trimtab_client::{Api, Client, Discovery, Kubeconfig, ListParams};
use trimtab_env::Env;

use crate::console::Console;

/// Which server, as whom, in which namespace.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Connection {
    /// Path to the kubeconfig file to use for CLI requests
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The name of the kubeconfig context to use
    #[arg(long, global = true)]
    pub(crate) context: Option<String>,
    /// If present, the namespace scope for this CLI request
    #[arg(short, long, global = true)]
    pub(crate) namespace: Option<String>,
}

impl Connection {
    /// What the kubeconfig files say, or in a pod that has none its service account.
    pub(crate) fn config(&self) -> Result<Kubeconfig> {
        Ok(Kubeconfig::find(self.kubeconfig.as_deref())?)
    }
}

/// Which objects of a kind are meant.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Filter {
    /// Selector (label query) to filter on, supports '=', '==', '!=', 'in', 'notin'
    #[arg(short = 'l', long)]
    pub(crate) selector: Option<String>,
    /// Selector (field query) to filter on, supports '=', '==', and '!='
    #[arg(long)]
    pub(crate) field_selector: Option<String>,
    /// List the requested object(s) across all namespaces
    #[arg(short = 'A', long)]
    pub(crate) all_namespaces: bool,
}

impl Filter {
    /// What a list request asks for.
    pub(crate) fn params(&self) -> ListParams {
        ListParams { labels: self.selector.clone(), fields: self.field_selector.clone(), ..ListParams::default() }
    }

    /// Whether anything is selected but names.
    pub(crate) fn is_given(&self) -> bool {
        self.selector.is_some() || self.field_selector.is_some()
    }
}

/// A kind and the names of the objects that are meant; all when there are none.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) kind: Discovered,
    pub(crate) names: Vec<String>,
}

/// A connected command.
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) env: Env,
    pub(crate) console: Console,
    /// The namespace that is meant, and whether it was named on the command line.
    pub(crate) namespace: String,
    pub(crate) namespace_given: bool,
    discovered: Option<Discovery>,
}

impl Session {
    /// Reads the kubeconfig. Nothing is sent yet.
    ///
    /// # Errors
    /// When there is no usable context.
    pub(crate) fn connect(connection: &Connection, console: Console) -> Result<Self> {
        let config = connection.config()?;
        let client = config.client(connection.context.as_deref())?;
        Ok(Self::new(client, console, connection.namespace.as_deref()))
    }

    pub(crate) fn new(client: Client, console: Console, namespace: Option<&str>) -> Self {
        let namespace_given = namespace.is_some();
        let namespace = namespace.unwrap_or(client.default_namespace()).to_owned();
        Self { client, env: Env::system(), console, namespace, namespace_given, discovered: None }
    }

    /// Everything the server serves, asked once.
    pub(crate) async fn discovered(&mut self) -> Result<&Discovery> {
        if self.discovered.is_none() {
            self.discovered = Some(self.client.discover().await?);
        }
        Ok(self.discovered.as_ref().expect("set just above"))
    }

    /// The kind that people call `name`.
    pub(crate) async fn kind(&mut self, name: &str) -> Result<Discovered> {
        let found = self.discovered().await?.all().find(|kind| kind.is_called(name)).cloned();
        match found {
            Some(kind) => Ok(kind),
            None => {
                // Discovery passes over what it cannot read, so a server that is away shows here.
                self.client.text("/version").await?;
                bail!("the server doesn't have a resource type {name:?}")
            }
        }
    }

    /// The kind of an object, by `apiVersion` and `kind`.
    pub(crate) async fn kind_of(&mut self, api_version: &str, kind: &str) -> Result<Option<Discovered>> {
        Ok(self.discovered().await?.of_kind(api_version, kind).cloned())
    }

    /// Reads `pods`, `pods,svc`, `pod web db`, `pod/web svc/web` and `all`.
    pub(crate) async fn targets(&mut self, args: &[String]) -> Result<Vec<Target>> {
        let Some((first, names)) = args.split_first() else {
            bail!("You must specify the type of resource to get. Use \"trimtab api-resources\" for a complete list.");
        };
        if args.iter().any(|arg| arg.contains('/')) {
            return self.pairs(args).await;
        }
        let mut targets = Vec::new();
        for name in first.split(',').filter(|name| !name.is_empty()) {
            for kind in self.kinds(name).await? {
                targets.push(Target { kind, names: names.to_vec() });
            }
        }
        Ok(targets)
    }

    async fn pairs(&mut self, args: &[String]) -> Result<Vec<Target>> {
        let mut targets: Vec<Target> = Vec::new();
        for arg in args {
            let Some((kind, name)) = arg.split_once('/').filter(|(k, n)| !k.is_empty() && !n.is_empty()) else {
                bail!(
                    "there is no need to specify a resource type as a separate argument when passing arguments in \
                       resource/name form (e.g. 'trimtab get resource/<resource_name>' instead of 'trimtab get \
                       resource resource/<resource_name>'"
                );
            };
            let kind = self.kind(kind).await?;
            match targets.last_mut().filter(|last| last.kind.resource == kind.resource) {
                Some(last) => last.names.push(name.to_owned()),
                None => targets.push(Target { kind, names: vec![name.to_owned()] }),
            }
        }
        Ok(targets)
    }

    async fn kinds(&mut self, name: &str) -> Result<Vec<Discovered>> {
        let in_category = |kind: &&Discovered| kind.categories.iter().any(|category| category == name);
        let category: Vec<_> = self.discovered().await?.resources.iter().filter(in_category).cloned().collect();
        if category.is_empty() { Ok(vec![self.kind(name).await?]) } else { Ok(category) }
    }

    /// The objects of a kind in the session's namespace, or in all.
    pub(crate) fn api(&self, kind: &Discovered, all_namespaces: bool) -> Api<Object> {
        let namespace = (!all_namespaces).then_some(self.namespace.as_str());
        Api::dynamic(&self.client, &kind.resource, namespace)
    }

    /// The one kind and name that a command is about, as `pod web` or `pod/web`.
    pub(crate) async fn single(&mut self, args: &[String]) -> Result<(Discovered, String)> {
        let targets = self.targets(args).await?;
        match targets.as_slice() {
            [Target { kind, names }] if names.len() == 1 => Ok((kind.clone(), names[0].clone())),
            _ => bail!("expected one object, as TYPE NAME or TYPE/NAME"),
        }
    }

    /// The objects that a command is about: those named, or those that `filter` selects. With
    /// neither, all of them if `all`.
    pub(crate) async fn objects(
        &mut self,
        args: &[String],
        filter: &Filter,
        all: bool,
    ) -> Result<Vec<(Discovered, Object)>> {
        let mut objects = Vec::new();
        for target in self.targets(args).await? {
            if target.names.is_empty() && !all && !filter.is_given() {
                bail!("resource(s) were provided, but no name was specified");
            }
            let api = self.api(&target.kind, filter.all_namespaces);
            for object in self.fetch(&api, &target, filter).await? {
                objects.push((target.kind.clone(), object));
            }
        }
        Ok(objects)
    }

    async fn fetch(&mut self, api: &Api<Object>, target: &Target, filter: &Filter) -> Result<Vec<Object>> {
        if target.names.is_empty() {
            return list(api, filter.params()).await;
        }
        let mut objects = Vec::new();
        for name in &target.names {
            objects.push(api.get(name).await?);
        }
        Ok(objects)
    }
}

/// Every object that `params` selects, a page after the other.
pub(crate) async fn list(api: &Api<Object>, params: ListParams) -> Result<Vec<Object>> {
    let mut params = params.limit(500);
    let (api_version, kind) = (api.resource().api_version(), api.resource().kind.to_string());
    let mut objects = Vec::new();
    loop {
        let page = api.list(&params).await?;
        objects.extend(page.items.into_iter().map(|mut object: Object| {
            // Items of a list say neither, as they are all the same.
            object.set(&["apiVersion"], api_version.clone());
            object.set(&["kind"], kind.clone());
            object
        }));
        params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
        if params.continue_token.is_none() {
            return Ok(objects);
        }
    }
}

/// `pod/web`, or `website.demo.io/web`: how an object is named in results.
pub(crate) fn display_name(kind: &Discovered, name: &str) -> String {
    let group = &kind.resource.group;
    if group.is_empty() { format!("{}/{name}", kind.singular) } else { format!("{}.{group}/{name}", kind.singular) }
}

/// Reads a duration as kubectl does: `30s`, `1m30s`, `500ms`, `2h`, or seconds alone.
///
/// # Errors
/// With what is wrong, for clap.
pub(crate) fn duration(text: &str) -> Result<std::time::Duration, String> {
    let wrong = || format!("time: invalid duration {text:?}");
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(std::time::Duration::from_secs(seconds));
    }
    let (mut total, mut rest) = (0.0, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        let unit = &rest[digits..];
        let letters = unit.find(|c: char| c.is_ascii_digit()).unwrap_or(unit.len());
        total += number
            * match &unit[..letters] {
                "ms" => 0.001,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return Err(wrong()),
            };
        rest = &unit[letters..];
    }
    if text.is_empty() { Err(wrong()) } else { std::time::Duration::try_from_secs_f64(total).map_err(|_| wrong()) }
}

/// Adds the context in which a client call was made, as in `error when creating "x.yaml"`.
pub(crate) trait When<T> {
    fn when(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> When<T> for Result<T, trimtab_client::Error> {
    fn when(self, what: impl FnOnce() -> String) -> Result<T> {
        self.with_context(|| format!("error when {}", what()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        let millis = |text: &str| duration(text).map(|d| d.as_millis());
        assert_eq!(millis("30"), Ok(30_000));
        assert_eq!(millis("1m30s"), Ok(90_000));
        assert_eq!(millis("500ms"), Ok(500));
        for wrong in ["", "x", "5y", "-1s", "s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
