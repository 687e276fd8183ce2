//! One change as it is stored.
//!
//! | bytes   | content                                                     |
//! |---------|-------------------------------------------------------------|
//! | 0       | operation: 1 the key was written, 2 the key was deleted     |
//! | 1..9    | the commit that created the key, little endian              |
//! | 9..13   | length of the key in bytes, little endian: `k`              |
//! | 13..13+k| the key, UTF-8                                              |
//! | 13+k..  | the value; empty for a deletion                             |
//!
//! The revision is not in the record: it is what the record is stored under.

use crate::store::Event;

const WRITTEN: u8 = 1;
const DELETED: u8 = 2;
const HEADER: usize = 13;

/// A change, borrowed from where it is stored.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) key: &'a str,
    pub(crate) create_revision: u64,
    /// `None` for a deletion.
    pub(crate) value: Option<&'a [u8]>,
}

/// Bytes that are no record.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum RecordError {
    #[error("a record of {0} bytes is too short")]
    Short(usize),
    #[error("a record has the unknown operation {0}")]
    Operation(u8),
    #[error("a record's key is not UTF-8")]
    Key,
}

impl<'a> Record<'a> {
    pub(crate) fn of(event: &'a Event) -> Self {
        let version = event.entry.as_ref().or(event.previous.as_ref()).expect("an event has a version");
        let value = event.entry.as_ref().map(|entry| &entry.value[..]);
        Self { key: &version.key, create_revision: version.create_revision, value }
    }

    /// How many bytes [`Record::encode`] fills.
    pub(crate) fn len(&self) -> usize {
        HEADER + self.key.len() + self.value.map_or(0, <[u8]>::len)
    }

    /// Writes the record into `bytes`, which are [`Record::len`] long.
    pub(crate) fn encode(&self, bytes: &mut [u8]) {
        let key_len = u32::try_from(self.key.len()).expect("a key is shorter than 4 GiB");
        let (key, value) = bytes[HEADER..].split_at_mut(self.key.len());
        key.copy_from_slice(self.key.as_bytes());
        value.copy_from_slice(self.value.unwrap_or_default());
        bytes[0] = if self.value.is_some() { WRITTEN } else { DELETED };
        bytes[1..9].copy_from_slice(&self.create_revision.to_le_bytes());
        bytes[9..HEADER].copy_from_slice(&key_len.to_le_bytes());
    }

    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let short = || RecordError::Short(bytes.len());
        let (operation, rest) = bytes.split_first().ok_or_else(short)?;
        let (create_revision, rest) = rest.split_first_chunk().ok_or_else(short)?;
        let (key_len, rest) = rest.split_first_chunk().ok_or_else(short)?;
        let (key, value) = rest.split_at_checked(u32::from_le_bytes(*key_len) as usize).ok_or_else(short)?;
        let value = match *operation {
            WRITTEN => Some(value),
            DELETED => None,
            other => return Err(RecordError::Operation(other)),
        };
        let key = std::str::from_utf8(key).map_err(|_| RecordError::Key)?;
        Ok(Self { key, create_revision: u64::from_le_bytes(*create_revision), value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUT: &[u8] = b"\x01\x07\0\0\0\0\0\0\0\x02\0\0\0/avalue";

    #[test]
    fn the_format_is_as_documented() {
        let record = Record { key: "/a", create_revision: 7, value: Some(b"value") };
        let mut bytes = vec![0; record.len()];
        record.encode(&mut bytes);
        assert_eq!(bytes, PUT);
        assert_eq!(Record::decode(PUT), Ok(record));
    }

    #[test]
    fn a_deletion_is_not_an_empty_value() {
        for value in [None, Some(&b""[..])] {
            let record = Record { key: "/a", create_revision: 1, value };
            let mut bytes = vec![0; record.len()];
            record.encode(&mut bytes);
            assert_eq!(Record::decode(&bytes).unwrap().value, value);
        }
    }

    #[test]
    fn bytes_that_are_no_record_are_refused() {
        assert_eq!(Record::decode(&PUT[..14]), Err(RecordError::Short(14)));
        assert_eq!(Record::decode(b""), Err(RecordError::Short(0)));
        let mut bytes = PUT.to_vec();
        bytes[13] = 0xff;
        assert_eq!(Record::decode(&bytes), Err(RecordError::Key));
        bytes[0] = 9;
        assert_eq!(Record::decode(&bytes), Err(RecordError::Operation(9)));
    }
}
