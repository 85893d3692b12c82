//! How fast frames become durable on this machine's disk, through the committer, and how fast
//! small parts of frames are read from the page cache.
//!
//! `cargo bench -p kilat-journal --bench journal -- [--smoke] [write | read]`; `--smoke` runs each row for an
//! instant, so that it cannot rot. Figures depend on the disk: compare only rows of one run.

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Instant;

use kilat_journal::simulation::Random;
use kilat_journal::{
    Committed, Committer, Directory, Frame, FrameInfo, Journal, JournalId, LogReader, Options,
    ReadError, no_frames,
};

const PAYLOADS: [(&str, usize, u64); 3] =
    [("8,000 orders", 700 << 10, 600), ("some orders", 16 << 10, 2_000), ("one order", 100, 5_000)];
/// Buffers on their way: one at the disk, one handed over, one being filled.
const BUFFERS: usize = 3;
/// Bytes of one random read.
const READ_BYTES: usize = 64;
/// Bytes of a frame that is read from, and how much of that is the head.
const READ_FRAME_BYTES: usize = 64 << 10;
const READ_HEAD_BYTES: u32 = 8 << 10;
const READ_THREADS: [u64; 2] = [1, 2];

fn main() -> Result<(), Box<dyn Error>> {
    let has = |name: &str| std::env::args().any(|argument| argument == name);
    let smoke = has("--smoke");
    if !has("read") {
        measure_writes(smoke)?;
    }
    if !has("write") {
        measure_reads(smoke)?;
    }
    Ok(())
}

fn measure_writes(smoke: bool) -> Result<(), Box<dyn Error>> {
    println!("payload                 frames/s     MB/s   write µs    sync µs   recover MB/s");
    for (name, bytes, frames) in PAYLOADS {
        let frames = if smoke { 5 } else { frames };
        let row = measure(bytes, frames)?;
        println!(
            "{name:13} {bytes:>7} {:>10.0} {:>8.1} {:>10.1} {:>10.1} {:>14.0}",
            row.frames_per_s, row.mb_per_s, row.write_us, row.sync_us, row.recover_mb_per_s
        );
    }
    Ok(())
}

struct Row {
    frames_per_s: f64,
    mb_per_s: f64,
    write_us: f64,
    sync_us: f64,
    recover_mb_per_s: f64,
}

fn measure(bytes: usize, frames: u64) -> Result<Row, Box<dyn Error>> {
    let place = tempfile::tempdir()?;
    let storage = Directory::new(place.path());
    let options = Options::new(JournalId([1; 16]));
    let (journal, _) = Journal::recover(storage.clone(), options, None, no_frames)?;
    let committer = Committer::spawn(journal, Box::new(|failure| panic!("{failure}")))?;
    let (write_ns, sync_ns) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (give_back, buffers) = mpsc::channel();
    for _ in 0..BUFFERS {
        give_back.send(Vec::with_capacity(bytes))?;
    }
    let started = Instant::now();
    for frame in 0..frames {
        let mut payload: Vec<u8> = buffers.recv()?;
        payload.resize(bytes, frame as u8);
        committer.reserve(bytes)?;
        let (write_ns, sync_ns) = (Arc::clone(&write_ns), Arc::clone(&sync_ns));
        let give_back = give_back.clone();
        let done = Box::new(move |committed: Committed| {
            write_ns.fetch_add(committed.write_ns, Ordering::Relaxed);
            sync_ns.fetch_add(committed.sync_ns, Ordering::Relaxed);
            // The last buffers come back when nobody waits for them any more.
            let _ = give_back.send(committed.payload);
        });
        committer.submit(Frame { payload, head_bytes: None, begins_segment: false, done })?;
    }
    drop(committer);
    let seconds = started.elapsed().as_secs_f64();
    let started = Instant::now();
    let (_, recovery) = Journal::recover(storage, options, None, no_frames)?;
    let megabytes = recovery.payload_bytes as f64 / 1e6;
    assert_eq!(recovery.frames, frames);
    let each = |total: &AtomicU64| total.load(Ordering::Relaxed) as f64 / frames as f64 / 1e3;
    Ok(Row {
        frames_per_s: frames as f64 / seconds,
        mb_per_s: megabytes / seconds,
        write_us: each(&write_ns),
        sync_us: each(&sync_ns),
        recover_mb_per_s: megabytes / started.elapsed().as_secs_f64(),
    })
}

/// Reads of random ranges of random frames that the page cache holds.
fn measure_reads(smoke: bool) -> Result<(), Box<dyn Error>> {
    let (frames, reads) = if smoke { (20, 1_000) } else { (2_000, 1_000_000) };
    let place = tempfile::tempdir()?;
    let storage = Directory::new(place.path());
    let options = Options::new(JournalId([1; 16]));
    let (mut journal, _) = Journal::recover(storage.clone(), options, None, no_frames)?;
    for frame in 0..frames {
        journal.append_split(&[frame as u8; READ_FRAME_BYTES], READ_HEAD_BYTES)?;
    }
    journal.sync()?;
    let reader = LogReader::open(storage, options.id);
    let frames = all_frames(&reader)?;
    println!("random reads of {READ_BYTES} bytes    ns/read");
    for threads in READ_THREADS {
        let started = Instant::now();
        thread::scope(|scope| {
            let (reader, frames) = (&reader, &frames);
            let start = |seed| {
                scope.spawn(move || read_at_random(reader, frames, reads, Random::new(seed)))
            };
            let running: Vec<_> = (0..threads).map(start).collect();
            running.into_iter().try_for_each(|thread| match thread.join() {
                Ok(done) => done,
                Err(panic) => std::panic::resume_unwind(panic),
            })
        })?;
        let ns = started.elapsed().as_nanos() as f64 / reads as f64;
        println!("{threads} at a time {ns:>25.0}");
    }
    Ok(())
}

/// All frames, after one look at their bytes, which the cache holds from then on.
fn all_frames(reader: &LogReader<Directory>) -> Result<Vec<FrameInfo>, ReadError> {
    let (mut frames, mut bytes) = (Vec::new(), Vec::new());
    let mut next = reader.find(1)?;
    while let Some(frame) = next {
        bytes.clear();
        reader.read(&frame, 0..READ_FRAME_BYTES, &mut bytes)?;
        frames.push(frame);
        next = reader.after(&frame)?;
    }
    Ok(frames)
}

fn read_at_random(
    reader: &LogReader<Directory>,
    frames: &[FrameInfo],
    reads: u64,
    mut random: Random,
) -> Result<(), ReadError> {
    let mut bytes = Vec::new();
    for _ in 0..reads {
        let frame = &frames[random.below(frames.len() as u64) as usize];
        let start = random.below((READ_FRAME_BYTES - READ_BYTES) as u64) as usize;
        bytes.clear();
        reader.read(frame, start..start + READ_BYTES, &mut bytes)?;
        assert_eq!(bytes.len(), READ_BYTES);
    }
    Ok(())
}
