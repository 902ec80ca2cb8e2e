//! What a driver keeps when it is closed and opened again.

use wharf::contract::WriteMode;

use super::{Case, case};
use crate::context::{ensure, expect_kind, read, same_bytes};
use crate::{Context, Outcome};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(stored_outlives_the_driver, "What was stored is there when the driver was closed and opened again.")
            .reopens(),
    ]
}

async fn stored_outlives_the_driver(context: Context) -> Outcome {
    let replaced = context.put("replaced", "old").await?;
    let deleted = context.put("deleted", "x").await?;
    let moved = context.put("before", "moved").await?;
    context.put("replaced", "new, and longer").await?;
    context.driver().delete(&deleted).await?;
    let to = context.path("after")?;
    context.driver().move_file(&moved, &to).await?;
    let committed = context.path("committed")?;
    context.write(&committed, WriteMode::New, "committed").await?.commit().await?;
    let upload = context.path("upload")?;
    let resumable = context.capabilities().resumable;
    if resumable {
        context.write(&upload, WriteMode::New, "begun, ").await?.close().await?;
    }

    let before = context.driver().stat(&replaced).await?;
    let context = context.reopened().await?;
    let after = context.driver().stat(&replaced).await?;
    ensure!(
        (before.size, before.modified) == (after.size, after.modified),
        "stat of {replaced}: {before:?}, and {after:?} after the driver was opened again"
    );
    for (path, content) in [(&replaced, "new, and longer"), (&to, "moved"), (&committed, "committed")] {
        let got = read(context.driver(), path, wharf::contract::ByteRange::ALL).await?;
        same_bytes(&format!("reading {path} after the driver was opened again"), &got, content.as_bytes())?;
    }
    for path in [&deleted, &moved] {
        expect_kind(
            &format!("stat of {path}, which was gone, after the driver was opened again"),
            context.driver().stat(path).await,
            "path-not-found",
        )?;
    }
    if resumable {
        context.write(&upload, WriteMode::Append, "continued").await?.commit().await?;
        context.expect_content(&upload, b"begun, continued").await?;
    }
    Ok(())
}
