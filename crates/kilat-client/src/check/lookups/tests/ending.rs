//! Runs that end before their end, and what they leave.

use super::*;
use crate::check::lookups::Why;

/// A server that takes 1 s for everything.
async fn in_a_second(_: &Request) -> Carried {
    tokio::time::sleep(s(1)).await;
    found()
}

#[tokio::test(start_paused = true)]
async fn without_ids_there_is_nothing_to_do() {
    let run = Rig::new(0).run(in_a_second).await;
    assert!(run.end.is_complete());
    assert_eq!(run.took, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_complete_run_says_what_it_came_to() {
    let rig = Rig::new(100).concurrency(10);
    let run = rig.run(in_a_second).await;
    assert!(run.end.is_complete());
    assert_eq!((run.took, run.end.totals.floor()), (s(10), s(10)));
    assert_eq!((run.end.totals.requests, run.end.totals.in_flight_most), (100, 10));
    assert_eq!(rig.gauges.requests.get(), 100);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_lets_what_is_in_flight_end() {
    let mut rig = Rig::new(1_000).concurrency(10);
    rig.options.deadline = Some(ms(4_500));
    let run = rig.run(in_a_second).await;
    assert_eq!(run.end.why, Why::Deadline);
    assert_eq!((run.counts(), run.took), ((50, 0, 0), s(5)));
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_last_ids_end_after_the_deadline_or_a_stop_is_complete() {
    let mut rig = Rig::new(10).concurrency(10);
    let stopped = tokio::join!(rig.run(in_a_second), async {
        tokio::time::sleep(ms(500)).await;
        rig.stop.press();
    });
    rig.stop = Stop::new();
    rig.options.deadline = Some(ms(500));
    for run in [stopped.0, rig.run(in_a_second).await] {
        assert_eq!((run.end.why, run.findings.len(), run.took), (Why::Finished, 10, s(1)));
    }
}

#[tokio::test(start_paused = true)]
async fn the_deadline_comes_also_while_everybody_waits() {
    let mut rig = Rig::new(1_000).concurrency(10);
    rig.options.deadline = Some(ms(4_500));
    let run = rig.run(async |_: &Request| come_again(100)).await;
    assert_eq!((run.end.why, run.took), (Why::Deadline, ms(4_500)));
}

#[tokio::test(start_paused = true)]
async fn the_first_stop_finishes_what_is_in_flight_and_asks_nobody_again() {
    // What met trouble is left for later, also when it would not be asked again.
    for retries in [4, 0] {
        let mut rig = Rig::new(1_000).concurrency(10);
        rig.options.retries = retries;
        let run = tokio::join!(
            rig.run(async |request: &Request| {
                tokio::time::sleep(s(1)).await;
                if asked(request).ends_with('3') { status(500) } else { found() }
            }),
            async {
                tokio::time::sleep(ms(500)).await;
                rig.stop.press();
            }
        )
        .0;
        assert_eq!((run.end.why.clone(), run.counts(), run.took), (Why::Stopped, (9, 0, 0), s(1)));
        assert_eq!(run.end.totals.requests, 10);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_does_not_come_back_holds_the_first_stop_no_longer_than_its_time() {
    let mut rig = Rig::new(1_000).concurrency(10);
    rig.options.timeout = s(3);
    let run = tokio::join!(rig.run(async |_: &Request| std::future::pending().await), async {
        tokio::time::sleep(s(1)).await;
        rig.stop.press();
    })
    .0;
    assert_eq!((run.end.why, run.took, run.end.recorded), (Why::Stopped, s(4), 0));
}

#[tokio::test(start_paused = true)]
async fn the_second_stop_ends_at_once() {
    let rig = Rig::new(1_000).concurrency(10);
    let run = tokio::join!(rig.run(async |_: &Request| std::future::pending().await), async {
        tokio::time::sleep(s(1)).await;
        rig.stop.press();
        tokio::time::sleep(s(1)).await;
        rig.stop.press();
    })
    .0;
    assert_eq!((run.end.why, run.took, run.end.recorded), (Why::Stopped, s(2), 0));
}

#[tokio::test(start_paused = true)]
async fn the_second_stop_ends_also_while_the_log_hangs() {
    let rig = Rig::new(1_000).concurrency(10);
    let log = async |_: &Entry| std::future::pending().await;
    let run = tokio::join!(rig.run_with(in_a_second, log), async {
        tokio::time::sleep(s(5)).await;
        rig.stop.press();
        rig.stop.press();
    })
    .0;
    assert_eq!((run.end.why, run.took, run.end.recorded), (Why::Stopped, s(5), 0));
}

#[tokio::test(start_paused = true)]
async fn a_slow_log_slows_the_asking_and_loses_nothing() {
    let rig = Rig::new(100).concurrency(10);
    let log = async |_: &Entry| {
        tokio::time::sleep(ms(500)).await;
        Ok(())
    };
    let run = rig.run_with(in_a_second, log).await;
    assert_eq!((run.counts(), run.end.is_complete()), ((100, 0, 0), true));
    assert!(run.took >= s(50) && run.held_most <= 84, "{:?} {}", run.took, run.held_most);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_closes_ends_the_run() {
    let rig = Rig::new(1_000).concurrency(10);
    let taken = Cell::new(0);
    let log = async |_: &Entry| {
        taken.set(taken.get() + 1);
        if taken.get() > 25 { Err(Closed) } else { Ok(()) }
    };
    let run = rig.run_with(in_a_second, log).await;
    assert_eq!((run.end.why, run.end.recorded, run.took), (Why::Log, 25, s(3)));
    assert!(run.end.totals.requests <= 25 + 1 + 10, "{}", run.end.totals.requests);
}

#[tokio::test(start_paused = true)]
async fn a_mistake_in_the_input_ends_the_run_after_what_is_in_flight() {
    let mut rig = Rig::new(20).concurrency(10);
    rig.ids.push("!ids.txt:21: too long".to_owned());
    let run = rig.run(in_a_second).await;
    let mistake = ClientError::Usage("ids.txt:21: too long".to_owned());
    assert_eq!((run.end.why.clone(), run.counts()), (Why::Input(mistake), (10, 0, 0)));
    assert_eq!(run.end.reason(Lang::English).unwrap(), "ids.txt:21: too long");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_closes_for_longer_than_anybody_waits_ends_the_run() {
    let rig = Rig::new(1_000).concurrency(10);
    let run = rig.run(async |_: &Request| come_again(3_600)).await;
    let Why::Closed { host, wait } = &run.end.why else { panic!("{:?}", run.end.why) };
    assert_eq!((host.as_str(), *wait), ("127.0.0.1:5000", s(3_600)));
    assert_eq!(run.counts(), (0, 0, 10));
    assert!(run.end.reason(Lang::English).unwrap().contains("3,600"));
}

#[tokio::test(start_paused = true)]
async fn steps_are_told_in_their_order_when_wanted() {
    let mut rig = Rig::new(2).concurrency(1);
    let count = Cell::new(0);
    let api = async |_: &Request| {
        count.set(count.get() + 1);
        if count.get() == 1 { status(500) } else { found() }
    };
    assert!(rig.run(api).await.steps.is_empty());
    rig.wants_steps = true;
    count.set(0);
    let run = rig.run(api).await;
    let mut steps = run.steps.clone();
    steps.sort();
    assert_eq!(
        steps,
        ["began n0", "began n1", "sent 0", "sent 0", "sent 1"]
            .map(|step| { step.replace("n0", "\"n0\"").replace("n1", "\"n1\"") })
    );
    assert_eq!(run.steps[..2], ["began \"n0\"", "sent 0"]);
}
