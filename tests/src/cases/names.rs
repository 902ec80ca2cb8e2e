//! Which names can be stored, and that different ones are different files.

use wharf::contract::{Error, StoragePath, WriteMode};

use super::{Case, case};
use crate::context::{ensure, expect_kind, same_names};
use crate::{Context, Failure, Outcome};

/// The longest component that is taken.
const LONGEST_NAME: usize = 255;

/// The longest path that is taken.
const LONGEST_PATH: usize = 1000;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(paths_of_the_grammar, "every path of the grammar can be stored"),
        case!(names_that_look_special, "names that other systems reserve are ordinary names"),
        case!(names_differ_by_case, "names that differ only in case are different files"),
        case!(names_differ_by_dots, "names that differ only in dots at their end are different files"),
        case!(names_are_no_patterns, "a name that reads as a pattern is an ordinary name, and means no other"),
        case!(long_names, "a component of 255 bytes is taken by every operation"),
        case!(long_paths, "a path of 1,000 bytes is taken by every operation"),
        case!(beyond_the_limits, "a longer name or path is taken, or refused as invalid-path, and never cut"),
        case!(deep_paths, "a path of 30 components in its directory is taken"),
        case!(deepest_paths, "a path of more than 200 components is taken by every operation").heavy(),
    ]
}

async fn stored_all(cx: &Context, names: &[&str]) -> Outcome {
    cx.put_all(names).await?;
    let walked = cx.walk(cx.directory(), None).await?;
    for name in names {
        let path = cx.path(name)?;
        cx.expect_content(&path, name.as_bytes()).await?;
        let listed = walked.iter().any(|entry| entry.path == path && !entry.is_dir);
        ensure!(listed, "walk does not show the file {path}");
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

/// Stores files of names that are easily taken for one another, and deletes one after the other: the rest stays.
async fn all_are_different(cx: &Context, names: &[&str]) -> Outcome {
    stored_all(cx, names).await?;
    for (index, name) in names.iter().enumerate() {
        let path = cx.path(name)?;
        let info = cx.driver().stat(&path).await?;
        ensure!(info.path == path && info.size == name.len() as u64, "stat of {path} beside {names:?}: got {info:?}");
        cx.driver().delete(&path).await?;
        cx.expect_missing(&path, "its delete").await?;
        for kept in &names[index + 1..] {
            cx.expect_content(&cx.path(kept)?, kept.as_bytes()).await?;
        }
    }
    Ok(())
}

async fn names_differ_by_case(cx: Context) -> Outcome {
    all_are_different(&cx, &["File", "file", "FILE", "Dir/x", "dir/x", "dir/X"]).await
}

async fn names_differ_by_dots(cx: Context) -> Outcome {
    all_are_different(&cx, &["a", "a.", "a..", "d./x", "d/x", "d/x."]).await
}

async fn names_are_no_patterns(cx: Context) -> Outcome {
    // `_` is any byte to LIKE, and `.` to a regular expression.
    let names = ["a_b", "a.b", "a-b", "axb"];
    for name in names {
        cx.put_all(&[&format!("{name}/{name}"), &format!("{name}/d/x"), &format!("f/{name}")]).await?;
    }
    for (index, name) in names.into_iter().enumerate() {
        let (directory, file) = (cx.path(name)?, cx.path(&format!("f/{name}"))?);
        let expected = [format!("{name}/{name}"), format!("{name}/d/")];
        let mut listed = cx.list(&directory, None).await?;
        listed.sort_unstable();
        let mut expected = expected.each_ref().map(String::as_str);
        expected.sort_unstable();
        same_names(&format!("list of {name} beside {names:?}"), &listed, &expected)?;
        cx.driver().delete(&directory).await?;
        cx.expect_missing(&directory, "its delete").await?;
        cx.driver().delete_files(std::slice::from_ref(&file)).await?;
        cx.expect_missing(&file, "delete-files").await?;
        for kept in &names[index + 1..] {
            for file in [format!("{kept}/{kept}"), format!("{kept}/d/x"), format!("f/{kept}")] {
                let read = cx.expect_content(&cx.path(&file)?, file.as_bytes()).await;
                read.map_err(|failure| failure.within(&format!("after a delete of {name}")))?;
            }
        }
    }
    Ok(())
}

/// Does every operation with two long paths that differ in their last byte.
async fn taken_by_every_operation(cx: &Context, long: &StoragePath, other: &StoragePath) -> Outcome {
    cx.driver().put_content(long, "put".into()).await?;
    cx.expect_content(long, b"put").await?;
    cx.expect_missing(other, "a put of a path that differs in its last byte").await?;
    cx.driver().move_file(long, other).await?;
    cx.expect_content(other, b"put").await?;
    cx.expect_missing(long, "a move away").await?;
    cx.write(long, WriteMode::New, "written").await?.commit().await?;
    cx.expect_content(long, b"written").await?;
    cx.expect_content(other, b"put").await?;
    if cx.capabilities().resumable {
        cx.write(long, WriteMode::New, "writ").await?.close().await?;
        cx.write(long, WriteMode::Append, "ten").await?.commit().await?;
        cx.expect_content(long, b"written").await?;
    }
    let parent = long.parent().unwrap_or_else(StoragePath::root);
    let names: Vec<String> = cx.list(&parent, None).await?;
    let mut expected = [cx.relative(long), cx.relative(other)];
    expected.sort_unstable();
    same_names("list of two long names", &names, &expected)?;
    cx.driver().delete_files(std::slice::from_ref(other)).await?;
    cx.expect_missing(other, "delete-files").await?;
    cx.expect_content(long, b"written").await?;
    cx.driver().delete(long).await?;
    cx.expect_missing(long, "a delete").await
}

async fn long_names(cx: Context) -> Outcome {
    let long = "n".repeat(LONGEST_NAME - 1);
    taken_by_every_operation(&cx, &cx.path(&format!("{long}1"))?, &cx.path(&format!("{long}2"))?).await
}

async fn long_paths(cx: Context) -> Outcome {
    let mut path = cx.path("d")?.as_str().to_owned();
    while path.len() + 102 < LONGEST_PATH {
        path = format!("{path}/{}", "p".repeat(99));
    }
    let last = "p".repeat(LONGEST_PATH - path.len() - 2);
    let (long, other) =
        (StoragePath::parse(format!("{path}/{last}1"))?, StoragePath::parse(format!("{path}/{last}2"))?);
    ensure!(long.as_str().len() == LONGEST_PATH, "the case itself is wrong: {} bytes", long.as_str().len());
    taken_by_every_operation(&cx, &long, &other).await
}

/// Fails unless an operation that looks for a path which the driver refuses finds nothing there, and is not retried: a store
/// that refuses a question without a word, as one over HTTP does with a HEAD, leaves the driver no better kind than `other`.
fn expect_nothing<T>(done: &str, result: Result<T, Error>) -> Outcome {
    match result {
        Err(error) if matches!(error.kind().name(), "invalid-path" | "other") => Ok(()),
        other => expect_kind(done, other, "path-not-found"),
    }
}

/// Fails unless every operation with a path which `put_content` refused finds nothing or refuses it too.
async fn refused_by_every_operation(cx: &Context, path: &StoragePath, what: &str) -> Outcome {
    let driver = cx.driver();
    expect_nothing(&format!("get-content of {what}"), driver.get_content(path).await)?;
    expect_nothing(&format!("reader of {what}"), driver.reader(path, Default::default()).await)?;
    expect_nothing(&format!("stat of {what}"), driver.stat(path).await)?;
    expect_nothing(&format!("list of {what}"), driver.list(path, None).await.map(|_| ()))?;
    expect_nothing(&format!("delete of {what}"), driver.delete(path).await)?;
    expect_nothing(&format!("move of {what}"), driver.move_file(path, &cx.path("moved")?).await)?;
    let source = cx.put("source", "kept").await?;
    expect_kind(&format!("move to {what}"), driver.move_file(&source, path).await, "invalid-path")?;
    cx.expect_content(&source, b"kept").await?;
    let written = async {
        let mut writer = driver.writer(path, WriteMode::New).await?;
        writer.write("written".into()).await?;
        writer.commit().await
    };
    expect_kind(&format!("a writer of {what}"), written.await, "invalid-path")
}

async fn beyond_the_limits(cx: Context) -> Outcome {
    let long = |count: usize, last: char| format!("{}{last}", vec!["p".repeat(99); count].join("/"));
    let pairs = [
        ("a name of 256 bytes", ["n".repeat(255) + "1", "n".repeat(255) + "2"]),
        ("a name of 400 bytes", ["n".repeat(399) + "1", "n".repeat(399) + "2"]),
        ("a path of more than 1,200 bytes", [long(12, '1'), long(12, '2')]),
        ("a path of more than 5,000 bytes", [long(50, '1'), long(50, '2')]),
    ];
    for (what, [name, other]) in pairs {
        let (path, other) = (cx.path(&name)?, cx.path(&other)?);
        match cx.driver().put_content(&path, "put".into()).await {
            Ok(()) => {
                cx.expect_content(&path, b"put").await?;
                cx.expect_missing(&other, &format!("a put of {what}, which differs in its last byte")).await?;
                cx.driver().delete(&path).await?;
                cx.expect_missing(&path, "its delete").await?;
            }
            Err(error) if error.kind().name() == "invalid-path" => {
                refused_by_every_operation(&cx, &path, what).await?;
            }
            Err(error) => {
                let message = format!("put-content of {what}: expected success or invalid-path, got {error}");
                return Err(Failure::of(&error, message));
            }
        }
    }
    Ok(())
}

async fn deep_paths(cx: Context) -> Outcome {
    stored_all(&cx, &[&vec!["d"; 30].join("/")]).await
}

async fn deepest_paths(cx: Context) -> Outcome {
    let mut name = "d".to_owned();
    while cx.path(&name)?.as_str().len() + 4 <= LONGEST_PATH {
        name.push_str("/ddd");
    }
    let (path, top) = (cx.put(&name, "deep").await?, cx.path("d")?);
    let beside = path.parent().unwrap_or_else(StoragePath::root).join("e")?;
    cx.expect_content(&path, b"deep").await?;
    let parent = path.parent().unwrap_or_else(StoragePath::root);
    same_names("list of the deepest directory", &cx.list(&parent, None).await?, &[&name])?;
    cx.driver().move_file(&path, &beside).await?;
    cx.expect_content(&beside, b"deep").await?;
    cx.write(&path, WriteMode::New, "written").await?.commit().await?;
    cx.expect_content(&path, b"written").await?;
    cx.driver().delete(&top).await?;
    for gone in [&path, &beside] {
        cx.expect_missing(gone, "a delete of the directory far above").await?;
    }
    Ok(())
}
