//! What can be seen while a file is replaced: by a put, a commit or a move.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures::TryStreamExt;
use wharf::contract::{ByteRange, StoragePath, WriteMode};

use super::{Case, case};
use crate::context::{ensure, pattern};
use crate::{Context, Failure, Outcome};

/// How often a file is replaced.
const ROUNDS: usize = 60;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(
            replace_is_never_a_mix,
            "while a put replaces a file, a reader sees the old content, the new, or nothing"
        ),
        case!(reads_are_of_one_file, "while a put replaces a file, a reader tells and gives one content"),
        case!(replace_is_never_absent, "while a put replaces a file, it is never absent").needs(&["atomic-replace"]),
        case!(
            commit_is_never_a_mix,
            "during a commit, a reader sees what was there before it, the new content, or nothing"
        ),
        case!(commit_is_never_absent, "during a commit, the path reads as before it or as the new content")
            .needs(&["atomic-replace"]),
        case!(move_is_never_a_mix, "while a move replaces a file, a reader sees the old content, the new, or nothing"),
        case!(move_is_never_absent, "while a move replaces a file, it is never absent").needs(&["atomic-replace"]),
        case!(move_never_loses_the_content, "during a move, the content is at its source or at its destination"),
    ]
}

/// Does something, and looks again and again until it is done, and at least once.
async fn while_done<L: Future<Output = Outcome>>(
    doing: impl Future<Output = Outcome>,
    mut look: impl FnMut() -> L,
) -> Outcome {
    let done = AtomicBool::new(false);
    let doing = async {
        let result = doing.await;
        done.store(true, Ordering::Relaxed);
        result
    };
    let looking = async {
        loop {
            look().await?;
            if done.load(Ordering::Relaxed) {
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
    };
    futures::future::try_join(doing, looking).await.map(|_| ())
}

/// Returns what a path reads as; none where nothing is.
async fn seen(cx: &Context, path: &StoragePath) -> Result<Option<Bytes>, Failure> {
    match cx.driver().get_content(path).await {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.is_path_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn contents() -> [Bytes; 2] {
    [pattern(1, 60_000), pattern(2, 40_000)]
}

/// Fails unless a look saw one of these.
fn one_of(what: &str, got: &Option<Bytes>, allowed: &[Option<Bytes>]) -> Outcome {
    let length =
        |content: &Option<Bytes>| content.as_ref().map_or("nothing".to_owned(), |c| format!("{} bytes", c.len()));
    ensure!(
        allowed.contains(got),
        "{what} the path read as {} that nobody stored; right were {}",
        length(got),
        allowed.iter().map(length).collect::<Vec<_>>().join(", or ")
    );
    Ok(())
}

async fn replace(cx: Context, may_be_absent: bool) -> Outcome {
    let contents = contents();
    let path = cx.put("file", contents[0].clone()).await?;
    let writing = async {
        for round in 1..ROUNDS {
            cx.driver.put_content(&path, contents[round % 2].clone()).await?;
            tokio::task::yield_now().await;
        }
        Ok(())
    };
    let mut allowed = contents.clone().map(Some).to_vec();
    allowed.extend(may_be_absent.then_some(None));
    while_done(writing, || async { one_of("during a put", &seen(&cx, &path).await?, &allowed) }).await
}

async fn reads_are_of_one_file(cx: Context) -> Outcome {
    let contents = contents();
    let path = cx.put("file", contents[0].clone()).await?;
    let writing = async {
        for round in 1..ROUNDS {
            cx.driver.put_content(&path, contents[round % 2].clone()).await?;
            tokio::task::yield_now().await;
        }
        Ok(())
    };
    while_done(writing, || async {
        let reader = match cx.driver.reader(&path, ByteRange::ALL).await {
            Ok(reader) => reader,
            Err(error) if error.is_path_not_found() => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let size = reader.info().size;
        let chunks: Result<Vec<Bytes>, _> = reader.try_collect().await;
        // What was replaced under it may end in an error, but in no other file.
        let Ok(chunks) = chunks else { return Ok(()) };
        let got = chunks.concat();
        let right = contents.iter().any(|content| *content == got && content.len() as u64 == size);
        ensure!(right, "during a put, a reader told {size} bytes and gave {}, which nobody stored so", got.len());
        Ok(())
    })
    .await
}

async fn replace_is_never_a_mix(cx: Context) -> Outcome {
    replace(cx, true).await
}

async fn replace_is_never_absent(cx: Context) -> Outcome {
    replace(cx, false).await
}

async fn commit(cx: Context, may_be_absent: bool) -> Outcome {
    let contents = contents();
    let path = cx.put("file", contents[0].clone()).await?;
    for round in 1..ROUNDS / 3 {
        let new = contents[round % 2].clone();
        let writer = cx.write(&path, WriteMode::New, new.clone()).await?;
        // Without `hidden-uploads` the upload may be what is there already.
        let mut allowed = vec![seen(&cx, &path).await?, Some(new)];
        allowed.extend(may_be_absent.then_some(None));
        let committing = async { writer.commit().await.map(|_| ()).map_err(Failure::from) };
        while_done(committing, || async { one_of("during a commit", &seen(&cx, &path).await?, &allowed) }).await?;
    }
    Ok(())
}

async fn commit_is_never_a_mix(cx: Context) -> Outcome {
    commit(cx, true).await
}

async fn commit_is_never_absent(cx: Context) -> Outcome {
    commit(cx, false).await
}

async fn replace_by_move(cx: Context, may_be_absent: bool) -> Outcome {
    let contents = contents();
    let path = cx.put("file", contents[0].clone()).await?;
    for round in 1..ROUNDS / 3 {
        let source = cx.put("source", contents[round % 2].clone()).await?;
        let mut allowed = contents.clone().map(Some).to_vec();
        allowed.extend(may_be_absent.then_some(None));
        let moving = async { cx.driver.move_file(&source, &path).await.map_err(Failure::from) };
        while_done(moving, || async { one_of("during a move", &seen(&cx, &path).await?, &allowed) }).await?;
    }
    Ok(())
}

async fn move_is_never_a_mix(cx: Context) -> Outcome {
    replace_by_move(cx, true).await
}

async fn move_is_never_absent(cx: Context) -> Outcome {
    replace_by_move(cx, false).await
}

async fn move_never_loses_the_content(cx: Context) -> Outcome {
    let content = Some(pattern(3, 50_000));
    for round in 0..ROUNDS / 3 {
        let source = cx.put("source", pattern(3, 50_000)).await?;
        let destination = cx.path(&format!("d{round}/destination"))?;
        let moving = async { cx.driver.move_file(&source, &destination).await.map_err(Failure::from) };
        while_done(moving, || async {
            // What is no longer at the source is at the destination by then.
            let seen = match seen(&cx, &source).await? {
                Some(content) => Some(content),
                None => seen(&cx, &destination).await?,
            };
            one_of("during a move, source and then destination of", &seen, std::slice::from_ref(&content))
        })
        .await?;
    }
    Ok(())
}
