//! Images that Wharf's driver stored, as `docker-registry` serves them.

use bytes::Bytes;
use wharf::contract::{StorageDriver, WriteMode};

use crate::Promise;
use crate::bench::{Bench, Kind};
use crate::check::{Outcome, same};
use crate::content::{KIB, MIB};
use crate::image::{Content, Image};
use crate::layout;
use crate::table::Direction;

pub(crate) fn promises() -> Vec<Promise> {
    let direction = Direction::OursToTheirs;
    vec![
        Promise::new(direction, "an_image_stored_here_is_served_there", &Kind::ALL, |bench| Box::pin(served(bench))),
        Promise::new(direction, "a_tag_moved_here_is_moved_there", &Kind::EACH, |bench| Box::pin(moved(bench))),
        Promise::new(direction, "a_blob_stored_here_is_mounted_and_deleted_there", &Kind::EACH, |bench| {
            Box::pin(built_upon(bench))
        }),
    ]
}

/// Stores an image by the steps of Distribution: uploads that are committed and moved, then links.
pub(crate) async fn store(driver: &dyn StorageDriver, image: &Image) -> Outcome {
    for (number, blob) in image.blobs().enumerate() {
        store_blob(driver, &image.name, number, blob).await?;
    }
    let manifest = &image.manifest;
    driver.put_content(&layout::path(layout::blob(&manifest.digest))?, manifest.bytes.clone()).await?;
    link(driver, layout::revision_link(&image.name, &manifest.digest), &manifest.digest).await?;
    for tag in &image.tags {
        link(driver, layout::tag_index_link(&image.name, tag, &manifest.digest), &manifest.digest).await?;
        link(driver, layout::tag_link(&image.name, tag), &manifest.digest).await?;
    }
    Ok(())
}

async fn store_blob(driver: &dyn StorageDriver, name: &str, number: usize, blob: &Content) -> Outcome {
    let uuid = format!("00000000-0000-4000-8000-{number:012x}");
    let directory = layout::path(layout::upload(name, &uuid))?;
    let data = directory.join("data")?;
    let mut writer = driver.writer(&data, WriteMode::New).await?;
    driver.put_content(&directory.join("startedat")?, Bytes::from_static(b"2026-01-02T03:04:05Z")).await?;
    // Once closed half-way: the registry gets a blob in several requests.
    let mut rest = blob.bytes.clone();
    writer.write(rest.split_to(rest.len() / 2)).await?;
    writer.close().await?;
    let mut writer = driver.writer(&data, WriteMode::Append).await?;
    writer.write(rest).await?;
    same("the size of a blob", writer.commit().await?, blob.bytes.len() as u64)?;
    driver.move_file(&data, &layout::path(layout::blob(&blob.digest))?).await?;
    link(driver, layout::layer_link(name, &blob.digest), &blob.digest).await?;
    driver.delete(&directory).await?;
    Ok(())
}

async fn link(driver: &dyn StorageDriver, path: String, digest: &str) -> Outcome {
    Ok(driver.put_content(&layout::path(path)?, Bytes::from(digest.to_owned())).await?)
}

async fn served(bench: &Bench) -> Outcome<String> {
    // 0 bytes among them, and one that a move copies in ranges.
    let image = Image::new("ours/image", &["latest", "v1.0"], 60, &[0, KIB, 3 * MIB, 12 * MIB, 33 * MIB]);
    store(&*bench.driver, &image).await?;
    bench.client.pull_image(&image)?;
    image.pull_with_skopeo(&bench.host())?;
    same("tags", bench.client.tags(&image.name)?, image.tags.clone())?;
    same("repositories", bench.client.repositories()?, vec![image.name.clone()])?;
    bench.expect_no_uploads().await?;
    Ok(format!("{} blobs, {} tags", image.blobs().count(), image.tags.len()))
}

async fn moved(bench: &Bench) -> Outcome<String> {
    let old = Image::new("ours/moving", &["latest", "old"], 61, &[KIB]);
    let new = Image::new("ours/moving", &["latest"], 62, &[KIB]);
    bench.client.push(&old)?;
    store(&*bench.driver, &new).await?;
    bench.client.pull_image(&new)?;
    new.pull_with_skopeo(&bench.host())?;
    let kept = Image { tags: vec!["old".to_owned()], ..old };
    bench.client.pull_image(&kept)?;
    Ok("1 tag pushed there, moved here".to_owned())
}

async fn built_upon(bench: &Bench) -> Outcome<String> {
    let image = Image::new("ours/base", &["latest"], 63, &[MIB]);
    store(&*bench.driver, &image).await?;
    let layer = &image.layers[0];
    bench.client.mount("ours/derived", &layer.digest, &image.name)?;
    bench.client.pull("ours/derived", layer)?;
    let link = layout::path(layout::layer_link("ours/derived", &layer.digest))?;
    same("the link of the mounted blob", bench.driver.get_content(&link).await?, Bytes::from(layer.digest.clone()))?;
    bench.client.delete(&image.name, &format!("blobs/{}", layer.digest))?;
    same("status of the deleted blob", bench.client.status(&image.name, &format!("blobs/{}", layer.digest))?, 404)?;
    bench.client.pull("ours/derived", layer)?;
    Ok("mounted, then deleted where it came from".to_owned())
}
