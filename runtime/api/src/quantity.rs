//! Amounts of resources: `500m`, `1Gi`, `2e3`
//! (<https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>).

use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;

const NANO: i128 = 1_000_000_000;

/// An exact amount, to a billionth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantity(i128);

/// A text that is no quantity, in upstream's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
pub struct ParseError;

impl Quantity {
    /// Reads a quantity.
    ///
    /// # Errors
    /// When the text is none.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let end = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '+' | '-')).unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let (negative, digits) = match number.as_bytes().first() {
            Some(b'-') => (true, &number[1..]),
            Some(b'+') => (false, &number[1..]),
            _ => (false, number),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !is_digits(whole) || !is_digits(fraction) {
            return Err(ParseError);
        }
        let mantissa: i128 = format!("{whole}{fraction}").parse().map_err(|_| ParseError)?;
        let (factor, divisor) = scale(suffix).ok_or(ParseError)?;
        let divisor = u32::try_from(fraction.len())
            .ok()
            .and_then(|n| 10_i128.checked_pow(n))
            .and_then(|d| d.checked_mul(divisor))
            .ok_or(ParseError)?;
        let scaled = mantissa.checked_mul(factor).and_then(|n| n.checked_mul(NANO)).ok_or(ParseError)?;
        // What is finer than a billionth is rounded up, away from zero.
        let nanos = scaled.div_euclid(divisor) + i128::from(scaled.rem_euclid(divisor) != 0);
        Ok(Self(if negative { -nanos } else { nanos }))
    }

    /// An amount of whole units.
    pub fn from_units(units: i64) -> Self {
        Self(i128::from(units) * NANO)
    }

    /// The amount in units, rounded up.
    pub fn units(self) -> i64 {
        i64::try_from((self.0 + NANO - 1).div_euclid(NANO)).unwrap_or(i64::MAX)
    }

    /// The amount in thousandths, rounded up: millicores of a CPU.
    pub fn milli(self) -> i64 {
        i64::try_from((self.0 + NANO / 1_000 - 1).div_euclid(NANO / 1_000)).unwrap_or(i64::MAX)
    }

    /// Whether the amount is below zero.
    pub fn is_negative(self) -> bool {
        self.0 < 0
    }
}

impl TryFrom<&Text> for Quantity {
    type Error = ParseError;

    fn try_from(text: &Text) -> Result<Self, ParseError> {
        Self::parse(&text.0)
    }
}

fn scale(suffix: &str) -> Option<(i128, i128)> {
    let power = |base: i128, exponent: u32| Some((base.pow(exponent), 1));
    match suffix {
        "n" => Some((1, NANO)),
        "u" => Some((1, 1_000_000)),
        "m" => Some((1, 1_000)),
        "" => Some((1, 1)),
        "k" => power(1_000, 1),
        "M" => power(1_000, 2),
        "G" => power(1_000, 3),
        "T" => power(1_000, 4),
        "P" => power(1_000, 5),
        "E" => power(1_000, 6),
        "Ki" => power(1_024, 1),
        "Mi" => power(1_024, 2),
        "Gi" => power(1_024, 3),
        "Ti" => power(1_024, 4),
        "Pi" => power(1_024, 5),
        "Ei" => power(1_024, 6),
        _ => {
            let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            let factor = 10_i128.checked_pow(exponent.unsigned_abs()).filter(|_| exponent.abs() <= 18)?;
            Some(if exponent < 0 { (1, factor) } else { (factor, 1) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_exact() {
        let check = |text: &str, milli: i64| assert_eq!(Quantity::parse(text).unwrap().milli(), milli, "{text}");
        check("1", 1_000);
        check("500m", 500);
        check("0.5", 500);
        check("1.5Gi", 1_610_612_736_000);
        check("2e3", 2_000_000);
        check("1E", 1_000_000_000_000_000_000_000_i128.min(i64::MAX.into()) as i64);
        check("1n", 1);
        check("-1", -1_000);
        for bad in ["", "x", "1x", ".", "1.2.3", "1 Gi", "--1"] {
            assert!(Quantity::parse(bad).is_err(), "{bad}");
        }
    }
}
