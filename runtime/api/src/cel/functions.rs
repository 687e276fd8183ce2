//! The functions that expressions may call, with what they take and give: those of the language,
//! and the libraries of Kubernetes
//! (<https://kubernetes.io/docs/reference/using-api/cel/#cel-options-language-features-and-libraries>).

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use super::types::Type;

/// One way to call a function.
#[derive(Debug)]
pub(super) struct Overload {
    /// Upstream's name for it, by which its cost is reckoned.
    pub id: &'static str,
    /// Whether it is called on its first argument.
    pub member: bool,
    pub args: Vec<Type>,
    pub result: Type,
}

/// `name id (arguments) result`, or `name id target.(arguments) result`.
const DECLARED: &str = include_str!("functions.txt");

static FUNCTIONS: LazyLock<HashMap<&'static str, Vec<Overload>>> = LazyLock::new(|| {
    let mut functions: HashMap<_, Vec<_>> = HashMap::new();
    for line in DECLARED.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, overload) = declared(line).unwrap_or_else(|| panic!("functions.txt: {line}"));
        functions.entry(name).or_default().push(overload);
    }
    functions
});

/// The ways to call the function `name`.
pub(super) fn overloads(name: &str) -> Option<&'static [Overload]> {
    FUNCTIONS.get(name).map(Vec::as_slice)
}

fn declared(line: &'static str) -> Option<(&'static str, Overload)> {
    let (name, rest) = line.split_once(' ')?;
    let (id, rest) = rest.split_once(' ')?;
    let (target, rest) = rest.split_once('(')?;
    let (args, result) = rest.rsplit_once(") ")?;
    let mut reader = Reader { text: target.trim_end_matches('.') };
    let target = if target.is_empty() { None } else { Some(reader.type_()?) };
    let mut reader = Reader { text: args };
    let mut types: Vec<Type> = target.iter().cloned().collect();
    while !reader.text.is_empty() {
        types.push(reader.type_()?);
        reader.text = reader.text.trim_start_matches([',', ' ']);
    }
    let result = Reader { text: result }.type_()?;
    Some((name, Overload { id, member: target.is_some(), args: types, result }))
}

struct Reader<'a> {
    text: &'a str,
}

impl Reader<'_> {
    fn type_(&mut self) -> Option<Type> {
        let end = self.text.find(|c: char| !c.is_ascii_alphanumeric() && !"_.".contains(c)).unwrap_or(self.text.len());
        let (name, rest) = self.text.split_at(end);
        self.text = rest;
        let mut parts = Vec::new();
        if let Some(rest) = self.text.strip_prefix('<') {
            self.text = rest;
            loop {
                parts.push(Arc::new(self.type_()?));
                match self.text.as_bytes().first()? {
                    b',' => self.text = self.text[1..].trim_start(),
                    b'>' => break,
                    _ => return None,
                }
            }
            self.text = &self.text[1..];
        }
        let mut parts = parts.into_iter();
        Some(match name {
            "dyn" => Type::Dyn,
            "null" => Type::Null,
            "bool" => Type::Bool,
            "int" => Type::Int,
            "uint" => Type::Uint,
            "double" => Type::Double,
            "string" => Type::String,
            "bytes" => Type::Bytes,
            "duration" => Type::Duration,
            "timestamp" => Type::Timestamp,
            "list" => Type::List(parts.next()?),
            "map" => Type::Map(parts.next()?, parts.next()?),
            "type" => Type::Type(parts.next()?),
            "optional" => Type::Opaque("optional_type", parts.next()),
            "A" | "B" => Type::Param(name.chars().next()?, 0),
            _ => opaque(name)?,
        })
    }
}

/// The types of libraries, whose names are types in expressions too.
pub(super) const OPAQUE: [&str; 12] = [
    "kubernetes.URL",
    "kubernetes.Quantity",
    "kubernetes.Semver",
    "kubernetes.NamedFormat",
    "net.IP",
    "net.CIDR",
    "kubernetes.authorization.Authorizer",
    "kubernetes.authorization.PathCheck",
    "kubernetes.authorization.GroupCheck",
    "kubernetes.authorization.ResourceCheck",
    "kubernetes.authorization.Decision",
    "jsonpatch.JSONPatch",
];

fn opaque(name: &str) -> Option<Type> {
    OPAQUE.iter().find(|known| **known == name).map(|known| Type::Opaque(known, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_function() {
        let add = overloads("_+_").unwrap();
        assert!(add.iter().any(|overload| overload.id == "add_int64" && overload.result == Type::Int));
        let bounds = overloads("sum").unwrap();
        assert!(bounds.iter().all(|overload| overload.member));
        assert!(overloads("nothing").is_none());
    }
}
