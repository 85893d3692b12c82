//! The log of a check on a disk that loses its power, or has no space: what was shown is in it.

use super::disk::{Disk, Sectors, fill, may_mount};
use crate::process::check::{check, ends, lookup, shown_in, times};
use crate::program::{Running, run, scaled, stdout, wait_for};
use crate::witness::{Random, seed};
use rustix::process::Signal;
use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

const MEGABYTES: u64 = 16;
/// Cuts whose ids fill a megabyte more: a record has less than 500 bytes.
const CUTS_A_MEGABYTE: u64 = 10;
/// Ids for each cut: more than a check gets to before it, so that there is work left for all.
const IDS_A_CUT: usize = 200;
/// Most bytes that a log grows by before the power goes.
const GROWTH_BYTES: u64 = 20_000;

/// A check with its ids here, and its log there.
struct Place {
    folder: tempfile::TempDir,
    url: String,
    log: PathBuf,
}

impl Place {
    fn new(url: &str, disk: &Disk, ids: usize) -> Place {
        let folder = tempfile::tempdir().unwrap();
        let text: Vec<String> = (0..ids).map(|n| format!("id-{n}")).collect();
        std::fs::write(folder.path().join("ids.txt"), text.join("\n")).unwrap();
        Place { folder, url: url.to_owned(), log: disk.path().join("log.jsonl") }
    }

    fn command(&self) -> Command {
        let log = self.log.to_str().unwrap();
        let arguments =
            ["stock", "--file=ids.txt", "--resume", "--json", "--concurrency=20", "--log", log];
        check(self.folder.path(), &self.url, &arguments)
    }

    fn logged(&self) -> BTreeMap<String, u32> {
        if self.log.exists() { times(&self.log) } else { BTreeMap::new() }
    }

    fn bytes(&self) -> u64 {
        std::fs::metadata(&self.log).map_or(0, |file| file.len())
    }

    /// Runs until the log has grown by so many bytes; then the power goes. The ids that it had
    /// shown until then: whoever has no power shows nothing more, whatever this one does.
    fn cut_while_checking(
        &self,
        disk: &mut Disk,
        command: &mut Command,
        more: u64,
    ) -> BTreeSet<String> {
        let before = self.bytes();
        let mut process = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::null()));
        let (out, shown) = (process.take_stdout(), Arc::<Mutex<String>>::default());
        let sink = Arc::clone(&shown);
        let reader = std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                sink.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        wait_for("the log to grow", || {
            (self.bytes() >= before + more || process.ended().is_some()).then_some(())
        });
        let shown = shown.lock().unwrap().clone();
        disk.cut_power();
        // It learns of the cut by its next append, or never: either way it must go.
        process.signal(Signal::KILL);
        process.wait();
        reader.join().unwrap();
        disk.unmount();
        disk.mount();
        shown_in(&shown)
    }

    /// The rest, without trouble.
    fn finish(&self, ids: usize) {
        ends(&mut self.command(), 0);
        let logged = self.logged();
        assert_eq!(logged.len(), ids);
        assert!(logged.values().all(|times| *times == 1), "an id is there twice");
        assert_holds(&self.log);
    }
}

/// Nothing but a torn end, which the next run cuts.
fn assert_holds(log: &Path) {
    let output = run(["verify", "--lang=en", "--json", log.to_str().unwrap()]);
    let report: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(report["faults"], 0, "{report}");
}

#[test]
fn a_power_cut_takes_nothing_that_was_shown() {
    if !may_mount() {
        return;
    }
    let cuts = scaled("KILAT_POWER_CUTS", 20);
    let (mut random, server) = (Random::new(seed()), lookup(&["--delay=0..0.01", "--seed=1"]));
    let megabytes = MEGABYTES + cuts as u64 / CUTS_A_MEGABYTE;
    let mut disk = Disk::new(megabytes, Sectors::Large);
    let place = Place::new(&server.url, &disk, cuts * IDS_A_CUT);
    let (mut shown, mut before, mut torn, mut lost) = (BTreeSet::new(), 0, 0, 0);
    for _ in 0..cuts {
        let more = random.below(GROWTH_BYTES);
        let size = place.bytes();
        let of_this_life = place.cut_while_checking(&mut disk, &mut place.command(), more);
        let logged = place.logged();
        for id in &of_this_life {
            assert!(logged.contains_key(id), "{id} was shown and is not in the log");
        }
        assert!(shown.iter().all(|id: &String| logged.contains_key(id)), "an earlier life is lost");
        assert!(of_this_life.is_disjoint(&shown), "asked a second time");
        if place.log.exists() {
            assert_holds(&place.log);
            let bytes = std::fs::read(&place.log).unwrap();
            torn += u32::from(bytes.last().is_some_and(|byte| *byte != b'\n'));
        }
        lost += u32::from(place.bytes() <= size && logged.len() == before);
        before = logged.len();
        shown.extend(of_this_life);
    }
    println!(
        "{cuts} cuts, {} ids shown, {torn} ends torn, {lost} lives without a trace",
        shown.len()
    );
    assert!(before < cuts * IDS_A_CUT, "the last cuts were of processes without work");
    place.finish(cuts * IDS_A_CUT);
}

/// What that is worth: a check whose flushes do nothing is found out.
#[test]
fn flushes_that_do_nothing_are_noticed() {
    if !may_mount() {
        return;
    }
    let server = lookup(&["--delay=0..0.01"]);
    let mut disk = Disk::new(MEGABYTES, Sectors::Large);
    let place = Place::new(&server.url, &disk, IDS_A_CUT);
    let plain = place.command();
    let mut command = Command::new("strace");
    command.args(["-D", "-f", "-qq", "-o", "/dev/null", "--trace=fdatasync"]);
    command.arg("--inject=fdatasync:retval=0").arg(plain.get_program()).args(plain.get_args());
    command.current_dir(place.folder.path());
    let shown = place.cut_while_checking(&mut disk, &mut command, GROWTH_BYTES);
    let logged = place.logged();
    assert!(!shown.is_empty() && shown.iter().any(|id| !logged.contains_key(id)), "{shown:?}");
}

#[test]
fn a_full_disk_ends_the_run_and_the_next_goes_on_when_there_is_space() {
    if !may_mount() {
        return;
    }
    let server = lookup(&[]);
    let disk = Disk::new(MEGABYTES, Sectors::Large);
    for left in [0, 4 << 10, 40 << 10] {
        let mut place = Place::new(&server.url, &disk, 500);
        place.log = disk.path().join(format!("log-{left}.jsonl"));
        let filler = fill(&disk.path(), left);
        let output = place.command().output().unwrap();
        let said = crate::program::stderr(&output);
        assert!(matches!(output.status.code(), Some(1 | 2)), "{left}: {said}");
        assert!(said.contains("disk is full") || said.contains("No space left"), "{left}: {said}");
        let (shown, logged) = (shown_in(&stdout(&output)), place.logged());
        assert!(shown.iter().all(|id| logged.contains_key(id)), "{left}");
        let text = std::fs::read(&place.log).unwrap_or_default();
        assert!(text.last().is_none_or(|byte| *byte == b'\n'), "half a record is left: {left}");
        println!("{left} bytes left: {} of 500 ids", logged.len());
        std::fs::remove_file(filler).unwrap();
        place.finish(500);
    }
}
