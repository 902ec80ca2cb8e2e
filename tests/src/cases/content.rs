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
        case!(get_directory, "get of a directory is path-not-found"),
        case!(put_of_the_limit, "a put of 16 MiB is taken and comes back").heavy(),
        case!(put_above_the_limit, "a put of more than 16 MiB is too-large and changes nothing").by_base().heavy(),
        case!(get_above_the_limit, "a get of more than 16 MiB is too-large").heavy(),
        case!(paths_of_the_grammar, "every path of the grammar can be stored"),
        case!(names_that_look_special, "names that other systems reserve are ordinary names"),
        case!(names_differ_by_case, "names that differ only in case are different files"),
        case!(long_names, "a component of 200 bytes and a path of 20 components are taken"),
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

async fn stored_all(cx: &Context, names: &[&str]) -> Outcome {
    cx.put_all(names).await?;
    for name in names {
        let path = cx.path(name)?;
        cx.expect_content(&path, name.as_bytes()).await?;
    }
    Ok(())
}

async fn paths_of_the_grammar(cx: Context) -> Outcome {
    stored_all(
        &cx,
        &[
            "a",
            "1",
            "aa",
            "a.a",
            "0-9/abcdefg",
            "abcdefg/z.75",
            "abc/1.2.3.4.5-6_zyx/123.z/4",
            "_",
            "docker/docker-registry",
            "123.abc",
            "abc./abc",
            ".abc",
            "a--b",
            "a-.b",
            "_.abc",
        ],
    )
    .await
}

async fn names_that_look_special(cx: Context) -> Outcome {
    stored_all(&cx, &["...", "-", "--help", "-rf", ".a", "a.", "CON", "nul.txt", "tmp.tmp", "x.lock", "etc/..."]).await
}

async fn names_differ_by_case(cx: Context) -> Outcome {
    stored_all(&cx, &["File", "file", "FILE", "Dir/x", "dir/x"]).await
}

async fn long_names(cx: Context) -> Outcome {
    let long = "n".repeat(200);
    let deep = vec!["d"; 20].join("/");
    stored_all(&cx, &[&long, &deep]).await
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
            return Err(Failure::new(format!("put-content of {path}: expected success or invalid-path, got {error}")));
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
