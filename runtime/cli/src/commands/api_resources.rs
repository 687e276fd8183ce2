//! `trimtab api-resources`.

use trimtab_client::Client;

use crate::print;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// `wide` or `name`.
    #[arg(short, long, default_value = "")]
    output: String,
}

pub(crate) async fn run(args: Args, client: &Client) -> anyhow::Result<()> {
    let mut served = client.discover().await?;
    served.retain(|discovered| discovered.can("list") || args.output == "wide");
    if args.output == "name" {
        served.iter().for_each(|discovered| print::line(discovered.resource.resource()));
        return Ok(());
    }
    let wide = args.output == "wide";
    let mut headings: Vec<String> = ["Name", "ShortNames", "APIVersion", "Namespaced", "Kind"].map(str::to_owned).to_vec();
    if wide {
        headings.extend(["Verbs", "Categories"].map(str::to_owned));
    }
    let rows: Vec<Vec<String>> = served
        .iter()
        .map(|discovered| {
            let resource = &discovered.resource;
            let mut row = vec![
                resource.plural.to_string(),
                discovered.short_names.join(","),
                resource.api_version(),
                resource.namespaced.to_string(),
                resource.kind.to_string(),
            ];
            if wide {
                row.extend([discovered.verbs.join(","), discovered.categories.join(",")]);
            }
            row
        })
        .collect();
    print::table(&headings, &rows).into_iter().for_each(print::line);
    Ok(())
}
