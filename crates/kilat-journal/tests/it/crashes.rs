//! Power cuts: whatever was acknowledged is there afterwards, and nothing that was not written.

use std::collections::BTreeSet;
use std::thread;

use kilat_journal::simulation::{CrashingStorage, Fault, Random};
use kilat_journal::{
    ForgetError, Journal, Options, RecoverError, forget_bodies, no_frames, verify,
};

use crate::log::{ID, Log, append, bytes, head_of, number_from, only, open, options, seed};

/// Power cuts of an ordinary run; a soak sets KILAT_CUTS.
const CUTS: u64 = 100_000;
const THREADS: u64 = 2;
/// Lives that one simulated disk goes through.
const LIVES: u64 = 12;
const PAYLOAD_BYTES_MAX: usize = 2_500;

#[test]
fn acknowledged_frames_survive_power_cuts_and_nothing_else_appears() {
    let seed = seed();
    let cuts = number_from("KILAT_CUTS").unwrap_or(CUTS);
    thread::scope(|scope| {
        for number in 0..THREADS {
            scope.spawn(move || {
                let mut random = Random::new(seed ^ number);
                let mut done = 0;
                while done < cuts / THREADS {
                    done += History::new(random.draw()).run();
                }
            });
        }
    });
}

/// One disk, and what is known about it.
struct History {
    seed: u64,
    random: Random,
    storage: CrashingStorage,
    options: Options,
    acknowledged: Log,
    /// Written, but nobody was told.
    in_flight: Option<Vec<u8>>,
    /// Frames whose bodies were being forgotten when something failed: there or not.
    doubtful: BTreeSet<u64>,
}

impl History {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let segment_bytes = 2_048 + 512 * random.below(16);
        Self {
            seed,
            storage: CrashingStorage::new(random.draw()),
            random,
            options: options(segment_bytes, PAYLOAD_BYTES_MAX),
            acknowledged: Log::default(),
            in_flight: None,
            doubtful: BTreeSet::new(),
        }
    }

    /// Lives and dies a few times; returns how often the power went.
    fn run(mut self) -> u64 {
        let mut cuts = 0;
        for _ in 0..LIVES {
            self.live();
            if self.random.below(4) == 0 {
                self.storage.kill();
            } else {
                self.storage.crash();
                cuts += 1;
            }
        }
        self.storage.heal();
        self.open();
        cuts
    }

    /// Recovers and appends until the power goes or something fails, or for a while.
    fn live(&mut self) {
        let operations = self.storage.operations();
        let until = operations + self.random.below(24);
        let fault = match self.random.below(8) {
            0 => Fault::Io,
            1 => Fault::NoSpace,
            _ => Fault::PowerCut,
        };
        self.storage.fail_at(until, fault);
        let Some(mut journal) = self.open() else {
            return;
        };
        for _ in 0..self.random.below(8) {
            let length = self.random.below(PAYLOAD_BYTES_MAX as u64 + 1) as usize;
            let payload = bytes(&mut self.random, length);
            if self.random.below(6) == 0 && journal.begin_segment().is_err() {
                return;
            }
            self.in_flight = Some(payload.clone());
            let skip_sync = self.random.below(8) == 0;
            if append(&mut journal, &payload).is_err() || skip_sync || journal.sync().is_err() {
                return;
            }
            self.acknowledged.push(&payload, journal.position().chain);
            self.in_flight = None;
            if self.random.below(4) == 0 && self.forget(&journal).is_err() {
                return;
            }
        }
    }

    /// Forgets the bodies of a segment that the log has left.
    fn forget(&mut self, journal: &Journal<CrashingStorage>) -> Result<(), ForgetError> {
        let segment = 1 + self.random.below(journal.last_place().segment);
        let mut frames = BTreeSet::new();
        let forgotten = forget_bodies(&self.storage, ID, segment, |frame, _, body| {
            frames.insert(frame);
            only(0..body)
        });
        match forgotten {
            Ok(_) => {
                for frame in &frames {
                    forget_body(&mut self.acknowledged.payloads[*frame as usize - 1]);
                }
                self.doubtful.retain(|frame| !frames.contains(frame));
                Ok(())
            }
            Err(ForgetError::NotSealed) => Ok(()),
            Err(ForgetError::Corrupt(found)) => panic!("history {}: {found}", self.seed),
            Err(error) => {
                self.doubtful.extend(frames);
                Err(error)
            }
        }
    }

    /// Takes note of what recovery shows of the frames that were being forgotten.
    fn settle_doubts(&mut self, recovered: &Log, skipped: usize) {
        self.doubtful.retain(|frame| {
            let number = *frame as usize;
            let Some(index) = number.checked_sub(skipped + 1) else {
                return true;
            };
            let known = &mut self.acknowledged.payloads[number - 1];
            let mut forgotten = known.clone();
            forget_body(&mut forgotten);
            if recovered.payloads.get(index) == Some(&forgotten) {
                *known = forgotten;
            }
            false
        });
    }

    /// Recovers; `None` if the power went meanwhile.
    fn open(&mut self) -> Option<Journal<CrashingStorage>> {
        let known = self.random.below(self.acknowledged.payloads.len() as u64 + 1) as usize;
        let after = if self.random.coin() { self.acknowledged.position(known) } else { None };
        let skipped = after.map_or(0, |position| position.frame as usize);
        match open(&self.storage, self.options, after) {
            Ok((journal, _, recovered)) => {
                self.settle_doubts(&recovered, skipped);
                self.compare(&recovered, skipped);
                self.check_by_eye();
                Some(journal)
            }
            Err(RecoverError::Io(_)) => None,
            Err(error) => panic!("history {}: {error}", self.seed),
        }
    }

    fn compare(&mut self, recovered: &Log, skipped: usize) {
        let expected = &self.acknowledged.payloads[skipped..];
        let seed = self.seed;
        let (sure, rest) = recovered
            .payloads
            .split_at_checked(expected.len())
            .unwrap_or_else(|| panic!("history {seed}: an acknowledged frame is gone"));
        assert!(sure == expected, "history {seed}: an acknowledged frame changed");
        assert_eq!(
            recovered.chains[..expected.len()],
            self.acknowledged.chains[skipped..],
            "history {seed}: the chain changed"
        );
        let in_flight = self.in_flight.take();
        match rest {
            [] => {}
            // It was shown, so from now on it has to stay.
            [frame] if in_flight.as_ref() == Some(frame) => {
                self.acknowledged.push(frame, recovered.chains[expected.len()]);
            }
            _ => panic!("history {seed}: frames appeared that nobody wrote"),
        }
    }

    /// Now and then the read-only check must agree.
    fn check_by_eye(&mut self) {
        if self.random.below(16) > 0 {
            return;
        }
        let verified = verify(&self.storage, ID, no_frames).expect("a check");
        assert_eq!(verified.corruption, None, "history {}", self.seed);
        assert_eq!(verified.torn_bytes, 0, "history {}: recovery left a torn tail", self.seed);
        assert_eq!(verified.frames, self.acknowledged.payloads.len() as u64);
    }
}

fn forget_body(payload: &mut [u8]) {
    if let Some(head_bytes) = head_of(payload) {
        payload[head_bytes as usize..].fill(0);
    }
}
