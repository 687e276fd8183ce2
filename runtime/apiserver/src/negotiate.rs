//! In which form a client wants its answer
//! (<https://kubernetes.io/docs/reference/using-api/api-concepts/#alternate-representations-of-resources>).

use std::cmp::Reverse;

use http::HeaderMap;
use http::header::ACCEPT;
use trimtab_api::{ApiError, Kind, protobuf};
use trimtab_client::header_list;

/// What of an object is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// All of it.
    Whole,
    /// Its row in a `meta/v1.Table`.
    Table,
    /// Its metadata, or a list of them.
    Partial,
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Json,
    Yaml,
    Protobuf,
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    pub shape: Shape,
    pub encoding: Encoding,
}

impl Form {
    pub(crate) const JSON: Self = Self { shape: Shape::Whole, encoding: Encoding::Json };
}

/// All that is written here, in the order of preference of whoever accepts anything.
pub(crate) const MEDIA_TYPES: [&str; 3] = ["application/json", "application/yaml", protobuf::CONTENT_TYPE];

impl Encoding {
    const ALL: [Self; 3] = [Self::Json, Self::Yaml, Self::Protobuf];

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Yaml => "application/yaml",
            Self::Protobuf => protobuf::CONTENT_TYPE,
        }
    }

    pub(crate) fn stream_content_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/vnd.kubernetes.protobuf;stream=watch",
            _ => self.content_type(),
        }
    }
}

/// One clause of an `Accept` header.
pub(crate) struct Clause<'a> {
    pub media: &'a str,
    params: &'a str,
}

impl<'a> Clause<'a> {
    pub(crate) fn param(&self, name: &str) -> &'a str {
        let pairs = self.params.split(';').filter_map(|pair| pair.trim().split_once('='));
        pairs.filter(|(key, _)| *key == name).map(|(_, value)| value.trim_matches('"')).next().unwrap_or_default()
    }

    /// The encodings that it takes.
    fn encodings(&self) -> impl Iterator<Item = Encoding> {
        let any = matches!(self.media, "application/*" | "*/*");
        Encoding::ALL.into_iter().filter(move |encoding| any || self.media == encoding.content_type())
    }

    fn shape(&self) -> Option<Shape> {
        let of_meta = self.param("g") == "meta.k8s.io" && self.param("v") == "v1";
        match self.param("as") {
            "" => Some(Shape::Whole),
            "Table" if of_meta => Some(Shape::Table),
            "PartialObjectMetadata" | "PartialObjectMetadataList" if of_meta => Some(Shape::Partial),
            _ => None,
        }
    }

    /// From 0 to 1000 (RFC 9110, section 12.4.2).
    fn weight(&self) -> u16 {
        let weight: f32 = self.param("q").parse().unwrap_or(1.0);
        (weight.clamp(0.0, 1.0) * 1000.0) as u16
    }
}

/// The clauses, those with the greatest weight first and otherwise in the order the client gave them.
pub(crate) fn clauses(headers: &HeaderMap) -> impl Iterator<Item = Clause<'_>> {
    let mut all: Vec<Clause<'_>> = header_list(headers, ACCEPT)
        .map(|text| {
            let (media, params) = text.split_once(';').unwrap_or((text, ""));
            Clause { media: media.trim(), params }
        })
        .collect();
    all.sort_by_key(|clause| (Reverse(clause.weight()), clause.media == "*/*", clause.media.ends_with("/*")));
    all.into_iter()
}

fn first(headers: &HeaderMap, served: impl Fn(Form) -> bool) -> Option<Form> {
    if !headers.contains_key(ACCEPT) {
        return Some(Form::JSON);
    }
    clauses(headers).find_map(|clause| {
        let shape = clause.shape().filter(|_| matches!(clause.param("stream"), "" | "watch"))?;
        clause.encodings().map(|encoding| Form { shape, encoding }).find(|form| served(*form))
    })
}

/// The first form of an object of `kind` that the client accepts and the server has.
///
/// # Errors
/// 406 when there is none.
pub(crate) fn form(headers: &HeaderMap, kind: &Kind) -> Result<Form, ApiError> {
    let served = |form: Form| match (form.encoding, form.shape) {
        (Encoding::Protobuf, Shape::Whole) => message(kind).is_some(),
        // What is never stored is no row of anything.
        (Encoding::Protobuf, Shape::Table) => false,
        (_, Shape::Table) => kind.can("get"),
        _ => true,
    };
    first(headers, served).ok_or_else(|| ApiError::not_acceptable(&MEDIA_TYPES))
}

/// As [`form`], of a stream of them, which is never YAML.
///
/// # Errors
/// 406 when there is none, or the first is YAML, as upstream.
pub(crate) fn stream(headers: &HeaderMap, kind: &Kind) -> Result<Form, ApiError> {
    let found = form(headers, kind).ok().filter(|form| form.encoding != Encoding::Yaml);
    let streams =
        [Encoding::Json, Encoding::Protobuf].map(|encoding| format!("{};stream=watch", encoding.content_type()));
    found.ok_or_else(|| ApiError::not_acceptable(&streams.each_ref().map(String::as_str)))
}

/// How to write what every encoding has, and no other shape: a Status, a Scale. JSON for who accepts none.
pub(crate) fn encoding(headers: &HeaderMap) -> Encoding {
    first(headers, |form| form.shape == Shape::Whole).map_or(Encoding::Json, |form| form.encoding)
}

/// The protobuf form of a kind; `None` when it has none, as a custom one.
pub(crate) fn message(kind: &Kind) -> Option<&'static protobuf::Message> {
    if kind.built_in { protobuf::Message::of(&kind.api_version(), &kind.kind) } else { None }
}

#[cfg(test)]
mod tests {
    use trimtab_api::builtin;

    use super::*;

    const PROTOBUF: &str = protobuf::CONTENT_TYPE;

    fn accepting(accept: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, accept.parse().unwrap());
        headers
    }

    #[test]
    fn the_first_form_that_is_known_is_taken() {
        let kinds = builtin();
        let pods = kinds.by_resource("", "v1", "pods").unwrap();
        let check = |accept: &str, expected: Option<(Shape, Encoding)>| {
            let found = form(&accepting(accept), pods).ok();
            assert_eq!(found.map(|form| (form.shape, form.encoding)), expected, "{accept}");
        };
        let json = |shape| Some((shape, Encoding::Json));
        check("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", json(Shape::Table));
        check("application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json", json(Shape::Whole));
        check(&format!("{PROTOBUF},application/json"), Some((Shape::Whole, Encoding::Protobuf)));
        check(
            &format!("{PROTOBUF};as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1;g=meta.k8s.io"),
            json(Shape::Table),
        );
        check(
            &format!("{PROTOBUF};as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"),
            Some((Shape::Partial, Encoding::Protobuf)),
        );
        check("*/*", json(Shape::Whole));
        check(&format!("application/json;q=0.5,{PROTOBUF};q=0.8"), Some((Shape::Whole, Encoding::Protobuf)));
        check("*/*, application/yaml", Some((Shape::Whole, Encoding::Yaml)));
        check("application/json;stream=other", None);
        check("text/html", None);
    }

    #[test]
    fn what_every_encoding_has_is_never_refused() {
        assert_eq!(encoding(&accepting("text/html")), Encoding::Json);
        assert_eq!(encoding(&accepting("application/json;as=Table;v=v1;g=meta.k8s.io")), Encoding::Json);
        assert_eq!(encoding(&accepting(&format!("{PROTOBUF};stream=watch"))), Encoding::Protobuf);
    }

    /// What is stored is written as a message but for its resourceVersion, which goes in front.
    #[test]
    fn every_kind_has_a_message_whose_metadata_comes_first() {
        for kind in builtin().iter() {
            let message = message(kind).unwrap_or_else(|| panic!("{kind:?}"));
            let mut out = Vec::new();
            message.encode(br#"{"metadata": {"name": "n"}}"#, &mut out).unwrap();
            assert!(protobuf::versioned(&out, "1").is_some(), "{kind:?}");
        }
    }
}
