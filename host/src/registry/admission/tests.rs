#![allow(clippy::unwrap_used, reason = "a test that cannot go on is a failed test")]

use http::StatusCode;

use super::*;

fn client(number: u8) -> Client {
    Client::new(Some([192, 0, 2, number].into()))
}

/// Lets a client take as many as it may.
async fn greedy(admission: &Admission, client: Client) -> Vec<Admitted> {
    let mut taken = Vec::new();
    while let Ok(admitted) = admission.enter(client, 1, Duration::ZERO).await {
        taken.push(admitted);
    }
    taken
}

#[tokio::test]
async fn one_client_gets_half_and_there_is_always_something_left_for_another() {
    let admission = Admission::new("things", 120, 50);
    let first = greedy(&admission, client(1)).await;
    assert_eq!(first.len(), 60);
    let second = greedy(&admission, client(2)).await;
    assert_eq!(second.len(), 30);
    // Who holds more than its share gets nothing more when others leave, and gets it back later.
    drop(second);
    assert!(admission.enter(client(1), 1, Duration::ZERO).await.is_err());
    let admission = Admission::new("things", 4096, 50);
    let mut all = Vec::new();
    for number in 0..11 {
        let taken = greedy(&admission, client(number)).await;
        assert!(!taken.is_empty(), "client {number} gets nothing");
        all.push(taken);
    }
    assert!(
        admission.enter(client(200), 1, Duration::ZERO).await.is_ok(),
        "nothing is left for a client that has none"
    );
}

#[tokio::test]
async fn a_refusal_says_whose_fault_it_is_and_when_to_come_back() {
    let admission = Admission::new("things", 4, 50);
    let held = greedy(&admission, client(1)).await;
    let refused = admission.enter(client(1), 1, Duration::ZERO).await.err().unwrap();
    let response = refused.into_response();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()[RETRY_AFTER], "5");
    let mut others = Vec::new();
    for number in 2..4 {
        others.push(admission.enter(client(number), 1, Duration::ZERO).await.unwrap());
    }
    let refused = admission.enter(client(9), 1, Duration::ZERO).await.err().unwrap();
    let response = refused.into_response();
    assert_eq!((response.status(), held.len()), (StatusCode::SERVICE_UNAVAILABLE, 2));
    assert_eq!(response.headers()[RETRY_AFTER], "5");
    assert_eq!(admission.0.capacity().refused, 3);
    assert!(admission.0.capacity().exhausted_for.is_some());
}

#[tokio::test]
async fn a_single_place_is_given_and_a_share_of_all_is_no_bound() {
    let single = Admission::new("things", 1, 50);
    assert_eq!(greedy(&single, client(1)).await.len(), 1);
    let whole = Admission::new("things", 20, 100);
    assert_eq!(greedy(&whole, client(1)).await.len(), 20);
    // What weighs more than there is comes alone.
    assert!(single.enter(client(1), 5, Duration::ZERO).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn of_those_who_wait_the_one_that_holds_least_is_served_first() {
    let admission = Arc::new(Admission::new("things", 3, 100));
    let mut greedy = greedy(&admission, client(1)).await;
    let (served, order) = tokio::sync::mpsc::unbounded_channel();
    for number in [1, 1, 2] {
        let (admission, served) = (Arc::clone(&admission), served.clone());
        tokio::spawn(async move {
            let admitted = admission.enter(client(number), 1, Duration::from_secs(60)).await;
            served.send((number, admitted.ok())).unwrap();
        });
        tokio::task::yield_now().await;
    }
    let mut order = order;
    greedy.pop();
    let (number, admitted) = order.recv().await.unwrap();
    assert!(number == 2 && admitted.is_some());
    greedy.pop();
    assert_eq!(order.recv().await.unwrap().0, 1);
}

#[tokio::test(start_paused = true)]
async fn who_comes_later_does_not_take_the_room_that_another_waits_for() {
    let admission = Arc::new(Admission::new("things", 4, 100));
    let mut taken = greedy(&admission, client(1)).await;
    let waits = tokio::spawn({
        let admission = Arc::clone(&admission);
        async move { admission.enter(client(2), 2, Duration::from_secs(60)).await.is_ok() }
    });
    tokio::task::yield_now().await;
    taken.pop();
    assert!(admission.enter(client(3), 1, Duration::ZERO).await.is_err());
    assert!(admission.try_enter(client(3)).is_none());
    taken.pop();
    assert!(waits.await.unwrap());
    assert!(admission.try_enter(client(3)).is_some(), "nobody waits any more");
}

#[tokio::test]
async fn what_has_run_out_is_told_until_room_comes_back() {
    let admission = Admission::new("things", 2, 100);
    let mut taken = greedy(&admission, client(1)).await;
    assert!(admission.0.capacity().exhausted_for.is_some());
    taken.pop();
    assert_eq!(admission.0.capacity().exhausted_for, None);
}

#[tokio::test(start_paused = true)]
async fn who_waits_in_vain_is_refused_and_leaves_nothing_taken() {
    let admission = Admission::new("things", 1, 50);
    let held = admission.enter(client(1), 1, Duration::ZERO).await.unwrap();
    assert!(admission.enter(client(2), 1, Duration::from_secs(60)).await.is_err());
    drop(held);
    assert_eq!(admission.used(), (0, 1));
    assert!(admission.0.lock().clients.is_empty());
    assert!(admission.enter(client(2), 1, Duration::ZERO).await.is_ok());
}

#[test]
fn a_client_is_an_address_or_a_network_of_ipv6() {
    let of = |text: &str| Client::new(Some(text.parse().unwrap()));
    assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
    assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
    assert_eq!(of("::ffff:192.0.2.7"), of("192.0.2.7"));
    assert_eq!(of("2001:db8:0:1::1").to_string(), "2001:db8:0:1::/64");
    assert_ne!(Client::new(None), of("0.0.0.0"));
}
