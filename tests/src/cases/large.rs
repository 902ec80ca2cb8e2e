//! Directories larger than a page of any store: what a listing, a walk and a delete of more than a page return.

use futures::TryStreamExt;
use wharf::contract::{Cursor, MAX_DELETE_FILES, Position, StoragePath};

use super::{Case, case};
use crate::context::{ensure, expect_kind};
use crate::large::{DIRECTORIES, FILES, SIBLINGS, name};
use crate::{Context, Failure, Outcome};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(list_of_ten_thousand, "list returns the whole of any number of pages").on_large(),
        case!(list_from_any_page, "list from after a position returns all that comes after it, on any number of pages")
            .on_large(),
        case!(list_of_its_parent, "a directory of more than a page stands once in the listing of its parent")
            .on_large(),
        case!(
            list_of_a_thousand_directories,
            "list returns each of more than a page of directories once, from any position"
        )
        .on_large(),
        case!(walk_of_ten_thousand, "a walk, and one from a cursor, returns the whole of any number of pages")
            .on_large(),
        case!(delete_files_of_a_thousand, "delete-files takes a thousand files, and deletes each of them and no other")
            .on_large()
            .last(),
        case!(delete_of_a_large_directory, "a directory of more than a page is deleted with all that lies below it")
            .on_large()
            .last(),
    ]
}

/// Fails unless the paths are those of the files from `first` on.
fn expect_files(done: &str, many: &StoragePath, got: &[StoragePath], first: usize) -> Outcome {
    let prefix = many.as_prefix();
    let expected = FILES.saturating_sub(first);
    ensure!(
        got.len() == expected,
        "{done}: expected {expected} entries, got {}, from {:?} to {:?}",
        got.len(),
        got.first(),
        got.last()
    );
    for (index, path) in (first..).zip(got) {
        let right = path.as_str().strip_prefix(&prefix).is_some_and(|got| got == name(index));
        ensure!(right, "{done}: expected {prefix}{}, got {path}", name(index));
    }
    Ok(())
}

async fn list(cx: &Context, path: &StoragePath, after: Option<&Position>) -> Result<Vec<StoragePath>, Failure> {
    Ok(cx.driver().list(path, after).await?.map_ok(|entry| entry.path).try_collect().await?)
}

async fn list_of_ten_thousand(cx: Context) -> Outcome {
    let many = cx.large().await?.join("many")?;
    expect_files("list", &many, &list(&cx, &many, None).await?, 0)
}

async fn list_from_any_page(cx: Context) -> Outcome {
    let many = cx.large().await?.join("many")?;
    // The last entry of a page, the first of the next, one in the middle, and the end.
    for last in [0, 998, 999, 1000, 4999, FILES - 1002, FILES - 2, FILES - 1] {
        let after = Position::file(many.join(&name(last))?);
        let got = list(&cx, &many, Some(&after)).await?;
        expect_files(&format!("list from after the entry of index {last}"), &many, &got, last + 1)?;
    }
    Ok(())
}

async fn list_of_its_parent(cx: Context) -> Outcome {
    let parent = cx.large().await?;
    let entries: Vec<_> = cx.driver().list(&parent, None).await?.try_collect().await?;
    let prefix = parent.as_prefix();
    let got: Vec<_> = entries
        .iter()
        .map(|entry| (entry.path.as_str().strip_prefix(&prefix).unwrap_or(entry.path.as_str()), entry.is_dir))
        .collect();
    let expected = [("many-", false), ("many.d", true), ("many", true), ("many0", false)];
    ensure!(got == expected, "list of the parent of a large directory: expected {expected:?}, got {got:?}");
    let after = Position::directory(parent.join("many")?);
    let rest = list(&cx, &parent, Some(&after)).await?;
    let right = matches!(&rest[..], [only] if only.file_name() == Some("many0"));
    ensure!(right, "list from after a large directory: expected many0, got {} entries", rest.len());
    Ok(())
}

async fn list_of_a_thousand_directories(cx: Context) -> Outcome {
    let parent = cx.large_directories().await?;
    for last in [None, Some(0), Some(998), Some(999), Some(1000), Some(DIRECTORIES - 1)] {
        let (after, first) = match last {
            None => (None, 0),
            Some(last) => (Some(Position::directory(parent.join(&name(last))?)), last + 1),
        };
        let entries: Vec<_> = cx.driver().list(&parent, after.as_ref()).await?.try_collect().await?;
        let done = format!("list of {DIRECTORIES} directories from after that of index {last:?}");
        let got: Vec<_> = entries.iter().map(|entry| entry.path.file_name().unwrap_or_default()).collect();
        let expected: Vec<String> = (first..DIRECTORIES).map(name).collect();
        let at = got.iter().zip(&expected).position(|(got, expected)| got != expected);
        let at = at.unwrap_or(got.len().min(expected.len()));
        ensure!(got == expected, "{done}: {} entries, right are {}; wrong from {at} on", got.len(), expected.len());
        ensure!(entries.iter().all(|entry| entry.is_dir), "{done}: not every entry is a directory");
    }
    let walked = cx.walk(&parent, None).await?;
    ensure!(walked.len() == 2 * DIRECTORIES, "walk of {DIRECTORIES} directories of a file: {} entries", walked.len());
    ensure!(walked.is_sorted_by_key(|entry| entry.position()), "walk of many directories is not in the order of paths");
    Ok(())
}

async fn walk_of_ten_thousand(cx: Context) -> Outcome {
    let parent = cx.large().await?;
    let many = parent.join("many")?;
    let walked = cx.walk(&parent, None).await?;
    let below: Vec<_> =
        walked.iter().filter(|entry| many.contains(&entry.path)).map(|entry| entry.path.clone()).collect();
    let others = walked.len() - below.len();
    // The siblings, the directory that one of them is in, and the large directory.
    ensure!(others == SIBLINGS.len() + 2, "walk of the parent: got {others} entries beside the files");
    ensure!(walked.is_sorted_by_key(|entry| entry.position()), "walk of the parent is not in the order of paths");
    expect_files("walk", &many, &below, 0)?;
    for last in [999, 1000, FILES - 1002] {
        let cursor = Cursor { after: Position::file(many.join(&name(last))?), below: true };
        let walked = cx.walk(&parent, Some(&cursor)).await?;
        let below: Vec<_> = walked.into_iter().map(|entry| entry.path).filter(|path| many.contains(path)).collect();
        expect_files(&format!("walk from after the entry of index {last}"), &many, &below, last + 1)?;
    }
    Ok(())
}

async fn delete_files_of_a_thousand(cx: Context) -> Outcome {
    let many = cx.large().await?.join("many")?;
    let thousand: Result<Vec<_>, _> = (0..MAX_DELETE_FILES).map(|index| many.join(&name(index))).collect();
    // Open while entries go: what stays is seen.
    let mut listing = cx.driver().list(&many, None).await?;
    let mut walk = cx.driver().walk(&many, None).await?;
    for _ in 0..10 {
        listing.try_next().await?;
        walk.try_next().await?;
    }
    cx.driver().delete_files(&thousand?).await?;
    for (by, rest) in [("list", listing), ("walk", walk)] {
        let rest: Vec<StoragePath> = rest.map_ok(|entry| entry.path).try_collect().await?;
        let first = many.join(&name(MAX_DELETE_FILES))?;
        let stayed: Vec<StoragePath> = rest.into_iter().filter(|path| *path >= first).collect();
        let done = format!("the rest of a {by} beside which a thousand entries before it were deleted");
        expect_files(&done, &many, &stayed, MAX_DELETE_FILES)?;
    }
    expect_files("list after delete-files of a thousand", &many, &list(&cx, &many, None).await?, MAX_DELETE_FILES)?;
    for index in [0, MAX_DELETE_FILES - 1] {
        cx.expect_missing(&many.join(&name(index))?, "delete-files of a thousand").await?;
    }
    Ok(())
}

async fn delete_of_a_large_directory(cx: Context) -> Outcome {
    let parent = cx.large().await?;
    let many = parent.join("many")?;
    cx.driver().delete(&many).await?;
    expect_kind("stat of a deleted large directory", cx.driver().stat(&many).await, "path-not-found")?;
    for index in [0, 999, 1000, FILES / 2, FILES - 1] {
        cx.expect_missing(&many.join(&name(index))?, "a delete of its large directory").await?;
    }
    let left = cx.walk(&parent, None).await?;
    let right = left.len() == SIBLINGS.len() + 1 && left.iter().all(|entry| !many.contains(&entry.path));
    ensure!(right, "after a delete of a large directory its parent has {} entries", left.len());
    Ok(())
}
