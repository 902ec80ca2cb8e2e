//! `move_file`.

use wharf::contract::{MAX_CONTENT, WriteMode};

use super::{Case, case};
use crate::context::{ensure, expect_kind, pattern};
use crate::{Context, Outcome};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(move_moves, "a move takes the content to the destination and leaves no source"),
        case!(move_replaces, "a move replaces the destination"),
        case!(move_of_a_large_file, "a move of more than 16 MiB takes all of it").holds_much().heavy(),
        case!(move_of_missing, "a move of a missing file is path-not-found and changes nothing"),
        case!(move_of_a_directory, "a move of a directory is path-not-found and changes nothing"),
        case!(move_onto_itself, "a move onto itself changes nothing").by_base(),
        case!(move_of_missing_onto_itself, "a move of a missing file onto itself is path-not-found").by_base(),
        case!(move_below_a_file, "a move or a commit below a file: invalid-path or accepted, never damage"),
        case!(move_where_a_directory_is, "a move to where a directory is: invalid-path or accepted, never damage"),
    ]
}

async fn move_moves(cx: Context) -> Outcome {
    let content = pattern(1, 100_000);
    let source = cx.put("from/file", content.clone()).await?;
    let destination = cx.path("new/directories/file")?;
    cx.driver().move_file(&source, &destination).await?;
    cx.expect_content(&destination, &content).await?;
    let size = cx.driver().stat(&destination).await?.size;
    ensure!(size == 100_000, "stat of a moved file of 100000 bytes tells {size}");
    cx.expect_missing(&source, "a move away").await?;
    for small in ["", "x"] {
        let (source, destination) = (cx.put("small", small).await?, cx.path("moved/small")?);
        cx.driver().move_file(&source, &destination).await?;
        cx.expect_content(&destination, small.as_bytes()).await?;
    }
    Ok(())
}

async fn move_replaces(cx: Context) -> Outcome {
    let source = cx.put("source", "new").await?;
    let destination = cx.put("destination", "old and longer").await?;
    cx.driver().move_file(&source, &destination).await?;
    cx.expect_content(&destination, b"new").await?;
    cx.expect_missing(&source, "a move away").await
}

async fn move_of_a_large_file(cx: Context) -> Outcome {
    let content = pattern(1, MAX_CONTENT as usize + 1_000_001);
    let (source, destination) = (cx.path("source")?, cx.put("destination", "old").await?);
    let mut writer = cx.driver().writer(&source, WriteMode::New).await?;
    for at in (0..content.len()).step_by(4 << 20) {
        writer.write(content.slice(at..content.len().min(at + (4 << 20)))).await?;
    }
    writer.commit().await?;
    cx.driver().move_file(&source, &destination).await?;
    cx.expect_content(&destination, &content).await?;
    cx.expect_missing(&source, "a move away").await
}

async fn move_of_missing(cx: Context) -> Outcome {
    let (missing, kept, other) = (cx.path("missing")?, cx.put("kept", "kept").await?, cx.path("other")?);
    expect_kind("move of a missing file", cx.driver().move_file(&missing, &kept).await, "path-not-found")?;
    cx.expect_content(&kept, b"kept").await?;
    expect_kind("move of a missing file", cx.driver().move_file(&missing, &other).await, "path-not-found")?;
    cx.expect_missing(&other, "a refused move to it").await
}

async fn move_of_a_directory(cx: Context) -> Outcome {
    let inner = cx.put("directory/file", "kept").await?;
    let destination = cx.path("destination")?;
    let result = cx.driver().move_file(&cx.path("directory")?, &destination).await;
    expect_kind("move of a directory", result, "path-not-found")?;
    cx.expect_missing(&destination, "a refused move to it").await?;
    cx.expect_content(&inner, b"kept").await
}

async fn move_of_missing_onto_itself(cx: Context) -> Outcome {
    let path = cx.path("missing")?;
    expect_kind("move of a missing file onto itself", cx.driver().move_file(&path, &path).await, "path-not-found")
}

async fn move_where_a_directory_is(cx: Context) -> Outcome {
    let (source, inner) = (cx.put("source", "moved").await?, cx.put("directory/file", "kept").await?);
    let destination = cx.path("directory")?;
    match cx.driver().move_file(&source, &destination).await {
        Ok(()) => cx.expect_content(&destination, b"moved").await?,
        Err(error) => {
            expect_kind("move to where a directory is", Err::<(), _>(error), "invalid-path")?;
            cx.expect_content(&source, b"moved").await?;
        }
    }
    cx.expect_content(&inner, b"kept").await
}

async fn move_below_a_file(cx: Context) -> Outcome {
    let file = cx.put("file", "kept").await?;
    for below in ["file/x", "file/x/y"] {
        let (source, destination) = (cx.put("source", "moved").await?, cx.path(below)?);
        let at = match cx.driver().move_file(&source, &destination).await {
            Ok(()) => &destination,
            Err(error) => {
                expect_kind(&format!("move to {below}, below a file"), Err::<(), _>(error), "invalid-path")?;
                &source
            }
        };
        cx.expect_content(at, b"moved").await?;
        cx.expect_content(&file, b"kept").await?;
        let committed = async {
            let mut writer = cx.driver().writer(&destination, WriteMode::New).await?;
            writer.write("committed".into()).await?;
            writer.commit().await
        };
        match committed.await {
            Ok(_) => cx.expect_content(&destination, b"committed").await?,
            Err(error) => {
                expect_kind(&format!("commit at {below}, below a file"), Err::<(), _>(error), "invalid-path")?
            }
        }
        cx.expect_content(&file, b"kept").await?;
    }
    Ok(())
}

async fn move_onto_itself(cx: Context) -> Outcome {
    let path = cx.put("file", "kept").await?;
    cx.driver().move_file(&path, &path).await?;
    cx.expect_content(&path, b"kept").await
}
