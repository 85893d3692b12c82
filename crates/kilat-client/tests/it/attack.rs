//! The proof must hold for every honest server, however unlucky, and fail for every liar.

use crate::fake::{ADMIN, Fake, Fault};
use crate::standin::{self, Next, StandIn};
use kilat_client::attack::{self, AttackOptions, AttackReport, CheckResult, Output};
use kilat_client::{ClientError, Lang, Token};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

pub(crate) fn options(fake: &Fake) -> AttackOptions {
    AttackOptions {
        url: fake.url(),
        supply: 40,
        buyers: 120,
        connections: Some(24),
        replay: 0.5,
        seed: Some(42),
        timeout: Duration::from_secs(2),
        patience: Duration::from_secs(20),
        admin_token: Some(Token::from(ADMIN)),
        lang: Lang::English,
        ..AttackOptions::default()
    }
}

pub(crate) fn run(options: &AttackOptions) -> AttackReport {
    attack::run(options, &mut Output::quiet(Lang::English)).unwrap()
}

fn failed(report: &AttackReport) -> Vec<&'static str> {
    report.checks.iter().filter(|c| c.result == CheckResult::Failed).map(|c| c.name).collect()
}

/// The checks that catch `fault`; the first named must be among them.
#[track_caller]
fn check_lie(fault: Fault, caught_by: &str, change: impl FnOnce(&mut AttackOptions)) {
    let fake = Fake::start(fault);
    let mut options = options(&fake);
    change(&mut options);
    let report = run(&options);
    assert!(!report.proven(), "{fault:?} was not noticed:\n{}", report.to_text(Lang::English));
    let failed = failed(&report);
    assert!(failed.contains(&caught_by), "{fault:?} caught by {failed:?}");
    check_closed(&fake, &report);
}

/// The sale that the attack made for itself is not for sale any more.
#[track_caller]
fn check_closed(fake: &Fake, report: &AttackReport) {
    assert_eq!((fake.switched(), report.rehearsal_closed), (vec!["closed".to_owned()], Some(true)));
}

#[track_caller]
fn check_honest(fault: Fault, change: impl FnOnce(&mut AttackOptions)) -> AttackReport {
    let fake = Fake::start(fault);
    let mut options = options(&fake);
    change(&mut options);
    let report = run(&options);
    assert!(report.proven(), "{fault:?}:\n{}", report.to_text(Lang::English));
    let orders = &report.orders;
    assert_eq!(orders.intended, orders.acknowledged + orders.refused + orders.unknown, "{fault:?}");
    check_closed(&fake, &report);
    report
}

#[test]
fn every_lie_is_noticed() {
    let as_is = |_: &mut AttackOptions| {};
    check_lie(Fault::OversellsByOne, "never_oversold", as_is);
    check_lie(Fault::OversellsAndHidesIt, "never_oversold", as_is);
    check_lie(Fault::ForgetsAnAcknowledgedOrder, "acknowledged_exist", as_is);
    check_lie(Fault::SecondOrderForOneKey, "replays_are_the_same", as_is);
    check_lie(Fault::SecondOrderForOneKey, "no_strays", as_is);
    check_lie(Fault::SecondOrderAfterLostReply, "no_strays", |o| {
        (o.per_customer, o.replay) = (None, 0.0);
    });
    // Without replays the request whose reply is lost is surely an order.
    check_lie(Fault::SecondOrderAfterLostReply, "sold_is_acknowledged", |o| {
        (o.per_customer, o.replay) = (None, 0.0);
    });
    check_lie(Fault::RefusesReplay, "replays_are_the_same", as_is);
    check_lie(Fault::ForgetsToMarkReplays, "replays_are_the_same", as_is);
    check_lie(Fault::SaysSoldOutTooEarly, "sold_to_the_last", as_is);
    check_lie(Fault::SameIdTwice, "unique", as_is);
    check_lie(Fault::SameSequenceTwice, "unique", as_is);
    check_lie(Fault::AnotherQuantityInReply, "replies_as_asked", as_is);
    check_lie(Fault::ListsAnotherCustomer, "acknowledged_exist", as_is);
    check_lie(Fault::AuditDoesNotBalance, "conserved", as_is);
    check_lie(Fault::AuditSaysUnbalanced, "conserved", as_is);
    check_lie(Fault::ConfirmsWithoutEffect, "acknowledged_exist", |o| {
        o.hold = 1.0;
    });
    check_lie(Fault::ConfirmsWithoutEffect, "sold_is_acknowledged", |o| {
        o.hold = 1.0;
    });
}

#[test]
fn a_forgotten_order_is_noticed_also_without_the_admin_token() {
    let fake = Fake::start(Fault::ForgetsAnAcknowledgedOrder);
    fake.make_sale("s", 40, Some(1));
    let report =
        run(&AttackOptions { sale: Some("s".to_owned()), admin_token: None, ..options(&fake) });
    assert_eq!(failed(&report), ["acknowledged_exist"]);
}

#[test]
fn an_honest_server_is_proven() {
    let report = check_honest(Fault::None, |_| {});
    assert_eq!((report.orders.acknowledged, report.orders.refused), (40, 80));
    assert_eq!(report.after.as_ref().map(|a| a.available), Some(0));
    assert_eq!(report.orders.refusals.get("sold_out"), Some(&80));
    assert!(
        report.checks.iter().all(|c| c.result == CheckResult::Passed),
        "{}",
        report.to_text(Lang::English)
    );
    assert_eq!(report.traffic.retries, 0);
    assert_eq!(report.checks.iter().map(|c| c.name).collect::<Vec<_>>(), attack::CHECKS);
}

#[test]
fn bad_luck_does_not_spoil_the_proof() {
    let luck = |r: &AttackReport| r.traffic.clone();
    assert!(luck(&check_honest(Fault::DropsRepliesAfterActing, |_| {})).resets > 0);
    assert!(luck(&check_honest(Fault::ResetsBeforeActing, |_| {})).resets > 0);
    assert!(luck(&check_honest(Fault::Throttles, |_| {})).throttled > 0);
    assert!(luck(&check_honest(Fault::NotNow, |_| {})).unavailable > 0);
    assert!(luck(&check_honest(Fault::Faults, |_| {})).server_faults > 0);
    assert!(luck(&check_honest(Fault::Garbage, |_| {})).server_faults > 0);
    let short = Duration::from_millis(100);
    assert!(luck(&check_honest(Fault::Stalls, |o| o.timeout = short)).timeouts > 0);
    check_honest(Fault::SlowBytes, |_| {});
    check_honest(Fault::Chunked, |_| {});
    assert!(luck(&check_honest(Fault::ClosesAfterEachReply, |_| {})).connects > 100);
}

#[test]
fn holds_are_confirmed_and_proven() {
    let report = check_honest(Fault::None, |o| o.hold = 0.5);
    let after = report.after.unwrap();
    assert_eq!((after.sold, after.held), (40, 0));
    let report = check_honest(Fault::DropsRepliesAfterActing, |o| o.hold = 1.0);
    assert_eq!(report.after.map(|a| a.sold), Some(40));
}

#[test]
fn retry_after_is_honoured() {
    let began = Instant::now();
    check_honest(Fault::NotNow, |o| o.connections = Some(1));
    assert!(began.elapsed() >= Duration::from_secs(1));
}

#[test]
fn several_units_and_orders_a_buyer() {
    let report = check_honest(Fault::None, |o| {
        (o.quantity, o.per_customer, o.buyers, o.orders) = (3, Some(6), 10, Some(30));
    });
    let refusals = &report.orders.refusals;
    assert_eq!(report.orders.acknowledged, 13);
    assert_eq!(report.after.map(|a| a.available), Some(1));
    assert!(refusals.contains_key("sold_out"), "{refusals:?}");
}

#[test]
fn too_little_demand_is_said_and_not_a_failure() {
    let report = check_honest(Fault::None, |o| o.buyers = 5);
    let check = report.checks.iter().find(|c| c.name == "sold_to_the_last").unwrap();
    assert_eq!((check.result, check.evidence[0].fault), (CheckResult::Skipped, "demand_too_low"));
}

#[test]
fn a_sale_that_takes_no_order_proves_nothing() {
    let fake = Fake::start(Fault::None);
    fake.make_sale("s", 50, Some(1));
    let on = |sale: &str| AttackOptions { sale: Some(sale.to_owned()), ..options(&fake) };
    for (state, list) in [("closed", "120 × closed"), ("paused", "120 × paused")] {
        fake.switch("s", state);
        let report = run(&on("s"));
        assert!(!report.proven(), "{}", report.to_text(Lang::English));
        assert_eq!(failed(&report), [""; 0]);
        let verdict = report.verdict(Lang::English);
        assert_eq!(verdict, format!("NOT PROVEN: no order was accepted ({list})"));
        assert!(report.verdict(Lang::Indonesian).starts_with("TIDAK TERBUKTI: tidak ada"));
        let passed = report.checks.iter().filter(|c| c.result == CheckResult::Passed);
        let passed: Vec<&str> = passed.map(|c| c.name).collect();
        assert_eq!(passed, ["conserved", "never_oversold"], "the others look at nothing");
    }
    // Nothing is sold here either, but every buyer was told why, and that is proven.
    fake.make_sale("gone", 1, None);
    fake.buy_as_stranger("gone", "stranger");
    let report = run(&on("gone"));
    assert!(report.proven(), "{}", report.to_text(Lang::English));
}

#[test]
fn strangers_on_an_existing_sale_do_not_disturb() {
    let fake = Fake::start(Fault::None);
    fake.make_sale("s", 50, Some(1));
    for n in 0..10 {
        fake.buy_as_stranger("s", &format!("stranger-{n}"));
    }
    for admin_token in [Some(Token::from(ADMIN)), None] {
        let report = run(&AttackOptions {
            sale: Some("s".to_owned()),
            buyers: 20,
            admin_token,
            ..options(&fake)
        });
        assert!(report.proven(), "{}", report.to_text(Lang::English));
        assert_eq!(report.orders.acknowledged, 20);
        assert_eq!((fake.switched(), report.rehearsal_closed), (vec![], None), "it is not ours");
    }
}

#[test]
fn a_rehearsal_that_somebody_else_made_is_closed_if_that_is_asked() {
    let fake = Fake::start(Fault::None);
    fake.make_sale("rehearsal-1", 50, Some(1));
    let on = |sale: &str| AttackOptions {
        sale: Some(sale.to_owned()),
        close: true,
        buyers: 20,
        ..options(&fake)
    };
    let report = run(&on("rehearsal-1"));
    assert!(report.proven(), "{}", report.to_text(Lang::English));
    check_closed(&fake, &report);
    let refused = attack::run(&on("s"), &mut Output::quiet(Lang::English)).unwrap_err();
    assert!(matches!(refused, ClientError::Usage(_)), "{refused}");
    assert!(refused.to_string().contains("s is not a rehearsal"), "{refused}");
}

#[test]
fn a_rehearsal_sale_that_stays_open_is_named() {
    let fake = Fake::start(Fault::ClosesNoSale);
    let report = run(&options(&fake));
    assert!(report.proven() && report.rehearsal_closed == Some(false));
    let text = report.to_text(Lang::English);
    assert!(text.contains(&format!("kilat sale close {}", report.setup.sale)), "{text}");
}

#[test]
fn a_server_killed_in_mid_attack_is_outlasted_and_proven() {
    let mut fake = Fake::start(Fault::None);
    let options =
        AttackOptions { buyers: 3_000, supply: 2_000, rate: Some(3_000.0), ..options(&fake) };
    let attack = std::thread::spawn(move || run(&options));
    while fake.orders_asked() < 500 {
        std::thread::yield_now();
    }
    fake.server.kill();
    std::thread::sleep(Duration::from_millis(300));
    fake.server.restart();
    let report = attack.join().unwrap();
    assert!(report.proven(), "{}", report.to_text(Lang::English));
    assert_eq!((report.orders.acknowledged, report.orders.unknown), (2_000, 0));
    assert!(
        report.traffic.retries > 0 && report.traffic.connections_refused > 0,
        "{:?}",
        report.traffic
    );
}

#[test]
fn a_server_that_stays_away_leaves_orders_unknown_and_nothing_proven() {
    let mut fake = Fake::start(Fault::None);
    let patience = Duration::from_millis(300);
    let options = AttackOptions { buyers: 2_000, rate: Some(2_000.0), patience, ..options(&fake) };
    let attack = std::thread::spawn(move || run(&options));
    while fake.orders_asked() < 300 {
        std::thread::yield_now();
    }
    fake.server.kill();
    let report = attack.join().unwrap();
    assert!(!report.proven() && report.after.is_none() && report.rehearsal_closed == Some(false));
    assert!(report.orders.unknown > 0);
}

#[test]
fn orders_given_up_are_settled_by_the_proof() {
    // One attempt, then patience is over: the proof asks again with the same keys.
    let report = check_honest(Fault::DropsSomeEarlyReplies, |o| {
        (o.patience, o.replay) = (Duration::from_millis(1), 0.0);
    });
    assert_eq!((report.orders.unknown, report.traffic.retries), (0, 0));
    assert!(report.traffic.resets > 0);
    assert_eq!(report.after.map(|a| a.sold), Some(report.orders.acknowledged));
}

#[test]
fn an_open_loop_counts_the_wait_behind_a_stall() {
    let run = |fault| {
        check_honest(fault, |o| {
            (o.connections, o.buyers, o.supply, o.rate, o.replay) =
                (Some(1), 200, 200, Some(500.0), 0.0);
        })
    };
    let calm = run(Fault::None).latency_us;
    let stalled = run(Fault::Stalls).latency_us;
    // One request stalls for 400 ms; all that were due meanwhile must show it.
    assert!(stalled.p50 > 50_000 && stalled.p90 > 200_000, "{stalled:?} after {calm:?}");
    assert!(stalled.max >= 400_000, "{stalled:?}");
}

#[test]
fn our_own_mistakes_stop_the_attack_with_a_sentence() {
    for (fault, part) in [(Fault::SaysInvalid, "quantity: must be odd"), (Fault::Redirects, "307")]
    {
        let fake = Fake::start(fault);
        let error = attack::run(&options(&fake), &mut Output::quiet(Lang::English)).unwrap_err();
        assert!(matches!(&error, ClientError::Refused(text) if text.contains(part)), "{error}");
        assert_eq!(fake.switched(), ["closed"]);
    }
}

#[test]
fn what_can_not_start_says_so() {
    let start = |options: &AttackOptions| {
        attack::run(options, &mut Output::quiet(Lang::English)).unwrap_err()
    };
    let mut fake = Fake::start(Fault::None);
    let error = start(&AttackOptions { admin_token: None, ..options(&fake) });
    assert!(
        matches!(&error, ClientError::NoAdminToken(text) if text.contains("KILAT_ADMIN_TOKEN")),
        "{error}"
    );
    let error = start(&AttackOptions { admin_token: Some(Token::from("wrong")), ..options(&fake) });
    assert!(matches!(&error, ClientError::Usage(_)), "{error}");
    fake.make_sale("s", 1, None);
    let error = start(&AttackOptions {
        admin_token: Some(Token::from("wrong")),
        sale: Some("s".to_owned()),
        ..options(&fake)
    });
    assert!(matches!(&error, ClientError::Usage(_)), "{error}");
    assert_eq!(fake.orders_asked(), 0);
    let error = start(&AttackOptions { sale: Some("none".to_owned()), ..options(&fake) });
    assert!(
        matches!(&error, ClientError::Refused(text) if text.contains("sale_not_found")),
        "{error}"
    );
    fake.server.kill();
    let error = start(&options(&fake));
    assert!(
        matches!(&error, ClientError::Unreachable(text) if text.contains("onnection refused;")),
        "{error}"
    );
    assert_eq!(error.exit_code(), 1);
    let foreign = StandIn::start(|mut stream, _| {
        std::io::Write::write_all(&mut stream, standin::reply(404, &[], "{}").as_bytes())?;
        Ok(Next::Read)
    });
    for sale in [None, Some("s".to_owned())] {
        let error = start(&AttackOptions { url: foreign.url(), sale, ..options(&fake) });
        let said = format!("{} is not a Kilat server", foreign.url());
        assert!(error.to_string().starts_with(&said), "{error}");
    }
}

#[test]
fn a_cancelled_attack_is_proven_as_far_as_it_went() {
    let fake = Fake::start(Fault::None);
    let options = AttackOptions {
        supply: 1_000_000,
        per_customer: None,
        duration: Some(Duration::from_secs(600)),
        rate: Some(2_000.0),
        ..options(&fake)
    };
    let cancel = options.cancel.clone();
    let attack = std::thread::spawn(move || run(&options));
    while fake.orders_asked() < 100 {
        std::thread::yield_now();
    }
    cancel.store(true, Ordering::Relaxed);
    let report = attack.join().unwrap();
    assert!(report.cancelled && report.proven(), "{}", report.to_text(Lang::English));
    check_closed(&fake, &report);
}
