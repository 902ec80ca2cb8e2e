//! Listing repositories: `/v2/_catalog`, which the OCI specification lacks and Distribution has.

use crate::bench::Bench;
use crate::client::Client;
use crate::image::Image;
use crate::requirement::{Outcome, Requirement, ensure, requirements, same};
use crate::upload::push_blob;

pub(crate) fn requirements() -> Vec<Requirement> {
    requirements!["Catalog (Distribution)":
        Wharf All catalog_the_repositories_are_listed,
        Wharf All catalog_repositories_are_in_one_order,
        Wharf All catalog_a_repository_within_another_is_listed_too,
        Wharf All catalog_n_and_last_give_what_follows,
        Wharf All catalog_last_may_be_what_no_name_can_be,
        Wharf All catalog_the_link_leads_on,
        Wharf All catalog_n_of_zero_gives_an_empty_list,
        Wharf All catalog_an_n_that_is_no_number_is_400,
        Wharf Own catalog_of_an_empty_registry_is_an_empty_list,
        Wharf Own catalog_the_link_leads_through_all_repositories,
        Wharf Own catalog_a_page_is_bounded,
        Wharf Own catalog_a_repository_of_uploads_alone_is_not_listed,
    ]
}

/// Pushes an image to each of these repositories below a new name, which it returns.
async fn repositories(bench: &Bench, names: &[&str]) -> Outcome<String> {
    let root = bench.repository();
    for name in names {
        Image::new(1).push(&bench.client, &format!("{root}{name}"), "latest").await?;
    }
    Ok(root)
}

/// Returns the repositories of one page and where the next is.
async fn page(client: &Client, query: &str) -> Outcome<(Vec<String>, Option<String>)> {
    let target = if query.starts_with('/') { query.to_owned() } else { format!("/v2/_catalog{query}") };
    let response = client.get(target).expect(200).await?;
    Ok((response.strings("repositories")?, response.next()?))
}

/// Follows the links to the end.
async fn pages(client: &Client, query: &str) -> Outcome<Vec<Vec<String>>> {
    let mut pages = Vec::new();
    let mut next = Some(query.to_owned());
    while let Some(target) = next {
        ensure(pages.len() < 10_000, format_args!("{target}: the links do not end"))?;
        let (repositories, link) = page(client, &target).await?;
        pages.push(repositories);
        next = link;
    }
    Ok(pages)
}

/// Returns those of all repositories that are below a name, without it: a remote registry has others.
async fn below(bench: &Bench, root: &str) -> Outcome<Vec<String>> {
    let all = pages(&bench.client, "").await?.concat();
    Ok(all.iter().filter_map(|name| name.strip_prefix(root)).map(str::to_owned).collect())
}

async fn catalog_the_repositories_are_listed(bench: &Bench) -> Outcome {
    let root = repositories(bench, &["/a", "/b"]).await?;
    same("the repositories", below(bench, &root).await?, vec!["/a".to_owned(), "/b".to_owned()])?;
    let response = bench.client.get("/v2/_catalog").expect(200).await?;
    same("the media type", response.media_type(), Some("application/json"))
}

/// In order of bytes, or with `/` before all else, as Distribution walks.
async fn catalog_repositories_are_in_one_order(bench: &Bench) -> Outcome {
    let names = ["/a", "/a-b", "/a/b", "/a.b", "/ab", "/a0", "/a_b"];
    let root = repositories(bench, &names).await?;
    let seen = below(bench, &root).await?;
    let mut bytes: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    bytes.sort();
    let mut walked = bytes.clone();
    walked.sort_by_key(|name| name.replace('/', "\0"));
    // Wharf's: the order in which stores list directories.
    let mut listed = bytes.clone();
    listed.sort_by_key(|name| format!("{name}/"));
    let known = [&bytes, &walked, &listed];
    ensure(known.contains(&&seen), format_args!("{seen:?}, required one of {known:?}"))
}

async fn catalog_a_repository_within_another_is_listed_too(bench: &Bench) -> Outcome {
    let root = repositories(bench, &["", "/a", "/a/b/c"]).await?;
    let required: Vec<String> = ["", "/a", "/a/b/c"].iter().map(|&name| name.to_owned()).collect();
    same("the repositories", below(bench, &root).await?, required)
}

async fn catalog_n_and_last_give_what_follows(bench: &Bench) -> Outcome {
    let root = repositories(bench, &["/a", "/b", "/c"]).await?;
    let (seen, _) = page(&bench.client, &format!("?n=2&last={root}/a")).await?;
    same("the repositories", seen, vec![format!("{root}/b"), format!("{root}/c")])?;
    let (seen, _) = page(&bench.client, &format!("?n=1&last={root}/aa")).await?;
    same("the repositories", seen, vec![format!("{root}/b")])
}

async fn catalog_last_may_be_what_no_name_can_be(bench: &Bench) -> Outcome {
    let root = repositories(bench, &["/a", "/b"]).await?;
    for (last, required) in [("%2FA", vec!["/a", "/b"]), ("%2Fa%7B", vec!["/b"]), ("%2FaB%20", vec!["/b"])] {
        let (seen, _) = page(&bench.client, &format!("?n=1000&last={}{last}", root.replace('/', "%2F"))).await?;
        let seen: Vec<&str> = seen.iter().filter_map(|name| name.strip_prefix(&root)).collect();
        same(format_args!("the repositories after {last}"), seen, required)?;
    }
    Ok(())
}

async fn catalog_the_link_leads_on(bench: &Bench) -> Outcome {
    let root = repositories(bench, &["/a", "/b", "/c", "/d"]).await?;
    let (_, link) = page(&bench.client, &format!("?n=1&last={root}/a")).await?;
    let (seen, _) = page(&bench.client, &link.ok_or("no Link, and there is more")?).await?;
    same("the repositories", seen, vec![format!("{root}/c")])
}

async fn catalog_n_of_zero_gives_an_empty_list(bench: &Bench) -> Outcome {
    repositories(bench, &["/a"]).await?;
    let (seen, link) = page(&bench.client, "?n=0").await?;
    same("the repositories", seen, vec![])?;
    same("the link", link, None)
}

async fn catalog_an_n_that_is_no_number_is_400(bench: &Bench) -> Outcome {
    for n in ["-1", "two", "1.5"] {
        let request = bench.client.get(format!("/v2/_catalog?n={n}"));
        request.expect_error(&[400], &["PAGINATION_NUMBER_INVALID", "UNSUPPORTED"]).await?;
    }
    Ok(())
}

async fn catalog_of_an_empty_registry_is_an_empty_list(bench: &Bench) -> Outcome {
    let response = bench.client.get("/v2/_catalog").expect(200).await?;
    let empty = response.json()?["repositories"].as_array().is_some_and(Vec::is_empty);
    ensure(empty, response.because("`repositories` is no empty list"))
}

async fn catalog_the_link_leads_through_all_repositories(bench: &Bench) -> Outcome {
    let names = ["/a", "/a-b", "/a/b", "/b", "/c"];
    let root = repositories(bench, &names).await?;
    let all = page(&bench.client, "").await?.0;
    let mut sorted = all.clone();
    sorted.sort();
    let mut required: Vec<String> = names.iter().map(|name| format!("{root}{name}")).collect();
    required.sort();
    same("the repositories", sorted, required)?;
    for n in 1..=6 {
        let pages = pages(&bench.client, &format!("?n={n}")).await?;
        same(format_args!("the pages of {n}"), pages.concat(), all.clone())?;
        ensure(pages.iter().all(|page| page.len() <= n), format_args!("a page of more than {n}"))?;
    }
    Ok(())
}

/// Distribution refuses more than its limit; giving as many as the limit, and a link, is right too.
async fn catalog_a_page_is_bounded(bench: &Bench) -> Outcome {
    let root = repositories(bench, &["/a", "/b", "/c"]).await?;
    let server = bench.serve(|builder| builder.catalog_limit(2)).await?;
    let response = server.client.get("/v2/_catalog?n=3").expect_one_of(&[200, 400]).await?;
    if response.status == 200 {
        same("how many", response.strings("repositories")?.len(), 2)?;
        ensure(response.next()?.is_some(), response.because("no link, and there is more"))?;
    }
    let pages = pages(&server.client, "").await?;
    let required: Vec<String> = ["/a", "/b", "/c"].iter().map(|name| format!("{root}{name}")).collect();
    same("the repositories", pages.concat(), required)?;
    ensure(pages.iter().all(|page| page.len() <= 2), "a page is larger than the limit")
}

/// As in Distribution: only a manifest makes a repository.
async fn catalog_a_repository_of_uploads_alone_is_not_listed(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    push_blob(&bench.client, &repository, &crate::content::content(1, 1000)).await?;
    crate::upload::Upload::begin(&bench.client, &repository).await?;
    same("the repositories", page(&bench.client, "").await?.0, vec![])
}
