//! `list`.

use futures::TryStreamExt;
use wharf::contract::{Entry, Position, StoragePath, WriteMode};

use super::{Case, case};
use crate::context::{ensure, expect_kind, same_names};
use crate::{Context, Outcome};

/// A directory `a` beside names that share its prefix: byte order of paths, a directory counting as `a/`.
const ADVERSARIAL: [&str; 7] = ["a-b", "a.b", "a/x", "a/y/z", "a0", "aB", "ab"];

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(list_direct_children, "list returns the direct children, absolute, each once, and nothing else"),
        case!(list_in_order, "list is in byte order of paths, a directory counting as its path with / added"),
        case!(list_of_fifty, "list returns every entry of a directory of fifty"),
        case!(list_start_after, "list from after a position returns exactly what comes after it"),
        case!(
            list_from_outside,
            "list from after a position outside the directory returns all or nothing, by its place"
        ),
        case!(list_tells_sizes, "sizes that a listing tells are the files'"),
        case!(operations_beside_open_listings, "an open listing, read or dropped, holds up nothing else"),
        case!(list_of_missing, "list of a missing directory is path-not-found"),
        case!(list_of_a_file, "list of a file is path-not-found"),
        case!(emptied_directory, "a directory whose last file was deleted is not found or empty"),
        case!(files_in_the_root, "files directly below the root are files like others"),
        case!(list_of_the_root, "list of the root succeeds and holds what is there"),
        case!(list_hides_temporaries, "list shows no temporaries of put and of committed uploads"),
    ]
}

async fn list_direct_children(cx: Context) -> Outcome {
    cx.put_all(&["d/file", "d/sub/one", "d/sub/deeper/two", "other"]).await?;
    same_names("list of d", &cx.list(&cx.path("d")?, None).await?, &["d/file", "d/sub/"])?;
    same_names("list of the case's directory", &cx.list(cx.directory(), None).await?, &["d/", "other"])
}

async fn list_in_order(cx: Context) -> Outcome {
    cx.put_all(&ADVERSARIAL).await?;
    same_names("list", &cx.list(cx.directory(), None).await?, &["a-b", "a.b", "a/", "a0", "aB", "ab"])
}

async fn list_of_fifty(cx: Context) -> Outcome {
    let names: Vec<String> = (0..50).map(|index| format!("d/{index:05}")).collect();
    futures::future::try_join_all(names.iter().map(|name| cx.put(name, "x"))).await?;
    let got = cx.list(&cx.path("d")?, None).await?;
    ensure!(got == names, "list of 50 files: got {} names, first {:?}, last {:?}", got.len(), got.first(), got.last());
    Ok(())
}

async fn list_start_after(cx: Context) -> Outcome {
    cx.put_all(&ADVERSARIAL).await?;
    let all = [("a-b", false), ("a.b", false), ("a", true), ("a0", false), ("aB", false), ("ab", false)];
    let tried = [("a", false), ("0", false), ("a-", true), ("a.b", true), ("a5", false), ("b", false), ("a0", true)];
    for (name, is_dir) in all.into_iter().chain(tried) {
        let after = Position { path: cx.path(name)?, is_dir };
        let mut expected = Vec::new();
        for (name, is_dir) in all {
            if (Position { path: cx.path(name)?, is_dir }) > after {
                expected.push(format!("{name}{}", if is_dir { "/" } else { "" }));
            }
        }
        let got = cx.list(cx.directory(), Some(&after)).await?;
        ensure!(got == expected, "list from after {after:?}: expected {expected:?}, got {got:?}");
    }
    Ok(())
}

async fn list_from_outside(cx: Context) -> Outcome {
    cx.put_all(&["d/a", "d/b/c", "d-", "c/z", "e"]).await?;
    let directory = cx.path("d")?;
    let all = ["d/a", "d/b/"];
    // Before the directory, at it, and after it, at its own depth and at others.
    let outside =
        [("c", true), ("c/z", false), ("c/z/y", false), ("d", false), ("d", true), ("d-", false), ("d0", false)];
    for (name, is_dir) in outside.into_iter().chain([("d0/a", false), ("e", false), ("e/a", true)]) {
        let after = Position { path: cx.path(name)?, is_dir };
        let expected: &[&str] = if after <= Position::directory(directory.clone()) { &all } else { &[] };
        same_names(&format!("list of d from after {after:?}"), &cx.list(&directory, Some(&after)).await?, expected)?;
    }
    let above = Position::directory(cx.directory().clone());
    same_names("list of d from after what it is in", &cx.list(&directory, Some(&above)).await?, &all)
}

async fn list_tells_sizes(cx: Context) -> Outcome {
    cx.put("file", "12345").await?;
    let mut listing = cx.driver().list(cx.directory(), None).await?;
    while let Some(entry) = futures::TryStreamExt::try_next(&mut listing).await? {
        ensure!(entry.size.is_none_or(|size| size == 5), "list of a file of 5 bytes tells {:?}", entry.size);
    }
    Ok(())
}

async fn operations_beside_open_listings(cx: Context) -> Outcome {
    cx.put_all(&["d/a", "d/b", "d/c"]).await?;
    let directory = cx.path("d")?;
    let mut listing = cx.driver().list(&directory, None).await?;
    let mut walk = cx.driver().walk(&directory, None).await?;
    listing.try_next().await?;
    walk.try_next().await?;
    cx.put("d/new", "new").await?;
    cx.expect_content(&cx.path("d/b")?, b"d/b").await?;
    cx.driver().delete(&cx.path("d/c")?).await?;
    cx.list(&directory, None).await?;
    let rest: Vec<_> = listing.try_collect().await?;
    ensure!(
        cx.names(&rest).contains(&"d/b".to_owned()),
        "the rest of a listing has not what stayed: {:?}",
        cx.names(&rest)
    );
    drop(walk);
    for _ in 0..100 {
        cx.driver().list(&directory, None).await?.try_next().await?;
    }
    same_names("list after a hundred that were dropped", &cx.list(&directory, None).await?, &["d/a", "d/b", "d/new"])
}

async fn list_of_missing(cx: Context) -> Outcome {
    cx.put("abc/file", "x").await?;
    for name in ["missing", "ab"] {
        let result = cx.driver().list(&cx.path(name)?, None).await.map(|_| ());
        expect_kind(&format!("list of the missing {name}"), result, "path-not-found")?;
    }
    Ok(())
}

async fn list_of_a_file(cx: Context) -> Outcome {
    let path = cx.put("file", "x").await?;
    expect_kind("list of a file", cx.driver().list(&path, None).await.map(|_| ()), "path-not-found")
}

async fn emptied_directory(cx: Context) -> Outcome {
    let file = cx.put("d/e/file", "x").await?;
    cx.put("other", "x").await?;
    cx.driver().delete(&file).await?;
    for name in ["d/e", "d"] {
        let path = cx.path(name)?;
        match cx.driver().stat(&path).await {
            Ok(info) => ensure!(info.is_dir && info.size == 0, "stat of an emptied directory: got {info:?}"),
            Err(error) => expect_kind("stat of an emptied directory", Err::<(), _>(error), "path-not-found")?,
        }
        match cx.driver().list(&path, None).await {
            Ok(entries) => {
                let entries: Vec<_> = futures::TryStreamExt::try_collect(entries).await?;
                let names = cx.names(&entries);
                ensure!(names.iter().all(|name| name == "d/e/"), "list of the emptied {name}: got {names:?}");
            }
            Err(error) => expect_kind("list of an emptied directory", Err::<(), _>(error), "path-not-found")?,
        }
    }
    // It does not keep its place from being used.
    cx.put("d/e/file", "again").await?;
    cx.expect_content(&file, b"again").await
}

async fn list_of_the_root(cx: Context) -> Outcome {
    cx.put("file", "x").await?;
    let names = cx.list(&StoragePath::root(), None).await?;
    let own = format!("{}/", cx.directory());
    ensure!(names.contains(&own), "list of / does not hold {own}");
    Ok(())
}

async fn list_hides_temporaries(cx: Context) -> Outcome {
    cx.put("put", "x").await?;
    cx.put("put", "y").await?;
    cx.write(&cx.path("upload")?, wharf::contract::WriteMode::New, "x").await?.commit().await?;
    same_names("list", &cx.list(cx.directory(), None).await?, &["put", "upload"])
}

async fn files_in_the_root(cx: Context) -> Outcome {
    // The directory's name is the case's own, and so are those that it begins.
    let paths = ["put", "moved"].map(|name| StoragePath::parse(format!("{}-{name}", cx.directory())));
    let [put, moved] = paths;
    let (put, moved) = (put?, moved?);
    let done = root_files(&cx, &put, &moved).await;
    // They are not below the directory that is deleted after every case.
    cx.driver().delete_files(&[put, moved]).await?;
    done
}

async fn root_files(cx: &Context, put: &StoragePath, moved: &StoragePath) -> Outcome {
    let root = StoragePath::root();
    cx.driver().put_content(put, "put".into()).await?;
    cx.expect_content(put, b"put").await?;
    ensure!(!cx.driver().stat(put).await?.is_dir, "stat of a file below the root: it is a directory");
    cx.driver().move_file(put, moved).await?;
    cx.write(put, WriteMode::New, "written").await?.commit().await?;
    let listed: Vec<Entry> = cx.driver().list(&root, None).await?.try_collect().await?;
    for path in [put, moved] {
        let files = listed.iter().filter(|entry| entry.path == *path && !entry.is_dir).count();
        ensure!(files == 1, "list of / has the file {path} {files} times");
    }
    cx.expect_content(put, b"written").await?;
    cx.expect_content(moved, b"put").await?;
    cx.driver().delete(put).await?;
    cx.expect_missing(put, "delete").await?;
    cx.expect_content(moved, b"put").await
}
