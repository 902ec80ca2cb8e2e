//! What can be seen of uploads, and what is left of cancelled ones.

use std::time::{Duration, Instant, SystemTime};

use futures::TryStreamExt;
use wharf::contract::{Entry, RedirectRequest, StorageDriverExt, WriteMode};

use super::{Case, case};
use crate::context::{ensure, expect_kind, tick};
use crate::{Context, Failure, Outcome};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(hidden_until_commit, "nothing of an upload can be read before its commit").needs(&["hidden-uploads"]),
        case!(old_content_until_commit, "what was committed stays readable until the commit")
            .needs(&["hidden-uploads"]),
        case!(before_the_commit, "before the commit the path reads as the old content, nothing, or a prefix"),
        case!(cancel_leaves_nothing, "after a cancel no byte of the upload stays readable"),
        case!(cancel_of_nothing, "a new writer that is cancelled before it wrote leaves what was committed"),
        case!(cancel_of_a_continued_upload, "a cancel throws away what earlier writers stored too")
            .needs(&["resumable"]),
        case!(cancel_of_an_append_to_content, "a cancelled append to committed content leaves no byte of it readable")
            .needs(&["resumable"]),
        case!(cancel_keeps_the_old, "a cancel keeps what was committed before").needs(&["hidden-uploads"]),
        case!(uploads_are_told, "uploads tells the closed uploads, and none after commit and cancel")
            .needs(&["uploads"]),
        case!(uploads_of_many, "uploads tells every unfinished upload at and below a path, however many")
            .needs(&["uploads"])
            .heavy(),
        case!(uploads_tell_when_they_began, "uploads tells when each began, and the same at every look")
            .needs(&["uploads", "resumable"]),
        case!(
            uploads_are_aborted,
            "a new writer that is cancelled at once ends the uploads of its path, and keeps the file"
        )
        .needs(&["uploads"]),
        case!(uploads_without_the_capability, "uploads without the capability is unsupported").unless("uploads"),
        case!(redirect_gives_an_address, "redirect-url returns an address of http or https, without a user")
            .needs(&["redirect"]),
        case!(redirects_differ_by_path, "redirect-url returns another address for another path").needs(&["redirect"]),
        case!(no_redirect, "redirect-url without the capability returns none").unless("redirect"),
    ]
}

async fn cancel_of_nothing(cx: Context) -> Outcome {
    let path = cx.put("file", "old").await?;
    cx.driver().writer(&path, WriteMode::New).await?.cancel().await?;
    cx.expect_content(&path, b"old").await
}

async fn hidden_until_commit(cx: Context) -> Outcome {
    let path = cx.path("file")?;
    let writer = cx.write(&path, WriteMode::New, "hidden").await?;
    cx.expect_missing(&path, "a write without a commit").await?;
    writer.close().await?;
    cx.expect_missing(&path, "a close without a commit").await
}

async fn old_content_until_commit(cx: Context) -> Outcome {
    let path = cx.put("file", "old").await?;
    let writer = cx.write(&path, WriteMode::New, "new").await?;
    cx.expect_content(&path, b"old").await?;
    writer.commit().await?;
    cx.expect_content(&path, b"new").await
}

async fn before_the_commit(cx: Context) -> Outcome {
    let path = cx.put("file", "old").await?;
    let writer = cx.write(&path, WriteMode::New, "upload").await?;
    match cx.driver().get_content(&path).await {
        Ok(got) => {
            ensure!(&got[..] == b"old" || b"upload".starts_with(&got), "the path reads as {got:?} before the commit")
        }
        Err(error) => expect_kind("get-content before the commit", Err::<(), _>(error), "path-not-found")?,
    }
    writer.commit().await?;
    cx.expect_content(&path, b"upload").await
}

async fn cancel_leaves_nothing(cx: Context) -> Outcome {
    let path = cx.path("file")?;
    cx.write(&path, WriteMode::New, "thrown away").await?.cancel().await?;
    cx.expect_missing(&path, "a cancel").await
}

async fn cancel_of_a_continued_upload(cx: Context) -> Outcome {
    let path = cx.path("file")?;
    cx.write(&path, WriteMode::New, "one").await?.close().await?;
    cx.write(&path, WriteMode::Append, "two").await?.cancel().await?;
    cx.expect_missing(&path, "a cancel of a continued upload").await?;
    expect_kind(
        "append after a cancel",
        cx.driver().writer(&path, WriteMode::Append).await.map(|_| ()),
        "path-not-found",
    )
}

async fn cancel_of_an_append_to_content(cx: Context) -> Outcome {
    let path = cx.put("file", "committed").await?;
    let mut writer = match cx.driver().writer(&path, WriteMode::Append).await {
        Ok(writer) => writer,
        Err(error) => return expect_kind("append to committed content", Err::<(), _>(error), "unsupported"),
    };
    writer.write("+more".into()).await?;
    writer.cancel().await?;
    match cx.driver().get_content(&path).await {
        Ok(got) => {
            ensure!(&got[..] == b"committed", "after a cancelled append to \"committed\", the path reads {got:?}");
            let size = cx.driver().stat(&path).await?.size;
            ensure!(size == 9, "after a cancelled append to 9 bytes, stat tells {size}");
            Ok(())
        }
        Err(error) => {
            ensure!(!cx.capabilities().hidden_uploads, "after a cancelled append, the committed content is gone");
            expect_kind("get-content after a cancelled append", Err::<(), _>(error), "path-not-found")
        }
    }
}

async fn cancel_keeps_the_old(cx: Context) -> Outcome {
    let path = cx.put("file", "old").await?;
    cx.write(&path, WriteMode::New, "new").await?.cancel().await?;
    cx.expect_content(&path, b"old").await
}

async fn uploads_are_told(cx: Context) -> Outcome {
    for name in ["d/kept", "d/committed", "d/cancelled"] {
        cx.write(&cx.path(name)?, WriteMode::New, "x").await?.close().await?;
    }
    cx.write(&cx.path("d/committed")?, WriteMode::New, "x").await?.commit().await?;
    cx.write(&cx.path("d/cancelled")?, WriteMode::New, "x").await?.cancel().await?;
    let uploads: Vec<Entry> = cx.driver().uploads(&cx.path("d")?).await?.try_collect().await?;
    let names = cx.names(&uploads);
    ensure!(
        names == ["d/kept"],
        "uploads of a directory with one unfinished upload: expected [\"d/kept\"], got {names:?}"
    );
    Ok(())
}

async fn begin(cx: &Context, name: &str) -> Outcome {
    cx.write(&cx.path(name)?, WriteMode::New, "x").await?.close().await?;
    Ok(())
}

async fn uploads_of_many(cx: Context) -> Outcome {
    // On a store where each takes long, as one behind faults does, fewer than a page.
    const FEW: usize = 150;
    const TIME: Duration = Duration::from_secs(8);
    // More than a page of the stores that list in pages.
    const MANY: usize = 1_050;
    let mut names: Vec<String> = (0..MANY).map(|index| format!("d/{index:04}")).collect();
    let (mut begun, began_at) = (0, Instant::now());
    for some in names.chunks(50) {
        if begun >= FEW && began_at.elapsed() >= TIME {
            break;
        }
        futures::future::try_join_all(some.iter().map(|name| begin(&cx, name))).await?;
        begun += some.len();
    }
    names.truncate(begun);
    names.extend(["d/e/f/g/nested".to_owned(), "d/e/nested".to_owned()]);
    futures::future::try_join_all(names[begun..].iter().map(|name| begin(&cx, name))).await?;
    begin(&cx, "d-beside").await?;
    for (at, expected) in [("d", &names[..]), ("d/e", &names[begun..]), ("d/0007", &names[7..8])] {
        let uploads: Vec<Entry> = cx.driver().uploads(&cx.path(at)?).await?.try_collect().await?;
        let mut got = cx.names(&uploads);
        got.sort_unstable();
        ensure!(
            got == expected,
            "uploads of {at}, with {} unfinished ones: got {}, the last {:?}",
            expected.len(),
            got.len(),
            got.last()
        );
    }
    Ok(())
}

/// Returns when the one unfinished upload in `d` began.
async fn began(cx: &Context) -> Result<Option<SystemTime>, Failure> {
    let uploads: Vec<Entry> = cx.driver().uploads(&cx.path("d")?).await?.try_collect().await?;
    ensure!(uploads.len() == 1, "uploads of a directory with one: got {:?}", cx.names(&uploads));
    Ok(uploads.first().and_then(|entry| entry.modified))
}

async fn uploads_tell_when_they_began(cx: Context) -> Outcome {
    let path = cx.path("d/file")?;
    cx.write(&path, WriteMode::New, "x").await?.close().await?;
    let first = began(&cx).await?;
    ensure!(first.is_some(), "uploads does not tell when the upload began");
    // The store's clock may differ.
    let off = first.map_or(Duration::ZERO, |began| began.elapsed().unwrap_or_else(|ahead| ahead.duration()));
    ensure!(off < Duration::from_secs(300), "uploads tells that an upload of now began {off:?} from now");
    tokio::time::sleep(tick(first)).await;
    let later = began(&cx).await?;
    ensure!(later == first, "when an upload began became another time by a wait: {first:?}, then {later:?}");
    cx.write(&path, WriteMode::Append, "y").await?.close().await?;
    let later = began(&cx).await?;
    ensure!(later >= first, "an upload that began at {first:?} and was continued began at {later:?}");
    Ok(())
}

async fn uploads_are_aborted(cx: Context) -> Outcome {
    let path = cx.path("d/file")?;
    cx.write(&path, WriteMode::New, "stale").await?.close().await?;
    let path = cx.put("d/file", "committed").await?;
    ensure!(began(&cx).await?.is_some(), "uploads does not tell when the upload began, so that it is never aborted");
    let long_ago = SystemTime::now() - Duration::from_secs(24 * 3600);
    let aborted = cx.driver().abort_uploads(&path, long_ago).await?;
    ensure!(aborted == 0, "of an upload that was just begun, {aborted} were aborted as a day old");
    // The store's clock may be ahead.
    let soon = SystemTime::now() + Duration::from_secs(60);
    cx.driver().abort_uploads(&path, soon).await?;
    let uploads: Vec<Entry> = cx.driver().uploads(&cx.path("d")?).await?.try_collect().await?;
    ensure!(uploads.is_empty(), "after the upload was aborted, uploads still tells {:?}", cx.names(&uploads));
    cx.expect_content(&path, b"committed").await
}

async fn uploads_without_the_capability(cx: Context) -> Outcome {
    let result = cx.driver().uploads(cx.directory()).await.map(|_| ());
    expect_kind("uploads without the capability", result, "unsupported")
}

fn get_request() -> RedirectRequest {
    RedirectRequest { method: "GET".to_owned(), client_address: None }
}

/// Returns whether a client can be sent there: `http` or `https`, printable ASCII, and no user before the host.
fn is_address(address: &str) -> bool {
    let rest = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://"));
    let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
    !host.is_empty() && !host.contains('@') && address.bytes().all(|byte| byte.is_ascii_graphic())
}

async fn redirect_gives_an_address(cx: Context) -> Outcome {
    let path = cx.put("file", "x").await?;
    for method in ["GET", "HEAD"] {
        let request = RedirectRequest { method: method.to_owned(), client_address: None };
        let address = cx.driver().redirect_url(&path, &request).await?;
        let right = match &address {
            Some(address) => is_address(address),
            // A HEAD may come through the host.
            None => method == "HEAD",
        };
        ensure!(right, "redirect-url for {method}: got {address:?}");
    }
    Ok(())
}

async fn redirects_differ_by_path(cx: Context) -> Outcome {
    let mut addresses = Vec::new();
    for name in ["a", "b", "d/a", "A"] {
        let path = cx.put(name, name.to_owned()).await?;
        addresses.push(cx.driver().redirect_url(&path, &get_request()).await?);
    }
    for (index, address) in addresses.iter().enumerate() {
        ensure!(!addresses[..index].contains(address), "redirect-url returned {address:?} for two paths");
    }
    Ok(())
}

async fn no_redirect(cx: Context) -> Outcome {
    let path = cx.put("file", "x").await?;
    let address = cx.driver().redirect_url(&path, &get_request()).await?;
    ensure!(address.is_none(), "redirect-url of a driver that does not declare redirect: got {address:?}");
    Ok(())
}
