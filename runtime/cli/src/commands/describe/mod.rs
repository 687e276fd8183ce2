//! `trimtab describe`: an object in detail, with its events.

pub(crate) mod events;
mod generic;
mod node;
mod page;
mod pod;
mod replication_controller;
mod service;

use anyhow::Result;
use trimtab_api::Object;
use trimtab_client::discovery::Discovered;

use crate::session::{Filter, Session};
use page::Page;

/// Show details of a specific resource or group of resources
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// `pods`, `pod web` or `pod/web`
    #[arg(required = true, value_name = "TYPE[/NAME] [NAME]")]
    resources: Vec<String>,
    #[command(flatten)]
    filter: Filter,
    /// If true, display events related to the described object
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    show_events: bool,
}

/// Runs the command.
pub(crate) async fn run(args: Args, session: &mut Session) -> Result<u8> {
    let objects = session.objects(&args.resources, &args.filter, true).await?;
    if objects.is_empty() {
        session.console.note(format!("No resources found in {} namespace.", session.namespace));
    }
    for (index, (kind, object)) in objects.iter().enumerate() {
        if index > 0 {
            session.console.raw(b"\n\n")?;
        }
        let mut page = describe(kind, object, session).await?;
        if args.show_events {
            add_events(&mut page, kind, object, session).await?;
        }
        page.lines().into_iter().try_for_each(|line| session.console.line(line))?;
    }
    Ok(0)
}

async fn describe(kind: &Discovered, object: &Object, session: &Session) -> Result<Page> {
    let mut page = Page::default();
    match (&*kind.resource.group, &*kind.resource.kind) {
        ("", "Pod") => pod::describe(&mut page, object),
        ("", "ReplicationController") => replication_controller::describe(&mut page, object, session).await?,
        ("", "Service") => service::describe(&mut page, object, session).await?,
        ("", "Node") => node::describe(&mut page, object, session).await?,
        _ => generic::describe(&mut page, object),
    }
    Ok(page)
}

async fn add_events(page: &mut Page, kind: &Discovered, object: &Object, session: &Session) -> Result<()> {
    let events = events::about(session, kind, object).await?;
    if events.is_empty() {
        page.field(0, "Events", "<none>");
        return Ok(());
    }
    page.heading(0, "Events");
    page.row(1, ["Type", "Reason", "Age", "From", "Message"]);
    page.row(1, ["----", "------", "----", "----", "-------"]);
    let now = session.env.now().as_second();
    for event in &events {
        let text = |part: &Option<String>| part.clone().unwrap_or_default();
        let source = event.source.as_ref().and_then(|source| source.component.clone());
        let source = source.or_else(|| event.reporting_component.clone()).unwrap_or_default();
        let message = text(&event.message).trim().replace('\n', " ");
        page.row(1, [text(&event.type_), text(&event.reason), events::seen(event, now), source, message]);
    }
    Ok(())
}
