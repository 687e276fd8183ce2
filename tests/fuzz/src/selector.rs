//! Label and field selectors.

use trimtab_api::{FieldSelector, Selector};

/// A selector is read as it prints itself, and selects the same.
pub fn selector(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(selector) = Selector::parse(text) {
        let printed = selector.to_string();
        assert_eq!(Selector::parse(&printed).as_ref(), Ok(&selector), "{printed}");
        let labels = |key: &str| key.len().is_multiple_of(2).then_some("a");
        assert_eq!(selector.matches(labels), Selector::parse(&printed).is_ok_and(|again| again.matches(labels)));
        assert!(!selector.is_empty() || selector.matches(|_| None));
    }
    if let Ok(selector) = FieldSelector::parse(text) {
        for field in selector.fields() {
            let exact = selector.exact(field);
            assert!(exact.is_none_or(|value| text.contains(value)));
        }
        assert!(!selector.is_empty() || selector.matches(|_| ""));
        let _ = selector.matches(|_| "a");
    }
}
