//! Handles: too many, used twice, made up.

use std::mem::forget;

use wasip3::filesystem::preopens;
use wasip3::filesystem::types::{Descriptor, DescriptorFlags, OpenFlags, PathFlags};

use crate::bindings::wit_stream;

pub(crate) fn leak_streams(count: u64) -> String {
    for _ in 0..count {
        forget(wit_stream::new::<u8>());
    }
    format!("{count} streams")
}

pub(crate) async fn leak_files(count: u64) -> String {
    let Some((directory, _)) = preopens::get_directories().pop() else { return "no directory".to_owned() };
    let mut kept = Vec::new();
    for number in 0..count {
        match directory.open_at(PathFlags::empty(), ".".to_owned(), OpenFlags::DIRECTORY, DescriptorFlags::READ).await {
            Ok(opened) => kept.push(opened),
            Err(error) => return format!("{number} descriptors, then {error:?}"),
        }
    }
    // Held until nobody needs the host's own any more.
    std::future::pending::<()>().await;
    format!("{} descriptors", kept.len())
}

pub(crate) async fn leak_tasks(count: u64) -> String {
    for _ in 0..count {
        wit_bindgen::spawn_local(wasip3::clocks::monotonic_clock::wait_for(3_600_000_000_000));
    }
    // So that they begin.
    wasip3::clocks::monotonic_clock::wait_for(1_000_000).await;
    format!("{count} tasks")
}

#[allow(unsafe_code, reason = "what is safe is no attack")]
pub(crate) fn drop_twice() -> String {
    let Some((directory, _)) = preopens::get_directories().pop() else { return "no directory".to_owned() };
    let handle = directory.take_handle();
    // SAFETY: it is not, to this instance; the host must bear it.
    unsafe {
        drop(Descriptor::from_handle(handle));
        drop(Descriptor::from_handle(handle));
    }
    "a handle dropped twice".to_owned()
}

#[allow(unsafe_code, reason = "what is safe is no attack")]
pub(crate) async fn forge() -> String {
    // SAFETY: it is not, to this instance; the host must bear it.
    let made_up = unsafe { Descriptor::from_handle(123_456) };
    let answer = made_up.stat().await;
    forget(made_up);
    format!("{answer:?}")
}

/// Asks for ever whether something has happened in a set of nothing, as no language's library does.
#[allow(unsafe_code, reason = "what the bindings do not offer is called as it is")]
pub(crate) fn poll_for_ever() -> ! {
    #[link(wasm_import_module = "$root")]
    unsafe extern "C" {
        #[link_name = "[waitable-set-new]"]
        fn new() -> u32;
        #[link_name = "[waitable-set-poll]"]
        fn poll(set: u32, event: *mut [u32; 2]) -> u32;
    }
    let mut event = [0; 2];
    // SAFETY: these are the component model's own calls, with their signatures; `event` is there to be written to.
    unsafe {
        let set = new();
        loop {
            poll(set, &mut event);
        }
    }
}
