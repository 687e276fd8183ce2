//! A description as it is laid out: fields with aligned values, sections indented by two.

use serde_json::Value;
use trimtab_api::Object;

use crate::table;

/// The space between columns.
const SPACE: usize = 2;

/// Lines of a description, each of one or more cells.
#[derive(Default)]
pub(super) struct Page(Vec<Vec<String>>);

impl Page {
    /// `Name:  value`.
    pub(super) fn field(&mut self, level: usize, name: &str, value: impl Into<String>) {
        self.row(level, [format!("{name}:"), value.into()]);
    }

    /// A field, unless its value is empty.
    pub(super) fn optional(&mut self, level: usize, name: &str, value: &str) {
        if !value.is_empty() {
            self.field(level, name, value);
        }
    }

    /// `Name:` above a section.
    pub(super) fn heading(&mut self, level: usize, name: &str) {
        self.row(level, [format!("{name}:")]);
    }

    /// Cells beside each other.
    pub(super) fn row<C: Into<String>>(&mut self, level: usize, cells: impl IntoIterator<Item = C>) {
        let mut cells: Vec<String> = cells.into_iter().map(Into::into).collect();
        if let Some(first) = cells.first_mut() {
            first.insert_str(0, &"  ".repeat(level));
        }
        self.0.push(cells);
    }

    /// A field with a line for each of `values`.
    pub(super) fn list(&mut self, level: usize, name: &str, values: impl IntoIterator<Item = String>) {
        let mut values = values.into_iter();
        self.field(level, name, values.next().unwrap_or_else(|| "<none>".to_owned()));
        let indent = "  ".repeat(level);
        self.0.extend(values.map(|value| vec![indent.clone(), value]));
    }

    /// Name, namespace, labels and annotations, as most descriptions begin.
    pub(super) fn metadata(&mut self, object: &Object) {
        self.field(0, "Name", object.name());
        self.optional(0, "Namespace", object.namespace());
        self.labels(object);
    }

    /// Labels and annotations.
    pub(super) fn labels(&mut self, object: &Object) {
        self.list(0, "Labels", object.labels().map(|(key, value)| format!("{key}={value}")));
        let hidden = |key: &str| key == "kubectl.kubernetes.io/last-applied-configuration";
        let shown = object.annotations().filter(|(key, _)| !hidden(key));
        self.list(0, "Annotations", shown.map(|(key, value)| format!("{key}: {value}")));
    }

    /// The conditions of a status, with the columns named.
    pub(super) fn conditions(&mut self, object: &Object, columns: &[(&str, &str)]) {
        let Some(conditions) = object.at(&["status", "conditions"]).and_then(Value::as_array) else { return };
        self.heading(0, "Conditions");
        self.row(1, columns.iter().map(|(heading, _)| *heading));
        self.row(1, columns.iter().map(|(heading, _)| "-".repeat(heading.len())));
        for condition in conditions {
            self.row(1, columns.iter().map(|(_, field)| text(&condition[*field])));
        }
    }

    /// The lines. Values are aligned within each run of lines that have any.
    pub(super) fn lines(self) -> Vec<String> {
        let runs = self.0.chunk_by(|a, b| (a.len() > 1) == (b.len() > 1));
        let lines = runs.flat_map(|run| table::spaced(run, 0, SPACE));
        lines.map(|line| line.trim_end().to_owned()).collect()
    }
}

/// A scalar as people read it; lists with commas; nothing as nothing.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// `a=b,c=d`; `<none>` when there are none.
pub(super) fn pairs(map: &Value) -> String {
    let pairs = map.as_object().into_iter().flatten().map(|(key, value)| format!("{key}={}", text(value)));
    or_none(pairs.collect::<Vec<_>>().join(","))
}

/// `text`, or `<none>` when it is empty.
pub(super) fn or_none(text: String) -> String {
    if text.is_empty() { "<none>".to_owned() } else { text }
}

/// The items of a list; none when it is no list.
pub(super) fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_aligned_within_a_run() {
        let mut page = Page::default();
        page.field(0, "Name", "web");
        page.list(0, "Labels", ["a=b".to_owned(), "c=d".to_owned()]);
        page.heading(0, "Containers");
        page.heading(1, "hello");
        page.field(2, "Image", "hello:1");
        let expected =
            ["Name:    web", "Labels:  a=b", "         c=d", "Containers:", "  hello:", "    Image:  hello:1"];
        assert_eq!(page.lines(), expected);
    }
}
