//! How many events a second become durable through the event log, in one process and without the
//! engine's queue.
//!
//! Events of about 200 bytes, 20 % of them duplicates drawn from the last million, in groups of
//! 1,000 and of 8,000. One thread prepares (encodes, hashes, looks up) and decides, the journal's
//! thread commits; one group is decided while the one before it is committed. Content prints are
//! made beforehand, as parsing threads would.
//!
//! `cargo bench -p kilat-eventlog --bench decide -- [--smoke] [EVENTS]`

#![expect(clippy::expect_used, reason = "a benchmark that can't go on has no figure to print")]

use std::sync::mpsc;
use std::time::{Duration, Instant};

use kilat_eventlog::{
    Content, GROUP_HEADER_BYTES, NewEvent, Opened, Options, Origin, Publication, Reader, Staged,
    Verdict, Writer,
};
use kilat_journal::simulation::Random;
use kilat_journal::{Committer, Directory, Frame, JournalId};

/// The allocator of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EVENTS: usize = 2_000_000;
const BODY_BYTES: usize = 150;
const RECENT: u64 = 1_000_000;
const TOPICS: u64 = 16;

fn main() {
    let smoke = std::env::args().any(|arg| arg == "--smoke");
    let given = std::env::args().find_map(|arg| arg.parse::<usize>().ok());
    let events = given.unwrap_or(if smoke { 50_000 } else { EVENTS });
    for group in [1_000, 8_000] {
        let directory = tempfile::Builder::new()
            .prefix("kilat-bench")
            .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
            .expect("a directory");
        let mut bench = Bench::start(&directory);
        let took = bench.run(events, group);
        bench.print(events, group, took);
        let closing = Instant::now();
        bench.close();
        println!("  close: {:.0} ms", closing.elapsed().as_secs_f64() * 1e3);
        let opening = Instant::now();
        let opened = open(&directory);
        println!("  open: {:.0} ms", opening.elapsed().as_secs_f64() * 1e3);
        assert_eq!(opened.reader.end(), opened.reader.counters().unique);
    }
}

fn open(directory: &tempfile::TempDir) -> Opened<Directory> {
    let part = |name: &str| {
        let path = directory.path().join(name);
        std::fs::create_dir_all(&path).expect("a directory");
        Directory::new(path)
    };
    let journal = kilat_journal::Options::new(JournalId(*b"a bench's events"));
    let options = Options::new(part("events"), part("events-index"), journal, [7; 16]);
    kilat_eventlog::open(options).expect("an event log")
}

/// Time spent in each step, one entry a group. Medians are printed: other work on the machine
/// stretches some groups, not most.
#[derive(Default)]
struct Steps {
    push: Vec<Duration>,
    look_up: Vec<Duration>,
    decide: Vec<Duration>,
    finish: Vec<Duration>,
    write: Vec<Duration>,
    sync: Vec<Duration>,
    duplicates: usize,
}

struct Bench {
    writer: Writer<Directory>,
    reader: Reader<Directory>,
    committer: Committer<Directory>,
    done: (mpsc::Sender<Done>, mpsc::Receiver<Done>),
    random: Random,
    /// How many different events there were.
    made: u64,
    steps: Steps,
}

struct Done {
    payload: Vec<u8>,
    write_ns: u64,
    sync_ns: u64,
}

impl Bench {
    fn start(directory: &tempfile::TempDir) -> Self {
        let Opened { journal, writer, reader, .. } = open(directory);
        let committer = Committer::spawn(journal, Box::new(|failure| panic!("{failure}")));
        Self {
            writer,
            reader,
            committer: committer.expect("threads"),
            done: mpsc::channel(),
            random: Random::new(1),
            made: 0,
            steps: Steps::default(),
        }
    }

    fn run(&mut self, events: usize, group: usize) -> Duration {
        let mut publication = self.reader.publication(Origin::Published);
        let (mut payload, mut verdicts) = (Vec::new(), Vec::new());
        let started = Instant::now();
        for number in 0..events / group {
            self.fill(&mut publication, group);
            self.look_up(&mut publication);
            self.decide(&publication, std::mem::take(&mut payload), &mut verdicts);
            if number > 0 {
                payload = self.settle();
            }
        }
        self.settle();
        started.elapsed()
    }

    /// The next events, one in five of which was there before.
    fn fill(&mut self, publication: &mut Publication, count: usize) {
        use std::fmt::Write as _;
        publication.clear();
        let (mut topic, mut id) = (String::new(), String::new());
        let body = [b'x'; BODY_BYTES];
        let numbers: Vec<u64> = (0..count).map(|_| self.number()).collect();
        let started = Instant::now();
        for number in numbers {
            topic.clear();
            id.clear();
            // Writing to a string can't fail.
            let _ = write!(topic, "topic-{}", number % TOPICS);
            let _ = write!(id, "event-{:020}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let mut print = [0; 16];
            print[..8].copy_from_slice(&number.to_le_bytes());
            let content = Content::from_bytes(print);
            let event = NewEvent { topic: &topic, id: &id, content, body: &body };
            publication.push(event).expect("it fits");
        }
        self.steps.push.push(started.elapsed());
    }

    fn number(&mut self) -> u64 {
        if self.made > 0 && self.random.below(5) == 0 {
            return self.made - 1 - self.random.below(self.made.min(RECENT));
        }
        self.made += 1;
        self.made - 1
    }

    fn look_up(&mut self, publication: &mut Publication) {
        let started = Instant::now();
        self.reader.look_up(publication).expect("a look-up");
        self.steps.look_up.push(started.elapsed());
    }

    fn decide(&mut self, publication: &Publication, payload: Vec<u8>, verdicts: &mut Vec<Verdict>) {
        verdicts.clear();
        while !self.writer.has_room() {
            std::thread::yield_now();
        }
        let bytes = GROUP_HEADER_BYTES + publication.frame_bytes_max();
        self.committer.reserve(bytes).expect("room");
        let started = Instant::now();
        self.writer.begin(1, payload);
        self.writer.decide(publication, verdicts).expect("decided");
        let decided = Instant::now();
        let Staged { payload, head_bytes, durable, .. } = self.writer.finish();
        self.steps.decide.push(decided - started);
        self.steps.finish.push(decided.elapsed());
        self.steps.duplicates +=
            verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Duplicate(_))).count();
        let done = self.done.0.clone();
        let publish = Box::new(move |committed: kilat_journal::Committed| {
            durable.publish(&committed);
            let kilat_journal::Committed { payload, write_ns, sync_ns, .. } = committed;
            // The bench waits for it.
            let _ = done.send(Done { payload, write_ns, sync_ns });
        });
        let frame =
            Frame { payload, head_bytes: Some(head_bytes), begins_segment: false, done: publish };
        self.committer.submit(frame).expect("taken");
    }

    fn settle(&mut self) -> Vec<u8> {
        let done = self.done.1.recv().expect("a commit");
        self.steps.write.push(Duration::from_nanos(done.write_ns));
        self.steps.sync.push(Duration::from_nanos(done.sync_ns));
        done.payload
    }

    fn print(&mut self, events: usize, group: usize, took: Duration) {
        let each = |durations: &mut Vec<Duration>| {
            durations.sort_unstable();
            durations[durations.len() / 2].as_secs_f64() * 1e9 / group as f64
        };
        let Steps { push, look_up, decide, finish, write, sync, duplicates } = &mut self.steps;
        println!("groups of {group}: {:.0} events/s", events as f64 / took.as_secs_f64());
        println!(
            "  median ns an event: push {:.0}, look up {:.0}, decide {:.0}, finish {:.0}",
            each(push),
            each(look_up),
            each(decide),
            each(finish),
        );
        println!("  journal's thread: write {:.0}, sync {:.0}", each(write), each(sync));
        println!("  duplicates: {:.1} %", *duplicates as f64 * 100.0 / events as f64);
    }

    fn close(self) {
        drop(self.committer.close());
        self.writer.close();
    }
}
