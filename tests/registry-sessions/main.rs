//! `wharf serve` when things go wrong: killed at any moment, beside another on the same store, on a full disk, with clients
//! that stall and vanish, for a long time, and with many large pushes at once.
//!
//! `--long` makes each session longer; `WHARF_TEST_SOAK_SECONDS`, `WHARF_TEST_SOAK_CLIENTS` and `WHARF_TEST_SOAK_KIND` say
//! how the soak is run. Each prints what it did and saw.

#[path = "../registry-clients/check.rs"]
mod check;
mod disk;
mod disk_truth;
mod kill;
mod ledger;
mod memory;
mod reconnect;
mod slow;
mod soak;
mod two;
mod uploads;
mod vanish;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use wharf_conformance::serve::RegistryProcess;

use check::Outcome;

fn main() -> ExitCode {
    let long = std::env::args().any(|argument| argument == "--long");
    let trial = |name: &str, session: fn(bool) -> Outcome| Trial::test(name, move || session(long));
    let trials = vec![
        trial("a_kill_loses_nothing_acknowledged_and_tears_nothing", kill::session),
        trial("uploads_go_on_at_another_server_on_the_same_store", two::uploads),
        trial("tags_pushed_by_two_servers_at_once_are_whole_and_the_last_one_wins", two::tags),
        trial("clients_that_mix_their_bytes_in_one_upload_never_make_a_wrong_blob", two::mixed),
        trial("a_client_that_disconnects_and_resumes_at_once_loses_nothing_acknowledged", reconnect::session),
        trial("a_full_disk_refuses_pushes_clearly_and_harms_nothing", disk::session)
            // A small file system has to be mounted.
            .with_ignored_flag(!disk::may_mount()),
        trial("clients_that_stall_or_vanish_leave_nothing_behind", vanish::session),
        trial("thousands_of_slow_clients_cost_the_others_nothing", slow::session),
        trial("a_body_slower_than_the_minimum_rate_is_ended_and_a_slow_one_is_not", slow::rates),
        trial("readiness_tells_when_capacity_has_run_out", slow::exhausted),
        trial("many_large_pushes_and_pulls_at_once_take_bounded_memory", memory::session),
        trial("a_soak_ends_with_every_digest_right", soak::session),
    ];
    let mut arguments = Arguments::from_iter(std::env::args().filter(|argument| argument != "--long"));
    // One after the other: they measure, and what they measure is to be their own.
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Adds to a failure what the registries said.
fn with_logs(outcome: Outcome, registries: &[&RegistryProcess]) -> Outcome {
    outcome.map_err(|failed| {
        let mut message = failed.message().unwrap_or("failed without a word").to_owned();
        for registry in registries {
            message.push_str(&format!("\nthe registry on {} printed:\n{}", registry.address(), registry.log()));
        }
        Failed::from(message)
    })
}
