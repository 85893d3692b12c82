//! Who is asked again, how often, and what that may cost.

use super::*;
use std::collections::HashMap;

/// Answers by the number in an id and how often it was asked before.
async fn by_number(rig: &Rig, answer: impl Fn(usize, usize) -> Carried) -> (Run, usize) {
    let asked_before = RefCell::new(HashMap::new());
    let requests = Cell::new(0);
    let run = rig
        .run(async |request: &Request| {
            requests.set(requests.get() + 1);
            let id = asked(request);
            let before = {
                let mut all = asked_before.borrow_mut();
                let count = all.entry(id.clone()).or_insert(0);
                *count += 1;
                *count - 1
            };
            tokio::time::sleep(ms(20)).await;
            answer(id[1..].parse().unwrap(), before)
        })
        .await;
    assert_eq!(run.end.totals.requests, requests.get() as u64);
    let attempts: u64 = run.findings.iter().map(|finding| u64::from(finding.attempts)).sum();
    assert_eq!(attempts, requests.get() as u64);
    (run, requests.get())
}

#[tokio::test(start_paused = true)]
async fn each_id_ends_as_its_last_answer_says() {
    let rig = Rig::new(6);
    let (run, _) = by_number(&rig, |n, before| match (n, before) {
        (0, _) => found(),
        (1, _) => not_found(),
        (2, 0) => status(500),
        (2, _) => found(),
        (3, 0..2) => unreachable(),
        (3, _) => not_found(),
        (4, _) => status(403),
        (_, 0) => Err(Setback::TooLarge(1)),
        _ => unreachable!("asked again"),
    })
    .await;
    for (id, outcome, attempts, status) in [
        ("n0", Outcome::Found, 1, Some(200)),
        ("n1", Outcome::NotFound, 1, Some(404)),
        ("n2", Outcome::Found, 2, Some(200)),
        ("n3", Outcome::NotFound, 3, Some(404)),
        ("n4", Outcome::Unknown, 1, Some(403)),
        ("n5", Outcome::Unknown, 1, None),
    ] {
        let finding = run.finding(id);
        assert_eq!(
            (finding.outcome, finding.attempts, finding.status),
            (outcome, attempts, status)
        );
        assert_eq!(finding.reply_time.is_some(), status.is_some());
        assert!(
            finding.elapsed >= ms(20) && finding.elapsed >= finding.reply_time.unwrap_or_default()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_id_is_tried_as_often_as_the_user_says() {
    for retries in [0, 1, 4] {
        let mut rig = Rig::new(30).concurrency(1);
        rig.options.retries = retries;
        let (run, _) = by_number(&rig, |n, _| if n == 29 { status(500) } else { found() }).await;
        let finding = run.finding("n29");
        assert_eq!((finding.attempts, finding.status), (retries + 1, Some(500)));
        assert_eq!(run.counts(), (29, 0, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_failures_stays_within_the_retry_budget() {
    let count = 2_000;
    for (failing_of_ten, concurrency) in [(1, 16), (5, 16), (9, 16), (9, 64), (5, 300)] {
        let rig = Rig::new(count).concurrency(concurrency);
        let answer = |n: usize, _| if n % 10 < failing_of_ten { status(500) } else { found() };
        let (run, requests) = by_number(&rig, answer).await;
        let failing = count * failing_of_ten / 10;
        assert_eq!(run.counts(), (count - failing, 0, failing), "{failing_of_ten}");
        // One a second are given to ids that failed while everybody did.
        let most = count + count / 5 + 10 + run.took.as_secs() as usize;
        assert!(
            requests <= most,
            "{failing_of_ten} of ten fail: {requests} requests, {most} allowed"
        );
        assert!(requests > count + failing / 20, "{failing_of_ten}: nobody is asked again");
    }
}

#[tokio::test(start_paused = true)]
async fn retries_that_help_are_not_held_back() {
    let rig = Rig::new(2_000);
    let (run, _) =
        by_number(
            &rig,
            |n, before| if n.is_multiple_of(2) && before == 0 { status(500) } else { found() },
        )
        .await;
    assert_eq!(run.counts(), (2_000, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_page_in_place_of_an_answer_is_asked_again_and_stays_unknown() {
    let rig = Rig::new(200);
    let (run, requests) = by_number(&rig, |_, _| reply(200, &[], "<html>Log in</html>")).await;
    assert_eq!(run.counts(), (0, 0, 200));
    assert!((200 + 40..=200 + 50).contains(&requests), "{requests}");
}

#[tokio::test(start_paused = true)]
async fn an_id_without_a_reply_says_which_id_it_was_and_why() {
    let mut rig = Rig::new(1);
    rig.options.retries = 0;
    for (setback, message) in [
        (Setback::TimedOut(s(10)), "Timeout: SKU n0 took longer than 10 s."),
        (Setback::TimedOut(ms(500)), "Timeout: SKU n0 took longer than 0.5 s."),
        (Setback::Closed, "Request error: the connection ended before the reply was whole"),
    ] {
        let (run, _) = by_number(&rig, |_, _| Err(setback.clone())).await;
        let finding = run.finding("n0");
        assert_eq!((finding.outcome, finding.message.as_str()), (Outcome::Unknown, message));
    }
}

#[tokio::test(start_paused = true)]
async fn ids_that_nobody_can_ask_for_are_recorded_unasked() {
    let mut rig = Rig::new(3);
    rig.ids.push("x".repeat(3_000));
    let (run, requests) = by_number(&rig, |_, _| found()).await;
    assert_eq!((run.counts(), requests), ((3, 0, 1), 3));
    let finding = run.finding(&rig.ids[3]);
    assert_eq!((finding.attempts, finding.status, finding.reply_time), (0, None, None));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_wants_more_time_than_anybody_has_leaves_an_id_unknown() {
    let rig = Rig::new(40);
    let (run, requests) =
        by_number(&rig, |n, _| if n == 7 { come_again(301) } else { found() }).await;
    assert_eq!((run.counts(), requests), ((39, 0, 1), 40));
    let message = &run.finding("n7").message;
    assert!(message.contains("301") && message.contains("300"), "{message}");
}

/// Whatever the status: who names a time is not asked before it.
#[tokio::test(start_paused = true)]
async fn nobody_is_asked_again_before_the_time_that_a_reply_names() {
    for (status, is_same_twice) in [
        (408, false),
        (425, false),
        (429, false),
        (429, true),
        (500, false),
        (502, true),
        (503, false),
        (504, false),
    ] {
        let fields = [("retry-after", "0"), ("retry-after", "7")];
        let fields = if is_same_twice { &fields[..] } else { &fields[1..] };
        let rig = Rig::new(1);
        let at = RefCell::new(Vec::new());
        let began = Instant::now();
        let run = rig
            .run(async |_: &Request| {
                at.borrow_mut().push(began.elapsed());
                if at.borrow().len() == 1 { reply(status, fields, "{}") } else { found() }
            })
            .await;
        let at = at.into_inner();
        assert_eq!((run.counts(), at.len()), ((1, 0, 0), 2), "{status}");
        assert!(at[1] - at[0] >= s(7), "{status}: {:?}", at[1] - at[0]);

        let run = rig.run(async |_: &Request| reply(status, &[("retry-after", "301")], "{}")).await;
        let finding = run.findings.first();
        let told = finding.map(|finding| (finding.attempts, finding.message.contains("301")));
        assert_eq!(told, Some((1, true)), "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_id_that_is_only_told_to_wait_is_not_tried_out() {
    let rig = Rig::new(40).concurrency(4);
    let (run, _) =
        by_number(&rig, |n, before| if n == 7 && before < 10 { come_again(2) } else { found() })
            .await;
    assert_eq!(run.counts(), (40, 0, 0));
    assert_eq!(run.finding("n7").attempts, 11);
    let (run, _) = by_number(&rig, |n, _| if n == 7 { come_again(2) } else { found() }).await;
    assert_eq!((run.counts(), run.finding("n7").attempts), ((39, 0, 1), 17));
}

#[tokio::test(start_paused = true)]
async fn a_retry_whose_time_has_come_goes_before_new_ids() {
    let rig = Rig::new(400).concurrency(1);
    let order = RefCell::new(Vec::new());
    let run = rig
        .run(async |request: &Request| {
            let id = asked(request);
            tokio::time::sleep(ms(50)).await;
            order.borrow_mut().push(id.clone());
            let is_first = order.borrow().iter().filter(|other| **other == id).count() == 1;
            if id == "n0" && is_first { status(500) } else { found() }
        })
        .await;
    assert_eq!(run.counts(), (400, 0, 0));
    let again = order.borrow().iter().rposition(|id| id == "n0").unwrap();
    assert!((1..=3).contains(&again), "asked again as number {again}");
}

#[tokio::test(start_paused = true)]
async fn what_is_held_is_bounded_whatever_the_server_does() {
    for (concurrency, answer) in [
        (10, (|| come_again(5)) as fn() -> Carried),
        (100, || come_again(5)),
        (100, || status(429)),
        (100, unreachable),
        (100, || status(500)),
    ] {
        let rig = Rig::new(600).concurrency(concurrency);
        let seen = Cell::new(0_usize);
        let run = rig
            .run(async |_: &Request| {
                tokio::time::sleep(ms(1)).await;
                seen.set(seen.get() + 1);
                if seen.get().is_multiple_of(50) { found() } else { answer() }
            })
            .await;
        let bound = u64::from(2 * concurrency + 64);
        assert!(run.held_most <= bound, "{concurrency}: {} held", run.held_most);
    }
}

#[tokio::test(start_paused = true)]
async fn the_rate_is_kept_by_all_calls_together() {
    for (calls, period, concurrency) in [(50, s(1), 64), (300, s(60), 1), (2_000, s(1), 500)] {
        let mut rig = Rig::new(500).concurrency(concurrency);
        rig.options.rate = crate::check::Rate::new(calls, period);
        let starts = RefCell::new(Vec::new());
        let began = Instant::now();
        let run = rig
            .run(async |request: &Request| {
                starts.borrow_mut().push(began.elapsed());
                tokio::time::sleep(ms(100)).await;
                let n: usize = asked(request)[1..].parse().unwrap();
                if n.is_multiple_of(20) { status(500) } else { found() }
            })
            .await;
        assert_eq!(run.findings.len(), 500);
        let starts = starts.into_inner();
        assert!(starts.len() > 500, "no retries");
        // Of any stretch of calls, one burst of 10 ms and the millisecond of a timer apart.
        let interval = period / calls;
        for (at, start) in starts.iter().enumerate() {
            for (later, end) in starts.iter().enumerate().skip(at) {
                let least = interval * (later - at) as u32;
                assert!(*end - *start + ms(11) >= least, "{at} to {later}: {:?}", *end - *start);
            }
        }
        let least = interval * (starts.len() - 1) as u32;
        let took = *starts.last().unwrap();
        assert!(took <= least + s(5) + interval * 10, "{took:?} for {least:?}");
    }
}

/// A server that says "at once" each time must not be hammered for it.
#[tokio::test(start_paused = true)]
async fn who_is_invited_at_once_waits_longer_each_time() {
    let rig = Rig::new(1);
    let at = RefCell::new(Vec::new());
    let began = Instant::now();
    rig.run(async |_: &Request| {
        at.borrow_mut().push(began.elapsed());
        reply(429, &[("retry-after", "0")], "{}")
    })
    .await;
    let (at, invitations) = (at.into_inner(), 4 * 4);
    assert_eq!(at.len(), 1 + invitations);
    let (early, late) = (at[4] - at[0], at[invitations] - at[invitations - 4]);
    assert!(late > 4 * early, "{early:?} {late:?}");
}

/// Who was told the same time does not come back in one moment.
#[tokio::test(start_paused = true)]
async fn ids_that_were_told_to_wait_come_back_one_by_one() {
    let rig = Rig::new(50).concurrency(50);
    let (began, came) = (Instant::now(), RefCell::new(Vec::new()));
    let run = rig
        .run(async |_: &Request| {
            let at = began.elapsed();
            came.borrow_mut().push(at);
            tokio::time::sleep(ms(1)).await;
            if at < s(1) { come_again(2) } else { found() }
        })
        .await;
    assert_eq!(run.counts(), (50, 0, 0));
    let again: HashSet<Duration> = came.borrow()[50..].iter().copied().collect();
    assert!(again.len() > 20, "{again:?}");
    assert!(again.iter().all(|at| *at >= s(2) + ms(1)), "{again:?}");
}
