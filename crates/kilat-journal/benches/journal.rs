//! How fast frames become durable on this machine's disk, through the committer.
//!
//! `cargo bench -p kilat-journal -- [--smoke]`; `--smoke` runs each row for an instant, so that
//! it cannot rot. Figures depend on the disk: compare only rows of one run.

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Instant;

use kilat_journal::{
    Committed, Committer, Directory, Frame, Journal, JournalId, Options, no_frames,
};

const PAYLOADS: [(&str, usize, u64); 3] =
    [("8,000 orders", 700 << 10, 600), ("some orders", 16 << 10, 2_000), ("one order", 100, 5_000)];
/// Buffers on their way: one at the disk, one handed over, one being filled.
const BUFFERS: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let smoke = std::env::args().any(|argument| argument == "--smoke");
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
        committer.submit(Frame { payload, head_bytes: None, done })?;
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
