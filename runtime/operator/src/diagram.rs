//! What a program's controllers deal with, as a flowchart of Mermaid
//! (<https://mermaid.js.org/syntax/flowchart.html>).

use std::collections::BTreeSet;
use std::fmt::Write;

use trimtab_client::ApiResource;
use trimtab_reconcile::{Needs, Relation, Tie};

/// Kinds are boxes, controllers are round. A thick line leads from a kind to its controller.
pub(crate) fn of(needs: &Needs) -> String {
    let relations = needs.relations();
    let mut text = String::from("flowchart LR\n");
    let controllers: BTreeSet<&str> = relations.iter().map(|relation| relation.controller).collect();
    let kinds: BTreeSet<(String, String)> =
        relations.iter().map(|relation| (kind_id(&relation.resource), kind_label(&relation.resource))).collect();
    // Writing to a string cannot fail.
    for name in controllers {
        let _ = writeln!(text, "    {}([{name:?}])", controller_id(name));
    }
    for (id, label) in kinds {
        let _ = writeln!(text, "    {id}[{label:?}]");
    }
    for relation in relations {
        let _ = writeln!(text, "    {}", line(relation));
    }
    text
}

fn line(Relation { controller, tie, resource }: &Relation) -> String {
    let (controller, kind) = (controller_id(controller), kind_id(resource));
    match tie {
        Tie::For => format!("{kind} ==> {controller}"),
        Tie::Owns => format!("{controller} -->|owns| {kind}"),
        Tie::Watches => format!("{kind} -.->|wakes| {controller}"),
        Tie::References => format!("{kind} -.->|is referred to| {controller}"),
        Tie::Reads => format!("{kind} -.->|is read| {controller}"),
        Tie::Uses { subresource, verbs } => {
            let slash = if subresource.is_empty() { "" } else { " /" };
            format!("{controller} -->|\"{}{slash}{subresource}\"| {kind}", verbs.join(", "))
        }
        _ => format!("{controller} --- {kind}"),
    }
}

fn controller_id(name: &str) -> String {
    format!("controller_{}", letters(name))
}

fn kind_id(resource: &ApiResource) -> String {
    format!("kind_{}", letters(&resource.resource()))
}

fn kind_label(resource: &ApiResource) -> String {
    if resource.group.is_empty() {
        resource.kind.to_string()
    } else {
        format!("{}<br>{}", resource.kind, resource.group)
    }
}

// What Mermaid takes for a name.
fn letters(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}
