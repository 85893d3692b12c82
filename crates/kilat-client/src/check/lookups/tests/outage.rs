//! Servers that are dead, or die and come back.

use super::*;
use crate::check::lookups::{Why, run};
use crate::check::pace::HedgeAfter;

#[tokio::test(start_paused = true)]
async fn a_handful_of_ids_against_a_dead_server_ends_soon_and_unknown() {
    let rig = Rig::new(5);
    let run = rig.run(async |_: &Request| unreachable()).await;
    assert_eq!(run.counts(), (0, 0, 5));
    assert!(run.end.is_complete());
    assert!(run.took < s(5), "{:?}", run.took);
    assert!(run.end.totals.requests <= 5 + 1 + 10, "{}", run.end.totals.requests);
    for finding in &run.findings {
        assert!(finding.message.contains("connection refused"), "{}", finding.message);
        assert!(finding.attempts > 1 && finding.status.is_none(), "{finding:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn many_ids_against_a_dead_server_are_left_for_later_and_it_is_not_stormed() {
    for (answer, concurrency) in [
        (unreachable as fn() -> Carried, Some(64)),
        (unreachable, Some(9_000)),
        (unreachable, None),
        (|| status(500), Some(64)),
        (|| status(503), None),
        (|| status(502), None),
        (|| status(429), None),
        (|| Err(Setback::Closed), None),
    ] {
        let mut rig = Rig::new(20_000);
        rig.options.concurrency = concurrency;
        let run = rig
            .run(async |_: &Request| {
                tokio::time::sleep(ms(1)).await;
                answer()
            })
            .await;
        let host = "127.0.0.1:5000".to_owned();
        assert_eq!(run.end.why, Why::Failing { host, since: s(30) }, "{concurrency:?}");
        assert_eq!(run.counts(), (0, 0, 0), "{concurrency:?}");
        let first = u64::from(concurrency.unwrap_or(16));
        let requests = run.end.totals.requests;
        assert!(requests <= first + 40, "{concurrency:?}: {requests}");
        assert!(run.took < s(40), "{:?}", run.took);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_given_up_too() {
    let mut rig = Rig::new(20_000).concurrency(64);
    rig.options.hedge = Some(HedgeAfter::Fixed(ms(300)));
    let run = rig
        .run(async |_: &Request| {
            tokio::time::sleep(s(10)).await;
            Err(Setback::TimedOut(s(10)))
        })
        .await;
    assert!(matches!(run.end.why, Why::Failing { .. }), "{:?}", run.end.why);
    assert_eq!(run.counts(), (0, 0, 0));
    assert!(run.took < s(60), "{:?}", run.took);
}

/// What a server says when it is gone.
#[tokio::test(start_paused = true)]
async fn a_server_that_dies_in_the_middle_and_returns_costs_no_id() {
    for (concurrency, gone) in [
        (Some(64), unreachable as fn() -> Carried),
        (Some(2_000), unreachable),
        (None, || Err(Setback::Closed)),
        (None, || status(502)),
        (Some(64), || status(500)),
    ] {
        let mut rig = Rig::new(10_000);
        rig.options.concurrency = concurrency;
        let began = Instant::now();
        let (during, lost) = (Cell::new(0), Cell::new(0));
        let run = rig
            .run(async |_: &Request| {
                let is_gone = || (s(1)..s(11)).contains(&began.elapsed());
                if is_gone() {
                    during.set(during.get() + 1);
                    tokio::time::sleep(ms(1)).await;
                    return gone();
                }
                // Those that are under way when it dies fail then.
                tokio::time::sleep(ms(200)).await;
                if is_gone() {
                    lost.set(lost.get() + 1);
                    return gone();
                }
                found()
            })
            .await;
        assert!(run.end.is_complete(), "{concurrency:?}: {:?}", run.end);
        assert_eq!(run.counts(), (10_000, 0, 0), "{concurrency:?}");
        let (during, lost) = (during.get(), lost.get());
        assert!(lost > 0 && during < 60, "{concurrency:?}: {during} asked meanwhile, {lost} lost");
        assert!(run.took < s(11 + 8 + 60), "{:?}", run.took);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_nobody_had_to_ask_meanwhile_is_asked_before_it_is_given_up() {
    let mut rig = Rig::new(0);
    rig.options.retries = 0;
    let (given, began) = (Cell::new(0), Instant::now());
    let next = async || {
        if given.get() == 20 {
            tokio::time::sleep_until(began + s(100)).await;
        }
        let index = given.get();
        given.set(index + 1);
        (index < 40).then(|| rig.id(index, &format!("n{index}")))
    };
    let api = async |_: &Request| if began.elapsed() < s(50) { unreachable() } else { found() };
    let end = run(&rig.plan(), next, api, async |_| Ok(())).await;
    assert_eq!((end.why, end.recorded), (Why::Finished, 40));
}

#[tokio::test(start_paused = true)]
async fn gauges_show_the_trouble() {
    let rig = Rig::new(1_000).concurrency(64);
    let troubled = Cell::new(0);
    rig.run(async |_: &Request| {
        tokio::time::sleep(ms(1)).await;
        troubled.set(troubled.get().max(rig.gauges.troubled.get()));
        unreachable()
    })
    .await;
    assert_eq!(troubled.get(), 1);
    assert!(rig.gauges.pushbacks.get() >= 64);
    assert_eq!((rig.gauges.in_flight.get(), rig.gauges.waiting.get()), (0, 0));
}
