//! Random operations, compared with a model in memory.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use wharf::contract::WriteMode;

use super::{Case, case};
use crate::context::{Random, ensure, pattern};
use crate::{Context, Outcome};

pub(super) fn cases() -> Vec<Case> {
    vec![case!(random_operations, "any sequence of operations leaves what a model of the contract says")]
}

const NAMES: [&str; 7] = ["a/f", "a-b", "a.b", "ab/f", "a/g/h", "c", "c-d/e"];

async fn random_operations(cx: Context) -> Outcome {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
    operations(&cx, seed).await.map_err(|failure| failure.within(&format!("with the seed {seed}")))
}

async fn operations(cx: &Context, seed: u64) -> Outcome {
    let mut random = Random::new(seed);
    let mut model: BTreeMap<&str, Bytes> = BTreeMap::new();
    for step in 0..150 {
        let name = NAMES[random.below(NAMES.len())];
        let path = cx.path(name)?;
        let content = pattern(random.next(), random.below(300));
        let done = match random.below(5) {
            0 => {
                cx.driver().put_content(&path, content.clone()).await?;
                model.insert(name, content);
                format!("put {name}")
            }
            1 => {
                cx.write(&path, WriteMode::New, content.clone()).await?.commit().await?;
                model.insert(name, content);
                format!("commit {name}")
            }
            2 => {
                let target = NAMES[random.below(NAMES.len())];
                if target == name {
                    continue;
                }
                let moved = cx.driver().move_file(&path, &cx.path(target)?).await.is_ok();
                let content = model.remove(name);
                ensure!(moved == content.is_some(), "step {step}: move of {name} to {target}: succeeded is {moved}");
                model.extend(content.map(|content| (target, content)));
                format!("move {name} {target}")
            }
            3 => {
                let deleted = cx.driver().delete(&path).await.is_ok();
                ensure!(
                    deleted == model.remove(name).is_some(),
                    "step {step}: delete of {name}: succeeded is {deleted}"
                );
                format!("delete {name}")
            }
            _ => {
                let top = name.split('/').next().unwrap_or(name);
                let deleted = cx.driver().delete(&cx.path(top)?).await.is_ok();
                let before = model.len();
                model.retain(|name, _| name.split('/').next() != Some(top));
                // A directory that was left behind empty may be there to be deleted, or not.
                ensure!(deleted || model.len() == before, "step {step}: delete of {top}, with files below it, failed");
                format!("delete {top}")
            }
        };
        let files: Vec<String> = match cx.walk(cx.directory(), None).await {
            Ok(entries) => cx.names(&entries).into_iter().filter(|name| !name.ends_with('/')).collect(),
            Err(_) if model.is_empty() => Vec::new(),
            Err(failure) => return Err(failure),
        };
        let expected: Vec<_> = model.keys().copied().collect();
        ensure!(files == expected, "step {step}, after {done}: expected the files {expected:?}, got {files:?}");
    }
    for (name, content) in &model {
        cx.expect_content(&cx.path(name)?, content).await?;
    }
    Ok(())
}
