//! The rules of names: what the API accepts, and how serde calls a field.

/// `websites` of `website`.
pub(crate) fn plural(singular: &str) -> String {
    let consonant_before_y = singular.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'i', 'o', 'u']));
    if let Some(stem) = consonant_before_y {
        return format!("{stem}ies");
    }
    let hisses = ["s", "x", "z", "ch", "sh"].iter().any(|end| singular.ends_with(end));
    if hisses { format!("{singular}es") } else { format!("{singular}s") }
}

/// Whether `name` is a DNS label: lower-case letters, digits and dashes, at most 63.
pub(crate) fn is_label(name: &str) -> bool {
    let ends = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (1..=63).contains(&name.len())
        && name.chars().all(|c| ends(c) || c == '-')
        && name.starts_with(ends)
        && name.ends_with(ends)
}

/// Whether `name` may be the group of a custom kind: DNS labels with at least one dot between.
pub(crate) fn is_group(name: &str) -> bool {
    name.len() <= 253 && name.contains('.') && name.split('.').all(is_label)
}

/// Whether `name` may be a kind: letters and digits, the first in upper case.
pub(crate) fn is_kind(name: &str) -> bool {
    name.len() <= 63
        && name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_alphanumeric())
}

/// Whether `name` is a version: `v1`, `v2beta3`.
pub(crate) fn is_version(name: &str) -> bool {
    let number = |text: &str| !text.is_empty() && !text.starts_with('0') && text.chars().all(|c| c.is_ascii_digit());
    let Some(rest) = name.strip_prefix('v') else { return false };
    match rest.split_once("alpha").or_else(|| rest.split_once("beta")) {
        Some((major, minor)) => number(major) && number(minor),
        None => number(rest),
    }
}

/// What serde's `rename_all` makes of a field's name; `None` for a rule it does not have.
pub(crate) fn renamed(field: &str, rule: &str) -> Option<String> {
    let pascal = || -> String {
        let words = field.split('_').filter(|word| !word.is_empty());
        words.map(|word| word[..1].to_uppercase() + &word[1..]).collect()
    };
    Some(match rule {
        "lowercase" | "snake_case" => field.to_owned(),
        "UPPERCASE" | "SCREAMING_SNAKE_CASE" => field.to_uppercase(),
        "PascalCase" => pascal(),
        "camelCase" => {
            let pascal = pascal();
            pascal[..1].to_lowercase() + &pascal[1..]
        }
        "kebab-case" => field.replace('_', "-"),
        "SCREAMING-KEBAB-CASE" => field.to_uppercase().replace('_', "-"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plurals() {
        let check = |singular: &str, expected: &str| assert_eq!(plural(singular), expected);
        check("website", "websites");
        check("policy", "policies");
        check("gateway", "gateways");
        check("ingress", "ingresses");
        check("batch", "batches");
    }

    #[test]
    fn versions() {
        for good in ["v1", "v12", "v1alpha1", "v2beta10"] {
            assert!(is_version(good), "{good}");
        }
        for bad in ["1", "v", "v0", "v1gamma1", "v1alpha", "V1", "v1.2"] {
            assert!(!is_version(bad), "{bad}");
        }
    }

    #[test]
    fn groups_and_kinds() {
        assert!(is_group("demo.io") && !is_group("demo") && !is_group("Demo.io") && !is_group("demo..io"));
        assert!(is_kind("Website") && !is_kind("website") && !is_kind("Web-Site"));
    }

    #[test]
    fn fields_are_called_as_serde_calls_them() {
        let check = |rule: &str, expected: &str| assert_eq!(renamed("max_pods", rule).as_deref(), Some(expected));
        check("camelCase", "maxPods");
        check("PascalCase", "MaxPods");
        check("kebab-case", "max-pods");
        check("snake_case", "max_pods");
        assert_eq!(renamed("max_pods", "Title Case"), None);
    }
}
