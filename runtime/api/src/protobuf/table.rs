//! What messages are made of, as `manifests/protobuf.txt` tells. Read when first asked for.

use std::collections::HashMap;
use std::io::Read;
use std::sync::LazyLock;

use flate2::read::GzDecoder;

/// The package of the kinds that every group has, such as `Status` and `DeleteOptions`.
const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    const TEXT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/protobuf.txt.gz"));
    let mut text = String::new();
    GzDecoder::new(TEXT).read_to_string(&mut text).expect("the build script wrote it");
    // Kept for as long as the process lives: the names in the table are slices of it.
    Table::parse(text.leak()).expect("protobuf.txt is read by a test")
});

struct Table {
    messages: Vec<Message>,
    /// By package and name.
    by_name: HashMap<(&'static str, &'static str), usize>,
    /// By `apiVersion`.
    packages: HashMap<&'static str, &'static str>,
}

/// A message of the built-in kinds.
#[derive(Debug)]
pub struct Message {
    package: &'static str,
    name: &'static str,
    /// By number.
    fields: Vec<Field>,
    /// By JSON name, those of embedded structs among them.
    names: Vec<Place>,
}

/// Where a JSON field goes.
#[derive(Debug)]
pub(super) struct Place {
    pub field: Field,
    /// The numbers of the embedded structs that it is in, outermost first.
    pub embedded: Box<[u32]>,
}

/// A field of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    /// The JSON name; [`EMBEDDED`] for an embedded struct.
    pub name: &'static str,
    pub number: u32,
    pub label: Label,
    pub type_: Type,
    /// Whether a zero on the wire says nothing.
    pub omits_zero: bool,
}

/// The name of an embedded struct, whose fields are the outer one's in JSON.
pub(super) const EMBEDDED: &str = "&";

/// How often a field may be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    One,
    List,
    /// From strings.
    Map,
}

/// What a field holds. Messages that have a JSON form of their own are types of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    String,
    /// Base64 in JSON.
    Bytes,
    Bool,
    Int32,
    Int64,
    Double,
    Time,
    MicroTime,
    Quantity,
    IntOrString,
    /// A message with the text of any JSON in it.
    Raw,
    /// A message with a list of strings in it, which is that list in JSON.
    Strings,
    /// A schema or a list of them.
    SchemaOrArray,
    /// A schema or whether anything is allowed.
    SchemaOrBool,
    /// A schema or a list of strings.
    SchemaOrStrings,
    /// The index of the message.
    Message(u16),
}

impl Message {
    /// The message of a kind; of one that every group has, such as `DeleteOptions`, under any `api_version`. `None` for
    /// a kind that is not built in.
    pub fn of(api_version: &str, kind: &str) -> Option<&'static Self> {
        let table = &*TABLE;
        let of_group = table.packages.get(api_version).and_then(|package| table.by_name.get(&(*package, kind)));
        table.messages.get(*of_group.or_else(|| table.by_name.get(&(META, kind)))?)
    }

    /// The message of a definition, such as `io.k8s.api.core.v1.Pod`.
    pub fn of_definition(name: &str) -> Option<&'static Self> {
        Self::index_of(name).map(Self::at)
    }

    pub(super) fn index_of(definition: &str) -> Option<u16> {
        let (package, name) = definition.rsplit_once('.')?;
        u16::try_from(*TABLE.by_name.get(&(package, name))?).ok()
    }

    /// The name of the definition, such as `io.k8s.api.core.v1.Pod`.
    pub fn definition(&self) -> String {
        format!("{}.{}", self.package, self.name)
    }

    /// The JSON names of the fields whose zero says nothing.
    pub(crate) fn omitted(&self) -> impl Iterator<Item = &'static str> {
        self.names.iter().filter(|place| place.field.omits_zero).map(|place| place.field.name)
    }

    pub(super) fn at(index: u16) -> &'static Self {
        &TABLE.messages[usize::from(index)]
    }

    pub(super) fn field(&self, number: u32) -> Option<&Field> {
        self.fields.binary_search_by_key(&number, |field| field.number).ok().map(|index| &self.fields[index])
    }

    pub(super) fn place(&self, name: &str) -> Option<&Place> {
        self.names.binary_search_by(|place| place.field.name.cmp(name)).ok().map(|index| &self.names[index])
    }

    /// Every field in JSON, by name.
    #[cfg(test)]
    pub(super) fn places(&self) -> &[Place] {
        &self.names
    }
}

#[cfg(test)]
pub(super) fn all() -> &'static [Message] {
    &TABLE.messages
}

impl Table {
    /// Two passes: a field may be of a message that comes later.
    fn parse(text: &'static str) -> Option<Self> {
        let (mut by_name, mut packages, mut lines) = (HashMap::new(), HashMap::new(), Vec::new());
        let mut package = "";
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some(header) = line.strip_prefix("= ") {
                let (name, api_version) = header.split_once(' ')?;
                package = name;
                packages.insert(api_version, name);
                continue;
            }
            let (name, fields) = line.split_once(' ').unwrap_or((line, ""));
            by_name.insert((package, name), lines.len());
            lines.push((package, name, fields));
        }
        let mut messages = Vec::with_capacity(lines.len());
        for (package, name, fields) in lines {
            let read: Option<Vec<Field>> =
                fields.split_whitespace().map(|text| Field::parse(text, package, &by_name)).collect();
            let mut fields = read?;
            fields.sort_by_key(|field| field.number);
            messages.push(Message { package, name, fields, names: Vec::new() });
        }
        let names: Vec<Vec<Place>> = messages.iter().map(|message| places(&messages, message)).collect();
        for (message, names) in messages.iter_mut().zip(names) {
            message.names = names;
        }
        Some(Self { messages, by_name, packages })
    }
}

fn places(messages: &[Message], message: &Message) -> Vec<Place> {
    let mut found = Vec::new();
    let mut left = vec![(message, Vec::new())];
    while let Some((message, embedded)) = left.pop() {
        for field in &message.fields {
            match field.type_ {
                Type::Message(index) if field.name == EMBEDDED => {
                    let inner = embedded.iter().copied().chain([field.number]).collect();
                    left.push((&messages[usize::from(index)], inner));
                }
                _ => found.push(Place { field: *field, embedded: embedded.clone().into() }),
            }
        }
    }
    found.sort_by_key(|place| place.field.name);
    found
}

impl Field {
    /// Reads `NAME=NUMBER[*|%]TYPE[-]`.
    fn parse(
        text: &'static str,
        package: &'static str,
        messages: &HashMap<(&'static str, &'static str), usize>,
    ) -> Option<Self> {
        let (name, rest) = text.split_once('=')?;
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let number = rest[..end].parse().ok()?;
        let (label, type_) = match rest.as_bytes()[end] {
            b'*' => (Label::List, &rest[end + 1..]),
            b'%' => (Label::Map, &rest[end + 1..]),
            _ => (Label::One, &rest[end..]),
        };
        let (type_, omits_zero) = type_.strip_suffix('-').map_or((type_, false), |type_| (type_, true));
        let type_ = match type_ {
            "s" => Type::String,
            "b" => Type::Bytes,
            "o" => Type::Bool,
            "i" => Type::Int32,
            "l" => Type::Int64,
            "d" => Type::Double,
            "T" => Type::Time,
            "U" => Type::MicroTime,
            "Q" => Type::Quantity,
            "I" => Type::IntOrString,
            "R" => Type::Raw,
            "V" => Type::Strings,
            "A" => Type::SchemaOrArray,
            "B" => Type::SchemaOrBool,
            "C" => Type::SchemaOrStrings,
            message => {
                let key = message.rsplit_once('.').unwrap_or((package, message));
                Type::Message(u16::try_from(*messages.get(&key)?).ok()?)
            }
        };
        Some(Self { name, number, label, type_, omits_zero })
    }
}
