//! `delete` and `delete_files`.

use wharf::contract::WriteMode;

use super::{Case, case};
use crate::context::{expect_kind, pattern};
use crate::{Context, Outcome};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(delete_of_a_file, "a deleted file is gone"),
        case!(delete_is_recursive, "a deleted directory is gone with all that lies below it"),
        case!(delete_keeps_siblings, "a delete of /a leaves /a-b, /a.b and /ab"),
        case!(delete_of_missing, "a delete of a missing path is path-not-found"),
        case!(delete_takes_uploads, "a delete takes the unfinished uploads at a path and below it")
            .needs(&["resumable"]),
        case!(
            delete_beside_an_open_upload,
            "of an upload whose directory is deleted, a commit makes the file whole or fails"
        ),
        case!(delete_files_deletes, "delete-files deletes exactly those files"),
        case!(delete_files_of_a_directory, "delete-files of a directory's path deletes nothing and is no error"),
        case!(delete_files_of_missing, "delete-files takes missing ones, and may be repeated"),
    ]
}

async fn delete_of_a_file(cx: Context) -> Outcome {
    let path = cx.put("file", "x").await?;
    cx.driver().delete(&path).await?;
    cx.expect_missing(&path, "delete").await
}

async fn delete_is_recursive(cx: Context) -> Outcome {
    let names = ["d/one", "d/e/two", "d/e/f/three"];
    cx.put_all(&names).await?;
    cx.driver().delete(&cx.path("d")?).await?;
    for name in names.into_iter().chain(["d", "d/e"]) {
        cx.expect_missing(&cx.path(name)?, "delete of d").await?;
    }
    Ok(())
}

async fn delete_keeps_siblings(cx: Context) -> Outcome {
    let siblings = ["a-b", "a.b", "ab", "ab-/x", "A", "a0/a/x"];
    cx.put_all(&siblings).await?;
    cx.put_all(&["a/x"]).await?;
    cx.driver().delete(&cx.path("a")?).await?;
    cx.expect_missing(&cx.path("a/x")?, "delete of a").await?;
    for name in siblings {
        cx.expect_content(&cx.path(name)?, name.as_bytes()).await?;
    }
    // A path of which only siblings are left is missing, and they are not its own.
    expect_kind(
        "delete of a, of which only siblings are left",
        cx.driver().delete(&cx.path("a")?).await,
        "path-not-found",
    )?;
    for name in siblings {
        cx.expect_content(&cx.path(name)?, name.as_bytes()).await?;
    }
    Ok(())
}

async fn delete_of_missing(cx: Context) -> Outcome {
    expect_kind("delete of a missing path", cx.driver().delete(&cx.path("missing")?).await, "path-not-found")
}

async fn delete_takes_uploads(cx: Context) -> Outcome {
    cx.put("d/file", "x").await?;
    let upload = cx.path("d/e/upload")?;
    cx.write(&upload, WriteMode::New, "x").await?.close().await?;
    cx.driver().delete(&cx.path("d")?).await?;
    let result = cx.driver().writer(&upload, WriteMode::Append).await.map(|_| ());
    expect_kind("append to an upload below a deleted directory", result, "path-not-found")?;
    let replaced = cx.put("replaced", "old").await?;
    cx.write(&replaced, WriteMode::New, "new").await?.close().await?;
    cx.driver().delete(&replaced).await?;
    let result = cx.driver().writer(&replaced, WriteMode::Append).await.map(|_| ());
    expect_kind("append to an upload over a file that was deleted", result, "path-not-found")
}

async fn delete_beside_an_open_upload(cx: Context) -> Outcome {
    let content = pattern(1, 200_000);
    cx.put("d/other", "x").await?;
    let path = cx.path("d/e/file")?;
    let mut writer = cx.write(&path, WriteMode::New, content.slice(..100_000)).await?;
    cx.driver().delete(&cx.path("d")?).await?;
    let committed = match writer.write(content.slice(100_000..)).await {
        Ok(()) => writer.commit().await,
        Err(error) => writer.cancel().await.and(Err(error)),
    };
    match committed {
        Ok(_) => cx.expect_content(&path, &content).await,
        // That it was ended by the delete is an error of any kind; that it is still there is none.
        Err(_) => cx.expect_missing(&path, "a commit that failed, of an upload whose directory was deleted").await,
    }
}

async fn delete_files_deletes(cx: Context) -> Outcome {
    cx.put_all(&["d/a", "d/b", "d/a-b", "d/c"]).await?;
    cx.driver().delete_files(&[cx.path("d/a")?, cx.path("d/c")?]).await?;
    cx.expect_missing(&cx.path("d/a")?, "delete-files").await?;
    cx.expect_missing(&cx.path("d/c")?, "delete-files").await?;
    cx.expect_content(&cx.path("d/b")?, b"d/b").await?;
    cx.expect_content(&cx.path("d/a-b")?, b"d/a-b").await
}

async fn delete_files_of_a_directory(cx: Context) -> Outcome {
    cx.put_all(&["d/e/file", "d/file", "file"]).await?;
    let paths = [cx.path("d/e")?, cx.path("d")?, cx.path("file")?];
    cx.driver().delete_files(&paths).await?;
    cx.expect_missing(&cx.path("file")?, "delete-files").await?;
    for name in ["d/e/file", "d/file"] {
        cx.expect_content(&cx.path(name)?, name.as_bytes()).await?;
    }
    Ok(())
}

async fn delete_files_of_missing(cx: Context) -> Outcome {
    cx.put_all(&["a", "b"]).await?;
    // One is there when it is named first, and missing when it is named again.
    let paths = [cx.path("missing")?, cx.path("a")?, cx.path("no/such")?, cx.path("a")?];
    cx.driver().delete_files(&paths).await?;
    cx.driver().delete_files(&paths).await?;
    cx.driver().delete_files(&[]).await?;
    cx.expect_missing(&cx.path("a")?, "delete-files").await?;
    cx.expect_content(&cx.path("b")?, b"b").await
}
