//! Writers at the same time.

use std::time::{Duration, Instant};

use wharf::contract::{Error, WriteMode};

use super::{Case, case};
use crate::context::{ensure, pattern};
use crate::{Context, Failure, Outcome};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(writers_of_one_path, "of concurrent writers to one path, one's content stays, whole"),
        case!(puts_of_one_path, "of puts of one path by two instances at once, one's content stays, whole"),
        case!(puts_of_many_paths, "puts of many paths at once each store their own file, and each is listed"),
        case!(
            writers_of_two_instances,
            "of writers of one path by two instances whose writes take turns, one's content stays, whole"
        ),
        case!(put_beside_a_delete, "a put beside the delete of the only other file of its directory is not lost"),
        case!(interleaved_writers, "writers whose writes take turns each store their own bytes"),
        case!(commit_beside_an_upload, "a commit of one path takes nothing from an upload to another"),
        case!(writers_of_many_paths, "32 writers at once each store their own file"),
    ]
}

async fn writers_of_one_path(cx: Context) -> Outcome {
    let path = cx.path("file")?;
    let contents: Vec<_> = (0..4).map(|seed| pattern(seed, 50_000 + seed as usize)).collect();
    let writes = contents.iter().map(|content| async {
        let mut writer = cx.driver.writer(&path, WriteMode::New).await?;
        for at in (0..content.len()).step_by(5000) {
            writer.write(content.slice(at..content.len().min(at + 5000))).await?;
            tokio::task::yield_now().await;
        }
        writer.commit().await
    });
    let results = futures::future::join_all(writes).await;
    let mut committed = 0;
    for result in results {
        match result {
            Ok(_) => committed += 1,
            Err(error) if error.kind().name() == "conflict" => {}
            Err(error) => return Err(error.into()),
        }
    }
    ensure!(committed > 0, "of four concurrent writers none could commit");
    let got = cx.driver.get_content(&path).await?;
    ensure!(contents.contains(&got), "after four concurrent writers the file is none of their contents");
    Ok(())
}

/// How often two things are done at once; on a store where each takes long less often.
const ROUNDS: usize = 60;

/// How long rounds are begun.
const TIME: Duration = Duration::from_secs(2);

/// Fails unless a result is success or, of one of several that change one path, a conflict. Returns whether it succeeded.
fn done_or_conflict<T>(result: Result<T, Error>) -> Result<bool, Failure> {
    match result {
        Ok(_) => Ok(true),
        Err(error) if error.kind().name() == "conflict" => Ok(false),
        Err(error) => Err(error.into()),
    }
}

async fn puts_of_one_path(cx: Context) -> Outcome {
    let (path, other) = (cx.path("d/file")?, cx.another().await?);
    let contents = [pattern(1, 60_000), pattern(2, 50_000), pattern(3, 70_000)];
    let began = Instant::now();
    for _ in (0..ROUNDS).take_while(|_| began.elapsed() < TIME) {
        let (first, second, third) = tokio::join!(
            cx.driver().put_content(&path, contents[0].clone()),
            other.put_content(&path, contents[1].clone()),
            cx.driver().put_content(&path, contents[2].clone()),
        );
        let done = [done_or_conflict(first)?, done_or_conflict(second)?, done_or_conflict(third)?];
        ensure!(done.contains(&true), "of three puts at once, none succeeded");
        let got = cx.driver().get_content(&path).await?;
        ensure!(contents.contains(&got), "after three puts at once, the file is none of their contents");
    }
    Ok(())
}

async fn puts_of_many_paths(cx: Context) -> Outcome {
    const MANY: u64 = 12;
    let other = cx.another().await?;
    // Of one directory, which is not there before, and of one size.
    let puts = (0..MANY).map(|index| {
        let (cx, other) = (cx.clone(), other.clone());
        async move {
            let driver = if index % 2 == 0 { cx.driver() } else { &*other };
            let path = cx.path(&format!("d/e/{index:02}"))?;
            driver.put_content(&path, pattern(index, 3000)).await.map_err(Failure::from)
        }
    });
    futures::future::try_join_all(puts).await?;
    // What another instance has stored may be seen late.
    let seen: Vec<u64> = (0..MANY).filter(|index| index % 2 == 0 || cx.capabilities().consistent).collect();
    let listed = cx.list(&cx.path("d/e")?, None).await?;
    for index in seen {
        let name = format!("d/e/{index:02}");
        let read = cx.expect_content(&cx.path(&name)?, &pattern(index, 3000)).await;
        read.map_err(|failure| failure.within(&format!("after {MANY} puts at once")))?;
        ensure!(listed.contains(&name), "list after {MANY} puts at once: {name} is not among {listed:?}");
    }
    Ok(())
}

async fn writers_of_two_instances(cx: Context) -> Outcome {
    let other = cx.another().await?;
    let contents = [pattern(1, 50_000), pattern(2, 50_001)];
    // In either order of the commits.
    for last in [0, 1] {
        let path = cx.path(&format!("d/file{last}"))?;
        let mut writers =
            [Some(cx.driver().writer(&path, WriteMode::New).await?), Some(other.writer(&path, WriteMode::New).await?)];
        for at in (0..50_000).step_by(10_000) {
            for (writer, content) in writers.iter_mut().zip(&contents) {
                let end = if at == 40_000 { content.len() } else { at + 10_000 };
                if let Some(open) = writer
                    && !done_or_conflict(open.write(content.slice(at..end)).await)?
                {
                    *writer = None;
                }
            }
        }
        let mut committed = None;
        for index in [1 - last, last] {
            if let Some(writer) = writers[index].take()
                && done_or_conflict(writer.commit().await)?
            {
                committed = Some(index);
            }
        }
        let Some(committed) = committed else {
            return Err(Failure::new("of two writers of one path, by two instances, none could commit"));
        };
        cx.expect_content(&path, &contents[committed]).await.map_err(|failure| {
            failure.within("after two writers of one path, by two instances, the last of which committed last")
        })?;
    }
    Ok(())
}

async fn put_beside_a_delete(cx: Context) -> Outcome {
    let other = cx.another().await?;
    let began = Instant::now();
    for round in (0..ROUNDS).take_while(|_| began.elapsed() < TIME) {
        let (gone, put) = (cx.path("d/e/gone")?, cx.path(&format!("d/e/{round}"))?);
        cx.driver().put_content(&gone, "gone".into()).await?;
        let deleting = if round % 2 == 0 { cx.driver() } else { &*other };
        let (deleted, stored) = tokio::join!(deleting.delete(&gone), cx.driver().put_content(&put, "put".into()));
        deleted?;
        stored?;
        cx.expect_content(&put, b"put")
            .await
            .map_err(|failure| failure.within("a put beside a delete of the only other file of its directory"))?;
        cx.driver().delete(&put).await?;
    }
    Ok(())
}

async fn interleaved_writers(cx: Context) -> Outcome {
    let paths = [cx.path("a")?, cx.path("b")?, cx.path("d/c")?];
    let contents: Vec<_> = (0..3).map(|seed| pattern(seed, 30_000 + seed as usize)).collect();
    let mut writers = Vec::new();
    for path in &paths {
        writers.push(cx.driver().writer(path, WriteMode::New).await?);
    }
    for at in (0..30_003).step_by(3001) {
        for (writer, content) in writers.iter_mut().zip(&contents) {
            let end = content.len().min(at + 3001);
            if at < end {
                writer.write(content.slice(at..end)).await?;
            }
        }
    }
    // In another order than the one in which they were opened.
    for writer in writers.into_iter().rev() {
        writer.commit().await?;
    }
    for (path, content) in paths.iter().zip(&contents) {
        cx.expect_content(path, content).await?;
    }
    Ok(())
}

async fn commit_beside_an_upload(cx: Context) -> Outcome {
    let (path, other) = (cx.path("d/file")?, cx.path("d/other")?);
    let content = pattern(1, 200_000);
    let mut writer = cx.write(&path, WriteMode::New, content.slice(..100_000)).await?;
    cx.write(&other, WriteMode::New, "other").await?.commit().await?;
    cx.driver().delete(&other).await?;
    cx.put("d/put", "put").await?;
    writer.write(content.slice(100_000..)).await?;
    cx.write(&other, WriteMode::New, "another").await?.commit().await?;
    writer.commit().await?;
    cx.expect_content(&path, &content).await?;
    cx.expect_content(&other, b"another").await
}

async fn writers_of_many_paths(cx: Context) -> Outcome {
    let writes = (0..32u64).map(|index| {
        let cx = cx.clone();
        async move {
            let path = cx.path(&format!("d{}/file{index}", index % 3))?;
            let content = pattern(index, 20_000);
            let mut writer = cx.driver().writer(&path, WriteMode::New).await?;
            for at in (0..content.len()).step_by(1000) {
                writer.write(content.slice(at..at + 1000)).await?;
            }
            writer.commit().await?;
            cx.expect_content(&path, &content).await
        }
    });
    futures::future::try_join_all(writes).await.map(|_| ())
}
