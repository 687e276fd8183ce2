//! As much of DER (ITU-T X.690) as it takes to put a certificate together anew.

const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;

/// The elements of the sequence that `der` is, each whole; `None` when it is none.
pub(crate) fn parts(der: &[u8]) -> Option<Vec<&[u8]>> {
    let (head, length) = measured(der).filter(|_| der[0] == SEQUENCE)?;
    let mut left = der.get(head..head + length)?;
    let mut found = Vec::new();
    while !left.is_empty() {
        let (head, length) = measured(left)?;
        let (part, rest) = left.split_at_checked(head + length)?;
        found.push(part);
        left = rest;
    }
    Some(found)
}

/// The length of an element's head, and that of its content.
fn measured(der: &[u8]) -> Option<(usize, usize)> {
    let first = usize::from(*der.get(1)?);
    let Some(count) = first.checked_sub(0x80) else { return Some((2, first)) };
    let bytes = der.get(2..2 + count).filter(|bytes| (1..=4).contains(&bytes.len()))?;
    Some((2 + count, bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte))))
}

/// A sequence of these elements.
pub(crate) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    element(SEQUENCE, &parts.concat())
}

/// A string of bits, which are whole bytes.
pub(crate) fn bits(bytes: &[u8]) -> Vec<u8> {
    element(BIT_STRING, &[&[0], bytes].concat())
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match u8::try_from(content.len()) {
        Ok(short @ ..0x80) => out.push(short),
        _ => {
            let bytes = content.len().to_be_bytes();
            let bytes = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
            // It has at most eight.
            out.push(0x80 | u8::try_from(bytes.len()).unwrap_or_default());
            out.extend_from_slice(bytes);
        }
    }
    out.extend_from_slice(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_together_comes_apart() {
        for length in [0, 1, 127, 128, 255, 256, 70_000] {
            let (long, short) = (bits(&vec![7; length]), bits(&[1]));
            assert_eq!(parts(&sequence(&[&long, &short])).unwrap(), [&*long, &*short], "{length}");
        }
        for wrong in [&[][..], &[SEQUENCE], &[SEQUENCE, 5, 0], &[SEQUENCE, 0x80], &[SEQUENCE, 2, 3, 9], &[2, 0]] {
            assert_eq!(parts(wrong), None, "{wrong:?}");
        }
    }
}
