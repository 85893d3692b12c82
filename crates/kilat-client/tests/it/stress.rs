//! The verification must hold for every honest log, however unlucky, and fail for every liar.

use crate::log::{FakeLog, Fault};
use kilat_client::attack::CheckResult;
use kilat_client::events::Progress;
use kilat_client::stress::{self, StressOptions, StressReport};
use kilat_client::{Access, ClientError, Lang, Token};
use std::sync::atomic::Ordering;
use std::time::Duration;

fn options(fake: &FakeLog) -> StressOptions {
    let access = Access { url: fake.url(), token: None, timeout: Duration::from_secs(5) };
    StressOptions {
        events: 1_000,
        batch: 40,
        connections: 3,
        seed: Some(42),
        patience: Duration::from_secs(20),
        ..StressOptions::new(access, Lang::English)
    }
}

fn try_run(options: &StressOptions) -> Result<StressReport, ClientError> {
    stress::run(options, &mut Progress::quiet(Lang::English))
}

fn run(options: &StressOptions) -> StressReport {
    try_run(options).unwrap()
}

fn failed(report: &StressReport) -> Vec<&'static str> {
    report.checks.iter().filter(|c| c.result == CheckResult::Failed).map(|c| c.name).collect()
}

/// The checks that catch `fault`; the first named must be among them, and the report must say `sentence`.
#[track_caller]
fn check_lie(fault: Fault, caught_by: &str, sentence: &str) {
    check_lie_with(fault, caught_by, sentence, |_| {});
}

#[track_caller]
fn check_lie_with(
    fault: Fault,
    caught_by: &str,
    sentence: &str,
    change: impl FnOnce(&mut StressOptions),
) {
    let fake = FakeLog::start(fault);
    let mut options = options(&fake);
    change(&mut options);
    let report = run(&options);
    let text = report.to_text(Lang::English);
    assert!(!report.verified, "{fault:?} was not noticed:\n{text}");
    assert!(failed(&report).contains(&caught_by), "{fault:?} caught by {:?}", failed(&report));
    assert!(text.contains(sentence) && text.contains("VERIFICATION FAILED"), "{fault:?}:\n{text}");
}

#[track_caller]
fn check_honest(fault: Fault, change: impl FnOnce(&mut StressOptions)) -> StressReport {
    let fake = FakeLog::start(fault);
    let mut options = options(&fake);
    change(&mut options);
    let report = run(&options);
    assert!(report.verified, "{fault:?}:\n{}", report.to_text(Lang::English));
    report
}

#[test]
fn an_honest_log_is_verified() {
    let report = check_honest(Fault::None, |_| {});
    let deliveries = &report.deliveries;
    assert_eq!(
        (deliveries.acknowledged, deliveries.stored, deliveries.duplicates),
        (1_000, 800, 200)
    );
    assert_eq!((deliveries.conflicts, deliveries.lost, report.traffic.retries), (0, 0, 0));
    assert_eq!(report.checks.iter().map(|c| c.name).collect::<Vec<_>>(), stress::CHECKS);
    let text = report.to_text(Lang::English);
    assert!(
        text.ends_with("VERIFICATION PASSED: 1,000 deliveries, 800 stored, each exactly once.\n"),
        "{text}"
    );
    assert!(report.to_text(Lang::Indonesian).contains("VERIFIKASI SUKSES"));
    let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
    assert_eq!((&json["verified"], &json["setup"]["unique"]), (&true.into(), &800.into()));
}

#[test]
fn every_lie_is_noticed() {
    check_lie(Fault::DropsAnEvent, "stored_once", "acknowledged but not stored: ");
    check_lie(Fault::DropsAnEvent, "topic_count", "799 of this run read");
    check_lie(Fault::StoresADuplicate, "stored_once", "stored twice: ");
    check_lie_with(Fault::StoresAgainAfterLostReply, "stored_once", "stored twice: ", |o| {
        o.duplicates = 0.0;
    });
    check_lie(Fault::StoresAStranger, "stored_once", "stored although nobody sent it: who-1");
    check_lie(Fault::CountsOneTooFew, "received_counted", "by 999, expected 1,000 to 1,000");
    check_lie(Fault::CountsOneTooFew, "counters_add_up", "999 received, 800 unique, 200 dropped");
    check_lie(Fault::CountsOneTooMany, "received_counted", "by 1,001, expected 1,000 to 1,000");
    check_lie(Fault::CountsOneTooMany, "dropped_counted", "by 201, expected 200 to 200");
    check_lie(Fault::CountsOneUniqueTooMany, "unique_counted", "by 801, expected 800 to 800");
    check_lie(Fault::CountsOneDropTooFew, "dropped_counted", "by 199, expected 200 to 200");
    check_lie(Fault::ChangesAPayload, "same_content", ": payload");
    check_lie(Fault::ChangesATimestamp, "same_content", ": timestamp");
    check_lie(Fault::ChangesASource, "same_content", ": source");
    check_lie(Fault::TellsStoredTwice, "replies_true", "stored twice: ");
    check_lie(Fault::TellsStoredTwice, "told_stored", "801 told stored, 800 events");
    check_lie(Fault::TellsAnotherOffset, "replies_true", "not at the offset that was told: ");
    check_lie(Fault::ListsOutOfOrder, "in_order", "not in the order of offsets: ");
    check_lie(Fault::MiscountsTheTopic, "topic_count", "801 in /topics, 800 of this run read");
    check_lie(
        Fault::MiscountsAPage,
        "in_order",
        "the page miscounts its events: count 301, events 300",
    );
    check_lie(Fault::CallsADuplicateAConflict, "replies_true", "called a conflict although");
    check_lie(
        Fault::ContradictsItself,
        "replies_true",
        "the answer contradicts itself: received 41",
    );
    check_lie(Fault::LeavesOutAResult, "replies_true", "39 results for 40 events");
}

#[test]
fn most_lies_are_noticed_also_without_a_result_for_each_event() {
    for (fault, caught_by) in [
        (Fault::DropsAnEvent, "stored_once"),
        (Fault::StoresADuplicate, "stored_once"),
        (Fault::CountsOneTooFew, "received_counted"),
        (Fault::ChangesAPayload, "same_content"),
        (Fault::TellsStoredTwice, "told_stored"),
        (Fault::CallsADuplicateAConflict, "replies_true"),
        (Fault::ContradictsItself, "replies_true"),
    ] {
        check_lie_with(fault, caught_by, "", |o| o.minimal = true);
    }
    check_honest(Fault::None, |o| o.minimal = true);
}

#[test]
fn bad_luck_does_not_spoil_the_verification() {
    let lossy = check_honest(Fault::LosesReplies, |_| {});
    assert!(lossy.deliveries.lost > 0 && lossy.traffic.retries > 0, "{:?}", lossy.traffic);
    assert!(check_honest(Fault::ResetsBeforeActing, |_| {}).traffic.silences > 0);
    assert!(check_honest(Fault::Throttles, |_| {}).traffic.not_now > 0);
    assert!(check_honest(Fault::ProxyFails, |_| {}).traffic.not_now > 0);
    assert_eq!(check_honest(Fault::NotNow, |_| {}).traffic.not_now, 1);
    check_honest(Fault::ClosesAfterEachReply, |_| {});
    let short = Duration::from_millis(100);
    assert!(check_honest(Fault::Stalls, |o| o.access.timeout = short).deliveries.lost > 0);
}

/// A lost reply widens the bounds by what it carried, and no further.
#[test]
fn counts_beyond_all_attempts_are_noticed_also_when_replies_were_lost() {
    let fake = FakeLog::start(Fault::LosesReplies);
    let options = StressOptions { events: 20_000, batch: 20, ..options(&fake) };
    let stress = std::thread::spawn(move || run(&options));
    fake.await_posts(100);
    {
        let mut log = fake.log();
        log.received += 1_000_000;
        log.dropped += 1_000_000;
    }
    let report = stress.join().unwrap();
    assert!(report.deliveries.lost > 0);
    assert_eq!(failed(&report), ["received_counted", "dropped_counted"]);
}

#[test]
fn a_log_killed_again_and_again_is_outlasted_and_verified() {
    let mut fake = FakeLog::start(Fault::None);
    let options = StressOptions { events: 20_000, batch: 20, ..options(&fake) };
    let stress = std::thread::spawn(move || run(&options));
    for round in 1..=10 {
        fake.await_posts(round * 50);
        fake.server.kill();
        fake.server.restart();
    }
    let report = stress.join().unwrap();
    assert!(report.verified, "{}", report.to_text(Lang::English));
    assert!(report.traffic.retries > 0, "{:?}", report.traffic);
    assert_eq!((report.deliveries.acknowledged, fake.log().unique), (20_000, 16_000));
}

#[test]
fn a_log_that_stays_away_is_not_verified() {
    let mut fake = FakeLog::start(Fault::None);
    let patience = Duration::from_millis(200);
    let options = StressOptions { events: 100_000, batch: 1, patience, ..options(&fake) };
    let stress = std::thread::spawn(move || run(&options));
    fake.await_posts(100);
    fake.server.kill();
    let report = stress.join().unwrap();
    assert!(!report.verified && report.after.is_none());
    assert!(failed(&report).contains(&"delivered"), "{:?}", failed(&report));
}

#[test]
fn other_publishers_are_told_and_not_taken_for_a_wrong_count() {
    let fake = FakeLog::start(Fault::None);
    let options = StressOptions { events: 20_000, batch: 20, ..options(&fake) };
    let stress = std::thread::spawn(move || run(&options));
    fake.await_posts(10);
    fake.publish_as_stranger("other", "1");
    fake.publish_as_stranger("other", "1");
    let report = stress.join().unwrap();
    let text = report.to_text(Lang::English);
    assert!(report.verified && report.others_published, "{text}");
    assert!(text.contains("others published at the same time"), "{text}");
}

#[test]
fn runs_share_a_topic_without_meeting() {
    let fake = FakeLog::start(Fault::None);
    for unique in [800, 1_600] {
        let report = run(&StressOptions { topic: Some("shared".to_owned()), ..options(&fake) });
        assert!(report.verified, "{}", report.to_text(Lang::English));
        assert_eq!(fake.log().unique, unique);
    }
}

#[test]
fn the_seed_repeats_the_order() {
    let sent = |seed| {
        let fake = FakeLog::start(Fault::None);
        let report = run(&StressOptions { seed: Some(seed), connections: 1, ..options(&fake) });
        let numbers: Vec<u64> = fake
            .log()
            .events
            .iter()
            .map(|e| e.event["payload"]["number"].as_u64().unwrap())
            .collect();
        assert_eq!(report.setup.seed, seed);
        numbers
    };
    assert_eq!(sent(7), sent(7));
    assert_ne!(sent(7), sent(8));
}

#[test]
fn what_can_not_go_on_says_so() {
    let stop = |fault, part: &str| {
        let fake = FakeLog::start(fault);
        let error = try_run(&options(&fake)).unwrap_err();
        assert!(error.to_string().contains(part), "{fault:?}: {error}");
        error
    };
    assert!(matches!(
        stop(Fault::AnswersHtml, "not what the contract says"),
        ClientError::Fault(_)
    ));
    assert!(matches!(stop(Fault::AsksForAToken, "KILAT_PUBLISH_TOKEN"), ClientError::Usage(_)));
    assert!(matches!(stop(Fault::Redirects, "307"), ClientError::Refused(_)));
    let fake = FakeLog::start(Fault::AsksForAToken);
    let mut with_token = options(&fake);
    with_token.access.token = Some(Token::from("secret"));
    assert!(run(&with_token).verified);
    let mut gone = FakeLog::start(Fault::None);
    gone.server.kill();
    assert!(matches!(try_run(&options(&gone)).unwrap_err(), ClientError::Unreachable(_)));
}

#[test]
fn a_cancelled_run_is_verified_as_far_as_it_went() {
    let fake = FakeLog::start(Fault::None);
    let options = StressOptions { events: 10_000_000, ..options(&fake) };
    let cancel = options.cancel.clone();
    let stress = std::thread::spawn(move || run(&options));
    fake.await_posts(50);
    cancel.store(true, Ordering::Relaxed);
    let report = stress.join().unwrap();
    assert!(report.cancelled && report.verified, "{}", report.to_text(Lang::English));
    assert!(report.deliveries.acknowledged < 10_000_000);
}
