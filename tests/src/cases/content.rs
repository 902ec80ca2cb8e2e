//! `put_content` and `get_content`.

use bytes::Bytes;
use wharf::contract::{MAX_CONTENT, StoragePath, WriteMode};

use super::{Case, case};
use crate::context::{ensure, expect_kind, pattern, same_bytes};
use crate::{Context, Failure, Outcome};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(content_comes_back, "get returns exactly the bytes that put stored, whatever they are"),
        case!(put_replaces, "put stores the whole content, in place of any that was there"),
        case!(put_shorter_truncates, "a shorter put leaves nothing of a longer content"),
        case!(empty_content_is_a_file, "a put of no bytes makes a file of size 0"),
        case!(get_missing, "get of a missing file is path-not-found"),
        case!(missing_then_there, "a file that was looked for before it was there is found once it is"),
        case!(content_that_looks_special, "content that begins like a format which others decode comes back as it is"),
        case!(
            files_of_one_content,
            "files of one content are files of their own: what becomes of one leaves the others"
        ),
        case!(content_at_boundaries, "content around the sizes at which drivers begin another piece comes back whole")
            .holds_much()
            .heavy(),
        case!(get_directory, "get of a directory is path-not-found"),
        case!(put_of_the_limit, "a put of 16 MiB is taken and comes back").holds_much().heavy(),
        case!(put_above_the_limit, "a put of more than 16 MiB is too-large and changes nothing")
            .holds_much()
            .by_base()
            .heavy(),
        case!(get_above_the_limit, "a get of more than 16 MiB is too-large").holds_much().heavy(),
        case!(root_is_no_file, "the root is invalid-path for everything but stat, list and walk").by_base(),
        case!(file_where_a_directory_is, "a put where a directory is: invalid-path or accepted, never damage"),
        case!(file_below_a_file, "a put below a file: invalid-path or accepted, never damage"),
    ]
}

async fn content_comes_back(cx: Context) -> Outcome {
    let contents: [&[u8]; 5] = [
        "\u{65e5}\u{672c}\u{8a9e} \u{1f980}\n".as_bytes(),
        &[0xff, 0xfe, 0x80, 0xc0, 0x00],
        b"\r\n\0",
        b"x",
        &pattern(1, 70_001),
    ];
    for (index, content) in contents.into_iter().enumerate() {
        let path = cx.put(&format!("c{index}"), Bytes::copy_from_slice(content)).await?;
        same_bytes(&format!("get-content of {path}"), &cx.driver().get_content(&path).await?, content)?;
    }
    Ok(())
}

async fn put_replaces(cx: Context) -> Outcome {
    let path = cx.put("file", "old").await?;
    cx.put("file", "and the new").await?;
    same_bytes("get-content after a second put", &cx.driver().get_content(&path).await?, b"and the new")
}

async fn put_shorter_truncates(cx: Context) -> Outcome {
    let path = cx.put("file", pattern(1, 5000)).await?;
    cx.put("file", "short").await?;
    same_bytes("get-content after a shorter put", &cx.driver().get_content(&path).await?, b"short")
}

async fn empty_content_is_a_file(cx: Context) -> Outcome {
    let path = cx.put("empty", "").await?;
    let info = cx.driver().stat(&path).await?;
    ensure!(!info.is_dir && info.size == 0, "stat of an empty file: expected a file of 0 bytes, got {info:?}");
    same_bytes("get-content of an empty file", &cx.driver().get_content(&path).await?, b"")
}

async fn missing_then_there(cx: Context) -> Outcome {
    let path = cx.path("d/file")?;
    for round in ["first", "second"] {
        cx.expect_missing(&path, "nothing was stored").await?;
        let listed = cx.list(cx.directory(), None).await.unwrap_or_default();
        ensure!(listed.is_empty() || listed == ["d/"], "list before a put: got {listed:?}");
        cx.driver().put_content(&path, round.into()).await?;
        cx.expect_content(&path, round.as_bytes()).await?;
        same_bytes("get-content of what was missing", &cx.driver().get_content(&path).await?, round.as_bytes())?;
        let info = cx.driver().stat(&path).await?;
        ensure!(info.size == round.len() as u64, "stat of what was missing: got {info:?}");
        let listed = cx.list(&cx.path("d")?, None).await?;
        ensure!(listed == ["d/file"], "list of what was missing: got {listed:?}");
        cx.driver().delete(&path).await?;
    }
    Ok(())
}

async fn content_that_looks_special(cx: Context) -> Outcome {
    let gzip: &[u8] = &[
        0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x86, 0xa6, 0x10, 0x36, 5, 0,
        0, 0,
    ];
    let contents: [(&str, &[u8]); 8] = [
        ("gzip", gzip),
        ("zstd", &[0x28, 0xb5, 0x2f, 0xfd, 0x24, 5, 0x29, 0, 0, b'h', b'e', b'l', b'l', b'o']),
        ("utf8", b"\xef\xbb\xbf{\"a\": 1}"),
        ("utf16", &[0xff, 0xfe, b'a', 0, 0xfe, 0xff]),
        ("xml", b"<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code></Error>"),
        ("http", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("chunk", b"5;chunk-signature=0\r\nhello\r\n0\r\n\r\n"),
        ("lines", b"a\rb\nc\r\nd\x1a\0\n"),
    ];
    for (name, content) in contents {
        let path = cx.put(name, Bytes::copy_from_slice(content)).await?;
        same_bytes(&format!("get-content of {path}"), &cx.driver().get_content(&path).await?, content)?;
        cx.expect_content(&path, content).await?;
        let size = cx.driver().stat(&path).await?.size;
        ensure!(size == content.len() as u64, "stat of {path}: expected {} bytes, got {size}", content.len());
        let written = cx.path(&format!("written/{name}"))?;
        cx.write(&written, WriteMode::New, Bytes::copy_from_slice(content)).await?.commit().await?;
        cx.expect_content(&written, content).await?;
    }
    Ok(())
}

async fn files_of_one_content(cx: Context) -> Outcome {
    let content = pattern(1, 70_001);
    let names = ["deleted", "deleted-too", "moved", "replaced", "committed", "kept", "d/kept"];
    for (index, name) in names.into_iter().enumerate() {
        match index % 2 {
            0 => {
                cx.put(name, content.clone()).await?;
            }
            _ => {
                cx.write(&cx.path(name)?, WriteMode::New, content.clone()).await?.commit().await?;
            }
        }
    }
    for (index, name) in names[..5].iter().enumerate() {
        let path = cx.path(name)?;
        match *name {
            "deleted" => cx.driver().delete(&path).await?,
            "deleted-too" => cx.driver().delete_files(std::slice::from_ref(&path)).await?,
            "moved" => cx.driver().move_file(&path, &cx.path("destination")?).await?,
            "replaced" => cx.driver().put_content(&path, "put".into()).await?,
            _ => {
                cx.write(&path, WriteMode::New, "another").await?.commit().await?;
            }
        }
        for kept in &names[index + 1..] {
            let read = cx.expect_content(&cx.path(kept)?, &content).await;
            read.map_err(|failure| failure.within(&format!("{name}, of the content that {kept} has too")))?;
        }
    }
    cx.expect_content(&cx.path("destination")?, &content).await?;
    cx.expect_content(&cx.path("replaced")?, b"put").await?;
    cx.expect_content(&cx.path("committed")?, b"another").await
}

async fn content_at_boundaries(cx: Context) -> Outcome {
    const MIB: usize = 1 << 20;
    let whole = pattern(5, MAX_CONTENT as usize);
    for boundary in [4096, MIB, 5 * MIB, MAX_CONTENT as usize] {
        for size in boundary - 1..=(boundary + 1).min(whole.len()) {
            let content = whole.slice(whole.len() - size..);
            let path = cx.put(&format!("put-{size}"), content.clone()).await?;
            same_bytes(&format!("get-content of {size} bytes"), &cx.driver().get_content(&path).await?, &content)?;
            cx.driver().delete(&path).await?;
        }
    }
    Ok(())
}

async fn get_missing(cx: Context) -> Outcome {
    expect_kind("get-content of a missing file", cx.driver().get_content(&cx.path("missing")?).await, "path-not-found")
}

async fn get_directory(cx: Context) -> Outcome {
    cx.put("directory/file", "x").await?;
    expect_kind("get-content of a directory", cx.driver().get_content(&cx.path("directory")?).await, "path-not-found")
}

async fn put_of_the_limit(cx: Context) -> Outcome {
    let content = pattern(3, MAX_CONTENT as usize);
    let path = cx.put("large", content.clone()).await?;
    same_bytes("get-content of 16 MiB", &cx.driver().get_content(&path).await?, &content)
}

async fn put_above_the_limit(cx: Context) -> Outcome {
    let path = cx.put("large", "old").await?;
    let result = cx.driver().put_content(&path, pattern(3, MAX_CONTENT as usize + 1)).await;
    expect_kind("put-content of 16 MiB and a byte", result, "too-large")?;
    cx.expect_content(&path, b"old").await
}

async fn get_above_the_limit(cx: Context) -> Outcome {
    let path = cx.path("large")?;
    let mut writer = cx.write(&path, WriteMode::New, pattern(3, MAX_CONTENT as usize)).await?;
    writer.write(Bytes::from_static(b"x")).await?;
    writer.commit().await?;
    expect_kind("get-content of 16 MiB and a byte", cx.driver().get_content(&path).await, "too-large")
}

async fn root_is_no_file(cx: Context) -> Outcome {
    let root = StoragePath::root();
    let other = cx.put("file", "x").await?;
    let driver = cx.driver();
    expect_kind("get-content of /", driver.get_content(&root).await, "invalid-path")?;
    expect_kind("put-content of /", driver.put_content(&root, Bytes::from_static(b"x")).await, "invalid-path")?;
    expect_kind("reader of /", driver.reader(&root, Default::default()).await, "invalid-path")?;
    expect_kind("writer of /", driver.writer(&root, WriteMode::New).await.map(|_| ()), "invalid-path")?;
    expect_kind("move of /", driver.move_file(&root, &other).await, "invalid-path")?;
    expect_kind("move to /", driver.move_file(&other, &root).await, "invalid-path")?;
    expect_kind("delete of /", driver.delete(&root).await, "invalid-path")?;
    cx.expect_content(&other, b"x").await
}

/// A put that the store may take or refuse; `kept` must be unharmed either way.
async fn beside(cx: &Context, path: &str, kept: &str) -> Outcome {
    let path = cx.path(path)?;
    match cx.driver().put_content(&path, Bytes::from_static(b"new")).await {
        Ok(()) => cx.expect_content(&path, b"new").await?,
        Err(error) if error.kind().name() == "invalid-path" => {}
        Err(error) => {
            let message = format!("put-content of {path}: expected success or invalid-path, got {error}");
            return Err(Failure::of(&error, message));
        }
    }
    cx.expect_content(&cx.path(kept)?, b"kept").await
}

async fn file_where_a_directory_is(cx: Context) -> Outcome {
    cx.put("directory/file", "kept").await?;
    beside(&cx, "directory", "directory/file").await
}

async fn file_below_a_file(cx: Context) -> Outcome {
    cx.put("file", "kept").await?;
    beside(&cx, "file/below", "file").await
}
