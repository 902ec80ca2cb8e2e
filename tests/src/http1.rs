//! A small HTTP/1.1 client on one connection, for tests that decide what is sent byte by byte and for measurements in
//! which the client must cost little. It shares no code with Wharf.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The most that the lines before a body may come to, in bytes.
const HEAD_LIMIT: u64 = 64 * 1024;

/// A connection to a server. Requests go one after the other.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
    address: SocketAddr,
    reusable: bool,
}

/// An answer.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// The status, such as 200.
    pub status: u16,
    /// The headers, as they came.
    pub headers: Vec<(String, String)>,
    /// The body, all of it; empty if it was taken by a sink.
    pub body: Vec<u8>,
}

/// How a body ends.
enum Framing {
    Length(u64),
    Chunked,
    Close,
}

impl Connection {
    /// Connects. Every read and write then has so much time.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn open(address: SocketAddr, patience: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, patience)?;
        // Where nothing listens, a connection may by chance be made from the very port that it goes to.
        if stream.local_addr()? == address {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        Ok(Connection { stream: BufReader::with_capacity(64 * 1024, stream), address, reusable: true })
    }

    /// Returns whether another request can follow.
    pub fn is_reusable(&self) -> bool {
        self.reusable
    }

    /// Sends a request with all of its body and returns the answer.
    ///
    /// # Errors
    ///
    /// The system's, or that what came is no HTTP. Afterwards no other request can follow.
    pub fn request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> io::Result<Response> {
        self.begin(method, target, headers, body.map(|body| body.len() as u64))?;
        if let Some(body) = body {
            let sent = self.send(body);
            return self.answer_after(sent, method);
        }
        self.answer(method)
    }

    /// Sends a request up to its body, of which it says the length.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn begin(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        length: Option<u64>,
    ) -> io::Result<()> {
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n", self.address);
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(length) = length {
            head.push_str(&format!("Content-Length: {length}\r\n"));
        }
        head.push_str("\r\n");
        self.send(head.as_bytes())
    }

    /// Sends bytes as they are: part of a body, or whatever a broken client sends.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let sent = self.stream.get_mut().write_all(bytes);
        self.reusable &= sent.is_ok();
        sent
    }

    /// Reads the answer to a request of which the body could perhaps not be sent: a server that refuses it may answer
    /// and close before it has read all.
    ///
    /// # Errors
    ///
    /// What sending came to, if there is no answer.
    pub fn answer_after(&mut self, sent: io::Result<()>, method: &str) -> io::Result<Response> {
        let answer = self.answer(method);
        match (sent, answer) {
            (_, Ok(answer)) => Ok(answer),
            (Err(error), Err(_)) | (Ok(()), Err(error)) => Err(error),
        }
    }

    /// Reads the answer to a request.
    ///
    /// # Errors
    ///
    /// The system's, or that what came is no HTTP.
    pub fn answer(&mut self, method: &str) -> io::Result<Response> {
        let mut body = Vec::new();
        let mut answer = self.answer_into(method, &mut |bytes| body.extend_from_slice(bytes))?;
        answer.body = body;
        Ok(answer)
    }

    /// Reads the answer to a request and hands its body over piece by piece.
    ///
    /// # Errors
    ///
    /// As [`answer`](Connection::answer).
    pub fn answer_into(&mut self, method: &str, sink: &mut dyn FnMut(&[u8])) -> io::Result<Response> {
        let answer = self.read_answer(method, sink);
        self.reusable &= answer.is_ok();
        answer
    }

    fn read_answer(&mut self, method: &str, sink: &mut dyn FnMut(&[u8])) -> io::Result<Response> {
        let mut answer = self.head()?;
        // 100 (Continue) and its like come before the answer.
        while (100..200).contains(&answer.status) {
            answer = self.head()?;
        }
        let bodiless = method == "HEAD" || matches!(answer.status, 204 | 304);
        match framing(&answer)? {
            _ if bodiless => {}
            Framing::Length(length) => self.pass(length, sink)?,
            Framing::Close => {
                self.reusable = false;
                while self.pass_some(u64::MAX, sink)? > 0 {}
            }
            Framing::Chunked => loop {
                let line = self.line()?;
                let digits = line.split(';').next().unwrap_or_default().trim();
                let length = u64::from_str_radix(digits, 16).map_err(|_| broken("a chunk without a length"))?;
                if length == 0 {
                    while !self.line()?.is_empty() {}
                    break;
                }
                self.pass(length, sink)?;
                self.line()?;
            },
        }
        if answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            self.reusable = false;
        }
        Ok(answer)
    }

    fn head(&mut self) -> io::Result<Response> {
        let first = self.line()?;
        let status = first.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse().ok());
        let status = status.ok_or_else(|| broken("an answer without a status"))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(Response { status, headers, body: Vec::new() });
            }
            let (name, value) = line.split_once(':').ok_or_else(|| broken("a header without a colon"))?;
            headers.push((name.to_owned(), value.trim().to_owned()));
            if headers.len() > 1000 {
                return Err(broken("more than 1,000 headers"));
            }
        }
    }

    /// Reads a line, without its end.
    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        (&mut self.stream).take(HEAD_LIMIT).read_line(&mut line)?;
        if !line.ends_with('\n') {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended within an answer"));
        }
        line.truncate(line.trim_end().len());
        Ok(line)
    }

    fn pass(&mut self, length: u64, sink: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let mut left = length;
        while left > 0 {
            match self.pass_some(left, sink)? {
                0 => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended within a body")),
                count => left -= count,
            }
        }
        Ok(())
    }

    fn pass_some(&mut self, most: u64, sink: &mut dyn FnMut(&[u8])) -> io::Result<u64> {
        let bytes = self.stream.fill_buf()?;
        let count = bytes.len().min(usize::try_from(most).unwrap_or(usize::MAX));
        sink(&bytes[..count]);
        self.stream.consume(count);
        Ok(count as u64)
    }
}

impl Response {
    /// Returns a header's value, the first if there are several.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }

    /// Returns the first bytes of the body as text, for the message of a failure.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body[..self.body.len().min(500)]).trim_end().to_owned()
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {}", self.status, self.headers, self.text())
    }
}

fn framing(answer: &Response) -> io::Result<Framing> {
    if answer.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        return Ok(Framing::Chunked);
    }
    match answer.header("content-length") {
        Some(length) => length.parse().map(Framing::Length).map_err(|_| broken("a length that is no number")),
        None => Ok(Framing::Close),
    }
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the server sent {what}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::net::TcpListener;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// Answers one request with those bytes, then closes.
    fn ask(answer: &'static str) -> (io::Result<Response>, bool) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = [0; 16];
            stream.read_exact(&mut head).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let mut connection = Connection::open(address, PATIENCE).unwrap();
        let response = connection.request("GET", "/v2/", &[], None);
        let reusable = connection.is_reusable();
        drop(connection);
        server.join().unwrap();
        (response, reusable)
    }

    #[test]
    fn a_body_ends_at_its_length_at_its_last_chunk_or_at_the_end_of_the_connection() {
        for (answer, reusable) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", true),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n", true),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nhello", false),
            ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", false),
        ] {
            let (response, seen) = ask(answer);
            let response = response.unwrap();
            assert_eq!((response.status, &*response.body, seen), (200, &b"hello"[..], reusable), "{answer}");
        }
    }

    #[test]
    fn an_answer_that_is_cut_or_broken_is_an_error_and_the_connection_is_not_used_again() {
        for answer in [
            "",
            "HTTP/1.1 200 OK\r\nContent-Le",
            "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nhel\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "SSH-2.0-OpenSSH\r\n",
        ] {
            let (response, reusable) = ask(answer);
            assert!(response.is_err() && !reusable, "{answer}");
        }
    }
}
