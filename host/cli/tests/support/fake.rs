//! A server of a few fixed answers on 127.0.0.1, for what real servers cannot be made to say here.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What a server was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Such as `GET`.
    pub(crate) method: String,
    /// With the query.
    pub(crate) target: String,
    /// In small letters, then a colon, as they came.
    pub(crate) headers: String,
    pub(crate) body: String,
}

impl Asked {
    /// The id of the key that signed the request.
    pub(crate) fn key(&self) -> Option<&str> {
        self.headers.split("Credential=").nth(1)?.split('/').next()
    }
}

type Answer = (u16, String);

/// A server, which ends with the test's process.
pub(crate) struct Fake {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Fake {
    /// Starts a server that answers by a function.
    pub(crate) fn start(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (asked.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, answer) = (seen.clone(), answer.clone());
                std::thread::spawn(move || serve(stream, &seen, &*answer));
            }
        });
        Fake { url, asked }
    }

    /// What it was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// Answers requests on a connection until it ends.
fn serve(stream: TcpStream, seen: &Mutex<Vec<Asked>>, answer: &dyn Fn(&Asked) -> Answer) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let mut words = line.split_whitespace();
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let (mut headers, mut length) = (String::new(), 0);
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            let header = header.trim();
            if header.is_empty() {
                break;
            }
            let (name, value) = header.split_once(':')?;
            let name = name.to_ascii_lowercase();
            if name == "content-length" {
                length = value.trim().parse().ok()?;
            }
            headers.push_str(&format!("{name}:{value}\n"));
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let asked = Asked { method, target, headers, body: String::from_utf8_lossy(&body).into_owned() };
        seen.lock().unwrap().push(asked.clone());
        let (status, body) = answer(&asked);
        // The last is what the metadata of an instance says of its tokens.
        let head = format!(
            "HTTP/1.1 {status} Answer\r\nContent-Length: {}\r\nx-amz-request-id: fake\r\n\
             x-aws-ec2-metadata-token-ttl-seconds: 21600\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(if asked.method == "HEAD" { b"" } else { body.as_bytes() }).ok()?;
    }
}
