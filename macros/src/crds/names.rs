//! What fields, types and variants are called in Rust.

use proc_macro2::{Ident, Span};

/// The words of a name: `HTTPRoutePort2` is `http`, `route`, `port2`.
fn words(name: &str) -> Vec<String> {
    let chars: Vec<char> = name.chars().collect();
    let mut words: Vec<String> = Vec::new();
    let mut begins = true;
    for (index, c) in chars.iter().enumerate() {
        if !c.is_alphanumeric() {
            begins = true;
            continue;
        }
        let before = index.checked_sub(1).map(|before| chars[before]);
        let follows_lower = before.is_some_and(|before| before.is_lowercase() || before.is_ascii_digit());
        // The last capital of a row begins the next word, but for a plural: `podIPs`, `externalURLs`.
        let ends_row = before.is_some_and(char::is_uppercase)
            && chars.get(index + 1).is_some_and(|next| next.is_lowercase())
            && !(chars[index + 1] == 's' && chars.get(index + 2).is_none_or(|next| !next.is_lowercase()));
        if begins || c.is_uppercase() && (follows_lower || ends_row) {
            words.push(String::new());
        }
        begins = false;
        if let Some(word) = words.last_mut() {
            word.extend(c.to_lowercase());
        }
    }
    words
}

/// `http_route` of `HTTPRoute`.
pub(super) fn snake(name: &str) -> String {
    words(name).join("_")
}

/// `HttpRoute` of `HTTPRoute` or `http-route`.
pub(super) fn pascal(name: &str) -> String {
    let capital = |word: &String| {
        let mut chars = word.chars();
        chars.next().map(|first| first.to_uppercase().chain(chars).collect::<String>()).unwrap_or_default()
    };
    words(name).iter().map(capital).collect()
}

/// `rule` of `rules`, for the items of a list.
pub(super) fn singular(name: &str) -> String {
    let hisses = ["sses", "shes", "ches", "xes", "zes"].iter().any(|end| name.ends_with(end));
    if hisses {
        name[..name.len() - 2].to_owned()
    } else if let Some(stem) = name.strip_suffix("ies").filter(|stem| stem.len() > 1) {
        format!("{stem}y")
    } else if name.ends_with("ss") || name.ends_with("us") || name.ends_with("is") {
        name.to_owned()
    } else {
        name.strip_suffix('s').filter(|stem| stem.len() > 1).unwrap_or(name).to_owned()
    }
}

/// A name as an identifier: what is a keyword is raw, and what begins with a digit gets a `_`.
pub(super) fn ident(name: &str) -> Ident {
    let name = if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        format!("_{name}")
    } else {
        name.to_owned()
    };
    if matches!(&*name, "self" | "Self" | "super" | "crate" | "_") {
        return Ident::new(&format!("{name}_"), Span::call_site());
    }
    syn::parse_str(&name).unwrap_or_else(|_| Ident::new_raw(&name, Span::call_site()))
}

/// The variant that a text is.
pub(super) fn variant(text: &str) -> String {
    match text {
        "" => "Empty".to_owned(),
        "*" => "Any".to_owned(),
        _ => {
            let spelled: String = text
                .chars()
                .map(|c| match c {
                    '=' => " equal ".to_owned(),
                    '!' => " not ".to_owned(),
                    '<' => " less ".to_owned(),
                    '>' => " greater ".to_owned(),
                    '+' => " plus ".to_owned(),
                    '~' => " like ".to_owned(),
                    c => c.to_string(),
                })
                .collect();
            let name = pascal(&spelled);
            if name.is_empty() { "Other".to_owned() } else { name }
        }
    }
}

/// `name`, or with a number if it is taken.
pub(super) fn free(name: String, mut is_taken: impl FnMut(&str) -> bool) -> String {
    if !is_taken(&name) {
        return name;
    }
    let numbered = (2..).map(|number| format!("{name}{number}")).find(|name| !is_taken(name));
    numbered.unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_begin_where_people_read_them() {
        let check = |name: &str, snaked: &str, pascaled: &str| {
            assert_eq!((snake(name), pascal(name)), (snaked.to_owned(), pascaled.to_owned()));
        };
        check("HTTPRoute", "http_route", "HttpRoute");
        check("podIPs", "pod_ips", "PodIps");
        check("externalURLs", "external_urls", "ExternalUrls");
        check("$ref", "ref", "Ref");
        check("x-kubernetes", "x_kubernetes", "XKubernetes");
        check("secretName", "secret_name", "SecretName");
        check("sha256Sum", "sha256_sum", "Sha256Sum");
        check("UTF8String", "utf8_string", "Utf8String");
    }

    #[test]
    fn identifiers_are_rusts() {
        assert_eq!(ident("type").to_string(), "r#type");
        assert_eq!(ident("self").to_string(), "self_");
        assert_eq!(ident("2xx").to_string(), "_2xx");
        assert_eq!(
            (variant(""), variant("!="), variant("NotIn"), variant("*")),
            ("Empty".into(), "NotEqual".into(), "NotIn".into(), "Any".into())
        );
        assert_eq!(free("a".to_owned(), |name| name == "a" || name == "a2"), "a3");
    }

    #[test]
    fn items_are_called_in_the_singular() {
        for (many, one) in [
            ("rules", "rule"),
            ("policies", "policy"),
            ("addresses", "address"),
            ("status", "status"),
            ("ingress", "ingress"),
            ("as", "as"),
        ] {
            assert_eq!(singular(many), one);
        }
    }
}
