//! Quantities of a resource, exactly: `500m`, `1.5Gi`, `12e6`
//! (`k8s.io/apimachinery/pkg/api/resource`).
//!
//! A quantity is a whole number of nano-units (10⁻⁹). What is finer is rounded up, as upstream
//! rounds it; what is larger than 2⁶³-1 units is capped there, as upstream caps it.

use std::cmp::Ordering;
use std::fmt;
use std::ops::{Add, Sub};

use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;

const NANO: i128 = 1_000_000_000;
const MAX: i128 = i64::MAX as i128 * NANO;
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
/// The suffixes of 10⁻⁹, 10⁻⁶, …, 10¹⁸.
const DECIMAL: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];

/// How a quantity is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `1500m`, `2G`.
    #[default]
    DecimalSi,
    /// `1536Mi`.
    BinarySi,
    /// `12e6`.
    DecimalExponent,
}

/// An exact quantity. Compares by amount alone: `1` equals `1000m`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quantity {
    nano: i128,
    format: Format,
}

/// Why a text is no quantity, in upstream's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The text is not a number with a suffix.
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Format,
    /// No such suffix.
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

impl Quantity {
    /// Reads a quantity.
    ///
    /// # Errors
    /// If the text is none.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let (negative, rest) = match text.as_bytes().first() {
            None => return Err(ParseError::Format),
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            Some(_) => (false, text),
        };
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, suffix) = rest.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(ParseError::Format);
        }
        let (base, exponent, format) = parse_suffix(suffix)?;
        let nano = scale(whole, fraction, base, exponent);
        Ok(Self { nano: if negative { -nano } else { nano }, format })
    }

    /// An amount of whole units.
    pub fn from_units(units: i64) -> Self {
        Self { nano: i128::from(units) * NANO, format: Format::DecimalSi }
    }

    /// The same amount, written as `format`.
    #[must_use]
    pub fn written_as(self, format: Format) -> Self {
        Self { format, ..self }
    }

    /// The amount in whole units, rounded up.
    pub fn units(self) -> i64 {
        self.rounded_up(NANO)
    }

    /// The amount in thousandths of a unit, rounded up: millicores of a CPU.
    pub fn milli(self) -> i64 {
        self.rounded_up(NANO / 1000)
    }

    /// Whether the amount is 0.
    pub fn is_zero(self) -> bool {
        self.nano == 0
    }

    /// Whether the amount is below 0.
    pub fn is_negative(self) -> bool {
        self.nano < 0
    }

    /// Whether the amount is a whole number of units.
    pub fn is_whole(self) -> bool {
        self.nano % NANO == 0
    }

    /// The amount in units, as near as a double comes.
    #[expect(clippy::cast_precision_loss, reason = "a double is what is asked for")]
    pub fn approximately(self) -> f64 {
        self.nano as f64 / NANO as f64
    }

    fn rounded_up(self, unit: i128) -> i64 {
        let whole = self.nano.div_euclid(unit) + i128::from(self.nano.rem_euclid(unit) != 0);
        i64::try_from(whole).unwrap_or(if whole < 0 { i64::MIN } else { i64::MAX })
    }

    fn binary(self) -> Option<String> {
        // Below 1024, or with a fraction, upstream falls back to the decimal form.
        if self.nano.abs() < 1024 * NANO || !self.is_whole() {
            return None;
        }
        let mut units = self.nano / NANO;
        let mut power = 0;
        while units % 1024 == 0 && power + 1 < BINARY.len() {
            units /= 1024;
            power += 1;
        }
        Some(format!("{units}{}", BINARY[power]))
    }

    /// The shortest mantissa with an exponent that is a multiple of 3, and that exponent's place
    /// in [`DECIMAL`].
    fn decimal(self) -> (i128, usize) {
        let (mut mantissa, mut place) = (self.nano, 0);
        while mantissa != 0 && mantissa % 1000 == 0 && place + 1 < DECIMAL.len() {
            mantissa /= 1000;
            place += 1;
        }
        (mantissa, place)
    }
}

/// The base, its exponent and the format of a suffix.
fn parse_suffix(suffix: &str) -> Result<(u32, i32, Format), ParseError> {
    if let Some(power) = BINARY.iter().skip(1).position(|binary| *binary == suffix) {
        return Ok((2, (i32::try_from(power).unwrap_or_default() + 1) * 10, Format::BinarySi));
    }
    if let Some(place) = DECIMAL.iter().position(|decimal| *decimal == suffix) {
        return Ok((10, i32::try_from(place).unwrap_or_default() * 3 - 9, Format::DecimalSi));
    }
    let exponent = suffix.strip_prefix(['e', 'E']).ok_or_else(|| bad_suffix(suffix))?;
    let exponent = exponent.parse::<i32>().map_err(|_| bad_suffix(suffix))?;
    Ok((10, exponent, Format::DecimalExponent))
}

/// Upstream tells a suffix of its alphabet from other text.
fn bad_suffix(suffix: &str) -> ParseError {
    let letters = suffix.trim_start_matches(|c| "eEinumkKMGTP".contains(c));
    let digits = letters.strip_prefix(['-', '+']).unwrap_or(letters);
    if digits.bytes().all(|b| b.is_ascii_digit()) { ParseError::Suffix } else { ParseError::Format }
}

/// `whole.fraction` times `base` to the `exponent`, in nano-units, rounded up, capped.
fn scale(whole: &str, fraction: &str, base: u32, exponent: i32) -> i128 {
    let digits = whole.bytes().chain(fraction.bytes()).map(|b| i128::from(b - b'0'));
    let (mut mantissa, mut places) = (0_i128, i32::try_from(fraction.len()).unwrap_or(i32::MAX));
    // Digits after the 28th could only matter below a nano-unit.
    for (taken, digit) in digits.enumerate() {
        if mantissa > 10_i128.pow(28) {
            let left = whole.len() + fraction.len() - taken;
            places = places.saturating_sub(i32::try_from(left).unwrap_or(i32::MAX));
            mantissa += 1;
            break;
        }
        mantissa = mantissa * 10 + digit;
    }
    if base == 2 {
        // At most 10²⁹ · 2⁶⁰ does not fit; what is over the cap is recognised before multiplying.
        let factor = 1_i128 << exponent;
        return times_power_of_ten(mantissa.checked_mul(factor), 9_i32.saturating_sub(places));
    }
    times_power_of_ten(Some(mantissa), exponent.saturating_add(9).saturating_sub(places))
}

fn times_power_of_ten(mantissa: Option<i128>, exponent: i32) -> i128 {
    let Some(mantissa) = mantissa else { return MAX };
    if mantissa == 0 {
        return 0;
    }
    let factor = 10_i128.checked_pow(exponent.unsigned_abs());
    let scaled = match (exponent >= 0, factor) {
        (true, factor) => factor.and_then(|factor| mantissa.checked_mul(factor)).unwrap_or(MAX),
        (false, Some(factor)) => mantissa / factor + i128::from(mantissa % factor != 0),
        (false, None) => 1,
    };
    scaled.min(MAX)
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.format == Format::BinarySi
            && let Some(text) = self.binary()
        {
            return f.write_str(&text);
        }
        if self.nano == 0 {
            return f.write_str("0");
        }
        let (mantissa, place) = self.decimal();
        match (self.format, place) {
            (Format::DecimalExponent, 3) => write!(f, "{mantissa}"),
            (Format::DecimalExponent, place) => {
                write!(f, "{mantissa}e{}", i32::try_from(place).unwrap_or_default() * 3 - 9)
            }
            (_, place) => write!(f, "{mantissa}{}", DECIMAL[place]),
        }
    }
}

impl TryFrom<&Text> for Quantity {
    type Error = ParseError;

    fn try_from(text: &Text) -> Result<Self, ParseError> {
        Self::parse(&text.0)
    }
}

impl From<Quantity> for Text {
    fn from(quantity: Quantity) -> Self {
        Self(quantity.to_string())
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nano == other.nano
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nano.cmp(&other.nano)
    }
}

/// The sum takes the format of the first that is not zero, as upstream's does.
impl Add for Quantity {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let format = if self.is_zero() { other.format } else { self.format };
        Self { nano: self.nano.saturating_add(other.nano), format }
    }
}

/// The difference takes the format of the first that is not zero, as upstream's does.
impl Sub for Quantity {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + Self { nano: -other.nano, format: other.format }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantity(text: &str) -> Quantity {
        Quantity::parse(text).unwrap()
    }

    #[test]
    fn quantities_print_in_canonical_form() {
        for (text, expected) in [
            ("0", "0"),
            ("0.0", "0"),
            ("1", "1"),
            ("1.5", "1500m"),
            ("1500m", "1500m"),
            ("1000m", "1"),
            ("2000", "2k"),
            ("0.5Gi", "512Mi"),
            ("1024Mi", "1Gi"),
            ("1Gi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("1000Ki", "1000Ki"),
            ("512Ki", "512Ki"),
            ("0.5Ki", "512"),
            ("12e6", "12e6"),
            ("1200e4", "12e6"),
            ("1E", "1E"),
            ("1.1n", "2n"),
            ("-100m", "-100m"),
            ("+3", "3"),
            (".25", "250m"),
            ("129M", "129M"),
            ("100E", "9223372036854775807"),
        ] {
            assert_eq!(quantity(text).to_string(), expected, "{text}");
        }
    }

    #[test]
    fn texts_that_are_no_quantities_are_told_as_upstream_tells_them() {
        for (text, expected) in [
            ("", ParseError::Format),
            ("one", ParseError::Format),
            ("1 Gi", ParseError::Format),
            ("1.2.3", ParseError::Format),
            ("1KKi", ParseError::Suffix),
            ("1ki", ParseError::Suffix),
            ("1e", ParseError::Suffix),
        ] {
            assert_eq!(Quantity::parse(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn arithmetic_is_exact() {
        assert_eq!(quantity("100m") + quantity("0.9"), quantity("1"));
        assert_eq!((quantity("1Gi") - quantity("1Mi")).to_string(), "1023Mi");
        assert!(quantity("1Gi") > quantity("1G"));
        assert_eq!((quantity("1.2m").milli(), quantity("-1.5").units()), (2, -1));
        assert_eq!(quantity("1.0000000001").to_string(), "1000000001n");
    }
}
