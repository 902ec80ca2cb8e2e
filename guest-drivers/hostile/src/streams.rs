//! Streams that are made to harm whoever reads them.

use std::mem::forget;

use wit_bindgen::{StreamReader, spawn_local};

use crate::attack::{Attack, Parameters, spin};
use crate::bindings::wharf::storage::types::{Entry, FileInfo};
use crate::bindings::{wit_future, wit_stream};
use crate::{ATTACK, Ended, Outcome, file, hoard};

/// How many bytes come before what happens in the middle of a stream.
const BEFORE: usize = 100_000;

/// A file that is as it should be.
pub(crate) fn quiet(path: &str) -> (FileInfo, StreamReader<u8>, Ended) {
    let (mut sender, stream) = wit_stream::new();
    let (ended, result) = wit_future::new(|| Outcome::Ok(()));
    spawn_local(async move {
        sender.write_all(b"quiet".to_vec()).await;
        drop(sender);
        let _ = ended.write(Ok(())).await;
    });
    (file(path, 5), stream, result)
}

pub(crate) fn reader(parameters: &Parameters, path: &str) -> (FileInfo, StreamReader<u8>, Ended) {
    let (mut sender, stream) = wit_stream::new();
    let (ended, result) = wit_future::new(|| Outcome::Ok(()));
    let attack = parameters.attack;
    let size = parameters.count;
    spawn_local(async move {
        match attack {
            Attack::Endless => while sender.write_all(vec![7; 256 * 1024]).await.is_empty() {},
            Attack::ByteByByte => {
                for _ in 0..size {
                    if !sender.write_all(vec![7]).await.is_empty() {
                        break;
                    }
                }
            }
            Attack::DropStream => {}
            Attack::EmptyWrites => loop {
                sender.write(Vec::new()).await;
            },
            Attack::LeaveStream => {
                forget(sender);
                return forget(ended);
            }
            Attack::SpinBetween => {
                sender.write_all(vec![7; BEFORE]).await;
                spin();
            }
            Attack::TrapBetween => {
                sender.write_all(vec![7; BEFORE]).await;
                panic!("the attack that the parameters asked for");
            }
            _ => {
                let mut left = size;
                while left > 0 {
                    let step = left.min(256 * 1024);
                    if !sender.write_all(vec![7; step as usize]).await.is_empty() {
                        break;
                    }
                    left -= step;
                }
            }
        }
        drop(sender);
        if attack == Attack::SilentFuture {
            return forget(ended);
        }
        let _ = ended.write(Ok(())).await;
    });
    (file(path, size), stream, result)
}

pub(crate) fn listing(parameters: &Parameters, path: &str) -> (StreamReader<Entry>, Ended) {
    if path == ATTACK && parameters.attack == Attack::AliasEntries {
        let (ended, result) = wit_future::new(|| Outcome::Ok(()));
        forget(ended);
        let name = "x".repeat(parameters.after_bytes as usize);
        return (hoard::alias(format!("{ATTACK}/{name}"), parameters.count as usize), result);
    }
    let (mut sender, stream) = wit_stream::new();
    let (ended, result) = wit_future::new(|| Outcome::Ok(()));
    let attack = if path == ATTACK { parameters.attack } else { Attack::None };
    let count = parameters.count;
    let entry = |path: String| Entry { path, is_dir: false, size: Some(1), modified: None };
    let numbered = move |number: u64| entry(format!("{ATTACK}/{number:012}"));
    spawn_local(async move {
        match attack {
            Attack::ManyEntries => {
                sender.write_all((0..count).map(numbered).collect()).await;
            }
            Attack::Endless => {
                let mut from = 0;
                while sender.write_all((from..from + 1000).map(numbered).collect()).await.is_empty() {
                    from += 1000;
                }
            }
            Attack::EscapingEntry => {
                sender.write_all(vec![entry(format!("{ATTACK}/../../../outside"))]).await;
            }
            Attack::OtherPath => {
                sender.write_all(vec![entry("/elsewhere/a".to_owned())]).await;
            }
            Attack::HugeText => {
                sender.write_all(vec![entry(format!("{ATTACK}/{}", "x".repeat(count as usize)))]).await;
            }
            Attack::LeaveStream => {
                forget(sender);
                return forget(ended);
            }
            Attack::SpinBetween => {
                sender.write_all(vec![numbered(0)]).await;
                spin();
            }
            Attack::TrapBetween => {
                sender.write_all(vec![numbered(0)]).await;
                panic!("the attack that the parameters asked for");
            }
            _ => {}
        }
        drop(sender);
        if attack == Attack::SilentFuture {
            return forget(ended);
        }
        let _ = ended.write(Ok(())).await;
    });
    (stream, result)
}
