//! Operations at the same time, and instances beside each other.

use wharf::contract::WriteMode;

use super::{Case, case};
use crate::context::{ensure, pattern};
use crate::{Context, Failure, Outcome};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(replace_is_never_a_mix, "while a file is replaced, a reader sees the old content, the new, or nothing"),
        case!(replace_is_never_absent, "while a file is replaced, it is never absent").needs(&["atomic-replace"]),
        case!(another_instance_sees_it, "what has returned is seen by every instance").needs(&["consistent"]),
        case!(writers_of_one_path, "of concurrent writers to one path, one's content stays, whole"),
        case!(writers_of_many_paths, "32 writers at once each store their own file"),
    ]
}

async fn replace(cx: Context, may_be_absent: bool) -> Outcome {
    let contents = [pattern(1, 60_000), pattern(2, 40_000)];
    let path = cx.put("file", contents[0].clone()).await?;
    let done = std::sync::atomic::AtomicBool::new(false);
    let writing = async {
        let mut result = Ok(());
        for round in 1..60 {
            result = cx.driver.put_content(&path, contents[round % 2].clone()).await;
            if result.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        result.map_err(Failure::from)
    };
    let reading = async {
        while !done.load(std::sync::atomic::Ordering::Relaxed) {
            match cx.driver.get_content(&path).await {
                Ok(got) => ensure!(contents.contains(&got), "{} bytes were read that nobody stored", got.len()),
                Err(error) if error.is_path_not_found() && may_be_absent => {}
                Err(error) => return Err(error.into()),
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    };
    futures::future::try_join(writing, reading).await.map(|_| ())
}

async fn replace_is_never_a_mix(cx: Context) -> Outcome {
    replace(cx, true).await
}

async fn replace_is_never_absent(cx: Context) -> Outcome {
    replace(cx, false).await
}

async fn another_instance_sees_it(cx: Context) -> Outcome {
    let path = cx.put("file", "content").await?;
    let other = cx.another().await?;
    let got = other.get_content(&path).await?;
    ensure!(&got[..] == b"content", "another instance reads {got:?}");
    other.delete(&path).await?;
    cx.expect_missing(&path, "a delete by another instance").await
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
