//! Listing tags.

use crate::bench::Bench;
use crate::client::Client;
use crate::image::{Image, pull};
use crate::requirement::{Outcome, Requirement, ensure, requirements, same};

pub(crate) fn requirements() -> Vec<Requirement> {
    requirements!["Listing tags":
        Must All end_8a_the_tags_are_listed_with_the_repositorys_name,
        Must All end_8a_tags_are_in_order,
        Must All end_8a_tags_that_begin_alike_are_in_order,
        Must All end_8a_a_tag_that_moved_is_listed_once,
        Must All end_8a_a_repository_without_tags_has_an_empty_list,
        Must All end_8a_an_unknown_repository_is_404_name_unknown,
        Must All end_8a_tags_of_a_repository_below_are_not_listed,
        Wharf All end_8a_the_list_is_json,
        Must All end_8b_n_bounds_the_list,
        Must All end_8b_n_beyond_the_end_gives_all_without_a_link,
        Must All end_8b_n_of_all_tags_gives_all,
        Must All end_8b_n_of_zero_gives_an_empty_list_without_a_link,
        Must All end_8b_last_is_not_in_the_list,
        Must All end_8b_last_need_not_be_a_tag,
        Wharf All end_8b_last_may_be_what_no_tag_can_be,
        Wharf All end_8a_a_slash_at_the_end_changes_nothing,
        Must All end_8b_last_beyond_the_end_gives_an_empty_list,
        Must All end_8b_last_without_n_gives_the_rest,
        Must All end_8b_the_link_leads_through_all_tags,
        Wharf All end_8b_an_n_that_is_no_number_is_400,
        Must Own end_8b_a_page_that_the_registry_bounds_has_a_link,
    ]
}

/// Gives one image all these tags.
pub(crate) async fn tagged(bench: &Bench, tags: &[&str]) -> Outcome<String> {
    let repository = bench.repository();
    let image = Image::new(1);
    image.push_blobs(&bench.client, &repository).await?;
    for tag in tags {
        image.manifest().push(&bench.client, &repository, tag).await?;
    }
    Ok(repository)
}

/// Returns the tags of one page and where the next is.
async fn page(client: &Client, target: &str) -> Outcome<(Vec<String>, Option<String>)> {
    let response = client.get(target).expect(200).await?;
    Ok((response.strings("tags")?, response.next()?))
}

/// Follows the links to the end. Returns each page's tags.
pub(crate) async fn pages(client: &Client, target: &str) -> Outcome<Vec<Vec<String>>> {
    let mut pages = Vec::new();
    let mut next = Some(target.to_owned());
    while let Some(target) = next {
        ensure(pages.len() < 1000, format_args!("{target}: the links do not end"))?;
        let (tags, link) = page(client, &target).await?;
        ensure(link.is_none() || !tags.is_empty(), format_args!("{target}: an empty page has a link"))?;
        pages.push(tags);
        next = link;
    }
    Ok(pages)
}

fn owned(tags: &[&str]) -> Vec<String> {
    tags.iter().map(|&tag| tag.to_owned()).collect()
}

/// Asks with a query, and sees whether these tags come.
async fn lists(bench: &Bench, repository: &str, query: &str, required: &[&str]) -> Outcome {
    let (tags, _) = page(&bench.client, &format!("/v2/{repository}/tags/list{query}")).await?;
    same(format_args!("the tags for {query:?}"), tags, owned(required))
}

async fn end_8a_the_tags_are_listed_with_the_repositorys_name(bench: &Bench) -> Outcome {
    let repository = tagged(bench, &["one", "two"]).await?;
    let response = bench.client.get(format!("/v2/{repository}/tags/list")).expect(200).await?;
    same("the name", response.json()?["name"].as_str(), Some(&*repository))?;
    same("the tags", response.strings("tags")?, owned(&["one", "two"]))
}

/// In order of bytes, or without regard to case: the specification lets both.
async fn end_8a_tags_are_in_order(bench: &Bench) -> Outcome {
    let tags = ["b", "a", "C", "10", "9", "_x", "B2", "a2"];
    let repository = tagged(bench, &tags).await?;
    let (seen, _) = page(&bench.client, &format!("/v2/{repository}/tags/list")).await?;
    let mut bytes = owned(&tags);
    bytes.sort();
    let mut lexical = owned(&tags);
    lexical.sort_by_key(|tag| tag.to_lowercase());
    ensure(seen == bytes || seen == lexical, format_args!("{seen:?}, required {bytes:?} or {lexical:?}"))
}

/// In a store whose directories are listed as `a/`, `a-1/`, `a.1/`, they come in another order.
async fn end_8a_tags_that_begin_alike_are_in_order(bench: &Bench) -> Outcome {
    let repository = tagged(bench, &["ab", "a", "a.1", "a-1", "a0", "a_1"]).await?;
    lists(bench, &repository, "", &["a", "a-1", "a.1", "a0", "a_1", "ab"]).await?;
    lists(bench, &repository, "?n=2&last=a", &["a-1", "a.1"]).await?;
    lists(bench, &repository, "?n=2&last=a-1", &["a.1", "a0"]).await?;
    lists(bench, &repository, "?last=a.1", &["a0", "a_1", "ab"]).await?;
    lists(bench, &repository, "?n=1", &["a"]).await
}

async fn end_8a_a_tag_that_moved_is_listed_once(bench: &Bench) -> Outcome {
    let repository = tagged(bench, &["a", "b"]).await?;
    Image::new(2).push(&bench.client, &repository, "a").await?;
    lists(bench, &repository, "", &["a", "b"]).await
}

async fn end_8a_a_repository_without_tags_has_an_empty_list(bench: &Bench) -> Outcome {
    let (repository, image) = (bench.repository(), Image::new(1));
    image.push(&bench.client, &repository, &image.manifest().digest).await?;
    let response = bench.client.get(format!("/v2/{repository}/tags/list")).expect(200).await?;
    let tags = &response.json()?["tags"];
    ensure(tags.as_array().is_some_and(Vec::is_empty), response.because("`tags` is no empty list"))
}

async fn end_8a_an_unknown_repository_is_404_name_unknown(bench: &Bench) -> Outcome {
    let request = bench.client.get(format!("/v2/{}/tags/list", bench.repository()));
    request.expect_error(&[404], &["NAME_UNKNOWN"]).await.map(drop)
}

async fn end_8a_tags_of_a_repository_below_are_not_listed(bench: &Bench) -> Outcome {
    let repository = tagged(bench, &["a"]).await?;
    Image::new(1).push(&bench.client, &format!("{repository}/below"), "b").await?;
    lists(bench, &repository, "", &["a"]).await?;
    pull(&bench.client, &repository, "b").expect(404).await.map(drop)
}

async fn end_8a_the_list_is_json(bench: &Bench) -> Outcome {
    let repository = tagged(bench, &["a"]).await?;
    let response = bench.client.get(format!("/v2/{repository}/tags/list")).expect(200).await?;
    same("the media type", response.media_type(), Some("application/json"))
}

const FIVE: [&str; 5] = ["a", "b", "c", "d", "e"];

async fn end_8b_n_bounds_the_list(bench: &Bench) -> Outcome {
    let repository = tagged(bench, &FIVE).await?;
    lists(bench, &repository, "?n=2", &["a", "b"]).await?;
    lists(bench, &repository, "?n=1", &["a"]).await
}

async fn end_8b_n_beyond_the_end_gives_all_without_a_link(bench: &Bench) -> Outcome {
    let repository = tagged(bench, &FIVE).await?;
    let (tags, link) = page(&bench.client, &format!("/v2/{repository}/tags/list?n=6")).await?;
    same("the tags", tags, owned(&FIVE))?;
    same("the link", link, None)
}

/// There may be a link here: to an empty page.
async fn end_8b_n_of_all_tags_gives_all(bench: &Bench) -> Outcome {
    let repository = tagged(bench, &FIVE).await?;
    let pages = pages(&bench.client, &format!("/v2/{repository}/tags/list?n=5")).await?;
    same("the tags", pages.concat(), owned(&FIVE))
}

async fn end_8b_n_of_zero_gives_an_empty_list_without_a_link(bench: &Bench) -> Outcome {
    let repository = tagged(bench, &FIVE).await?;
    let (tags, link) = page(&bench.client, &format!("/v2/{repository}/tags/list?n=0")).await?;
    same("the tags", tags, vec![])?;
    same("the link", link, None)
}

async fn end_8b_last_is_not_in_the_list(bench: &Bench) -> Outcome {
    let repository = tagged(bench, &FIVE).await?;
    lists(bench, &repository, "?n=2&last=b", &["c", "d"]).await
}

async fn end_8b_last_need_not_be_a_tag(bench: &Bench) -> Outcome {
    let repository = tagged(bench, &FIVE).await?;
    lists(bench, &repository, "?n=2&last=bb", &["c", "d"]).await?;
    lists(bench, &repository, "?n=2&last=0", &["a", "b"]).await
}

async fn end_8b_last_may_be_what_no_tag_can_be(bench: &Bench) -> Outcome {
    let repository = tagged(bench, &FIVE).await?;
    lists(bench, &repository, "?n=2&last=b%2Fx", &["c", "d"]).await?;
    lists(bench, &repository, "?n=2&last=-", &["a", "b"]).await?;
    lists(bench, &repository, "?last=c%20d", &["d", "e"]).await?;
    lists(bench, &repository, "?last=%7Bz", &[]).await?;
    lists(bench, &repository, "?last=", &FIVE).await
}

/// Distribution sends clients on to the address without it.
async fn end_8a_a_slash_at_the_end_changes_nothing(bench: &Bench) -> Outcome {
    let repository = tagged(bench, &FIVE).await?;
    let digest = Image::new(1).manifest().digest;
    let layer = Image::new(1).json["layers"][0]["digest"].as_str().unwrap_or_default().to_owned();
    for target in [
        "/v2".to_owned(),
        "/v2/_catalog".to_owned(),
        format!("/v2/{repository}/tags/list"),
        format!("/v2/{repository}/manifests/a"),
        format!("/v2/{repository}/manifests/{digest}"),
        format!("/v2/{repository}/blobs/{layer}"),
        format!("/v2/{repository}/referrers/{digest}"),
    ] {
        let plain = bench.client.get(&target).expect(200).await?;
        let mut response = bench.client.get(format!("{target}/")).expect_one_of(&[200, 301, 308]).await?;
        if response.status != 200 {
            response = bench.client.get(response.location()?).expect(200).await?;
        }
        response.has_body(&plain.body)?;
    }
    Ok(())
}

async fn end_8b_last_beyond_the_end_gives_an_empty_list(bench: &Bench) -> Outcome {
    let repository = tagged(bench, &FIVE).await?;
    for last in ["e", "zzz"] {
        let (tags, link) = page(&bench.client, &format!("/v2/{repository}/tags/list?n=2&last={last}")).await?;
        same("the tags", tags, vec![])?;
        same("the link", link, None)?;
    }
    Ok(())
}

async fn end_8b_last_without_n_gives_the_rest(bench: &Bench) -> Outcome {
    let repository = tagged(bench, &FIVE).await?;
    let pages = pages(&bench.client, &format!("/v2/{repository}/tags/list?last=b")).await?;
    same("the tags", pages.concat(), owned(&["c", "d", "e"]))
}

async fn end_8b_the_link_leads_through_all_tags(bench: &Bench) -> Outcome {
    let repository = tagged(bench, &FIVE).await?;
    let pages = pages(&bench.client, &format!("/v2/{repository}/tags/list?n=2")).await?;
    same("the tags", pages.concat(), owned(&FIVE))?;
    ensure(pages.iter().all(|page| page.len() <= 2), "a page is larger than was asked for")
}

async fn end_8b_an_n_that_is_no_number_is_400(bench: &Bench) -> Outcome {
    let repository = tagged(bench, &FIVE).await?;
    for n in ["-1", "two", "1.5", "0x2", "2%00"] {
        let request = bench.client.get(format!("/v2/{repository}/tags/list?n={n}"));
        request.expect_error(&[400], &["PAGINATION_NUMBER_INVALID", "UNSUPPORTED"]).await?;
    }
    Ok(())
}

async fn end_8b_a_page_that_the_registry_bounds_has_a_link(bench: &Bench) -> Outcome {
    let repository = tagged(bench, &FIVE).await?;
    let server = bench.serve(|builder| builder.tags_limit(2)).await?;
    for query in ["?n=100", "?n=4", "?n=2"] {
        let pages = pages(&server.client, &format!("/v2/{repository}/tags/list{query}")).await?;
        same(format_args!("the tags for {query}"), pages.concat(), owned(&FIVE))?;
        ensure(pages.iter().all(|page| page.len() <= 2), format_args!("{query}: a page is larger than the limit"))?;
    }
    // Whoever names no number gets all of them, at once or by links.
    let pages = pages(&server.client, &format!("/v2/{repository}/tags/list")).await?;
    same("the tags", pages.concat(), owned(&FIVE))
}
