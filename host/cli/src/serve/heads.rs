//! Line ends in the heads of requests, before hyper reads them.
//!
//! Hyper's parser takes a bare LF for the end of a line, and so do some proxies and not others: a head that one of them ends
//! earlier than the other is how a request is smuggled. Lines of HTTP/1.1 end with CRLF (RFC 9112, section 2.2), so one that
//! does not makes the request a bad one: the LF becomes a NUL, which hyper refuses with 400. In the extension of a chunk it
//! stays, since there hyper refuses a bare LF itself, and takes any other byte: those that no text may hold are refused here.
//!
//! To know where a head begins, this follows the framing of each request, by the same rules as hyper where those leave no
//! choice; where they do, the request is refused. Bodies are counted, and not looked at.

/// How much of a line is kept, in bytes: more than any that matters needs.
const KEPT: usize = 256;

/// What of a connection has been seen.
#[derive(Debug, Default)]
pub(super) struct Heads {
    state: State,
    /// The beginning of the line that has not ended.
    line: Vec<u8>,
    /// How long that line is.
    length: usize,
    /// The last byte of the line so far.
    last: u8,
    content_length: Option<u64>,
    chunked: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Before a request: empty lines are passed over.
    #[default]
    Start,
    /// Behind the request's line.
    Head,
    /// How many bytes of a body are still to come.
    Body(u64),
    /// A chunk's size is to come.
    Size,
    /// How many bytes of a chunk are still to come, the line's end behind it among them.
    Chunk(u64),
    /// Behind the last chunk.
    Trailer,
    /// What was refused ends the connection: nothing more is looked at.
    Refused,
}

/// A line that makes the request a bad one.
struct Bad;

/// What a line's end becomes that is none: no part of a head may hold it.
const NUL: u8 = 0;

impl Heads {
    /// Looks at bytes that a client sent, and changes what hyper is to refuse.
    pub(super) fn look(&mut self, bytes: &mut [u8]) {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            match self.state {
                State::Refused => return,
                State::Body(left) | State::Chunk(left) => {
                    let count = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    at += count;
                    let left = left - count as u64;
                    self.state = match self.state {
                        State::Body(_) if left == 0 => State::Start,
                        State::Body(_) => State::Body(left),
                        _ if left == 0 => State::Size,
                        _ => State::Chunk(left),
                    };
                }
                State::Start | State::Head | State::Size | State::Trailer => {
                    let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
                        self.keep(rest);
                        return;
                    };
                    self.keep(&rest[..end]);
                    at += end + 1;
                    let refused_by_hyper = self.state == State::Size && self.last != b'\r';
                    match self.end_line() {
                        Ok(state) => self.state = state,
                        Err(Bad) => {
                            if !refused_by_hyper {
                                bytes[at - 1] = NUL;
                            }
                            self.state = State::Refused;
                        }
                    }
                }
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = KEPT.saturating_sub(self.line.len()).min(bytes.len());
        self.line.extend_from_slice(&bytes[..room]);
        self.length += bytes.len();
        self.last = bytes.last().copied().unwrap_or(self.last);
    }

    /// Takes a line that has ended, and returns what comes after it.
    fn end_line(&mut self) -> Result<State, Bad> {
        let mut line = std::mem::take(&mut self.line);
        let (length, last) = (std::mem::take(&mut self.length), std::mem::take(&mut self.last));
        if last != b'\r' {
            return Err(Bad);
        }
        let is_whole = length == line.len();
        if is_whole {
            line.pop();
        }
        let next = match self.state {
            State::Start if line.is_empty() => State::Start,
            State::Start => {
                (self.content_length, self.chunked) = (None, false);
                State::Head
            }
            State::Head if line.is_empty() => match (self.content_length, self.chunked) {
                // Which of the two counts is what smuggling lives on.
                (Some(_), true) => return Err(Bad),
                (None | Some(0), false) => State::Start,
                (Some(length), false) => State::Body(length),
                (None, true) => State::Size,
            },
            State::Head => {
                self.header(&line, is_whole)?;
                State::Head
            }
            // Nobody needs a longer one.
            State::Size if !is_whole => return Err(Bad),
            State::Size => match chunk_size(&line)? {
                0 => State::Trailer,
                size => State::Chunk(size.checked_add(2).ok_or(Bad)?),
            },
            State::Trailer if line.is_empty() => State::Start,
            other => other,
        };
        // Kept for the next line: a connection has many.
        line.clear();
        self.line = line;
        Ok(next)
    }

    /// Notes what a header says of the body.
    fn header(&mut self, line: &[u8], is_whole: bool) -> Result<(), Bad> {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return Ok(()) };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        let is_length = name.eq_ignore_ascii_case(b"content-length");
        if !is_length && !name.eq_ignore_ascii_case(b"transfer-encoding") {
            return Ok(());
        }
        if !is_whole {
            return Err(Bad);
        }
        if is_length {
            let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
            let number = std::str::from_utf8(value).ok().filter(|_| is_number).and_then(|digits| digits.parse().ok());
            if self.content_length.replace(number.ok_or(Bad)?).is_some() {
                return Err(Bad);
            }
        } else if std::mem::replace(&mut self.chunked, true) || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Bad);
        }
        Ok(())
    }
}

fn chunk_size(line: &[u8]) -> Result<u64, Bad> {
    let end = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    let (digits, after) = line.split_at(end);
    let is_control = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
    if !matches!(after.first(), None | Some(b';' | b' ' | b'\t')) || after.iter().any(is_control) {
        return Err(Bad);
    }
    let digits = std::str::from_utf8(digits).map_err(|_| Bad)?;
    u64::from_str_radix(digits, 16).map_err(|_| Bad)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on is a failed test")]
    use proptest::prelude::*;

    use super::*;

    /// Looks at a text that comes in pieces of a length, and returns it with what was changed.
    fn look(text: &str, piece: usize) -> String {
        let mut bytes = text.as_bytes().to_vec();
        let mut heads = Heads::default();
        bytes.chunks_mut(piece).for_each(|piece| heads.look(piece));
        String::from_utf8(bytes).unwrap()
    }

    /// Requests of every framing, one after the other, with bare LFs where they may be.
    const GOOD: &str = "\r\n\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\n\
                        PUT /b HTTP/1.1\r\nContent-Length: 9\r\nHost: a\r\n\r\n\n\nGET\n\r\n\nx\
                        POST /c HTTP/1.1\r\ntransfer-encoding:  Chunked \r\n\r\n4;a=b\r\n\n\n\r\n\r\nA \r\n0123456\n\n9\r\n0\r\nT: a\r\n\r\n\
                        HEAD /d HTTP/1.0\r\nCONTENT-LENGTH:0\r\n\r\n\
                        GET /e HTTP/1.1\r\n\r\n";

    #[test]
    fn what_has_its_line_ends_passes_as_it_is_in_pieces_of_any_length() {
        for piece in 1..=GOOD.len() {
            assert_eq!(look(GOOD, piece), GOOD, "in pieces of {piece}");
        }
    }

    #[test]
    fn a_bare_line_end_is_changed_wherever_a_head_is() {
        for bad in [
            "GET / HTTP/1.1@Host: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a@\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n@",
            "@GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nA: b@C: d\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: a@\r\n",
        ] {
            // Behind requests that are good, too: the place of the head is known.
            for before in ["", GOOD] {
                let (text, expected) = (bad.replace('@', "\n"), bad.replace('@', "\0"));
                for piece in [1, 2, 3, 7, 4096] {
                    let changed = look(&format!("{before}{text}"), piece);
                    assert_eq!(changed, format!("{before}{expected}"), "{bad:?} in pieces of {piece}");
                }
            }
        }
    }

    #[test]
    fn what_no_extension_of_a_chunk_may_hold_is_refused() {
        let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        // Hyper refuses these as they are, and would take a NUL in an extension.
        for bare in ["3\nabc\r\n0\r\n\r\n", "3;a\nb\r\nabc\r\n0\r\n\r\n", "3;\n\r\nabc", "0;\nGET / HTTP/1.1\r\n\r\n"] {
            for piece in [1, 2, 3, 7, 4096] {
                assert_eq!(look(&format!("{chunked}{bare}"), piece), format!("{chunked}{bare}"), "{bare:?}");
            }
        }
        let long = format!("3;{}", "a".repeat(300));
        for control in ["3;\0", "3;a=\x01b", "3;\x7f", "3 \x1b", "3;a\rb", &long] {
            let changed = look(&format!("{chunked}{control}\r\nabc\r\n0\r\n\r\n"), 5);
            assert_eq!(changed, format!("{chunked}{control}\r\0abc\r\n0\r\n\r\n"), "{control:?}");
        }
    }

    #[test]
    fn a_request_whose_length_can_be_read_in_two_ways_is_changed_too() {
        let long = format!("Content-Length:{}5\r\n", " ".repeat(300));
        for headers in [
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            "Content-Length: 5, 5\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: 99999999999999999999\r\n",
            "Content-Length:\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: xchunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            &long,
        ] {
            let text = format!("POST / HTTP/1.1\r\n{headers}\r\nabcde");
            assert!(look(&text, 4096).contains('\0'), "{headers:?}");
        }
        for size in ["g", "", "-1", "10000000000000000", "fffffffffffffffe", "5x"] {
            let text = format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{size}\r\nabcde\r\n0\r\n\r\n");
            assert!(look(&text, 4096).contains('\0'), "{size:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_but_one_line_end_is_ever_changed(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'5'), any::<u8>()], 0..200),
            piece in 1..50_usize,
        ) {
            let (mut changed, mut heads) = (bytes.clone(), Heads::default());
            changed.chunks_mut(piece).for_each(|piece| heads.look(piece));
            let differs: Vec<_> = bytes.iter().zip(&changed).filter(|(before, after)| before != after).collect();
            prop_assert!(differs.len() <= 1 && differs.iter().all(|it| *it == (&b'\n', &NUL)));
        }
    }
}
