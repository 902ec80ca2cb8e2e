//! Bytes on a connection, for what no client would send.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::Client;
use crate::requirement::Outcome;

/// How long an answer, or the end of the connection, may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What came back on a connection.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status, if there was one.
    pub(crate) status: Option<u16>,
    pub(crate) text: String,
}

/// Sends bytes and reads until the registry ends the connection. With `half`, the writing side is ended after the bytes:
/// a body that is shorter than said then has come to its end.
///
/// Fails if neither an answer nor the end of the connection comes in time.
pub(crate) async fn exchange(client: &Client, bytes: &[u8], half: bool) -> Outcome<Answer> {
    let begin = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
    let stream = TcpStream::connect(client.address).await?;
    let (mut reader, mut writer) = stream.into_split();
    let writing = async {
        // A registry that refuses does not read the rest: its answer tells, not this.
        let _ = writer.write_all(bytes).await;
        if half {
            let _ = writer.shutdown().await;
        }
    };
    let reading = async {
        let mut answer = Vec::new();
        let mut buffer = [0; 16 * 1024];
        loop {
            match reader.read(&mut buffer).await {
                Ok(0) | Err(_) => return answer,
                Ok(read) => answer.extend_from_slice(&buffer[..read]),
            }
            // What follows an answer on a kept connection nobody asked for.
            if complete(&answer, bytes.starts_with(b"HEAD ")) {
                return answer;
            }
        }
    };
    let both = async {
        tokio::pin!(writing, reading);
        tokio::select! {
            () = &mut writing => reading.await,
            answer = &mut reading => answer,
        }
    };
    let answer = tokio::time::timeout(PATIENCE, both).await;
    let answer = answer.map_err(|_| format!("{begin:?}: no answer within {} s", PATIENCE.as_secs()))?;
    let text = String::from_utf8_lossy(&answer).into_owned();
    Ok(Answer { status: status(&text), text })
}

/// Returns the final status: interim ones such as 100 are passed over.
fn status(text: &str) -> Option<u16> {
    let status: u16 = text.strip_prefix("HTTP/1.1 ").or(text.strip_prefix("HTTP/1.0 "))?.get(..3)?.parse().ok()?;
    if (100..200).contains(&status) { status_after(text) } else { Some(status) }
}

fn status_after(text: &str) -> Option<u16> {
    status(text.split_once("\r\n\r\n")?.1)
}

/// Returns whether the head of a final answer is there, and as much of the body as it says; the answer to `HEAD` has
/// none, whatever it says.
fn complete(answer: &[u8], to_head: bool) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some(status) = status(&text) else { return false };
    let mut rest = &*text;
    while rest.starts_with("HTTP/1.1 1") {
        let Some((_, after)) = rest.split_once("\r\n\r\n") else { return false };
        rest = after;
    }
    let Some((head, body)) = rest.split_once("\r\n\r\n") else { return false };
    let lower = head.to_ascii_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    match length {
        _ if to_head => true,
        Some(length) => body.len() >= length,
        None if lower.contains("transfer-encoding: chunked") => body.ends_with("0\r\n\r\n"),
        None => matches!(status, 204 | 304),
    }
}

/// Writes a request's head: the lines, and `Host`.
pub(crate) fn head(client: &Client, method: &str, target: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n", client.address);
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    text.into_bytes()
}
