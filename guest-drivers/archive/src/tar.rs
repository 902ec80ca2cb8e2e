//! The headers of a tar archive: POSIX's ustar, with GNU's long names and pax's `path` and `size`.
//!
//! <https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13>

/// A header takes one block, and what follows it whole ones.
pub(crate) const BLOCK: u64 = 512;

/// What a header is followed by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The bytes of a file.
    File,
    /// The name of the next member, where it has no room in its header.
    LongName,
    /// Attributes of the next member.
    Attributes,
    /// Something else: a directory, a link.
    Other,
}

/// One header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) name: String,
    pub(crate) size: u64,
    /// Seconds since 1970.
    pub(crate) modified: i64,
    pub(crate) kind: Kind,
}

impl Header {
    /// Reads a block. None: it is empty, as the two at the end of an archive are.
    pub(crate) fn parse(block: &[u8; BLOCK as usize]) -> Result<Option<Self>, &'static str> {
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let sum: u64 = block[..148].iter().chain(&[b' '; 8]).chain(&block[156..]).map(|byte| u64::from(*byte)).sum();
        if number(&block[148..156]) != Some(sum) {
            return Err("a header has another checksum than it says");
        }
        let mut name = text(&block[..100]);
        let prefix = text(&block[345..500]);
        if &block[257..263] == b"ustar\0" && !prefix.is_empty() {
            name = format!("{prefix}/{name}");
        }
        let kind = match block[156] {
            b'0' | 0 => Kind::File,
            b'L' => Kind::LongName,
            b'x' => Kind::Attributes,
            _ => Kind::Other,
        };
        let size = number(&block[124..136]).ok_or("a header has a size that is no number")?;
        let modified = number(&block[136..148]).and_then(|time| i64::try_from(time).ok()).unwrap_or(0);
        Ok(Some(Header { name, size, modified, kind }))
    }

    /// Returns how many bytes follow the header, up to the next one.
    pub(crate) fn follow(&self) -> Option<u64> {
        self.size.checked_next_multiple_of(BLOCK)
    }
}

/// Takes the value of an attribute out of what follows a header of [`Kind::Attributes`].
pub(crate) fn attribute(attributes: &[u8], wanted: &str) -> Option<String> {
    // Each is `LENGTH NAME=VALUE` with a line feed; the length counts all of it.
    let mut rest = attributes;
    while let Some(space) = rest.iter().position(|byte| *byte == b' ') {
        let length: usize = str::from_utf8(&rest[..space]).ok()?.parse().ok()?;
        let line = rest.get(space + 1..length.checked_sub(1)?)?;
        rest = rest.get(length..)?;
        let (name, value) = str::from_utf8(line).ok()?.split_once('=')?;
        if name == wanted {
            return Some(value.to_owned());
        }
    }
    None
}

/// Returns a text up to its end: a zero, or that of its field.
pub(crate) fn text(field: &[u8]) -> String {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

/// Returns a number: in octal digits, or, where they are too few, in binary behind a first bit that is set.
fn number(field: &[u8]) -> Option<u64> {
    if field.first()? & 0x80 != 0 {
        let bytes = field.get(field.len().checked_sub(8)?..)?;
        return Some(u64::from_be_bytes(bytes.try_into().ok()?));
    }
    let digits = text(field);
    let digits = digits.trim_matches(' ');
    if digits.is_empty() { Some(0) } else { u64::from_str_radix(digits, 8).ok() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]
    use super::*;

    fn block(name: &str, prefix: &str, size: &[u8], kind: u8) -> [u8; 512] {
        let mut block = [0; 512];
        block[..name.len()].copy_from_slice(name.as_bytes());
        block[345..345 + prefix.len()].copy_from_slice(prefix.as_bytes());
        block[124..124 + size.len()].copy_from_slice(size);
        block[136..147].copy_from_slice(b"15106474016");
        block[156] = kind;
        block[257..263].copy_from_slice(b"ustar\0");
        block[148..156].copy_from_slice(b"        ");
        let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        block
    }

    #[test]
    fn a_header_tells_name_size_and_time() {
        let header = Header::parse(&block("a/b", "long", b"00000000005", b'0')).unwrap().unwrap();
        let expected = Header { name: "long/a/b".to_owned(), size: 5, modified: 1_763_342_350, kind: Kind::File };
        assert_eq!(header, expected);
        assert_eq!(header.follow(), Some(512));
    }

    #[test]
    fn a_large_size_is_in_binary() {
        let mut size = [0; 12];
        size[0] = 0x80;
        size[7] = 4;
        let header = Header::parse(&block("a", "", &size, b'0')).unwrap().unwrap();
        assert_eq!(header.size, 4 << 32);
    }

    #[test]
    fn an_empty_block_is_the_end_and_a_damaged_one_an_error() {
        assert_eq!(Header::parse(&[0; 512]), Ok(None));
        let mut damaged = block("a", "", b"00000000005", b'0');
        damaged[0] = b'b';
        Header::parse(&damaged).unwrap_err();
    }

    #[test]
    fn attributes_are_found_by_their_name() {
        let attributes = b"13 size=1234\n16 path=a/b=c d\n";
        assert_eq!(attribute(attributes, "path").as_deref(), Some("a/b=c d"));
        assert_eq!(attribute(attributes, "size").as_deref(), Some("1234"));
        assert_eq!(attribute(attributes, "mtime"), None);
        assert_eq!(attribute(b"99 path=a\n", "path"), None);
        assert_eq!(attribute(b"0 path=a\n", "path"), None);
    }
}
