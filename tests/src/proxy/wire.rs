//! HTTP/1.1 as bytes: where a head and a body end. Nothing is rewritten.

use std::io::{self, ErrorKind};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

/// How much is read at once: what a connection holds in memory, in each direction.
const PIECE: usize = 128 * 1024;

/// The longest head.
const HEAD: usize = 256 * 1024;

/// One of the two that the proxy stands between.
pub(super) struct Peer {
    pub(super) stream: TcpStream,
    /// What was read and not used yet.
    buffer: BytesMut,
}

impl Peer {
    pub(super) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Peer { stream, buffer: BytesMut::new() })
    }

    pub(super) fn split(&mut self) -> (Source<'_>, WriteHalf<'_>) {
        let (read, write) = self.stream.split();
        (Source { read, buffer: &mut self.buffer }, write)
    }

    /// Whether it can take another request: it has neither closed nor sent what nobody asked for.
    pub(super) fn is_idle(&self) -> bool {
        let mut byte = [0];
        self.buffer.is_empty()
            && matches!(self.stream.try_read(&mut byte), Err(error) if error.kind() == ErrorKind::WouldBlock)
    }
}

/// The side of a peer from which it is read.
pub(super) struct Source<'a> {
    read: ReadHalf<'a>,
    buffer: &'a mut BytesMut,
}

impl Source<'_> {
    /// Returns the next head with the empty line at its end, or None if the peer closed instead of sending one.
    pub(super) async fn head(&mut self) -> io::Result<Option<Bytes>> {
        let mut searched = 0;
        loop {
            if let Some(at) = self.buffer[searched..].windows(4).position(|window| window == b"\r\n\r\n") {
                return Ok(Some(self.buffer.split_to(searched + at + 4).freeze()));
            }
            searched = self.buffer.len().saturating_sub(3);
            if self.buffer.len() > HEAD {
                return Err(invalid("a head is too long"));
            }
            if self.fill().await? == 0 {
                return if self.buffer.is_empty() { Ok(None) } else { Err(ErrorKind::UnexpectedEof.into()) };
            }
        }
    }

    /// Returns the next bytes of a body, at least one, and how many there are without its framing; None at its end. They
    /// are to be [`used`](Self::used) before the next are asked for.
    pub(super) async fn body(&mut self, framing: &mut Framing) -> io::Result<Option<(&[u8], usize)>> {
        if framing.is_done() {
            return Ok(None);
        }
        if self.buffer.is_empty() && self.fill().await? == 0 {
            if matches!(framing, Framing::UntilClose) {
                return Ok(None);
            }
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let (bytes, content) = framing.take(self.buffer)?;
        Ok(Some((&self.buffer[..bytes], content)))
    }

    /// As [`body`](Self::body), and at most `most` bytes of it: such a part of what is there.
    pub(super) async fn piece(
        &mut self,
        framing: &mut Framing,
        most: usize,
        part: usize,
    ) -> io::Result<Option<(&[u8], usize)>> {
        if framing.is_done() {
            return Ok(None);
        }
        if self.buffer.is_empty() && self.fill().await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let most = (self.buffer.len() / part).clamp(1, most);
        let (bytes, content) = framing.take(&self.buffer[..most])?;
        Ok(Some((&self.buffer[..bytes], content)))
    }

    pub(super) fn used(&mut self, bytes: usize) {
        self.buffer.advance(bytes);
    }

    /// Whether bytes have been read that were not used.
    pub(super) fn has_more(&self) -> bool {
        !self.buffer.is_empty()
    }

    async fn fill(&mut self) -> io::Result<usize> {
        self.buffer.reserve(if self.buffer.is_empty() { PIECE } else { PIECE / 2 });
        self.read.read_buf(self.buffer).await
    }
}

/// How the end of a body is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes more.
    Length(u64),
    /// In chunks.
    Chunked(Chunk),
    /// Whoever sends it closes.
    UntilClose,
}

/// What comes next in a body of chunks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    /// The line with the size, so far; `ignored` once an extension began.
    Size { size: u64, ignored: bool },
    /// So many bytes.
    Content(u64),
    /// The line's end after them.
    End,
    /// A line after the last chunk, of which so many bytes have been read.
    Trailer(u64),
    /// Nothing.
    Done,
}

impl Framing {
    pub(super) fn is_done(&self) -> bool {
        matches!(self, Framing::Length(0) | Framing::Chunked(Chunk::Done))
    }

    /// Returns how many of these bytes, which all belong to the body, are content, and goes on after them.
    pub(super) fn content(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(self.take(bytes)?.1)
    }

    /// Returns how many of these bytes belong to the body, and how many of those are content, and goes on after them.
    fn take(&mut self, bytes: &[u8]) -> io::Result<(usize, usize)> {
        match self {
            Framing::UntilClose => Ok((bytes.len(), bytes.len())),
            Framing::Length(left) => {
                let taken = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= taken as u64;
                Ok((taken, taken))
            }
            Framing::Chunked(chunk) => chunk.take(bytes),
        }
    }
}

impl Chunk {
    fn take(&mut self, bytes: &[u8]) -> io::Result<(usize, usize)> {
        let (mut at, mut content) = (0, 0);
        while let (Some(&byte), false) = (bytes.get(at), *self == Chunk::Done) {
            at += 1;
            match self {
                Chunk::Size { size, .. } if byte == b'\n' => {
                    *self = if *size == 0 { Chunk::Trailer(0) } else { Chunk::Content(*size) };
                }
                Chunk::Size { size, ignored } => match char::from(byte).to_digit(16) {
                    Some(digit) if !*ignored => {
                        let larger = size.checked_mul(16).ok_or_else(|| invalid("a chunk is too large"))?;
                        *size = larger + u64::from(digit);
                    }
                    _ => *ignored = true,
                },
                Chunk::Content(left) => {
                    at -= 1;
                    let taken = (bytes.len() - at).min(usize::try_from(*left).unwrap_or(usize::MAX));
                    at += taken;
                    content += taken;
                    *left -= taken as u64;
                    if *left == 0 {
                        *self = Chunk::End;
                    }
                }
                Chunk::End if byte == b'\n' => *self = Chunk::Size { size: 0, ignored: false },
                Chunk::End if byte == b'\r' => {}
                Chunk::End => return Err(invalid("a chunk is longer than it says")),
                Chunk::Trailer(0) if byte == b'\n' => *self = Chunk::Done,
                Chunk::Trailer(length) => match byte {
                    b'\n' => *length = 0,
                    b'\r' => {}
                    _ => *length += 1,
                },
                Chunk::Done => {}
            }
        }
        Ok((at, content))
    }
}

/// What the proxy has to know of a request.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: String,
    /// How its body ends.
    pub(super) framing: Framing,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub(super) expects_continue: bool,
    /// Whether the client will use the connection again.
    pub(super) keep_alive: bool,
    /// Names the kind of request: the method, what the query asks for, and whether it copies.
    pub(super) operation: String,
}

impl Request {
    pub(super) fn parse(head: &[u8]) -> io::Result<Self> {
        let head = String::from_utf8_lossy(head);
        let (first, headers) = lines(&head);
        let mut words = first.split(' ');
        let (Some(method), Some(target), Some(version)) = (words.next(), words.next(), words.next()) else {
            return Err(invalid("the first line is not a request's"));
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let framing = framing(&headers)?.unwrap_or(Framing::Length(0));
        let mut names: Vec<&str> = query.split('&').map(|part| part.split_once('=').unwrap_or((part, "")).0).collect();
        names.sort_unstable();
        let copies = headers.iter().any(|(name, _)| name.to_ascii_lowercase().ends_with("copy-source"));
        Ok(Request {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            framing,
            expects_continue: has(&headers, "expect", "100-continue"),
            keep_alive: keep_alive(version, &headers),
            operation: format!("{method} {}{}", names.join("&"), if copies { " copy" } else { "" }),
        })
    }
}

/// What the proxy has to know of an answer.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    /// How its body ends.
    pub(super) framing: Framing,
    /// Whether the server will take another request.
    pub(super) keep_alive: bool,
}

impl Response {
    pub(super) fn parse(head: &[u8], method: &str) -> io::Result<Self> {
        let head = String::from_utf8_lossy(head);
        let (first, headers) = lines(&head);
        let mut words = first.split(' ');
        let (version, status) = (words.next().unwrap_or_default(), words.next().map(str::parse::<u16>));
        let Some(Ok(status)) = status.filter(|_| version.starts_with("HTTP/1.")) else {
            return Err(invalid("the first line is not an answer's"));
        };
        let has_none = method == "HEAD" || matches!(status, 100..200 | 204 | 304);
        let framing = if has_none { Framing::Length(0) } else { framing(&headers)?.unwrap_or(Framing::UntilClose) };
        let keep_alive = keep_alive(version, &headers) && framing != Framing::UntilClose;
        Ok(Response { status, framing, keep_alive })
    }

    /// Whether another answer follows.
    pub(super) fn is_interim(&self) -> bool {
        self.status < 200
    }
}

type Headers<'a> = Vec<(&'a str, &'a str)>;

fn lines(head: &str) -> (&str, Headers<'_>) {
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let headers = lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name, value.trim()));
    (first, headers.collect())
}

fn framing(headers: &Headers<'_>) -> io::Result<Option<Framing>> {
    if has(headers, "transfer-encoding", "chunked") {
        return Ok(Some(Framing::Chunked(Chunk::Size { size: 0, ignored: false })));
    }
    let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = length.map(|(_, value)| value.parse().map_err(|_| invalid("a length is not a number")));
    Ok(length.transpose()?.map(Framing::Length))
}

fn keep_alive(version: &str, headers: &Headers<'_>) -> bool {
    if version == "HTTP/1.0" { has(headers, "connection", "keep-alive") } else { !has(headers, "connection", "close") }
}

/// Whether a header, a list, has an element.
fn has(headers: &Headers<'_>, name: &str, element: &str) -> bool {
    let mut values = headers.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    values.any(|value| value.split(',').any(|found| found.trim().eq_ignore_ascii_case(element)))
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const CHUNKED: &[u8] = b"5;a=bc\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\nx-sum: 1\r\n\r\n";

    #[test]
    fn a_chunked_body_ends_at_its_end_however_it_is_split() {
        let wire = [CHUNKED, b"GET /next"].concat();
        for size in 1..wire.len() {
            let mut framing = Framing::Chunked(Chunk::Size { size: 0, ignored: false });
            let (mut raw, mut content) = (0, 0);
            for piece in wire.chunks(size) {
                let (taken, payload) = framing.take(piece).unwrap();
                raw += taken;
                content += payload;
            }
            assert!(framing.is_done());
            assert_eq!((raw, content), (CHUNKED.len(), 21), "in pieces of {size}");
        }
    }

    #[test]
    fn a_chunk_that_is_longer_than_it_says_is_refused() {
        let mut framing = Framing::Chunked(Chunk::Size { size: 0, ignored: false });
        assert!(framing.take(b"2\r\nabc\r\n").is_err());
    }

    #[test]
    fn a_request_is_understood_whatever_the_case_of_its_headers() {
        let head =
            b"PUT /b/k?uploadId=7&partNumber=1 HTTP/1.1\r\nHOST: a\r\ncontent-LENGTH: 12\r\nExpect: 100-Continue\
                     \r\nX-Amz-Copy-Source: /b/o\r\nConnection: close\r\n\r\n";
        let request = Request::parse(head).unwrap();
        assert_eq!((&*request.path, &*request.query), ("/b/k", "uploadId=7&partNumber=1"));
        assert_eq!(request.framing, Framing::Length(12));
        assert!(request.expects_continue && !request.keep_alive);
        assert_eq!(request.operation, "PUT partNumber&uploadId copy");
    }

    #[test]
    fn an_answer_without_a_body_has_none_whatever_its_headers_say() {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n";
        assert_eq!(Response::parse(head, "HEAD").unwrap().framing, Framing::Length(0));
        assert_eq!(Response::parse(head, "GET").unwrap().framing, Framing::Length(12));
        let head = b"HTTP/1.1 204 No Content\r\n\r\n";
        assert!(Response::parse(head, "DELETE").unwrap().framing.is_done());
        let head = b"HTTP/1.1 200 OK\r\n\r\n";
        assert!(!Response::parse(head, "GET").unwrap().keep_alive);
    }
}
