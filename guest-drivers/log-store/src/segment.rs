//! The files of the log. Each opening of the driver begins one, so that nothing is ever written over: one whose last record is
//! not whole, since its writer died, ends there.

use std::rc::Rc;

use wharf_sdk::files::{Dir, File, Open};
use wharf_sdk::{ByteStream, Error, Result};

use crate::record::Record;

/// A line is no longer than this: two paths and a few words.
const LINE: usize = 64 * 1024;

/// More than this is not read to get beyond it.
const SKIP: u64 = 256 * 1024;

/// One file of the log, to be read.
pub(crate) struct Segment {
    pub(crate) number: u64,
    pub(crate) file: File,
}

/// Returns the name of a segment's file.
pub(crate) fn name(number: u64) -> String {
    format!("{number:010}.log")
}

/// Opens the segments that are there, in order.
pub(crate) async fn all(directory: &Dir) -> Result<Vec<Rc<Segment>>> {
    let mut numbers: Vec<u64> = Vec::new();
    for entry in directory.list(".").await? {
        let number = entry.name.strip_suffix(".log").and_then(|number| number.parse().ok());
        numbers.extend(number.filter(|number| name(*number) == entry.name));
    }
    numbers.sort_unstable();
    let mut segments = Vec::new();
    for number in numbers {
        segments.push(Rc::new(Segment { number, file: directory.open(&name(number), Open::Read).await? }));
    }
    Ok(segments)
}

/// Reads the records of a segment, up to the end or to the first that is not whole. `found` gets each with the place of the bytes
/// that follow it.
pub(crate) async fn read(segment: &Segment, mut found: impl FnMut(Record, u64)) -> Result<()> {
    let size = segment.file.metadata().await?.size;
    let mut at = 0;
    let mut lines = Lines::at(segment, at);
    while let Some(line) = lines.next().await? {
        let content = at + line.len() as u64 + 1;
        let record = Record::parse(&line).ok_or_else(|| {
            Error::other(format!("{} is damaged at byte {at}: put the file back from a backup", name(segment.number)))
        })?;
        let follow = record.follow();
        if content.checked_add(follow).is_none_or(|end| end > size) {
            break;
        }
        at = content + follow;
        found(record, content);
        if follow > SKIP {
            lines.close().await?;
            lines = Lines::at(segment, at);
        } else {
            lines.skip(follow as usize).await?;
        }
    }
    lines.close().await
}

/// The lines of a file.
struct Lines {
    stream: ByteStream,
    outcome: std::pin::Pin<Box<dyn Future<Output = Result<()>>>>,
    buffer: Vec<u8>,
}

impl Lines {
    fn at(segment: &Segment, offset: u64) -> Self {
        let (stream, outcome) = segment.file.read_stream(offset);
        Lines { stream, outcome: Box::pin(outcome), buffer: Vec::new() }
    }

    /// Returns the next line without its line feed; none at the end, or where there is only part of one.
    async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let mut searched = 0;
        loop {
            if let Some(end) = self.buffer[searched..].iter().position(|byte| *byte == b'\n') {
                let rest = self.buffer.split_off(searched + end + 1);
                let mut line = std::mem::replace(&mut self.buffer, rest);
                line.pop();
                return Ok(Some(line));
            }
            searched = self.buffer.len();
            if searched > LINE || !self.more().await {
                return Ok(None);
            }
        }
    }

    async fn skip(&mut self, mut count: usize) -> Result<()> {
        while self.buffer.len() < count {
            count -= self.buffer.len();
            self.buffer.clear();
            if !self.more().await {
                return Ok(());
            }
        }
        self.buffer.drain(..count);
        Ok(())
    }

    async fn more(&mut self) -> bool {
        match self.stream.next().await {
            Some(chunk) => {
                self.buffer.extend_from_slice(&chunk);
                true
            }
            None => false,
        }
    }

    async fn close(self) -> Result<()> {
        drop(self.stream);
        self.outcome.await
    }
}
