//! `trimtab get`.

use anyhow::bail;
use bytes::Bytes;
use futures::StreamExt;
use http::{Method, Request};
use serde_json::{Value, json};
use trimtab_api::{Object, jsonpath};
use trimtab_client::{Client, ListParams, WatchEvent};

use crate::print;
use crate::target::{self, Target};

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// `KIND[,KIND…] [NAME…]`, or `KIND/NAME…`.
    #[arg(required = true)]
    what: Vec<String>,
    /// `wide`, `yaml`, `json`, `name` or `jsonpath=TEMPLATE`.
    #[arg(short, long, default_value = "")]
    output: String,
    /// Go on showing changes.
    #[arg(short, long)]
    watch: bool,
    /// Only objects with these labels.
    #[arg(short = 'l', long, default_value = "")]
    selector: String,
    /// Only objects with these fields.
    #[arg(long, default_value = "")]
    field_selector: String,
    /// In all namespaces.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Without headings.
    #[arg(long)]
    no_headers: bool,
}

impl Args {
    fn params(&self) -> ListParams {
        let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        ListParams { labels: text(&self.selector), fields: text(&self.field_selector), ..ListParams::default() }
    }

    fn namespace<'a>(&self, client: &'a Client) -> Option<&'a str> {
        (!self.all_namespaces).then(|| client.default_namespace())
    }
}

pub(crate) async fn run(args: Args, client: &Client) -> anyhow::Result<()> {
    let targets = target::parse(client, &args.what).await?;
    if args.watch {
        let [target] = targets.as_slice() else { bail!("you may only watch a single resource or type of resource at a time") };
        return watch(&args, client, target).await;
    }
    match args.output.as_str() {
        "" | "wide" => tables(&args, client, &targets).await,
        _ => {
            let single = targets.len() == 1 && targets[0].name.is_some();
            let objects = objects(&args, client, &targets).await?;
            show(&args.output, &targets, objects, single)
        }
    }
}

async fn objects(args: &Args, client: &Client, targets: &[Target]) -> anyhow::Result<Vec<(usize, Object)>> {
    let mut found = Vec::new();
    for (index, target) in targets.iter().enumerate() {
        let api = target.api(client, args.namespace(client));
        match &target.name {
            Some(name) => found.push((index, api.get(name).await?)),
            None => {
                let list = api.list(&args.params()).await?;
                let resource = &target.discovered.resource;
                found.extend(list.items.into_iter().map(|mut object| {
                    // Items of a list carry no kind of their own.
                    object.set(&["apiVersion"], resource.api_version());
                    object.set(&["kind"], &*resource.kind);
                    (index, object)
                }));
            }
        }
    }
    Ok(found)
}

fn show(output: &str, targets: &[Target], objects: Vec<(usize, Object)>, single: bool) -> anyhow::Result<()> {
    if output == "name" {
        objects.iter().for_each(|(index, object)| print::line(targets[*index].label(object.name())));
        return Ok(());
    }
    let mut values: Vec<Value> = objects.into_iter().map(|(_, object)| Value::Object(object.0)).collect();
    let whole = if single && values.len() == 1 {
        values.remove(0)
    } else {
        json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": values})
    };
    match output.split_once('=').unwrap_or((output, "")) {
        ("json", _) => print::line(serde_json::to_string_pretty(&whole)?),
        ("yaml", _) => print::raw(serde_yaml::to_string(&whole)?.as_bytes()),
        ("jsonpath", template) => print::raw(jsonpath::JsonPath::template(template)?.render(&whole)?.as_bytes()),
        (other, _) => bail!("unable to match a printer suitable for the output format {other:?}, allowed formats are: json,jsonpath,name,wide,yaml"),
    }
    Ok(())
}

async fn tables(args: &Args, client: &Client, targets: &[Target]) -> anyhow::Result<()> {
    let mut shown = 0;
    let mut error = None;
    for target in targets {
        let result = table(args, client, target).await;
        let table = match result {
            Ok(table) => table,
            Err(found) => {
                if let Some(before) = error.replace(found) {
                    print::error(&before);
                }
                continue;
            }
        };
        let lines = render(args, targets, target, &table);
        if lines.is_empty() {
            continue;
        }
        if shown > 0 && !args.no_headers {
            print::line("");
        }
        shown += 1;
        lines.into_iter().for_each(print::line);
    }
    match error {
        Some(error) => Err(error),
        None => {
            if shown == 0 && !args.all_namespaces && targets.iter().all(|t| t.discovered.resource.namespaced) {
                print::note(format_args!("No resources found in {} namespace.", client.default_namespace()));
            } else if shown == 0 {
                print::note("No resources found");
            }
            Ok(())
        }
    }
}

async fn table(args: &Args, client: &Client, target: &Target) -> anyhow::Result<Value> {
    let api = target.api(client, args.namespace(client));
    let path = match &target.name {
        Some(name) => api.path(name, "", ""),
        None => api.path("", "", &args.params().query()),
    };
    let request = Request::builder().method(Method::GET).uri(path).header("accept", TABLE).body(Bytes::new())?;
    Ok(client.json(request).await?)
}

fn render(args: &Args, targets: &[Target], target: &Target, table: &Value) -> Vec<String> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let (columns, rows) = (list(&table["columnDefinitions"]), list(&table["rows"]));
    if rows.is_empty() {
        return Vec::new();
    }
    let wide = args.output == "wide";
    let shown: Vec<usize> = (0..columns.len()).filter(|at| wide || columns[*at]["priority"].as_i64().unwrap_or(0) == 0).collect();
    let several = targets.iter().any(|other| other.discovered.resource != target.discovered.resource);
    let with_namespace = args.all_namespaces && target.discovered.resource.namespaced;
    let mut headings: Vec<String> = shown.iter().map(|at| print::cell(&columns[*at]["name"])).collect();
    if with_namespace {
        headings.insert(0, "Namespace".to_owned());
    }
    let line = |row: &Value| {
        let mut cells: Vec<String> = shown.iter().map(|at| print::cell(&row["cells"][at])).collect();
        if let (true, Some(at)) = (several, shown.iter().position(|at| columns[*at]["format"] == "name")) {
            cells[at] = target.label(&cells[at]);
        }
        if with_namespace {
            cells.insert(0, print::cell(&row["object"]["metadata"]["namespace"]));
        }
        cells
    };
    let rows: Vec<Vec<String>> = rows.iter().map(line).collect();
    let mut lines = print::table(&headings, &rows);
    if args.no_headers {
        lines.remove(0);
    }
    lines
}

/// Shows what is there, and then each change as one row or document.
async fn watch(args: &Args, client: &Client, target: &Target) -> anyhow::Result<()> {
    if !matches!(args.output.as_str(), "" | "wide" | "name" | "json" | "yaml") {
        bail!("--watch goes with -o wide, name, json and yaml");
    }
    let api = target.api(client, args.namespace(client));
    let mut params = args.params();
    if let Some(name) = &target.name {
        params = params.fields(format!("metadata.name={name}"));
    }
    let targets = std::slice::from_ref(target);
    let list = api.list(&params).await?;
    let mut version = list.metadata.resource_version.unwrap_or_default();
    let mut headed = args.no_headers;
    for object in list.items {
        changed(args, client, targets, object, &mut headed).await?;
    }
    loop {
        let mut events = std::pin::pin!(api.watch(&params, &version).await?);
        while let Some(event) = events.next().await {
            match event? {
                WatchEvent::Added(object) | WatchEvent::Modified(object) | WatchEvent::Deleted(object) => {
                    object.resource_version().clone_into(&mut version);
                    changed(args, client, targets, object, &mut headed).await?;
                }
                WatchEvent::Bookmark { resource_version, .. } => version = resource_version,
                WatchEvent::Error(error) => return Err(trimtab_client::Error::from(error).into()),
                _ => {}
            }
        }
    }
}

async fn changed(args: &Args, client: &Client, targets: &[Target], object: Object, headed: &mut bool) -> anyhow::Result<()> {
    if !matches!(args.output.as_str(), "" | "wide") {
        return show(&args.output, targets, vec![(0, object)], true);
    }
    let target = Target { discovered: targets[0].discovered.clone(), name: Some(object.name().to_owned()) };
    let in_its_namespace = client.clone().with_namespace(object.namespace());
    let one = Args { all_namespaces: false, what: Vec::new(), output: args.output.clone(), watch: false, ..Args::none() };
    // A row of what is gone already cannot be had; its deletion was shown while it lingered.
    let Ok(table) = table(&one, &in_its_namespace, &target).await else { return Ok(()) };
    let shape = Args { all_namespaces: args.all_namespaces, ..one };
    let mut lines = render(&shape, targets, &target, &table);
    if std::mem::replace(headed, true) && !lines.is_empty() {
        lines.remove(0);
    }
    lines.into_iter().for_each(print::line);
    Ok(())
}

impl Args {
    fn none() -> Self {
        let text = String::new;
        Self { what: Vec::new(), output: text(), watch: false, selector: text(), field_selector: text(), all_namespaces: false, no_headers: false }
    }
}
