//! `trimtab events`.

use k8s_openapi::api::core::v1::Event;
use trimtab_api::table::human_duration;
use trimtab_client::{Api, Client, ListParams};
use trimtab_env::Env;

use crate::print;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// In all namespaces.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Only those about `KIND/NAME`.
    #[arg(long = "for", value_name = "KIND/NAME")]
    about: Option<String>,
}

pub(crate) async fn run(args: Args, client: &Client) -> anyhow::Result<()> {
    let api: Api<Event> =
        if args.all_namespaces { Api::all(client) } else { Api::namespaced(client, client.default_namespace()) };
    let mut events = api.list(&ListParams::default()).await?.items;
    let last = |event: &Event| {
        let time = event.last_timestamp.as_ref().map(|time| time.0).or(event.event_time.as_ref().map(|time| time.0));
        time.or(event.metadata.creation_timestamp.as_ref().map(|time| time.0)).unwrap_or_default()
    };
    let object = |event: &Event| {
        let about = &event.involved_object;
        format!("{}/{}", about.kind.as_deref().unwrap_or_default().to_lowercase(), about.name.as_deref().unwrap_or_default())
    };
    events.retain(|event| args.about.as_ref().is_none_or(|about| object(event) == about.to_lowercase()));
    events.sort_by_key(last);
    let now = Env::system().now();
    let rows: Vec<Vec<String>> = events
        .iter()
        .map(|event| {
            let age = human_duration(now.as_second() - last(event).as_second());
            let text = |field: &Option<String>| field.clone().unwrap_or_default();
            let mut row = vec![age, text(&event.type_), text(&event.reason), object(event), text(&event.message)];
            if args.all_namespaces {
                row.insert(0, text(&event.metadata.namespace));
            }
            row
        })
        .collect();
    if rows.is_empty() {
        print::note("No events found.");
        return Ok(());
    }
    let mut headings: Vec<String> = ["Last Seen", "Type", "Reason", "Object", "Message"].map(str::to_owned).to_vec();
    if args.all_namespaces {
        headings.insert(0, "Namespace".to_owned());
    }
    print::table(&headings, &rows).into_iter().for_each(print::line);
    Ok(())
}
