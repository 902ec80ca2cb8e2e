//! Writers at the same time.

use wharf::contract::WriteMode;

use super::{Case, case};
use crate::context::{ensure, pattern};
use crate::{Context, Outcome};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(writers_of_one_path, "of concurrent writers to one path, one's content stays, whole"),
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
