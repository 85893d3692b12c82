//! A server that takes so many at once and pushes back what is beyond.

use super::*;
use std::collections::HashMap;

/// How long a call is under way before it reaches the server, and back.
const WAY: Duration = ms(1);

/// Takes `places` at once for 0.2 to 0.6 s each; others are told to come again in 1 s, or
/// only refused.
struct Counter {
    places: usize,
    names_time: bool,
    began: Instant,
    busy: Cell<usize>,
    /// How many were served from when on.
    history: RefCell<Vec<(Duration, usize)>>,
    told: RefCell<HashMap<String, Instant>>,
    early: Cell<usize>,
    refused: Cell<usize>,
    served_at: RefCell<Vec<Duration>>,
    drawn: Cell<u64>,
}

impl Counter {
    fn new(places: usize, names_time: bool) -> Counter {
        Counter {
            places,
            names_time,
            began: Instant::now(),
            busy: Cell::new(0),
            history: RefCell::default(),
            told: RefCell::default(),
            early: Cell::new(0),
            refused: Cell::new(0),
            served_at: RefCell::default(),
            drawn: Cell::new(1),
        }
    }

    async fn ask(&self, request: &Request) -> Carried {
        tokio::time::sleep(WAY).await;
        let answer = self.answer(asked(request)).await;
        tokio::time::sleep(WAY).await;
        answer
    }

    async fn answer(&self, id: String) -> Carried {
        if let Some(told) = self.told.borrow_mut().remove(&id) {
            self.early.set(self.early.get() + usize::from(told.elapsed() < s(1)));
        }
        if self.busy.get() == self.places {
            self.refused.set(self.refused.get() + 1);
            if !self.names_time {
                return status(429);
            }
            self.told.borrow_mut().insert(id, Instant::now());
            return come_again(1);
        }
        self.busy(1);
        tokio::time::sleep(self.delay()).await;
        self.busy(-1);
        self.served_at.borrow_mut().push(self.began.elapsed());
        found()
    }

    fn busy(&self, change: isize) {
        self.busy.set(self.busy.get().strict_add_signed(change));
        self.history.borrow_mut().push((self.began.elapsed(), self.busy.get()));
    }

    fn delay(&self) -> Duration {
        let drawn = self.drawn.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.drawn.set(drawn);
        ms(200 + (drawn >> 33) % 400)
    }

    /// The part of its places that was in use in a time.
    fn use_between(&self, from: Duration, to: Duration) -> f64 {
        let history = self.history.borrow();
        let ends = history.iter().skip(1).map(|(at, _)| *at).chain([to]);
        let steps = history.iter().zip(ends);
        let used: f64 = steps
            .map(|((begin, busy), end)| {
                let span = end.clamp(from, to).saturating_sub((*begin).clamp(from, to));
                span.as_secs_f64() * *busy as f64
            })
            .sum();
        used / ((to - from).as_secs_f64() * self.places as f64)
    }
}

/// Runs until ids for 14 s are through. Returns the use of the server's places from the
/// fifth second until there were no longer enough ids for all of them.
async fn used(places: usize, concurrency: Option<u32>, names_time: bool) -> f64 {
    let mut rig = Rig::new(places * 35);
    rig.options.concurrency = concurrency;
    let server = Counter::new(places, names_time);
    let run = rig.run(async |request: &Request| server.ask(request).await).await;
    assert_eq!(run.counts(), (rig.ids.len(), 0, 0), "{places} {concurrency:?}");
    assert_eq!(server.early.get(), 0, "asked again too early");
    // What was asked at first, half of it, and so on, and then one now and then.
    let most = 2 * concurrency.unwrap_or(64) as usize + rig.ids.len() / 5;
    assert!(server.refused.get() <= most, "{} refused", server.refused.get());
    let until = server.served_at.borrow()[rig.ids.len() - 3 * places];
    server.use_between(s(5), until)
}

#[tokio::test(start_paused = true)]
async fn what_the_server_takes_is_found_and_used() {
    for (places, concurrency) in [(64, None), (64, Some(1_000)), (64, Some(65)), (8, None)] {
        let used = used(places, concurrency, true).await;
        assert!(used >= 0.9, "{places} {concurrency:?}: {used:.3} used");
    }
}

#[tokio::test(start_paused = true)]
async fn also_when_the_server_names_no_time() {
    for (places, concurrency) in [(64, None), (64, Some(1_000))] {
        let used = used(places, concurrency, false).await;
        assert!(used >= 0.8, "{places} {concurrency:?}: {used:.3} used");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fixed_number_is_kept_although_the_server_pushes_back() {
    let server = Counter::new(32, true);
    let rig = Rig::new(1_000).concurrency(40);
    let run = rig.run(async |request: &Request| server.ask(request).await).await;
    assert_eq!(run.counts(), (1_000, 0, 0));
    assert_eq!((run.end.totals.in_flight_most, server.early.get()), (40, 0));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_everybody_is_left_alone_until_its_time() {
    let asked_at = RefCell::new(Vec::new());
    let began = Instant::now();
    let rig = Rig::new(100).concurrency(10);
    let run = rig
        .run(async |_: &Request| {
            let at = began.elapsed();
            asked_at.borrow_mut().push(at.as_secs());
            tokio::time::sleep(WAY).await;
            if at < s(20) { come_again(20 - at.as_secs()) } else { found() }
        })
        .await;
    assert_eq!(run.counts(), (100, 0, 0));
    let before = asked_at.borrow().iter().filter(|at| **at < 20).count();
    // A round in flight, and the round that its refusals made room for.
    assert!(before < 2 * 10, "{before}");
}

#[tokio::test(start_paused = true)]
async fn a_quota_that_is_used_up_is_waited_for() {
    let (window, early) = (Cell::new((0, 0)), Cell::new(0));
    let began = Instant::now();
    let rig = Rig::new(500).concurrency(1);
    let run = rig
        .run(async |_: &Request| {
            let second = began.elapsed().as_secs();
            let (of, used) = window.get();
            let used = if of == second { used + 1 } else { 1 };
            window.set((second, used));
            early.set(early.get() + usize::from(used > 50));
            tokio::time::sleep(WAY).await;
            let left = (50_usize.saturating_sub(used)).to_string();
            let headers = [("x-ratelimit-remaining", left.as_str()), ("x-ratelimit-reset", "1")];
            reply(200, &headers, r#"{"name":"a","stock":7,"warehouse":"c"}"#)
        })
        .await;
    assert_eq!((run.counts(), early.get()), ((500, 0, 0), 0));
}
