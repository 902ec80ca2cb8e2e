//! `stat`.

use wharf::contract::StoragePath;

use super::{Case, case};
use crate::context::{ensure, expect_kind, pattern};
use crate::{Context, Outcome};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(stat_of_a_file, "stat of a file tells its path and its size"),
        case!(stat_of_a_directory, "stat of a directory: a directory of size 0"),
        case!(stat_of_missing, "stat of a missing path, a prefix of a name included, is path-not-found"),
        case!(stat_of_the_root, "the root is a directory"),
        case!(root_of_an_empty_store, "stat and list of the root of an empty store succeed").empty_store(),
    ]
}

async fn stat_of_a_file(cx: Context) -> Outcome {
    for size in [1, 4096, 100_001] {
        let path = cx.put("d/file", pattern(1, size)).await?;
        let info = cx.driver().stat(&path).await?;
        let right = !info.is_dir && info.size == size as u64 && info.path == path;
        ensure!(right, "stat of {path}: expected a file of {size} bytes, got {info:?}");
    }
    Ok(())
}

async fn stat_of_a_directory(cx: Context) -> Outcome {
    cx.put("d/e/file", "x").await?;
    for name in ["d", "d/e"] {
        let path = cx.path(name)?;
        let info = cx.driver().stat(&path).await?;
        ensure!(info.is_dir && info.size == 0 && info.path == path, "stat of a directory: got {info:?}");
    }
    Ok(())
}

async fn stat_of_missing(cx: Context) -> Outcome {
    cx.put_all(&["abc", "d/abc"]).await?;
    for name in ["ab", "abcd", "d/ab", "e"] {
        let result = cx.driver().stat(&cx.path(name)?).await;
        expect_kind(&format!("stat of the missing {name}"), result, "path-not-found")?;
    }
    Ok(())
}

async fn stat_of_the_root(cx: Context) -> Outcome {
    cx.put("file", "x").await?;
    let info = cx.driver().stat(&StoragePath::root()).await?;
    ensure!(info.is_dir && info.size == 0 && info.path.is_root(), "stat of /: expected a directory, got {info:?}");
    Ok(())
}

async fn root_of_an_empty_store(cx: Context) -> Outcome {
    let root = StoragePath::root();
    let info = cx.driver().stat(&root).await?;
    ensure!(info.is_dir && info.size == 0, "stat of / on an empty store: expected a directory, got {info:?}");
    let names = cx.list(&root, None).await?;
    ensure!(names.is_empty(), "list of / on an empty store: got {names:?}");
    let walked = cx.walk(&root, None).await?;
    ensure!(walked.is_empty(), "walk of / on an empty store: got {walked:?}");
    Ok(())
}
