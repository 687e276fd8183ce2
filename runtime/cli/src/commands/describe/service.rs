//! A service, with its endpoints.

use anyhow::Result;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::Value;
use trimtab_api::Object;
use trimtab_client::{Api, ListParams};

use super::page::{Page, items, or_none, pairs, text};
use crate::session::Session;

/// More endpoints than these are only counted, as kubectl does.
const SHOWN: usize = 3;

pub(super) async fn describe(page: &mut Page, service: &Object, session: &Session) -> Result<()> {
    let spec = service.0.get("spec").cloned().unwrap_or_default();
    page.metadata(service);
    page.field(0, "Selector", pairs(&spec["selector"]));
    page.field(0, "Type", text(&spec["type"]));
    page.optional(0, "IP Family Policy", &text(&spec["ipFamilyPolicy"]));
    page.optional(0, "IP Families", &text(&spec["ipFamilies"]));
    page.optional(0, "External Name", &text(&spec["externalName"]));
    page.field(0, "IP", text(&spec["clusterIP"]));
    page.optional(0, "IPs", &text(&spec["clusterIPs"]));
    let slices = slices(service, session).await?;
    for port in items(&spec["ports"]) {
        add_port(page, port, &slices);
    }
    page.field(0, "Session Affinity", text(&spec["sessionAffinity"]));
    page.optional(0, "External Traffic Policy", &text(&spec["externalTrafficPolicy"]));
    page.optional(0, "Internal Traffic Policy", &text(&spec["internalTrafficPolicy"]));
    Ok(())
}

async fn slices(service: &Object, session: &Session) -> Result<Vec<EndpointSlice>> {
    let api: Api<EndpointSlice> = Api::namespaced(&session.client, service.namespace());
    let of_service = format!("kubernetes.io/service-name={}", service.name());
    Ok(api.list(&ListParams::default().labels(of_service)).await?.items)
}

fn add_port(page: &mut Page, port: &Value, slices: &[EndpointSlice]) {
    let protocol = port["protocol"].as_str().unwrap_or("TCP");
    let name = Some(text(&port["name"])).filter(|name| !name.is_empty()).unwrap_or_else(|| "<unset>".to_owned());
    page.field(0, "Port", format!("{name}  {}/{protocol}", text(&port["port"])));
    page.field(0, "TargetPort", format!("{}/{protocol}", text(&port["targetPort"])));
    if port["nodePort"].as_i64().is_some_and(|number| number > 0) {
        page.field(0, "NodePort", format!("{name}  {}/{protocol}", text(&port["nodePort"])));
    }
    let found = endpoints(&text(&port["name"]), slices);
    let shown = found.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(",");
    let more = if found.len() > SHOWN { format!(" + {} more...", found.len() - SHOWN) } else { String::new() };
    page.field(0, "Endpoints", or_none(shown) + &more);
}

fn endpoints(port: &str, slices: &[EndpointSlice]) -> Vec<String> {
    let mut found = Vec::new();
    for slice in slices {
        let numbers = slice.ports.iter().flatten().filter(|p| p.name.as_deref().unwrap_or_default() == port);
        for number in numbers.filter_map(|p| p.port) {
            let is_ready = |ready: Option<bool>| ready.unwrap_or(true);
            let ready =
                slice.endpoints.iter().flatten().filter(|e| is_ready(e.conditions.as_ref().and_then(|c| c.ready)));
            found.extend(ready.flat_map(|e| &e.addresses).map(|address| format!("{address}:{number}")));
        }
    }
    found
}
