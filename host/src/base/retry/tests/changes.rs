//! Moves and deletes of which nobody knows whether they happened.

use super::*;

async fn two(source: bool, destination: bool) -> (Scripted, Base) {
    let both = [("/source", "content"), ("/destination", "content")];
    wrapped(&both[usize::from(!source)..1 + usize::from(destination)]).await
}

async fn moves(driver: &Base) -> Result<()> {
    driver.move_file(&path("/source"), &path("/destination")).await
}

async fn content(scripted: &Scripted, at: &str) -> Option<Bytes> {
    scripted.store.get_content(&path(at)).await.ok()
}

#[tokio::test(start_paused = true)]
async fn a_move_whose_answer_was_lost_is_done_when_only_the_destination_is_there() {
    let (scripted, driver) = two(true, false).await;
    scripted.script("move", [Fault::Lost]);
    moves(&driver).await.unwrap();
    assert_eq!(scripted.calls(), ["move /source", "stat /source", "stat /destination"]);
}

#[tokio::test(start_paused = true)]
async fn a_move_that_did_not_happen_is_made_again() {
    // Whether something is at the destination or not.
    for destination in [false, true] {
        let (scripted, driver) = two(true, destination).await;
        scripted.script("move", [Fault::Fails(UNKNOWN), Fault::Fails(UNAVAILABLE), Fault::Fails(UNKNOWN)]);
        moves(&driver).await.unwrap();
        let moved = ["move /source", "stat /source", "move /source", "move /source", "stat /source", "move /source"];
        assert_eq!(scripted.calls(), moved);
        assert_eq!(
            (content(&scripted, "/source").await, content(&scripted, "/destination").await.is_some()),
            (None, true)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_move_after_which_neither_is_there_stays_unknown_and_says_so() {
    let (scripted, driver) = two(false, false).await;
    scripted.script("move", [Fault::Fails(UNKNOWN)]);
    let error = moves(&driver).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (&UNKNOWN, Some(1)));
    assert!(error.message().ends_with("neither the source nor the destination is there"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_move_that_never_happens_ends_and_says_what_was_seen() {
    let (scripted, driver) = two(true, false).await;
    scripted.script("move", vec![Fault::Fails(UNKNOWN); 6]);
    let error = moves(&driver).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (&UNKNOWN, Some(6)));
    assert!(error.message().ends_with("the source is still there"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_move_that_comes_through_late_is_done() {
    let (scripted, driver) = two(true, false).await;
    // The source is seen, and gone by the time of the next attempt.
    scripted.script("move", [Fault::Fails(UNKNOWN), Fault::Fails(ErrorKind::PathNotFound)]);
    scripted
        .script("stat", [Fault::None, Fault::Fails(ErrorKind::PathNotFound), Fault::Meanwhile("/destination", "late")]);
    moves(&driver).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_missing_source_is_told_even_where_something_is_at_the_destination() {
    let (scripted, driver) = two(false, true).await;
    assert!(moves(&driver).await.unwrap_err().is_path_not_found());
    scripted.script("move", [Fault::Fails(UNAVAILABLE), Fault::Fails(THROTTLED)]);
    assert!(moves(&driver).await.unwrap_err().is_path_not_found());
}

#[tokio::test(start_paused = true)]
async fn a_move_that_cannot_be_looked_at_stays_unknown_and_says_so() {
    let (scripted, driver) = two(true, false).await;
    scripted.script("move", [Fault::Lost]);
    scripted.script("stat", [Fault::Fails(ErrorKind::AccessDenied)]);
    let error = moves(&driver).await.unwrap_err();
    assert_eq!(error.kind(), &UNKNOWN);
    assert!(error.message().contains("could not be looked at: access-denied"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_delete_that_finds_nothing_after_one_that_may_have_happened_is_done() {
    for fault in [Fault::Lost, Fault::Fails(UNAVAILABLE)] {
        let (scripted, driver) = two(true, false).await;
        scripted.script("delete", [fault]);
        driver.delete(&path("/source")).await.unwrap();
        assert_eq!(content(&scripted, "/source").await, None);
    }
    let (scripted, driver) = two(true, false).await;
    scripted.script("delete", [Fault::Lost, Fault::Fails(THROTTLED)]);
    driver.delete(&path("/source")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_delete_that_finds_nothing_after_one_that_never_began_is_not() {
    let (scripted, driver) = two(false, false).await;
    assert!(driver.delete(&path("/source")).await.unwrap_err().is_path_not_found());
    scripted.script("delete", [Fault::Fails(THROTTLED)]);
    assert!(driver.delete(&path("/source")).await.unwrap_err().is_path_not_found());
}
