//! What can be seen while a file is replaced: by a put, a commit or a move.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures::{FutureExt, TryStreamExt};
use wharf::contract::{ByteRange, Error, ErrorKind, StoragePath, WriteMode};

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
        case!(
            large_replace_is_never_a_mix,
            "while a large file is replaced, by a put, a commit or a move, a reader sees the old content or the new, or, \
             without atomic-replace, nothing"
        )
        .holds_much()
        .heavy(),
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

/// What a look at a path saw.
enum Seen {
    /// The content; none where nothing is.
    Content(Option<Bytes>),
    /// An error that passes, as a right driver may return of a file that is replaced under it: it says nothing.
    Passing(Error),
}

fn is_passing(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Throttled { .. } | ErrorKind::Unavailable | ErrorKind::Conflict)
}

async fn look(cx: &Context, path: &StoragePath) -> Result<Seen, Failure> {
    match cx.driver().get_content(path).await {
        Ok(content) => Ok(Seen::Content(Some(content))),
        Err(error) if error.is_path_not_found() => Ok(Seen::Content(None)),
        Err(error) if is_passing(&error) => Ok(Seen::Passing(error)),
        Err(error) => Err(error.into()),
    }
}

/// Returns what a path reads as while nobody changes it.
async fn settled(cx: &Context, path: &StoragePath) -> Result<Option<Bytes>, Failure> {
    match look(cx, path).await? {
        Seen::Content(content) => Ok(content),
        Seen::Passing(error) => Err(error.into()),
    }
}

fn contents() -> [Bytes; 2] {
    [pattern(1, 60_000), pattern(2, 40_000)]
}

/// Fails unless a look saw one of these.
fn one_of(what: &str, seen: &Seen, allowed: &[Option<Bytes>]) -> Outcome {
    let Seen::Content(got) = seen else { return Ok(()) };
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

/// Puts the two contents in turn, the first of which is there.
async fn replace_by_puts(cx: &Context, path: &StoragePath, contents: &[Bytes; 2]) -> Outcome {
    for round in 1..ROUNDS {
        cx.driver.put_content(path, contents[round % 2].clone()).await?;
        tokio::task::yield_now().await;
    }
    Ok(())
}

async fn replace(cx: Context, may_be_absent: bool) -> Outcome {
    let contents = contents();
    let path = cx.put("file", contents[0].clone()).await?;
    let writing = replace_by_puts(&cx, &path, &contents);
    let mut allowed = contents.clone().map(Some).to_vec();
    allowed.extend(may_be_absent.then_some(None));
    while_done(writing, || async { one_of("during a put", &look(&cx, &path).await?, &allowed) }).await?;
    cx.expect_content(&path, &contents[(ROUNDS - 1) % 2]).await
}

async fn reads_are_of_one_file(cx: Context) -> Outcome {
    let contents = contents();
    let path = cx.put("file", contents[0].clone()).await?;
    let writing = replace_by_puts(&cx, &path, &contents);
    while_done(writing, || async {
        let reader = match cx.driver.reader(&path, ByteRange::ALL).await {
            Ok(reader) => reader,
            Err(error) if error.is_path_not_found() || is_passing(&error) => return Ok(()),
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
        let mut allowed = vec![settled(&cx, &path).await?, Some(new)];
        allowed.extend(may_be_absent.then_some(None));
        let committing = async { writer.commit().await.map(|_| ()).map_err(Failure::from) };
        while_done(committing, || async { one_of("during a commit", &look(&cx, &path).await?, &allowed) }).await?;
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
        while_done(moving, || async { one_of("during a move", &look(&cx, &path).await?, &allowed) }).await?;
    }
    Ok(())
}

async fn move_is_never_a_mix(cx: Context) -> Outcome {
    replace_by_move(cx, true).await
}

async fn move_is_never_absent(cx: Context) -> Outcome {
    replace_by_move(cx, false).await
}

async fn large_replace_is_never_a_mix(cx: Context) -> Outcome {
    // Above the sizes at which drivers store in parts.
    let contents = [pattern(1, 6 << 20), pattern(2, (5 << 20) + 1)];
    let path = cx.put("file", contents[0].clone()).await?;
    for (round, how) in ["put", "commit", "move", "put", "commit", "move"].into_iter().enumerate() {
        let new = contents[(round + 1) % 2].clone();
        let doing = match how {
            "put" => cx.driver().put_content(&path, new.clone()),
            "commit" => {
                let mut writer = cx.driver().writer(&path, WriteMode::New).await?;
                for at in (0..new.len()).step_by(1 << 20) {
                    writer.write(new.slice(at..new.len().min(at + (1 << 20)))).await?;
                }
                async move { writer.commit().await.map(|_| ()) }.boxed()
            }
            _ => {
                let source = cx.put("source", new.clone()).await?;
                let driver = cx.driver.clone();
                let path = path.clone();
                async move { driver.move_file(&source, &path).await }.boxed()
            }
        };
        // Without `hidden-uploads` the upload may be what is there already.
        let mut allowed = vec![settled(&cx, &path).await?, Some(new.clone())];
        allowed.extend((!cx.capabilities().atomic_replace).then_some(None));
        let doing = async { doing.await.map_err(Failure::from) };
        let done = format!("during a {how} of {} bytes", new.len());
        while_done(doing, || async { one_of(&done, &look(&cx, &path).await?, &allowed) }).await?;
        cx.expect_content(&path, &new).await?;
    }
    Ok(())
}

async fn move_never_loses_the_content(cx: Context) -> Outcome {
    let content = Some(pattern(3, 50_000));
    for round in 0..ROUNDS / 3 {
        let source = cx.put("source", pattern(3, 50_000)).await?;
        let destination = cx.path(&format!("d{round}/destination"))?;
        let moving = async { cx.driver.move_file(&source, &destination).await.map_err(Failure::from) };
        while_done(moving, || async {
            // What is no longer at the source is at the destination by then.
            let seen = match look(&cx, &source).await? {
                Seen::Content(None) => look(&cx, &destination).await?,
                seen => seen,
            };
            one_of("during a move, source and then destination of", &seen, std::slice::from_ref(&content))
        })
        .await?;
    }
    Ok(())
}
