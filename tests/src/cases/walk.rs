//! `walk`.

use wharf::contract::{Cursor, Position, StorageDriverExt, WalkStep};

use super::{Case, case};
use crate::context::{ensure, expect_kind, same_names};
use crate::{Context, Outcome};

const FILES: [&str; 8] = ["a-b", "a.b", "a/x", "a/y/z", "a0", "ab/1", "ab/2", "b"];
const WALKED: [&str; 11] = ["a-b", "a.b", "a/", "a/x", "a/y/", "a/y/z", "a0", "ab/", "ab/1", "ab/2", "b"];

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(walk_in_order, "walk returns every file and directory below, in byte order of paths"),
        case!(walk_from_every_cursor, "a walk from a cursor is exactly the rest of the whole walk"),
        case!(walk_from_outside, "a walk from a cursor outside the directory returns all or nothing, by its place"),
        case!(walk_skips_directories, "a skipped directory is passed over, and nothing else"),
        case!(walk_stops, "a stopped walk ends successfully, and goes on from there later"),
        case!(walk_of_missing, "walk of a missing directory is path-not-found"),
        case!(walk_of_a_file, "walk of a file is path-not-found"),
    ]
}

async fn walk_in_order(cx: Context) -> Outcome {
    cx.put_all(&FILES).await?;
    same_names("walk", &cx.names(&cx.walk(cx.directory(), None).await?), &WALKED)?;
    same_names("walk of a", &cx.names(&cx.walk(&cx.path("a")?, None).await?), &["a/x", "a/y/", "a/y/z"])
}

async fn walk_from_every_cursor(cx: Context) -> Outcome {
    cx.put_all(&FILES).await?;
    let all = cx.walk(cx.directory(), None).await?;
    same_names("walk", &cx.names(&all), &WALKED)?;
    let mut positions: Vec<Position> = all.iter().map(|entry| entry.position()).collect();
    for missing in ["a", "a/w", "a/y/zz", "aa/q", "c"] {
        positions.push(Position::file(cx.path(missing)?));
        positions.push(Position::directory(cx.path(missing)?));
    }
    for after in positions {
        for below in [true, false] {
            let cursor = Cursor { after: after.clone(), below };
            let rest: Vec<_> = all.iter().filter(|entry| cursor.admits(&entry.position())).cloned().collect();
            let (got, rest) = (cx.names(&cx.walk(cx.directory(), Some(&cursor)).await?), cx.names(&rest));
            ensure!(got == rest, "walk from {cursor:?}: expected {rest:?}, got {got:?}");
        }
    }
    Ok(())
}

async fn walk_from_outside(cx: Context) -> Outcome {
    cx.put_all(&FILES).await?;
    let directory = cx.path("a")?;
    let all = cx.walk(&directory, None).await?;
    let outside = ["A", "A/x", "a-b", "a", "a.b/c", "a0", "a0/x", "b"];
    let mut positions = vec![Position::directory(cx.directory().clone())];
    for name in outside {
        positions.push(Position::file(cx.path(name)?));
        positions.push(Position::directory(cx.path(name)?));
    }
    for after in positions {
        for below in [true, false] {
            let cursor = Cursor { after: after.clone(), below };
            let rest: Vec<_> = all.iter().filter(|entry| cursor.admits(&entry.position())).cloned().collect();
            let (got, rest) = (cx.names(&cx.walk(&directory, Some(&cursor)).await?), cx.names(&rest));
            ensure!(got == rest, "walk of a from {cursor:?}: expected {rest:?}, got {got:?}");
        }
    }
    Ok(())
}

/// Walks with a visitor and returns what it was shown.
async fn visit(cx: &Context, start: Option<Cursor>, step: fn(&str) -> WalkStep) -> Result<Vec<String>, crate::Failure> {
    let seen = std::sync::Mutex::new(Vec::new());
    // On a thread of its own: the future of `walk_with` cannot be sent to another.
    let (cx2, handle) = (cx.clone(), tokio::runtime::Handle::current());
    let joined = tokio::task::spawn_blocking(move || {
        handle.block_on(async {
            cx2.driver
                .walk_with(cx2.directory(), start.as_ref(), async |entry| {
                    let step = step(entry.path.file_name().unwrap_or_default());
                    seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(entry.clone());
                    Ok(step)
                })
                .await?;
            Ok::<_, wharf::contract::Error>(seen.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()))
        })
    });
    let entries = joined.await.map_err(|error| crate::Failure::new(format!("the walk panicked: {error}")))??;
    Ok(cx.names(&entries))
}

async fn walk_skips_directories(cx: Context) -> Outcome {
    cx.put_all(&FILES).await?;
    let skip = |name: &str| if name == "a" { WalkStep::SkipDirectory } else { WalkStep::Continue };
    let expected = ["a-b", "a.b", "a/", "a0", "ab/", "ab/1", "ab/2", "b"];
    same_names("walk that skips a", &visit(&cx, None, skip).await?, &expected)
}

async fn walk_stops(cx: Context) -> Outcome {
    cx.put_all(&FILES).await?;
    let stop = |name: &str| if name == "a0" { WalkStep::Stop } else { WalkStep::Continue };
    same_names("walk stopped at a0", &visit(&cx, None, stop).await?, &WALKED[..7])?;
    let cursor = Cursor { after: Position::file(cx.path("a0")?), below: true };
    same_names("walk continued after a0", &visit(&cx, Some(cursor), |_| WalkStep::Continue).await?, &WALKED[7..])
}

async fn walk_of_missing(cx: Context) -> Outcome {
    cx.put("abc/file", "x").await?;
    let result = cx.driver().walk(&cx.path("ab")?, None).await.map(|_| ());
    expect_kind("walk of a missing directory", result, "path-not-found")
}

async fn walk_of_a_file(cx: Context) -> Outcome {
    let path = cx.put("file", "x").await?;
    expect_kind("walk of a file", cx.driver().walk(&path, None).await.map(|_| ()), "path-not-found")
}
