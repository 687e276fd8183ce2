//! `trimtab events`.

use anyhow::{Result, bail};
use clap::Args;
use futures::StreamExt;
use k8s_openapi::api::core::v1::Event;
use trimtab_api::Object;
use trimtab_client::{Api, ListParams, WatchEvent};

use super::describe::events::{last_seen, seen};
use crate::output::{self, Output};
use crate::session::Session;
use crate::table;

/// List events
#[derive(Args, Clone, Debug)]
pub(crate) struct Events {
    /// If present, list the requested object(s) across all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Filter events to only those pertaining to the specified resource, as pod/web
    #[arg(long = "for", value_name = "TYPE/NAME")]
    about: Option<String>,
    /// Output only events of given types, as Normal,Warning
    #[arg(long, value_delimiter = ',')]
    types: Vec<String>,
    /// After listing the requested events, watch for more events
    #[arg(short, long)]
    watch: bool,
    /// Do not print headers
    #[arg(long)]
    no_headers: bool,
    /// Output format: yaml, json, name, jsonpath=TEMPLATE or custom-columns=SPEC
    #[arg(short, long, value_parser = str::parse::<Output>)]
    output: Option<Output>,
}

/// Runs the command: the oldest first.
pub(crate) async fn run(args: Events, session: &mut Session) -> Result<u8> {
    let api: Api<Event> = if args.all_namespaces {
        Api::all(&session.client)
    } else {
        Api::namespaced(&session.client, &session.namespace)
    };
    let mut params = ListParams::default();
    if let Some(about) = &args.about {
        let (kind, name) = session.single(std::slice::from_ref(about)).await?;
        params = params.fields(format!("involvedObject.kind={},involvedObject.name={name}", kind.resource.kind));
    }
    let list = api.list(&params).await?;
    let mut events = list.items;
    events.retain(|event| is_wanted(&args, event));
    events.sort_by_key(last_seen);
    if let Some(output) = &args.output {
        return print_objects(output, &events, session);
    }
    if events.is_empty() && !args.watch {
        let place = if args.all_namespaces { String::new() } else { format!(" in {} namespace", session.namespace) };
        session.console.note(format!("No events found{place}."));
        return Ok(0);
    }
    let mut rows: Vec<_> = events.iter().map(|event| row(&args, event, session)).collect();
    if !args.no_headers {
        let headings = ["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"].map(str::to_owned);
        rows.insert(0, args.all_namespaces.then(|| "NAMESPACE".to_owned()).into_iter().chain(headings).collect());
    }
    table::layout(&rows).into_iter().try_for_each(|line| session.console.line(line))?;
    if args.watch {
        let version = list.metadata.resource_version.unwrap_or_default();
        watch(&args, &api, &params, &version, session).await?;
    }
    Ok(0)
}

fn print_objects(output: &Output, events: &[Event], session: &mut Session) -> Result<u8> {
    let mut objects = events.iter().map(Object::from_typed).collect::<Result<Vec<_>, _>>()?;
    if *output == Output::Name {
        objects.iter().try_for_each(|object| session.console.line(format!("event/{}", object.name())))?;
        return Ok(0);
    }
    objects = objects.into_iter().map(output::without_managed_fields).collect();
    output::print(&mut session.console, output, &objects, false)?;
    Ok(0)
}

async fn watch(
    args: &Events,
    api: &Api<Event>,
    params: &ListParams,
    version: &str,
    session: &mut Session,
) -> Result<()> {
    let mut events = std::pin::pin!(api.watch(params, version).await?);
    while let Some(event) = events.next().await {
        match event? {
            WatchEvent::Added(event) | WatchEvent::Modified(event) if is_wanted(args, &event) => {
                let row = row(args, &event, session);
                table::layout(&[row]).into_iter().try_for_each(|line| session.console.line(line))?;
            }
            WatchEvent::Error(error) => bail!(error),
            _ => {}
        }
    }
    Ok(())
}

fn is_wanted(args: &Events, event: &Event) -> bool {
    let type_ = event.type_.as_deref().unwrap_or_default();
    args.types.is_empty() || args.types.iter().any(|wanted| wanted.eq_ignore_ascii_case(type_))
}

fn row(args: &Events, event: &Event, session: &Session) -> Vec<String> {
    let object = &event.involved_object;
    let name = |part: &Option<String>| part.clone().unwrap_or_default();
    let cells = [
        seen(event, session.env.now().as_second()),
        name(&event.type_),
        name(&event.reason),
        format!("{}/{}", name(&object.kind), name(&object.name)),
        table::escape(name(&event.message).trim()),
    ];
    let namespace = args.all_namespaces.then(|| name(&event.metadata.namespace));
    namespace.into_iter().chain(cells).collect()
}
