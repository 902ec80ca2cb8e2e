//! What errors carry.

use wharf::contract::Operation;

use super::{Case, case};
use crate::context::ensure;
use crate::{Context, Failure, Outcome};

pub(super) fn cases() -> Vec<Case> {
    vec![case!(errors_say_what_failed, "an error carries the driver's name, the operation and the path").by_base()]
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
