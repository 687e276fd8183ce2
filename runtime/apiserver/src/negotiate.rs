//! In which form a client wants its answer.

use http::HeaderMap;
use http::header::ACCEPT;
use trimtab_api::ApiError;

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The object.
    Json,
    /// A `meta/v1.Table`.
    Table,
    /// The object's metadata, or a list of them.
    Partial,
    /// The object as YAML.
    Yaml,
}

impl Form {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Json | Self::Table | Self::Partial => "application/json",
            Self::Yaml => "application/yaml",
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
}

/// The clauses, in the order the client gave them.
pub(crate) fn clauses(headers: &HeaderMap) -> impl Iterator<Item = Clause<'_>> {
    let texts = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
    texts.map(|text| {
        let (media, params) = text.split_once(';').unwrap_or((text, ""));
        Clause { media: media.trim(), params }
    })
}

/// The first form that the client accepts and the server has.
///
/// # Errors
/// 406 when there is none.
pub(crate) fn form(headers: &HeaderMap) -> Result<Form, ApiError> {
    if !headers.contains_key(ACCEPT) {
        return Ok(Form::Json);
    }
    let known = clauses(headers).find_map(|clause| match (clause.media, clause.param("as")) {
        ("application/json" | "application/*" | "*/*", "") => Some(Form::Json),
        ("application/json", "Table") if clause.param("g") == "meta.k8s.io" && clause.param("v") == "v1" => {
            Some(Form::Table)
        }
        ("application/json", "PartialObjectMetadata" | "PartialObjectMetadataList") => Some(Form::Partial),
        ("application/yaml", "") => Some(Form::Yaml),
        _ => None,
    });
    known.ok_or_else(|| ApiError::not_acceptable(&["application/json", "application/yaml"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_form_that_is_known_is_taken() {
        let check = |accept: &str, expected: Option<Form>| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            assert_eq!(form(&headers).ok(), expected, "{accept}");
        };
        check("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", Some(Form::Table));
        check("application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json", Some(Form::Json));
        check("application/vnd.kubernetes.protobuf,application/json", Some(Form::Json));
        check(
            "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
            Some(Form::Partial),
        );
        check("*/*", Some(Form::Json));
        check("text/html", None);
    }
}
