//! Second calls beside slow ones.

use super::*;
use crate::check::pace::HedgeAfter;

/// Of a hundred calls so many are slow: 2 s in place of 100 ms.
async fn with_slow_calls(rig: &Rig, slow_of_hundred: u64) -> (Run, u64, u64) {
    let (requests, at_once) = (Cell::new(0_u64), (Cell::new(0_u64), Cell::new(0)));
    let run = rig
        .run(async |_: &Request| {
            let number = requests.get();
            requests.set(number + 1);
            at_once.0.set(at_once.0.get() + 1);
            at_once.1.set(at_once.1.get().max(at_once.0.get()));
            // Counted down also when the loop drops the call.
            let _leave = Leave(&at_once.0);
            let is_slow = number.wrapping_mul(37) % 100 < slow_of_hundred;
            tokio::time::sleep(if is_slow { s(2) } else { ms(100) }).await;
            found()
        })
        .await;
    (run, requests.get(), at_once.1.get())
}

struct Leave<'a>(&'a Cell<u64>);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

#[tokio::test(start_paused = true)]
async fn slow_calls_are_overtaken_within_the_budget() {
    let mut rig = Rig::new(2_000).concurrency(32);
    let (plain, requests, _) = with_slow_calls(&rig, 2).await;
    assert_eq!((requests, plain.end.totals.hedges), (2_000, 0));
    rig.options.hedge = Some(HedgeAfter::Fixed(ms(300)));
    let (hedged, requests, _) = with_slow_calls(&rig, 2).await;
    assert_eq!(hedged.counts(), (2_000, 0, 0));
    let hedges = hedged.end.totals.hedges;
    assert_eq!(requests, 2_000 + hedges);
    assert!((20..=60).contains(&hedges), "{hedges}");
    assert!(hedged.took < plain.took, "{:?} against {:?}", hedged.took, plain.took);
    let slow = |run: &Run| run.findings.iter().filter(|f| f.elapsed >= s(2)).count();
    assert!(slow(&plain) >= 35 && slow(&hedged) <= 5, "{} {}", slow(&plain), slow(&hedged));
    let twice: Vec<&Finding> = hedged.findings.iter().filter(|f| f.attempts == 2).collect();
    assert_eq!(twice.len() as u64, hedges);
    // Of two calls that of the answer counts.
    for finding in twice {
        let time = finding.reply_time.unwrap();
        assert!(time == ms(100) || time == s(2), "{time:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_slow_for_everybody_gets_no_more_than_the_budget() {
    let mut rig = Rig::new(2_000).concurrency(32);
    rig.options.hedge = Some(HedgeAfter::Fixed(ms(300)));
    let (run, requests, _) = with_slow_calls(&rig, 100).await;
    assert_eq!(run.counts(), (2_000, 0, 0));
    assert!(requests <= 2_000 + 2_000 / 20 + 1, "{requests}");
    assert!(run.end.totals.hedges >= 50, "{}", run.end.totals.hedges);
}

#[tokio::test(start_paused = true)]
async fn hedges_keep_within_the_places() {
    let mut rig = Rig::new(1_000).concurrency(8);
    rig.options.hedge = Some(HedgeAfter::Fixed(ms(150)));
    let (run, _, at_once) = with_slow_calls(&rig, 10).await;
    assert_eq!((run.counts(), at_once), ((1_000, 0, 0), 8));
}

#[tokio::test(start_paused = true)]
async fn the_95th_percentile_is_learned() {
    let mut rig = Rig::new(3_000).concurrency(32);
    rig.options.hedge = Some(HedgeAfter::P95);
    let (run, _, _) = with_slow_calls(&rig, 2).await;
    assert_eq!(run.counts(), (3_000, 0, 0));
    assert!(run.end.totals.hedges >= 20, "{}", run.end.totals.hedges);
}

#[tokio::test(start_paused = true)]
async fn a_bad_answer_waits_for_the_other_call() {
    let mut rig = Rig::new(1);
    rig.options.hedge = Some(HedgeAfter::Fixed(ms(100)));
    for (first, second, found_in) in [
        ((ms(300), status(500)), (ms(400), found()), Some(ms(400))),
        ((ms(600), found()), (ms(100), status(429)), Some(ms(600))),
        ((ms(300), found()), (ms(900), found()), Some(ms(300))),
        ((ms(300), status(400)), (ms(900), found()), None),
    ] {
        let number = Cell::new(0);
        let run = rig
            .run(async |_: &Request| {
                number.set(number.get() + 1);
                let (wait, answer) = if number.get() == 1 { &first } else { &second };
                tokio::time::sleep(*wait).await;
                answer.clone()
            })
            .await;
        let finding = run.finding("n0");
        assert_eq!((finding.attempts, number.get()), (2, 2));
        let is_found = finding.outcome == Outcome::Found;
        assert_eq!(finding.reply_time.filter(|_| is_found), found_in);
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_bad_answers_the_later_time_to_come_again_holds() {
    let mut rig = Rig::new(1);
    rig.options.hedge = Some(HedgeAfter::Fixed(ms(100)));
    let (asks, fails) = ((ms(300), come_again(5)), (ms(400), status(500)));
    for pair in [[asks.clone(), fails.clone()], [fails, asks]] {
        let began = Instant::now();
        let sent_at = RefCell::new(Vec::new());
        let run = rig
            .run(async |_: &Request| {
                let number = sent_at.borrow().len();
                sent_at.borrow_mut().push(began.elapsed());
                let Some((wait, answer)) = pair.get(number) else { return found() };
                tokio::time::sleep(*wait).await;
                answer.clone()
            })
            .await;
        assert_eq!(run.counts(), (1, 0, 0));
        // Retry-After counts from its reply, which came last or before a reply without one.
        assert!(sent_at.borrow()[2] >= s(5) + ms(300), "{sent_at:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_ends_hedges_nothing() {
    let mut rig = Rig::new(5);
    rig.options.hedge = Some(HedgeAfter::Fixed(ms(300)));
    let api = async |_: &Request| {
        tokio::time::sleep(s(1)).await;
        found()
    };
    let stop = async {
        tokio::time::sleep(ms(100)).await;
        rig.stop.press();
    };
    let (run, ()) = tokio::join!(rig.run(api), stop);
    assert_eq!((run.end.totals.requests, run.end.totals.hedges, run.took), (5, 0, s(1)));
}
