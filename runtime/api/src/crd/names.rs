//! Which of the names that a definition asks for it is given: no two definitions of a group share
//! one (upstream's naming controller).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::conditions::{is_true, set_condition};
use super::conversion::bad_authority;
use super::{text, texts};
use crate::kind::Kind;
use crate::object::Object;

/// That a definition has the names that it asked for first.
const INITIAL: &str = "the initial names have been accepted";

/// The names of a group that others have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    resources: BTreeSet<String>,
    kinds: BTreeSet<String>,
}

impl Taken {
    /// Adds the names that a definition has been given.
    pub fn add(&mut self, definition: &Object) {
        if let Some(names) = definition.at(&["status", "acceptedNames"]) {
            let resources = [&names["plural"], &names["singular"]].map(text).into_iter();
            self.extend(resources.chain(texts(&names["shortNames"])), [text(&names["kind"]), text(&names["listKind"])]);
        }
    }

    /// Adds the names of a kind that the program itself declares.
    pub fn add_kind(&mut self, kind: &Kind) {
        let resources = [&*kind.plural, &*kind.singular].into_iter();
        self.extend(resources.chain(kind.short_names.iter().map(|name| &**name)), [&*kind.kind, &*kind.list_kind]);
    }

    /// Adds what another set has.
    pub fn add_all(&mut self, other: &Self) {
        self.resources.extend(other.resources.iter().cloned());
        self.kinds.extend(other.kinds.iter().cloned());
    }

    fn extend<'a>(&mut self, resources: impl IntoIterator<Item = &'a str>, kinds: impl IntoIterator<Item = &'a str>) {
        self.resources.extend(resources.into_iter().filter(|name| !name.is_empty()).map(str::to_owned));
        self.kinds.extend(kinds.into_iter().filter(|name| !name.is_empty()).map(str::to_owned));
    }
}

/// Gives a definition the names that are free, and says in its conditions whether it has them all:
/// from then on it is established, if its webhook can be trusted, and stays so.
pub fn accept(definition: &mut Object, taken: &Taken, now: &str) {
    let wanted = definition.at(&["spec", "names"]).cloned().unwrap_or_default();
    let mut accepted = definition.at(&["status", "acceptedNames"]).cloned().unwrap_or_else(|| json!({}));
    let mut conflict: Option<(&str, String)> = None;
    for (field, set, reason) in [
        ("plural", &taken.resources, "PluralConflict"),
        ("singular", &taken.resources, "SingularConflict"),
        ("shortNames", &taken.resources, "ShortNamesConflict"),
        ("kind", &taken.kinds, "KindConflict"),
        ("listKind", &taken.kinds, "ListKindConflict"),
    ] {
        let asked: Vec<&str> = match &wanted[field] {
            Value::Array(_) => texts(&wanted[field]).collect(),
            one => one.as_str().into_iter().collect(),
        };
        let used: Vec<_> = asked.iter().filter(|name| set.contains(**name)).collect();
        match used[..] {
            [] if wanted[field].is_null() => drop(accepted.as_object_mut().map(|names| names.remove(field))),
            [] => accepted[field] = wanted[field].clone(),
            [name] => conflict = Some((reason, format!("{name:?} is already in use"))),
            _ => {
                let all: Vec<_> = used.iter().map(|name| format!("{name:?} is already in use")).collect();
                conflict = Some((reason, format!("[{}]", all.join(", "))));
            }
        }
    }
    match wanted.get("categories") {
        Some(categories) => accepted["categories"] = categories.clone(),
        None => drop(accepted.as_object_mut().map(|names| names.remove("categories"))),
    }
    for field in ["plural", "kind"] {
        accepted.as_object_mut().map(|names| names.entry(field).or_insert_with(|| "".into()));
    }
    definition.set(&["status", "acceptedNames"], accepted);
    match &conflict {
        Some((reason, message)) => set_condition(definition, ("NamesAccepted", false), reason, message, now),
        None => set_condition(definition, ("NamesAccepted", true), "NoConflicts", "no conflicts found", now),
    }
    if is_true(definition, "Established") {
        return;
    }
    let (is_established, reason, message) = match conflict {
        Some(_) => (false, "NotAccepted", "not all names are accepted"),
        None if bad_authority(definition).is_some() => (false, "Installing", INITIAL),
        None => (true, "InitialNamesAccepted", INITIAL),
    };
    set_condition(definition, ("Established", is_established), reason, message, now);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(plural: &str, kind: &str, short: &[&str]) -> Object {
        let names = json!({"plural": plural, "singular": kind.to_lowercase(), "kind": kind, "listKind": format!("{kind}List"), "shortNames": short});
        serde_json::from_value(json!({"spec": {"names": names}})).unwrap()
    }

    #[test]
    fn names_that_are_free_are_given_and_stay() {
        let mut first = definition("sites", "Site", &["s"]);
        accept(&mut first, &Taken::default(), "then");
        assert!(is_true(&first, "NamesAccepted") && is_true(&first, "Established"));
        assert_eq!(first.at(&["status", "acceptedNames"]), first.at(&["spec", "names"]));

        let mut taken = Taken::default();
        taken.add(&first);
        let mut second = definition("pages", "Page", &["p", "s"]);
        accept(&mut second, &taken, "then");
        let conditions = second.at(&["status", "conditions"]).unwrap();
        assert_eq!(
            conditions[0],
            json!({"type": "NamesAccepted", "status": "False", "lastTransitionTime": "then",
            "reason": "ShortNamesConflict", "message": "\"s\" is already in use"})
        );
        assert_eq!((&conditions[1]["reason"], &conditions[1]["status"]), (&json!("NotAccepted"), &json!("False")));
        assert!(second.at(&["status", "acceptedNames", "shortNames"]).is_none());

        // What is established stays so, whatever it asks for later.
        first.set(&["spec", "names", "shortNames"], json!(["p"]));
        taken = Taken::default();
        taken.resources.insert("p".to_owned());
        accept(&mut first, &taken, "now");
        assert!(!is_true(&first, "NamesAccepted") && is_true(&first, "Established"));
        assert_eq!(first.at(&["status", "acceptedNames", "shortNames"]), Some(&json!(["s"])));
        assert_eq!(first.at(&["status", "conditions"]).unwrap()[0]["lastTransitionTime"], "now");
    }
}
