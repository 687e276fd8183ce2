//! Quantities.

use trimtab_api::Quantity;

/// A quantity prints itself in one way only, and sums do not break.
pub fn quantity(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (first, second) = text.split_once('\n').unwrap_or((text, "1500m"));
    let Ok(one) = Quantity::parse(first) else { return };
    let printed = one.to_string();
    let again = Quantity::parse(&printed).expect("what was printed is read");
    assert!(again == one, "{first} is not {printed}");
    assert_eq!(again.to_string(), printed);
    let _ = (one.units(), one.milli(), one.approximately(), one.is_whole());
    let Ok(two) = Quantity::parse(second) else { return };
    assert!(one + two == two + one);
    assert_eq!(one.cmp(&two), two.cmp(&one).reverse());
    let _ = one - two;
}
