//! The bytes of a file: shared chunks, which neither readers nor writers copy.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

/// Small pieces are gathered up to this size, so that a file written in tiny steps does not become a million of them;
/// and a reader gives at most this much in one step, however large the piece that was written.
const STEP: usize = 256 * 1024;

/// Pieces smaller than this are copied. Larger ones are kept as they came: a piece keeps the whole buffer alive that it
/// is cut from, which a small one is not worth.
const COPY_BELOW: usize = 16 * 1024;

/// The bytes of a file or an upload.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    /// Each with the offset at which it ends, by which a reader finds its first.
    chunks: Vec<(u64, Bytes)>,
    /// Small pieces, not yet a chunk.
    tail: BytesMut,
    size: u64,
}

impl Content {
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Adds bytes at the end.
    pub(super) fn push(&mut self, bytes: Bytes) {
        if bytes.len() >= COPY_BELOW {
            self.seal();
            self.size += bytes.len() as u64;
            self.chunks.push((self.size, bytes));
        } else if !bytes.is_empty() {
            self.size += bytes.len() as u64;
            self.tail.extend_from_slice(&bytes);
            if self.tail.len() >= STEP {
                self.seal();
            }
        }
    }

    /// Makes a chunk of the small pieces, so that they can be shared with readers.
    pub(super) fn seal(&mut self) {
        if !self.tail.is_empty() {
            self.chunks.push((self.size, self.tail.split().freeze()));
        }
    }

    /// Returns all bytes in one piece; copies them only if there are several chunks.
    pub(super) fn to_bytes(&self) -> Bytes {
        if let ([(_, only)], true) = (&self.chunks[..], self.tail.is_empty()) {
            return only.clone();
        }
        let mut all = BytesMut::with_capacity(self.size as usize);
        for (_, chunk) in &self.chunks {
            all.extend_from_slice(chunk);
        }
        all.extend_from_slice(&self.tail);
        all.freeze()
    }
}

impl From<Bytes> for Content {
    fn from(bytes: Bytes) -> Self {
        let mut content = Content::default();
        content.push(bytes);
        content.seal();
        content
    }
}

/// Returns the bytes of a range in steps, without copying. The content is sealed, and the range lies within it.
pub(super) fn read(content: Arc<Content>, range: Range<u64>) -> impl Iterator<Item = Bytes> + Send + 'static {
    let mut index = content.chunks.partition_point(|(end, _)| *end <= range.start);
    let mut at = range.start;
    std::iter::from_fn(move || {
        if at >= range.end {
            return None;
        }
        let (end, chunk) = content.chunks.get(index)?;
        let begin = end - chunk.len() as u64;
        let from = (at - begin) as usize;
        let step = chunk.slice(from..chunk.len().min(from + STEP).min((range.end - begin) as usize));
        at += step.len() as u64;
        if at == *end {
            index += 1;
        }
        Some(step)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]
    use super::*;

    fn all(content: Content, range: Range<u64>) -> Vec<u8> {
        read(Arc::new(content), range).collect::<Vec<_>>().concat()
    }

    #[test]
    fn every_range_is_read_exactly() {
        let mut content = Content::default();
        let mut expected = Vec::new();
        for (seed, length) in [(1u8, 3), (2, COPY_BELOW), (3, 1), (4, 2), (5, STEP + 7), (6, 0), (7, 5)] {
            content.push(vec![seed; length].into());
            expected.extend(vec![seed; length]);
        }
        content.seal();
        let size = expected.len() as u64;
        assert_eq!(content.size(), size);
        assert_eq!(content.to_bytes(), expected);
        let edges = [0, 1, 3, 4, COPY_BELOW as u64 + 3, COPY_BELOW as u64 + 6, size - 5, size - 1, size];
        for begin in edges {
            for end in edges.into_iter().filter(|end| *end >= begin) {
                assert_eq!(all(content.clone(), begin..end), expected[begin as usize..end as usize], "{begin}..{end}");
            }
        }
    }

    #[test]
    fn a_large_piece_is_not_copied_and_is_read_in_steps() {
        let piece = Bytes::from(vec![1; STEP * 2 + 1]);
        let content = Arc::new(Content::from(piece.clone()));
        let steps: Vec<_> = read(content, 0..piece.len() as u64).collect();
        assert_eq!(steps.iter().map(Bytes::len).collect::<Vec<_>>(), [STEP, STEP, 1]);
        assert_eq!(steps[0].as_ptr(), piece.as_ptr());
    }

    #[test]
    fn tiny_pieces_become_few_chunks() {
        let mut content = Content::default();
        for _ in 0..STEP {
            content.push(Bytes::from_static(b"ab"));
        }
        assert_eq!(content.chunks.len(), 2);
    }
}
