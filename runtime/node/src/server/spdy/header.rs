//! Blocks of names and values, compressed with zlib over the whole of a connection (SPDY/3, section 2.6.10).

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

/// The largest block, in bytes, before it is compressed: far more than any client sends.
const LIMIT: usize = 64 << 10;
/// By so much a buffer grows.
const STEP: usize = 512;
/// The compressor's window in bits. The client's has the most that there is; this one need only hold the dictionary.
const WINDOW_BITS: u8 = 12;
/// What separates the values of one name.
const SEPARATOR: char = '\0';

/// The words that begin the dictionary, each after its length.
#[rustfmt::skip]
const WORDS: [&str; 65] = [
    "options", "head", "post", "put", "delete", "trace", "accept", "accept-charset", "accept-encoding",
    "accept-language", "accept-ranges", "age", "allow", "authorization", "cache-control", "connection",
    "content-base", "content-encoding", "content-language", "content-length", "content-location", "content-md5",
    "content-range", "content-type", "date", "etag", "expect", "expires", "from", "host", "if-match",
    "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "last-modified", "location",
    "max-forwards", "pragma", "proxy-authenticate", "proxy-authorization", "range", "referer", "retry-after",
    "server", "te", "trailer", "transfer-encoding", "upgrade", "user-agent", "vary", "via", "warning",
    "www-authenticate", "method", "get", "status", "200 OK", "version", "HTTP/1.1", "url", "public", "set-cookie",
    "keep-alive", "origin",
];
/// What follows the words.
const TAIL: &str = "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505\
    203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized\
    403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable\
    Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT\
    chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,\
    text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

/// Why a block cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum HeaderError {
    #[error("headers that are not compressed as SPDY/3 has it")]
    Compression,
    #[error("headers of more than {LIMIT} bytes")]
    TooLong,
    #[error("headers that end too soon")]
    Truncated,
}

/// Names, which are lowercase, and their values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::server) struct Headers(Vec<(String, String)>);

impl Headers {
    /// The first value of `name`; `""` when there is none.
    pub(in crate::server) fn get(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.and_then(|(_, values)| values.split(SEPARATOR).next()).unwrap_or_default()
    }

    fn parse(bytes: &[u8]) -> Result<Self, HeaderError> {
        let mut rest = bytes;
        let mut headers = Vec::new();
        for _ in 0..number(&mut rest)? {
            headers.push((text(&mut rest)?, text(&mut rest)?));
        }
        Ok(Self(headers))
    }

    fn to_bytes(&self) -> Vec<u8> {
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes();
        let mut bytes = number(self.0.len()).to_vec();
        for text in self.0.iter().flat_map(|(name, value)| [name, value]) {
            bytes.extend(number(text.len()));
            bytes.extend(text.as_bytes());
        }
        bytes
    }
}

#[cfg(test)]
impl<const N: usize> From<[(&str, &str); N]> for Headers {
    fn from(pairs: [(&str, &str); N]) -> Self {
        Self(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
    }
}

fn number(rest: &mut &[u8]) -> Result<u32, HeaderError> {
    let (number, after) = rest.split_first_chunk().ok_or(HeaderError::Truncated)?;
    *rest = after;
    Ok(u32::from_be_bytes(*number))
}

fn text(rest: &mut &[u8]) -> Result<String, HeaderError> {
    let length = usize::try_from(number(rest)?).map_err(|_| HeaderError::Truncated)?;
    let (text, after) = rest.split_at_checked(length).ok_or(HeaderError::Truncated)?;
    *rest = after;
    Ok(String::from_utf8_lossy(text).into_owned())
}

fn dictionary() -> Vec<u8> {
    let length = |word: &str| u32::try_from(word.len()).unwrap_or_default().to_be_bytes();
    WORDS.into_iter().flat_map(|word| length(word).into_iter().chain(word.bytes())).chain(TAIL.bytes()).collect()
}

/// Writes blocks.
#[derive(Debug, Default)]
pub(super) struct Compressor(Option<Compress>);

impl Compressor {
    pub(super) fn block(&mut self, headers: &Headers) -> Result<Vec<u8>, HeaderError> {
        let zlib = match &mut self.0 {
            Some(zlib) => zlib,
            none => {
                let mut zlib = Compress::new_with_window_bits(Compression::fast(), true, WINDOW_BITS);
                zlib.set_dictionary(&dictionary()).map_err(|_| HeaderError::Compression)?;
                none.insert(zlib)
            }
        };
        let plain = headers.to_bytes();
        let (mut rest, mut block) = (plain.as_slice(), Vec::new());
        loop {
            block.reserve(STEP);
            let before = zlib.total_in();
            zlib.compress_vec(rest, &mut block, FlushCompress::Sync).map_err(|_| HeaderError::Compression)?;
            rest = after(rest, zlib.total_in() - before);
            // What is left of the buffer was not needed: all is flushed.
            if rest.is_empty() && block.len() < block.capacity() {
                return Ok(block);
            }
        }
    }
}

/// Reads blocks.
#[derive(Debug, Default)]
pub(super) struct Decompressor(Option<Decompress>);

impl Decompressor {
    pub(super) fn headers(&mut self, block: &[u8]) -> Result<Headers, HeaderError> {
        let zlib = self.0.get_or_insert_with(|| Decompress::new(true));
        let (mut rest, mut plain) = (block, Vec::new());
        loop {
            plain.reserve(STEP);
            let before = (zlib.total_in(), plain.len());
            let wants = match zlib.decompress_vec(rest, &mut plain, FlushDecompress::Sync) {
                Ok(_) => false,
                Err(error) => error.needs_dictionary().is_some(),
            };
            if wants {
                zlib.set_dictionary(&dictionary()).map_err(|_| HeaderError::Compression)?;
            }
            rest = after(rest, zlib.total_in() - before.0);
            if plain.len() > LIMIT {
                return Err(HeaderError::TooLong);
            }
            if !wants && rest.is_empty() && plain.len() < plain.capacity() {
                return Headers::parse(&plain);
            }
            if !wants && before == (zlib.total_in(), plain.len()) {
                return Err(HeaderError::Compression);
            }
        }
    }
}

fn after(bytes: &[u8], read: u64) -> &[u8] {
    usize::try_from(read).ok().and_then(|read| bytes.get(read..)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dictionary_is_the_protocols() {
        let dictionary = dictionary();
        let (low, high) = dictionary.iter().fold((1_u32, 0_u32), |(low, high), byte| {
            let low = (low + u32::from(*byte)) % 65_521;
            (low, (high + low) % 65_521)
        });
        // RFC 1950: the checksum that a stream names its dictionary by.
        assert_eq!((dictionary.len(), high << 16 | low), (1423, 0xe3c6_a7c2));
    }

    #[test]
    fn blocks_share_one_history() {
        let (mut compressor, mut decompressor) = (Compressor::default(), Decompressor::default());
        let headers = Headers::from([("streamtype", "error"), ("port", "80"), ("requestid", "0")]);
        let lengths = [(); 3].map(|()| {
            let block = compressor.block(&headers).unwrap();
            assert_eq!(decompressor.headers(&block), Ok(headers.clone()));
            block.len()
        });
        assert!(lengths[1] < lengths[0], "{lengths:?}");
        let empty = compressor.block(&Headers::default()).unwrap();
        assert_eq!(decompressor.headers(&empty), Ok(Headers::default()));
    }

    #[test]
    fn several_values_of_a_name_are_one_text() {
        let headers = Headers::from([("a", "b\0c"), ("d", "")]);
        assert_eq!((headers.get("a"), headers.get("d"), headers.get("e")), ("b", "", ""));
    }

    #[test]
    fn what_is_too_long_or_no_block_is_refused() {
        let mut compressor = Compressor::default();
        let long = "x".repeat(LIMIT + 1);
        let block = compressor.block(&Headers::from([("a", long.as_str())])).unwrap();
        assert!(block.len() < 4096, "it compresses well: {}", block.len());
        assert_eq!(Decompressor::default().headers(&block), Err(HeaderError::TooLong));
        assert_eq!(Decompressor::default().headers(b"no zlib at all"), Err(HeaderError::Compression));
        assert_eq!(Decompressor::default().headers(b""), Err(HeaderError::Truncated));
        // More names, and a longer name, than there are bytes.
        for plain in [&u32::MAX.to_be_bytes()[..], &[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff]] {
            assert_eq!(Headers::parse(plain), Err(HeaderError::Truncated));
        }
    }
}
