//! Random histories of publishing, restarting, killing, power cuts, forgetting and reading,
//! against the model.

use kilat_eventlog::{ForgetRule, Origin, Verdict};
use kilat_journal::simulation::Random;

use crate::model::{Event, Model};
use crate::rig::{Live, Rig, seed};

/// Histories of an ordinary run; a soak sets KILAT_HISTORIES.
const HISTORIES: u64 = 60;
const STEPS: u64 = 60;

#[test]
fn every_history_is_what_the_model_says() {
    let seed = seed();
    let given = std::env::var("KILAT_HISTORIES").ok().and_then(|text| text.parse().ok());
    let mut random = Random::new(seed);
    for number in 0..given.unwrap_or(HISTORIES) {
        let seed = random.draw();
        println!("history {number}: {seed}");
        History::new(seed).run();
    }
}

struct History {
    random: Random,
    rig: Rig,
    model: Model,
    topics: u64,
    ids: u64,
}

impl History {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut rig = Rig::new(random.draw());
        rig.generation_events_max = 1 + random.below(100) as usize;
        let (topics, ids) = (1 + random.below(5), 1 + random.below(400));
        Self { random, rig, model: Model::default(), topics, ids }
    }

    fn run(mut self) {
        let mut live = self.rig.open();
        for _ in 0..STEPS {
            live = match self.random.below(20) {
                0 => self.reopen(live),
                1 => self.forget(live),
                2 => {
                    live.reader.reclaim().expect("bytes are given back");
                    live
                }
                3 => {
                    live.check(&self.model);
                    live
                }
                _ => self.publish(live),
            };
        }
        let live = self.reopen(live);
        live.check(&self.model);
        live.close();
        let verified = self.rig.verify();
        assert!(verified.holds(), "{:?} {:?}", verified.findings, verified.corruption);
        assert_eq!(verified.events, self.model.end());
    }

    fn reopen(&mut self, live: Live) -> Live {
        match self.random.below(4) {
            0 => live.close(),
            1 => {
                drop(live);
                self.rig.log.kill();
                self.rig.index.kill();
            }
            _ => {
                drop(live);
                self.rig.crash();
            }
        }
        let live = self.rig.open();
        assert_eq!(live.reader.end(), self.model.end(), "events after a restart");
        assert_eq!(live.reader.counters(), self.model.counters, "counters after a restart");
        live
    }

    fn forget(&mut self, mut live: Live) -> Live {
        let topic = self.random.coin().then(|| format!("topic-{}", self.random.below(6)));
        let time = self.random.below(live.now.unsigned_abs() + 2).cast_signed();
        let received_before_ms = self.random.coin().then_some(time);
        self.model.forget(topic.as_deref(), received_before_ms);
        live.try_forget(&ForgetRule { topic, received_before_ms }).expect("durable");
        live
    }

    fn publish(&mut self, mut live: Live) -> Live {
        let (mut publications, mut given) = (Vec::new(), Vec::new());
        for _ in 0..=self.random.below(3) {
            let events: Vec<Event> = (0..self.random.below(20))
                .map(|_| Event::random(&mut self.random, self.topics, self.ids))
                .collect();
            let origin = match self.random.below(4) {
                0 => Origin::Projected { ledger_frame: self.random.below(100) },
                _ => Origin::Published,
            };
            let mut publication = live.publication(origin, &events);
            if self.random.coin() {
                live.reader.look_up(&mut publication).expect("a look-up");
            }
            publications.push(publication);
            given.push((origin, events));
        }
        let verdicts = live.commit(&publications).expect("durable");
        let expected: Vec<Vec<Verdict>> = given
            .iter()
            .map(|(origin, events)| self.model.publish(*origin, live.now, events))
            .collect();
        assert_eq!(verdicts, expected);
        live
    }
}
