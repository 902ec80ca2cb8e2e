//! What errors carry.

use wharf::contract::Operation;

use super::{Case, case};
use crate::context::{ensure, expect_kind};
use crate::{Context, Failure, Outcome};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(errors_say_what_failed, "an error carries the driver's name, the operation and the path").by_base(),
        case!(paths_below_a_file, "nothing is found below a file, and that is path-not-found"),
    ]
}

async fn errors_say_what_failed(cx: Context) -> Outcome {
    let (driver, missing) = (cx.driver(), cx.path("missing")?);
    let failed = [
        (Operation::GetContent, driver.get_content(&missing).await.map(|_| ())),
        (Operation::Reader, driver.reader(&missing, Default::default()).await.map(|_| ())),
        (Operation::Stat, driver.stat(&missing).await.map(|_| ())),
        (Operation::List, driver.list(&missing, None).await.map(|_| ())),
        (Operation::Walk, driver.walk(&missing, None).await.map(|_| ())),
        (Operation::Move, driver.move_file(&missing, &cx.path("other")?).await),
        (Operation::Delete, driver.delete(&missing).await),
    ];
    for (operation, result) in failed {
        let Err(error) = result else {
            return Err(Failure::new(format!("{operation} of a missing path succeeded")));
        };
        let right = error.driver() == Some(driver.name())
            && error.operation() == Some(operation)
            && error.path() == Some(missing.as_str());
        ensure!(right, "{operation} of {missing} on {}: the error is {error:?}", driver.name());
    }
    Ok(())
}

async fn paths_below_a_file(cx: Context) -> Outcome {
    let file = cx.put("file", "kept").await?;
    for below in ["file/x", "file/x/y"] {
        let path = cx.path(below)?;
        let driver = cx.driver();
        expect_kind("get-content below a file", driver.get_content(&path).await, "path-not-found")?;
        expect_kind("reader below a file", driver.reader(&path, Default::default()).await, "path-not-found")?;
        expect_kind("stat below a file", driver.stat(&path).await, "path-not-found")?;
        expect_kind("list below a file", driver.list(&path, None).await.map(|_| ()), "path-not-found")?;
        expect_kind("walk below a file", driver.walk(&path, None).await.map(|_| ()), "path-not-found")?;
        expect_kind("move from below a file", driver.move_file(&path, &cx.path("other")?).await, "path-not-found")?;
        expect_kind("delete below a file", driver.delete(&path).await, "path-not-found")?;
        driver.delete_files(&[path]).await?;
    }
    cx.expect_content(&file, b"kept").await
}
