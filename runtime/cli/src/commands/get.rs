//! `trimtab get`: objects as the server's own tables, or whole.

use anyhow::{Result, bail};
use bytes::Bytes;
use clap::Args;
use http::Method;
use http::header::{ACCEPT, HeaderValue};
use serde::Deserialize;
use serde_json::Value;
use trimtab_api::Object;
use trimtab_client::discovery::Discovered;

use crate::lines::Lines;
use crate::output::{self, Output};
use crate::session::{Filter, Session, Target, display_name, list};
use crate::{error, table};

const AS_TABLE: HeaderValue = HeaderValue::from_static("application/json;as=Table;v=v1;g=meta.k8s.io,application/json");
/// Objects a page, as kubectl asks.
const PAGE: usize = 500;

/// Display one or many resources
#[derive(Args, Clone, Debug)]
pub(crate) struct Get {
    /// `pods`, `pods,svc`, `pod web db` or `pod/web svc/web`
    #[arg(required = true, value_name = "TYPE[/NAME] [NAME]")]
    resources: Vec<String>,
    #[command(flatten)]
    filter: Filter,
    /// Output format: wide, yaml, json, name, jsonpath=TEMPLATE or custom-columns=SPEC
    #[arg(short, long, value_parser = str::parse::<Output>)]
    output: Option<Output>,
    /// After listing/getting the requested object, watch for changes
    #[arg(short, long)]
    watch: bool,
    /// When using the default or custom-column output format, don't print headers
    #[arg(long)]
    no_headers: bool,
    /// When printing, show all labels as the last column
    #[arg(long)]
    show_labels: bool,
    /// If the requested object does not exist the command will return exit code 0
    #[arg(long)]
    ignore_not_found: bool,
    /// If true, keep the managedFields when printing objects in JSON or YAML format
    #[arg(long)]
    show_managed_fields: bool,
}

/// `meta/v1.Table`, as far as it is printed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Table {
    #[serde(default)]
    column_definitions: Vec<Column>,
    #[serde(default)]
    rows: Vec<Row>,
    #[serde(default)]
    metadata: ListMeta,
}

#[derive(Deserialize)]
struct Column {
    name: String,
    #[serde(default)]
    priority: i32,
}

#[derive(Deserialize)]
struct Row {
    cells: Vec<Value>,
    #[serde(default)]
    object: Object,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ListMeta {
    resource_version: String,
    #[serde(rename = "continue")]
    continue_token: String,
}

/// How the rows of one kind are laid out.
struct Layout {
    /// Indices of the columns shown.
    shown: Vec<usize>,
    with_namespace: bool,
    with_labels: bool,
    /// Put before the name, where several kinds are printed.
    prefix: Option<Discovered>,
}

/// Runs the command.
pub(crate) async fn run(args: Get, session: &mut Session) -> Result<u8> {
    let targets = session.targets(&args.resources).await?;
    let named = targets.iter().any(|target| !target.names.is_empty());
    if named && args.filter.all_namespaces {
        bail!("a resource cannot be retrieved by name across all namespaces");
    }
    if named && args.filter.is_given() {
        bail!("name cannot be provided when a selector is specified");
    }
    if args.watch {
        let [target] = targets.as_slice() else { bail!("you may only specify a single resource type when watching") };
        return watch(&args, target, session).await;
    }
    match &args.output {
        None | Some(Output::Wide) => print_tables(&args, &targets, session).await,
        Some(output) => print_objects(&args, output, &targets, session).await,
    }
}

async fn print_objects(args: &Get, output: &Output, targets: &[Target], session: &mut Session) -> Result<u8> {
    let (mut objects, mut names, mut code) = (Vec::new(), Vec::new(), 0);
    let single = matches!(targets, [target] if target.names.len() == 1);
    for target in targets {
        let api = session.api(&target.kind, args.filter.all_namespaces);
        let found = if target.names.is_empty() {
            list(&api, args.filter.params()).await?
        } else {
            let mut found = Vec::new();
            for name in &target.names {
                match api.get(name).await {
                    Ok(object) => found.push(object),
                    Err(error) => code |= forgive(args, error, session),
                }
            }
            found
        };
        names.extend(found.iter().map(|object| display_name(&target.kind, object.name())));
        objects.extend(found);
    }
    if !args.show_managed_fields {
        objects = objects.into_iter().map(output::without_managed_fields).collect();
    }
    if *output == Output::Name {
        names.into_iter().try_for_each(|name| session.console.line(name))?;
    } else if !(single && objects.is_empty()) {
        output::print(&mut session.console, output, &objects, single)?;
    }
    Ok(code)
}

/// One object that is not there does not keep the others from being printed.
fn forgive(args: &Get, error: trimtab_client::Error, session: &mut Session) -> u8 {
    if args.ignore_not_found && error.is_not_found() {
        return 0;
    }
    session.console.note(error::render(&error.into()));
    1
}

async fn print_tables(args: &Get, targets: &[Target], session: &mut Session) -> Result<u8> {
    let (mut printed, mut code) = (0, 0);
    for target in targets {
        let (tables, failed) = fetch_tables(args, target, session).await?;
        code |= failed;
        let Some(columns) = tables.first().map(|table| &table.column_definitions) else { continue };
        let layout = layout(args, target, columns, targets.len() > 1);
        let mut lines: Vec<Vec<String>> = tables.iter().flat_map(|t| &t.rows).map(|row| cells(&layout, row)).collect();
        if lines.is_empty() {
            continue;
        }
        if printed > 0 {
            session.console.line("")?;
        }
        printed += 1;
        if !args.no_headers {
            lines.insert(0, headings(&layout, columns));
        }
        table::layout(&lines).into_iter().try_for_each(|line| session.console.line(line))?;
    }
    if printed == 0 && code == 0 && targets.iter().any(|target| target.names.is_empty()) && !args.ignore_not_found {
        let cluster_wide = targets.iter().all(|target| !target.kind.resource.namespaced);
        let place = if args.filter.all_namespaces || cluster_wide {
            String::new()
        } else {
            format!(" in {} namespace", session.namespace)
        };
        session.console.note(format!("No resources found{place}."));
    }
    Ok(code)
}

async fn fetch_tables(args: &Get, target: &Target, session: &mut Session) -> Result<(Vec<Table>, u8)> {
    let api = session.api(&target.kind, args.filter.all_namespaces);
    let (mut tables, mut code) = (Vec::new(), 0);
    for name in &target.names {
        match session.client.json(as_table(&api.path(name, "", ""))?).await {
            Ok(table) => tables.push(table),
            Err(error) => code |= forgive(args, error, session),
        }
    }
    let mut next = target.names.is_empty().then(String::new);
    while let Some(token) = next.take() {
        let query = query(&args.filter, &[("limit", &PAGE.to_string()), ("continue", &token)]);
        let table: Table = session.client.json(as_table(&api.path("", "", &query))?).await?;
        next = Some(table.metadata.continue_token.clone()).filter(|token| !token.is_empty());
        tables.push(table);
    }
    Ok((tables, code))
}

fn query(filter: &Filter, more: &[(&str, &str)]) -> String {
    let selectors = [("labelSelector", &filter.selector), ("fieldSelector", &filter.field_selector)];
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(selectors.iter().filter_map(|(key, value)| Some((key, value.as_ref()?))));
    query.extend_pairs(more.iter().filter(|(_, value)| !value.is_empty()));
    query.finish()
}

fn as_table(path: &str) -> Result<http::Request<Bytes>> {
    let mut request = trimtab_client::request(Method::GET, path, None)?;
    request.headers_mut().insert(ACCEPT, AS_TABLE);
    Ok(request)
}

fn layout(args: &Get, target: &Target, columns: &[Column], several: bool) -> Layout {
    let wide = args.output == Some(Output::Wide);
    let shown = columns.iter().enumerate().filter(|(_, column)| wide || column.priority == 0).map(|(n, _)| n);
    Layout {
        shown: shown.collect(),
        with_namespace: args.filter.all_namespaces && target.kind.resource.namespaced,
        with_labels: args.show_labels,
        prefix: several.then(|| target.kind.clone()),
    }
}

fn headings(layout: &Layout, columns: &[Column]) -> Vec<String> {
    let own = layout.shown.iter().map(|index| columns[*index].name.to_uppercase());
    let namespace = layout.with_namespace.then(|| "NAMESPACE".to_owned());
    namespace.into_iter().chain(own).chain(layout.with_labels.then(|| "LABELS".to_owned())).collect()
}

fn cells(layout: &Layout, row: &Row) -> Vec<String> {
    let own = layout.shown.iter().enumerate().map(|(position, index)| {
        let text = row.cells.get(*index).map_or_else(String::new, text);
        match &layout.prefix {
            Some(kind) if position == 0 => display_name(kind, &text),
            _ => text,
        }
    });
    let namespace = layout.with_namespace.then(|| row.object.namespace().to_owned());
    namespace.into_iter().chain(own).chain(layout.with_labels.then(|| labels(&row.object))).collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => table::escape(text),
        Value::Null => "<none>".to_owned(),
        other => other.to_string(),
    }
}

fn labels(object: &Object) -> String {
    let pairs: Vec<_> = object.labels().map(|(key, value)| format!("{key}={value}")).collect();
    if pairs.is_empty() { "<none>".to_owned() } else { pairs.join(",") }
}

/// Prints what is there, then a row or object for each change until the server or the user ends it.
async fn watch(args: &Get, target: &Target, session: &mut Session) -> Result<u8> {
    let mut args = args.clone();
    match target.names.as_slice() {
        [] => {}
        [name] => args.filter.field_selector = Some(format!("metadata.name={name}")),
        _ => bail!("watch is only supported on individual resources and resource collections"),
    }
    let all = Target { kind: target.kind.clone(), names: Vec::new() };
    let (tables, _) = fetch_tables(&args, &all, session).await?;
    let version = tables.last().map(|table| table.metadata.resource_version.clone()).unwrap_or_default();
    let mut printer = Printer { args: &args, target: &all, columns: Vec::new(), headed: args.no_headers };
    for table in tables {
        printer.print(table, session)?;
    }
    let api = session.api(&target.kind, args.filter.all_namespaces);
    let path = api.path("", "", &query(&args.filter, &[("watch", "true"), ("resourceVersion", &version)]));
    let response = session.client.send(as_table(&path)?).await?;
    let mut lines = Lines::new(response.into_body());
    while let Some(line) = lines.line().await? {
        let event: Event = serde_json::from_slice(&line)?;
        match event.kind.as_str() {
            "BOOKMARK" => {}
            "ERROR" => bail!("{}", event.object["message"].as_str().unwrap_or("the watch failed")),
            _ => printer.print(serde_json::from_value(event.object)?, session)?,
        }
    }
    Ok(0)
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    object: Value,
}

struct Printer<'a> {
    args: &'a Get,
    target: &'a Target,
    columns: Vec<Column>,
    headed: bool,
}

impl Printer<'_> {
    fn print(&mut self, table: Table, session: &mut Session) -> Result<()> {
        // Later events of a watch leave the columns out.
        if !table.column_definitions.is_empty() {
            self.columns = table.column_definitions;
        }
        if let Some(output) = self.args.output.as_ref().filter(|output| **output != Output::Wide) {
            return self.print_objects(output, &table.rows, session);
        }
        let layout = layout(self.args, self.target, &self.columns, false);
        let mut lines: Vec<_> = table.rows.iter().map(|row| cells(&layout, row)).collect();
        if lines.is_empty() {
            return Ok(());
        }
        if !std::mem::replace(&mut self.headed, true) {
            lines.insert(0, headings(&layout, &self.columns));
        }
        table::layout(&lines).into_iter().try_for_each(|line| session.console.line(line))?;
        Ok(session.console.raw(b"")?)
    }

    fn print_objects(&self, output: &Output, rows: &[Row], session: &mut Session) -> Result<()> {
        for row in rows {
            match output {
                Output::Name => session.console.line(display_name(&self.target.kind, row.object.name()))?,
                _ => bail!("watching prints tables and names; not this format"),
            }
        }
        Ok(())
    }
}
