//! `trimtab api-resources`.

use anyhow::Result;
use clap::{Args, ValueEnum};
use trimtab_client::discovery::Discovered;

use crate::session::Session;
use crate::table;

/// Print the supported API resources on the server
#[derive(Args, Clone, Debug)]
pub(crate) struct ApiResources {
    /// Limit to resources in the specified API group
    #[arg(long)]
    api_group: Option<String>,
    /// If false, non-namespaced resources will be returned, otherwise namespaced ones
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    namespaced: Option<bool>,
    /// Limit to resources that support the specified verbs
    #[arg(long, value_delimiter = ',')]
    verbs: Vec<String>,
    /// Don't print headers
    #[arg(long)]
    no_headers: bool,
    /// Output format
    #[arg(short, long, value_enum)]
    output: Option<Format>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Wide,
    Name,
}

/// Runs the command.
pub(crate) async fn run(args: ApiResources, session: &mut Session) -> Result<u8> {
    let is_wanted = |kind: &&Discovered| {
        args.api_group.as_ref().is_none_or(|group| *group == kind.resource.group)
            && args.namespaced.is_none_or(|namespaced| namespaced == kind.resource.namespaced)
            && args.verbs.iter().all(|verb| kind.can(verb))
    };
    let mut kinds: Vec<_> = session.discovered().await?.resources.iter().filter(is_wanted).cloned().collect();
    kinds.sort_by_key(|kind| (kind.resource.group.clone(), kind.resource.plural.clone()));
    if args.output == Some(Format::Name) {
        kinds.iter().try_for_each(|kind| session.console.line(kind.resource.resource()))?;
        return Ok(0);
    }
    let wide = args.output == Some(Format::Wide);
    let mut rows: Vec<Vec<String>> = kinds.iter().map(|kind| row(kind, wide)).collect();
    if !args.no_headers {
        let headings = ["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND", "VERBS", "CATEGORIES"];
        rows.insert(0, headings[..if wide { 7 } else { 5 }].iter().map(ToString::to_string).collect());
    }
    table::layout(&rows).into_iter().try_for_each(|line| session.console.line(line))?;
    Ok(0)
}

fn row(kind: &Discovered, wide: bool) -> Vec<String> {
    let resource = &kind.resource;
    let mut row = vec![
        resource.plural.to_string(),
        kind.short_names.join(","),
        resource.api_version(),
        resource.namespaced.to_string(),
        resource.kind.to_string(),
    ];
    if wide {
        row.extend([kind.verbs.join(","), kind.categories.join(",")]);
    }
    row
}
