//! Making the host hold what costs the guest little: threads, memory, descriptors.

use std::mem::forget;
use std::rc::Rc;

use wasip3::filesystem::preopens;
use wasip3::filesystem::types::{Descriptor, DescriptorFlags, OpenFlags, PathFlags};
use wit_bindgen::{StreamReader, spawn_local};

use crate::bindings::wharf::storage::types::Entry;
use crate::bindings::wit_stream::{self, StreamPayload};

fn directory() -> Option<Descriptor> {
    preopens::get_directories().pop().map(|(directory, _)| directory)
}

/// Waits long enough for what was begun to be under way.
async fn moment() {
    wasip3::clocks::monotonic_clock::wait_for(100_000_000).await;
}

async fn file(name: &str, how: DescriptorFlags) -> Option<Descriptor> {
    directory()?.open_at(PathFlags::empty(), name.to_owned(), OpenFlags::empty(), how).await.ok()
}

/// Opens streams of a directory and reads none of them.
pub(crate) async fn directories(count: u64) -> String {
    let Some(directory) = directory() else { return "no directory".to_owned() };
    for _ in 0..count {
        forget(directory.read_directory());
    }
    moment().await;
    format!("{count} directories")
}

/// Opens something again and again, without waiting for an answer.
pub(crate) async fn opens(name: &str, count: u64) -> String {
    for _ in 0..count {
        let name = name.to_owned();
        spawn_local(async move {
            forget(file(&name, DescriptorFlags::READ).await);
        });
    }
    moment().await;
    format!("{count} opened")
}

/// Asks for paths of a megabyte, all at once, behind what does not answer.
pub(crate) async fn paths(behind: &str, count: u64) -> String {
    opens(behind, 600).await;
    let Some(directory) = directory().map(Rc::new) else { return "no directory".to_owned() };
    for _ in 0..count {
        let directory = Rc::clone(&directory);
        spawn_local(async move {
            let _ = directory.stat_at(PathFlags::empty(), "x".repeat(1 << 20)).await;
        });
    }
    moment().await;
    format!("{count} paths")
}

/// Begins calls without waiting for any.
pub(crate) async fn calls(name: &str, count: u64) -> String {
    let Some(directory) = directory().map(Rc::new) else { return "no directory".to_owned() };
    for _ in 0..count {
        let (directory, name) = (Rc::clone(&directory), name.to_owned());
        spawn_local(async move {
            let _ = directory.stat_at(PathFlags::empty(), name).await;
        });
    }
    moment().await;
    format!("{count} calls")
}

/// Begins to read a file, a byte of each stream, and leaves it.
pub(crate) async fn reads(name: &str, count: u64) -> String {
    let Some(file) = file(name, DescriptorFlags::READ).await else { return "no file".to_owned() };
    for _ in 0..count {
        let (mut stream, outcome) = file.read_via_stream(0);
        let _ = stream.read(Vec::with_capacity(1)).await;
        forget((stream, outcome));
    }
    moment().await;
    format!("{count} streams of a file")
}

/// Begins to write or to append to a file, with a stream that does not end.
pub(crate) async fn writes(name: &str, count: u64, append: bool) -> String {
    for _ in 0..count {
        // Each stream keeps a descriptor of its own, and the guest has none.
        let Some(file) = file(name, DescriptorFlags::WRITE).await else { return "no file".to_owned() };
        let (mut sender, stream) = wit_stream::new::<u8>();
        if append {
            forget(file.append_via_stream(stream));
        } else {
            forget(file.write_via_stream(stream, 0));
        }
        let _ = sender.write(vec![1]).await;
        forget(sender);
    }
    moment().await;
    format!("{count} streams to a file")
}

/// A listing of entries that are all the same bytes in the guest's memory.
pub(crate) fn alias(path: String, count: usize) -> StreamReader<Entry> {
    let (sender, stream) = wit_stream::new::<Entry>();
    let table = <Entry as StreamPayload>::VTABLE;
    let size = table.layout.size();
    let mut entries = vec![0_u64; size * count / 8 + 1];
    let first = entries.as_mut_ptr().cast::<u8>();
    let entry = Entry { path, is_dir: false, size: Some(1), modified: None };
    #[allow(unsafe_code, reason = "what is safe is no attack")]
    // SAFETY: there is room for `count` entries, and none of them is ever let go of.
    unsafe {
        match table.lower {
            Some(lower) => lower(entry, first),
            None => return stream,
        }
        for number in 1..count {
            first.copy_to_nonoverlapping(first.add(number * size), size);
        }
        (table.start_write)(sender.handle(), first, count);
    }
    forget((entries, sender));
    stream
}

/// Cancels a copy on the end of a stream that does not do it, and goes on using both.
#[allow(unsafe_code, reason = "what is safe is no attack")]
pub(crate) fn cancel_the_wrong_end(way: u64) -> String {
    let table = <u8 as StreamPayload>::VTABLE;
    let mut buffer = [7_u8; 16];
    let bytes = buffer.as_mut_ptr();
    // SAFETY: it is not, to this instance; the host must bear it.
    unsafe {
        let ends = (table.new)();
        let (reader, writer) = (ends as u32, (ends >> 32) as u32);
        match way {
            // A read is pending, and a write is cancelled on the end that reads.
            0 => {
                (table.start_read)(reader, bytes, 16);
                (table.cancel_write)(reader);
                (table.start_write)(reader, bytes, 16);
                (table.start_write)(writer, bytes, 16);
                (table.cancel_read)(reader);
            }
            // A write is pending, and a read is cancelled on the end that writes.
            1 => {
                (table.start_write)(writer, bytes, 16);
                (table.cancel_read)(writer);
                (table.start_read)(writer, bytes, 16);
                (table.start_read)(reader, bytes, 16);
                (table.cancel_write)(writer);
            }
            // As the first, and the ends are dropped.
            2 => {
                (table.start_read)(reader, bytes, 16);
                (table.cancel_write)(reader);
                (table.drop_writable)(writer);
                (table.drop_writable)(reader);
            }
            _ => {
                (table.start_write)(writer, bytes, 16);
                (table.cancel_read)(writer);
                (table.drop_readable)(reader);
                (table.drop_readable)(writer);
            }
        }
    }
    "a copy cancelled on the wrong end".to_owned()
}

/// Writes nothing, again and again, to a stream that nobody reads and to one that the host reads.
#[allow(unsafe_code, reason = "what is safe is no attack")]
pub(crate) fn write_nothing(count: u64) -> String {
    let table = <u8 as StreamPayload>::VTABLE;
    let mut buffer = [7_u8; 16];
    let (unread, stream) = wit_stream::new::<u8>();
    forget(stream);
    let (read, stream) = wit_stream::new::<u8>();
    forget(wasip3::cli::stdout::write_via_stream(stream));
    for writer in [&unread, &read] {
        for _ in 0..count {
            // SAFETY: the buffer outlives the call, which is cancelled before the next if it is blocked.
            unsafe {
                if (table.start_write)(writer.handle(), buffer.as_mut_ptr(), 0) == u32::MAX {
                    (table.cancel_write)(writer.handle());
                }
            }
        }
    }
    forget((unread, read));
    format!("{count} writes of nothing")
}
