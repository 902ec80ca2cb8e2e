#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::sync::atomic::Ordering;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use tokio::time::timeout;

use super::super::{Access, Action};
use super::*;

/// By `htpasswd -B`, of `secret`.
const SECRET: &str = "$2y$05$L50RfUt1/lX6HMo1u6ENZepEokg3sIuTHkptvcEdm299S0NZ89Zfe";

/// A hash as cheap as there is, for tests that make many.
fn hash(password: &str) -> String {
    bcrypt::hash(password, 4).unwrap()
}

struct Fixture {
    users: Arc<Htpasswd>,
    path: PathBuf,
    _directory: tempfile::TempDir,
}

impl Fixture {
    fn new(text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("htpasswd");
        fs::write(&path, text).unwrap();
        let users = Arc::new(Htpasswd::open(&path, "realm").unwrap());
        Fixture { users, path, _directory: directory }
    }

    async fn login(&self, user: &str, password: &str) -> Result<Option<User>, Denied> {
        login(&self.users, user, password).await
    }

    async fn lets_in(&self, user: &str, password: &str) -> bool {
        self.login(user, password).await.is_ok()
    }

    fn checks(&self) -> u64 {
        self.users.checks.load(Ordering::Relaxed)
    }

    /// Puts another text into the file, and lets the second pass in which nobody looks at it.
    async fn write(&self, text: &str) {
        fs::write(&self.path, text).unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
    }
}

async fn login(users: &Htpasswd, user: &str, password: &str) -> Result<Option<User>, Denied> {
    let header = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
    let header = HeaderValue::from_str(&header).unwrap();
    let needed = [Access::repository("a", Action::Push), Access::catalog()];
    users.authorize(AccessRequest { authorization: Some(&header), host: None, client: None, needed: &needed }).await
}

#[tokio::test]
async fn the_right_password_lets_in_by_name_and_a_wrong_one_does_not() {
    let fixture = Fixture::new(&format!("alice:{SECRET}\n"));
    assert_eq!(fixture.login("alice", "secret").await.unwrap(), Some(User { name: "alice".to_owned() }));
    for (user, password) in [
        ("alice", "Secret"),
        ("alice", ""),
        ("alice", "secret "),
        ("Alice", "secret"),
        ("bob", "secret"),
        ("", "secret"),
    ] {
        assert!(!fixture.lets_in(user, password).await, "{user}:{password}");
    }
}

#[tokio::test]
async fn without_credentials_the_challenge_asks_for_some() {
    let fixture = Fixture::new("");
    for header in [None, Some(HeaderValue::from_static("Bearer x")), Some(HeaderValue::from_static("Basic !"))] {
        let request = AccessRequest { authorization: header.as_ref(), host: None, client: None, needed: &[] };
        match fixture.users.authorize(request).await {
            Err(Denied::Unauthenticated { challenge, .. }) => assert_eq!(challenge, "Basic realm=\"realm\""),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_are_answered_alike() {
    let fixture = Fixture::new(&format!("alice:{SECRET}\n"));
    let wrong = format!("{:?}", fixture.login("alice", "wrong").await.unwrap_err());
    assert_eq!(wrong, format!("{:?}", fixture.login("bob", "wrong").await.unwrap_err()));
    assert!(wrong.contains("Basic realm") && !wrong.contains("alice"), "{wrong}");
}

/// Twice as long is allowed for what else this machine does; without bcrypt it would be a hundred times as short.
#[tokio::test]
async fn an_unknown_user_takes_as_long_as_a_wrong_password() {
    let fixture = Fixture::new(&format!("alice:{}\n", SECRET.replace("$05$", "$08$")));
    let mut shortest = [Duration::MAX; 2];
    for _ in 0..3 {
        for (user, shortest) in ["alice", "bob"].into_iter().zip(&mut shortest) {
            let begin = std::time::Instant::now();
            assert!(!fixture.lets_in(user, "wrong").await);
            *shortest = begin.elapsed().min(*shortest);
        }
    }
    assert_eq!(fixture.checks(), 6);
    let [wrong, unknown] = shortest;
    assert!(unknown * 2 > wrong, "{unknown:?} for an unknown user, {wrong:?} for a wrong password");
}

/// The dummy's password can be found: it must not let anybody in.
#[tokio::test]
async fn an_unknown_user_is_not_let_in_by_the_dummys_password() {
    let mut fixture = Fixture::new("");
    let entries = entries::Entries::with_dummy(hash("dummy"));
    Arc::get_mut(&mut fixture.users).unwrap().file.replace(entries);
    assert!(!fixture.lets_in("bob", "dummy").await);
    assert_eq!(fixture.checks(), 1);
}

#[tokio::test]
async fn a_pull_of_fifty_blobs_costs_one_check() {
    let fixture = Fixture::new(&format!("alice:{SECRET}\n"));
    for _ in 0..50 {
        assert!(fixture.lets_in("alice", "secret").await);
    }
    assert_eq!(fixture.checks(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_requests_at_once_cost_one_check() {
    let mut fixture = Fixture::new(&format!("alice:{SECRET}\n"));
    Arc::get_mut(&mut fixture.users).unwrap().queue = Queue::new(2);
    let requests = (0..50).map(|_| {
        let users = fixture.users.clone();
        tokio::spawn(async move { login(&users, "alice", "secret").await.is_ok() })
    });
    for request in requests.collect::<Vec<_>>() {
        assert!(request.await.unwrap());
    }
    assert_eq!(fixture.checks(), 1);
}

#[tokio::test]
async fn a_wrong_password_is_checked_each_time() {
    let fixture = Fixture::new(&format!("alice:{SECRET}\n"));
    for _ in 0..3 {
        assert!(!fixture.lets_in("alice", "wrong").await);
    }
    assert_eq!(fixture.checks(), 3);
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_for_his_turn_is_told_to_come_again() {
    let fixture = Fixture::new(&format!("alice:{SECRET}\nbob:{SECRET}\n"));
    assert!(fixture.lets_in("alice", "secret").await);
    let turns = fixture.users.queue.turns.available_permits();
    let _taken = fixture.users.queue.turns.acquire_many(turns as u32).await.unwrap();
    assert!(matches!(fixture.login("bob", "secret").await, Err(Denied::Unavailable { .. })));
    // Who was let in before needs no turn.
    assert!(fixture.lets_in("alice", "secret").await);
}

#[tokio::test]
async fn a_check_keeps_its_turn_when_its_request_is_dropped() {
    let mut fixture = Fixture::new(&format!("alice:{}\n", SECRET.replace("$05$", "$11$")));
    Arc::get_mut(&mut fixture.users).unwrap().queue = Queue::new(1);
    {
        // The file is looked at before the check begins.
        let mut request = std::pin::pin!(fixture.login("alice", "wrong"));
        while fixture.users.queue.turns.available_permits() == 1 {
            assert!(timeout(Duration::from_millis(1), request.as_mut()).await.is_err());
        }
    }
    assert_eq!(fixture.users.queue.turns.available_permits(), 0);
    // And gives it back.
    let turn = timeout(Duration::from_secs(60), fixture.users.queue.turns.acquire()).await;
    assert!(turn.unwrap().is_ok());
}

#[tokio::test]
async fn one_client_that_guesses_passwords_is_told_to_slow_down_and_others_log_in() {
    let fixture = Fixture::new(&format!("alice:{}\n", SECRET.replace("$05$", "$08$")));
    let ask = |client: [u8; 4], user: String, password: String| {
        let users = fixture.users.clone();
        tokio::spawn(async move {
            let header = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
            let header = HeaderValue::from_str(&header).unwrap();
            let client = Some(client.into());
            users.authorize(AccessRequest { authorization: Some(&header), host: None, client, needed: &[] }).await
        })
    };
    let guesses: Vec<_> = (0..100).map(|number| ask([192, 0, 2, 1], "alice".into(), number.to_string())).collect();
    tokio::task::yield_now().await;
    let other = ask([192, 0, 2, 2], "alice".into(), "nearly".into());
    let mut told = 0;
    for guess in guesses {
        match guess.await.unwrap() {
            Err(Denied::TooManyRequests { retry_after, .. }) => {
                assert!(retry_after >= Duration::from_secs(1));
                told += 1;
            }
            Err(Denied::Unauthenticated { .. }) => {}
            outcome => panic!("{outcome:?}"),
        }
    }
    assert!(told >= 80, "{told} of 100 guesses of one client were told to slow down");
    assert!(matches!(other.await.unwrap(), Err(Denied::Unauthenticated { .. })), "another client is not told so");
}

#[tokio::test(start_paused = true)]
async fn a_changed_file_is_read_within_a_second() {
    let fixture = Fixture::new(&format!("alice:{}\n", hash("one")));
    assert!(fixture.lets_in("alice", "one").await);

    fixture.write(&format!("alice:{}\nbob:{}\n", hash("two"), hash("three"))).await;
    assert!(!fixture.lets_in("alice", "one").await, "a remembered password counts although it was changed");
    assert!(fixture.lets_in("alice", "two").await && fixture.lets_in("bob", "three").await);

    fixture.write(&format!("bob:{}\n", hash("three"))).await;
    assert!(!fixture.lets_in("alice", "two").await, "a user who was removed is let in");
}

/// Of the same length, within one step of the file system's clock.
#[tokio::test(start_paused = true)]
async fn a_change_that_leaves_time_and_length_as_they_were_is_read_too() {
    let fixture = Fixture::new(&format!("alice:{}\n", hash("one")));
    let modified = fs::metadata(&fixture.path).unwrap().modified().unwrap();
    fs::write(&fixture.path, format!("alice:{}\n", hash("two"))).unwrap();
    fs::File::open(&fixture.path).unwrap().set_modified(modified).unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(!fixture.lets_in("alice", "one").await && fixture.lets_in("alice", "two").await);
}

#[tokio::test(start_paused = true)]
async fn the_file_is_looked_at_once_a_second_at_most() {
    let fixture = Fixture::new(&format!("alice:{}\n", hash("one")));
    fs::write(&fixture.path, format!("alice:{}\n", hash("two"))).unwrap();
    tokio::time::advance(Duration::from_millis(900)).await;
    assert!(fixture.lets_in("alice", "one").await);
    tokio::time::advance(Duration::from_millis(100)).await;
    assert!(!fixture.lets_in("alice", "one").await);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_let_in_while_the_file_is_wrong_or_missing_and_everybody_again_after() {
    let good = format!("alice:{}\n", hash("one"));
    let fixture = Fixture::new(&good);
    assert!(fixture.lets_in("alice", "one").await);
    let is_unavailable = |outcome: Result<_, Denied>| match outcome {
        Err(Denied::Unavailable { message }) => !message.contains("htpasswd"),
        _ => false,
    };
    for wrong in [format!("{good}:{}\n", hash("one")), "alice".to_owned()] {
        fixture.write(&wrong).await;
        for _ in 0..2 {
            assert!(is_unavailable(fixture.login("alice", "one").await));
            tokio::time::advance(Duration::from_secs(1)).await;
        }
    }
    fs::remove_file(&fixture.path).unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(is_unavailable(fixture.login("alice", "one").await));

    fixture.write(&good).await;
    assert!(fixture.lets_in("alice", "one").await);
}

#[tokio::test(start_paused = true)]
async fn beside_a_user_whose_hash_cannot_be_checked_the_others_are_let_in() {
    let others = format!("alice:{}\nbob:plain\ncarol:{}\n", hash("one"), hash("two"));
    let fixture = Fixture::new(&others);
    for _ in 0..2 {
        assert!(fixture.lets_in("alice", "one").await && fixture.lets_in("carol", "two").await);
        assert!(!fixture.lets_in("bob", "plain").await && !fixture.lets_in("bob", "").await);
        fixture.write(&format!("{others}dave:{}\n", hash("three"))).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_look_at_the_file_whose_request_was_dropped_counts_for_the_next() {
    let fixture = Fixture::new(&format!("alice:{}\n", hash("0")));
    // A look can be over before anybody asks for it: that request is not one that was dropped.
    let mut password = 0;
    loop {
        password += 1;
        assert!(password < 1000, "every look was over at once");
        fixture.write(&format!("alice:{}\n", hash(&password.to_string()))).await;
        let mut request = std::pin::pin!(fixture.users.file.entries());
        if futures::poll!(request.as_mut()).is_pending() {
            break;
        }
    }
    assert!(fixture.lets_in("alice", &password.to_string()).await);
}

#[test]
fn a_missing_file_is_refused_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("htpasswd");
    let error = Htpasswd::open(&path, "realm").unwrap_err().to_string();
    assert!(error.contains("does not exist") && error.contains(&format!("`htpasswd -Bc {} USER`", path.display())));
    assert!(!path.exists(), "Distribution creates the file; Wharf must not");
}

#[test]
fn a_file_that_is_wrong_is_refused_by_its_name_and_the_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("htpasswd");
    fs::write(&path, "bob hunter2\n").unwrap();
    let error = Htpasswd::open(&path, "realm").unwrap_err().to_string();
    assert!(error.contains(&path.display().to_string()) && error.contains("line 1") && !error.contains("hunter2"));
    assert!(Htpasswd::open(directory.path(), "realm").unwrap_err().to_string().contains("no regular file"));
    fs::File::create(&path).unwrap().set_len(17 * 1024 * 1024).unwrap();
    assert!(Htpasswd::open(&path, "realm").unwrap_err().to_string().contains("larger than"));
}

#[test]
fn a_realm_that_is_no_text_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("htpasswd");
    fs::write(&path, "").unwrap();
    for realm in ["", " ", "a\r\nb"] {
        assert!(Htpasswd::open(&path, realm).unwrap_err().to_string().contains("`realm`"));
    }
}

#[tokio::test]
async fn neither_passwords_nor_hashes_print() {
    let fixture = Fixture::new(&format!("alice:{SECRET}\n"));
    assert!(fixture.lets_in("alice", "secret").await);
    let text = format!("{:?}", fixture.users);
    assert!(!text.contains("secret") && !text.contains("$2y$") && text.contains("realm"), "{text}");
}
