//! Numbers, tags and lengths on the wire (<https://protobuf.dev/programming-guides/encoding/>).

use super::DecodeError;

/// How a field's bytes are to be read.
pub(super) const VARINT: u8 = 0;
pub(super) const FIXED64: u8 = 1;
pub(super) const BYTES: u8 = 2;
const GROUP: u8 = 3;
const GROUP_END: u8 = 4;
const FIXED32: u8 = 5;

/// Groups are used by nobody; deeper ones than this are not even skipped.
const MAX_GROUPS: usize = 16;

/// What is left to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// The next field's number and wire type; `None` at the end.
    pub(super) fn tag(&mut self) -> Result<Option<(u32, u8)>, DecodeError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).unwrap_or(0);
        if number == 0 {
            return Err(DecodeError::new(format!("proto: illegal tag {} (wire type {})", tag >> 3, tag & 7)));
        }
        // Three bits fit.
        Ok(Some((number, (tag & 7) as u8)))
    }

    pub(super) fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or_else(DecodeError::end)?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::new("proto: integer overflow"))
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = usize::try_from(self.varint()?).map_err(|_| DecodeError::end())?;
        self.take(length)
    }

    pub(super) fn fixed64(&mut self) -> Result<[u8; 8], DecodeError> {
        self.take(8)?.try_into().map_err(|_| DecodeError::end())
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(DecodeError::end)?;
        self.0 = rest;
        Ok(taken)
    }

    /// Goes past a field that is not known.
    pub(super) fn skip(&mut self, wire: u8) -> Result<(), DecodeError> {
        self.skip_at(wire, 0)
    }

    fn skip_at(&mut self, wire: u8, depth: usize) -> Result<(), DecodeError> {
        match wire {
            VARINT => self.varint().map(drop),
            FIXED64 => self.take(8).map(drop),
            BYTES => self.bytes().map(drop),
            FIXED32 => self.take(4).map(drop),
            GROUP if depth < MAX_GROUPS => loop {
                match self.tag()?.ok_or_else(DecodeError::end)? {
                    (_, GROUP_END) => return Ok(()),
                    (_, wire) => self.skip_at(wire, depth + 1)?,
                }
            },
            _ => Err(DecodeError::new(format!("proto: illegal wireType {wire}"))),
        }
    }
}

pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(super) fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

pub(super) fn put_tag(out: &mut Vec<u8>, number: u32, wire: u8) {
    put_varint(out, u64::from(number) << 3 | u64::from(wire));
}

pub(super) fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_tag(out, number, BYTES);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub(super) fn put_int(out: &mut Vec<u8>, number: u32, value: i64) {
    put_tag(out, number, VARINT);
    // Negative numbers take all ten bytes, as two's complement.
    put_varint(out, value as u64);
}

/// Writes a field of what `write` writes, its length before it.
pub(super) fn put_nested<E>(
    out: &mut Vec<u8>,
    number: u32,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    put_tag(out, number, BYTES);
    let start = out.len();
    // Room for the length of most messages; a longer one is moved.
    out.push(0);
    write(out)?;
    let length = out.len() - start - 1;
    let more = varint_len(length as u64) - 1;
    if more > 0 {
        out.resize(out.len() + more, 0);
        out.copy_within(start + 1..start + 1 + length, start + 1 + more);
    }
    let mut rest = length;
    for index in 0..=more {
        out[start + index] = (rest & 0x7f) as u8 | if index < more { 0x80 } else { 0 };
        rest >>= 7;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_written() {
        for value in [0, 1, 127, 128, 300, 1 << 14, (1 << 14) - 1, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(out.len(), varint_len(value), "{value}");
            assert_eq!(Reader(&out).varint(), Ok(value));
        }
        assert!(Reader(&[0x80; 11]).varint().is_err());
        assert!(Reader(&[0x80]).varint().is_err());
    }

    #[test]
    fn a_nested_message_has_its_length_before_it() {
        for length in [0, 1, 127, 128, 20_000, 3_000_000] {
            let mut out = Vec::new();
            put_nested(&mut out, 3, |out| {
                out.resize(out.len() + length, b'x');
                Ok::<_, ()>(())
            })
            .unwrap();
            let mut reader = Reader(&out);
            assert_eq!(reader.tag(), Ok(Some((3, BYTES))));
            let bytes = reader.bytes().unwrap();
            assert!(bytes.len() == length && bytes.iter().all(|byte| *byte == b'x'), "{length}");
            assert!(reader.0.is_empty());
        }
    }

    #[test]
    fn unknown_fields_are_gone_past() {
        // Field 9 as each wire type, then field 1.
        let mut out = Vec::new();
        put_int(&mut out, 9, -1);
        out.extend([9 << 3 | FIXED64, 1, 2, 3, 4, 5, 6, 7, 8]);
        put_bytes(&mut out, 9, b"abc");
        out.extend([9 << 3 | GROUP, 1 << 3, 5, 9 << 3 | GROUP_END]);
        out.extend([9 << 3 | FIXED32, 1, 2, 3, 4]);
        put_int(&mut out, 1, 7);
        let mut reader = Reader(&out);
        for _ in 0..5 {
            let (number, wire) = reader.tag().unwrap().unwrap();
            assert_eq!(number, 9);
            reader.skip(wire).unwrap();
        }
        assert_eq!(reader.tag(), Ok(Some((1, VARINT))));
        assert!(Reader(&[9 << 3 | GROUP; 40]).skip(GROUP).is_err());
    }
}
