//! What one side deleted is gone for the other, and nothing else is.

use std::collections::BTreeSet;

use wharf::contract::StorageDriverExt;

use crate::Promise;
use crate::bench::{Bench, Kind};
use crate::check::{Outcome, ensure, same};
use crate::content::KIB;
use crate::image::Image;
use crate::layout;
use crate::ours::store;
use crate::table::Direction;

pub(crate) fn promises() -> Vec<Promise> {
    use Direction::{OursToTheirs, TheirsToOurs};
    vec![
        Promise::new(TheirsToOurs, "a_manifest_deleted_there_is_gone_here", &Kind::EACH, |bench| {
            Box::pin(manifest(bench))
        }),
        Promise::new(TheirsToOurs, "garbage_collected_there_is_gone_here", &Kind::EACH, |bench| {
            Box::pin(garbage(bench))
        }),
        Promise::new(OursToTheirs, "a_repository_deleted_here_is_404_there", &Kind::ALL, |bench| {
            Box::pin(repository(bench))
        }),
        Promise::new(OursToTheirs, "a_tag_deleted_here_is_404_there", &Kind::EACH, |bench| Box::pin(tag(bench))),
    ]
}

async fn exists(bench: &Bench, path: String) -> Outcome<bool> {
    Ok(bench.driver.exists(&layout::path(path)?).await?)
}

/// Returns every file that the driver shows.
async fn files(bench: &Bench) -> Outcome<BTreeSet<String>> {
    let entries = bench.walk().await?;
    Ok(entries.iter().filter(|entry| !entry.is_dir).map(|entry| entry.path.to_string()).collect())
}

async fn manifest(bench: &Bench) -> Outcome<String> {
    let gone = Image::new("team/app", &["v1", "v1-rc"], 80, &[KIB]);
    let kept = Image::new("team/app", &["v2"], 81, &[KIB]);
    bench.client.push(&gone)?;
    bench.client.push(&kept)?;
    // Begun before the deletion, as a long-lived process has it.
    let old = bench.open_with(&[]).await?;
    old.get_content(&layout::path(layout::tag_link("team/app", "v1"))?).await?;
    bench.client.delete("team/app", &format!("manifests/{}", gone.manifest.digest))?;
    for path in [
        layout::revision_link("team/app", &gone.manifest.digest),
        layout::tag_link("team/app", "v1"),
        layout::tag("team/app", "v1"),
        layout::tag("team/app", "v1-rc"),
    ] {
        let path = layout::path(path)?;
        for driver in [&old, &bench.driver] {
            same(format_args!("whether {path} is there"), driver.exists(&path).await?, false)?;
        }
    }
    let link = layout::path(layout::tag_link("team/app", "v1"))?;
    let error = bench.driver.get_content(&link).await.err().ok_or("a deleted link was read")?;
    ensure(error.is_path_not_found(), format_args!("a deleted link is no PathNotFound: {error}"))?;
    let tags = layout::path(format!("{}/_manifests/tags", layout::repository("team/app")))?;
    let tags: Vec<String> = bench.driver.list_all(&tags).await?.iter().map(|entry| entry.path.to_string()).collect();
    same("tags listed", tags, vec![layout::tag("team/app", "v2")])?;
    ensure(layout::files([&kept]).is_subset(&files(bench).await?), "the other image is no longer whole")?;
    Ok("1 manifest, 2 tags".to_owned())
}

async fn garbage(bench: &Bench) -> Outcome<String> {
    let gone = Image::new("team/gone", &["v1"], 82, &[KIB, 2 * KIB]);
    // What was stored here is no garbage to the registry's collector.
    let kept = Image::new("team/kept", &["v1"], 83, &[KIB]);
    let pushed = Image::new("team/pushed", &["v1"], 84, &[KIB]);
    bench.client.push(&gone)?;
    store(&*bench.driver, &kept).await?;
    bench.client.push(&pushed)?;
    bench.client.delete("team/gone", &format!("manifests/{}", gone.manifest.digest))?;
    bench.collect_garbage()?;
    for content in gone.blobs().chain([&gone.manifest]) {
        let path = layout::blob(&content.digest);
        ensure(!exists(bench, path.clone()).await?, format_args!("{path} was collected and is there"))?;
    }
    let missing: Vec<String> = layout::files([&kept, &pushed]).difference(&files(bench).await?).cloned().collect();
    ensure(missing.is_empty(), format_args!("the collector took what is used: {missing:?}"))?;
    bench.client.pull_image(&kept)?;
    Ok(format!("{} blobs", gone.blobs().count() + 1))
}

async fn repository(bench: &Bench) -> Outcome<String> {
    let gone = Image::new("team/app", &["v1", "v2"], 85, &[KIB]);
    let names = ["team/ap", "team/app-two", "team/app.three", "team/app2", "team/app_4", "other/team/app"];
    let others: Vec<Image> =
        (86..).zip(names).map(|(seed, name)| Image::new(name, &["v1", "v2"], seed, &[KIB])).collect();
    bench.client.push(&gone)?;
    others.iter().try_for_each(|image| bench.client.push(image))?;
    bench.client.pull_image(&gone)?;
    // Left open there: the deletion ends it too.
    bench.client.begin("team/app")?.patch(gone.layers[0].bytes.clone())?;

    bench.driver.delete(&layout::path(layout::repository("team/app"))?).await?;

    let layer = format!("blobs/{}", gone.layers[0].digest);
    let revision = format!("manifests/{}", gone.manifest.digest);
    for what in ["tags/list", "manifests/v1", "manifests/v2", &revision, &layer] {
        same(format_args!("status of {what}"), bench.client.status("team/app", what)?, 404)?;
    }
    let mut promised: Vec<String> = names.map(str::to_owned).into();
    promised.sort();
    same("repositories", bench.client.repositories()?, promised)?;
    for image in &others {
        same(format_args!("tags of {}", image.name), bench.client.tags(&image.name)?, image.tags.clone())?;
        bench.client.pull_image(image)?;
    }
    bench.expect_no_uploads().await?;
    Ok(format!("1 of {} repositories", names.len() + 1))
}

async fn tag(bench: &Bench) -> Outcome<String> {
    let image = Image::new("team/app", &["v1", "v1-rc"], 95, &[KIB]);
    bench.client.push(&image)?;
    bench.driver.delete(&layout::path(layout::tag("team/app", "v1"))?).await?;
    same("status of the tag", bench.client.manifest("team/app", "v1")?.status, 404)?;
    same("tags", bench.client.tags("team/app")?, vec!["v1-rc".to_owned()])?;
    let kept = Image { tags: vec!["v1-rc".to_owned()], ..image };
    bench.client.pull_image(&kept)?;
    Ok("1 of 2 tags".to_owned())
}
