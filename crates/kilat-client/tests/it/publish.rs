//! Publishing: everything arrives once, whatever happens on the way, and mistakes are named.

use crate::log::{FakeLog, Fault};
use kilat_client::events::{ForgetOptions, Progress, forget};
use kilat_client::publish::{self, Input, OnInvalid, PublishOptions, PublishReport};
use kilat_client::{Access, ClientError, Lang, Token};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

fn line(number: usize) -> String {
    format!(
        r#"{{"topic":"t","event_id":"e{number}","timestamp":"2026-01-01T00:00:00Z","source":"test","payload":{{"n":{number}}}}}"#
    )
}

/// A directory with files of these lines.
fn files(contents: &[&[String]]) -> (tempfile::TempDir, Vec<Input>) {
    let directory = tempfile::tempdir().unwrap();
    let mut inputs = Vec::new();
    for (at, lines) in contents.iter().enumerate() {
        let path = directory.path().join(format!("{at}.jsonl"));
        fs::write(&path, lines.join("\n") + "\n").unwrap();
        inputs.push(Input::File(path));
    }
    (directory, inputs)
}

fn lines(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(line).collect()
}

fn options(fake: &FakeLog, inputs: Vec<Input>) -> PublishOptions {
    PublishOptions {
        access: Access { url: fake.url(), token: None, timeout: Duration::from_secs(5) },
        inputs,
        batch: 10,
        connections: 1,
        retries: 10,
        on_invalid: OnInvalid::Stop,
        resume: None,
        lang: Lang::English,
        cancel: Arc::default(),
    }
}

fn run(options: &PublishOptions) -> PublishReport {
    publish::run(options, &mut Progress::quiet(Lang::English)).unwrap()
}

/// The numbers of the stored events, in the order stored.
fn stored(fake: &FakeLog) -> Vec<usize> {
    let number = |event: &crate::log::Event| event.event["payload"]["n"].as_u64().unwrap() as usize;
    fake.log().events.iter().map(number).collect()
}

fn counts(report: &PublishReport) -> (u64, u64, u64, u64, u64) {
    (report.read, report.stored, report.duplicates, report.conflicts, report.invalid)
}

#[test]
fn files_are_published_in_order() {
    let fake = FakeLog::start(Fault::None);
    let mut with_blanks = lines(25..40);
    with_blanks.insert(3, String::new());
    with_blanks[0].insert(0, '\u{feff}');
    let (_directory, inputs) = files(&[&lines(0..25), &with_blanks]);
    let report = run(&options(&fake, inputs));
    assert_eq!(counts(&report), (40, 40, 0, 0, 0));
    assert_eq!((report.exit_code(), report.complete, &report.next), (0, true, &None));
    assert_eq!(stored(&fake), (0..40).collect::<Vec<_>>());
    let sizes: Vec<usize> = fake.log().posts.iter().map(|(_, events)| *events).collect();
    assert_eq!(sizes, [10, 10, 10, 10]);
    assert!(report.to_text(Lang::English).starts_with("40 read: 40 stored, 0 duplicates"));
}

#[test]
fn many_connections_publish_everything_once() {
    for fault in [
        Fault::None,
        Fault::LosesReplies,
        Fault::ResetsBeforeActing,
        Fault::Throttles,
        Fault::ProxyFails,
    ] {
        let fake = FakeLog::start(fault);
        let (_directory, inputs) = files(&[&lines(0..1_000)]);
        let report = run(&PublishOptions { connections: 4, ..options(&fake, inputs) });
        let mut found = stored(&fake);
        found.sort_unstable();
        assert_eq!(found, (0..1_000).collect::<Vec<_>>(), "{fault:?}");
        assert_eq!((report.exit_code(), report.read), (0, 1_000), "{fault:?}");
        assert_eq!(report.retries > 0, fault != Fault::None, "{fault:?}");
        // What was taken without an answer comes back as a duplicate.
        assert_eq!(report.stored + report.duplicates, 1_000, "{fault:?}");
    }
}

#[test]
fn order_survives_retries() {
    for fault in [Fault::LosesReplies, Fault::ResetsBeforeActing, Fault::Throttles] {
        let fake = FakeLog::start(fault);
        let (_directory, inputs) = files(&[&lines(0..200)]);
        run(&options(&fake, inputs));
        assert_eq!(stored(&fake), (0..200).collect::<Vec<_>>(), "{fault:?}");
    }
}

#[test]
fn no_retry_comes_before_retry_after() {
    let fake = FakeLog::start(Fault::NotNow);
    let (_directory, inputs) = files(&[&lines(0..30)]);
    let report = run(&options(&fake, inputs));
    assert_eq!((report.exit_code(), report.retries, report.stored), (0, 1, 30));
    // The second post is told to stay away for a second; the third repeats it.
    let posts = fake.log().posts.clone();
    assert_eq!(posts.len(), 4);
    assert!(posts[2].0 - posts[1].0 >= Duration::from_secs(1));
}

/// Publishes with a log that falls silent after `answers` batches, then again
/// with one that answers, and returns how many duplicates that brought.
fn interrupted(answers: u64, acts_in_silence: bool, spoil: impl FnOnce(&Path)) -> u64 {
    let fake = FakeLog::start(Fault::None);
    let (directory, inputs) = files(&[&lines(0..35), &lines(35..60)]);
    let state = directory.path().join("state");
    let options =
        PublishOptions { resume: Some(state.clone()), retries: 0, ..options(&fake, inputs) };
    fake.answer_only(Some(answers), acts_in_silence);
    let first = run(&options);
    assert_eq!((first.exit_code(), first.stored), (1, answers * 10));
    assert!(first.stop.is_some() && first.next.unwrap().contains("--resume"));
    fake.answer_only(None, false);
    spoil(&state);
    let second = run(&options);
    assert_eq!((second.exit_code(), second.next), (0, None));
    assert_eq!(stored(&fake), (0..60).collect::<Vec<_>>(), "silent after {answers} batches");
    let third = run(&options);
    assert_eq!(counts(&third), (0, 0, 0, 0, 0), "nothing is left");
    second.duplicates
}

#[test]
fn a_run_goes_on_where_it_was_interrupted() {
    for answers in 0..6 {
        assert_eq!(interrupted(answers, false, |_| {}), 0);
        // A batch that was taken in silence is sent once more.
        assert_eq!(interrupted(answers, true, |_| {}), 10);
    }
}

#[test]
fn a_state_that_was_lost_or_not_yet_written_brings_duplicates_only() {
    for answers in 1..6 {
        let lose = |state: &Path| fs::remove_file(state).unwrap();
        assert_eq!(interrupted(answers, false, lose), answers * 10);
        let leave_half = |state: &Path| fs::write(state.with_extension("tmp"), "{\"ver").unwrap();
        assert_eq!(interrupted(answers, false, leave_half), 0);
    }
}

#[test]
fn a_file_that_grows_is_published_from_where_it_ended() {
    let fake = FakeLog::start(Fault::None);
    let (directory, inputs) = files(&[&lines(0..15)]);
    let options = PublishOptions {
        resume: Some(directory.path().join("state")),
        ..options(&fake, inputs.clone())
    };
    run(&options);
    let path = directory.path().join("0.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}{}\nnot an event\n", line(15))).unwrap();
    let report = run(&options);
    assert_eq!(counts(&report), (2, 1, 0, 0, 1));
    assert_eq!(report.findings[0].line, 17, "lines are counted from the file's beginning");
    fs::write(&path, text.replace("e3", "x3")).unwrap();
    let error = publish::run(&options, &mut Progress::quiet(Lang::English)).unwrap_err();
    assert!(matches!(&error, ClientError::Usage(text) if text.contains("0.jsonl")), "{error}");
}

#[test]
fn a_bad_line_stops_after_everything_before_it() {
    let fake = FakeLog::start(Fault::None);
    let mut content = lines(0..40);
    content[23] = line(23).replace("\"test\"", "17");
    let (directory, inputs) = files(&[&content, &lines(40..50)]);
    let state = directory.path().join("state");
    let options = PublishOptions { resume: Some(state), ..options(&fake, inputs) };
    let report = run(&options);
    assert_eq!(counts(&report), (24, 23, 0, 0, 1));
    assert_eq!((report.exit_code(), stored(&fake)), (1, (0..23).collect()));
    let column = content[23].find("17").unwrap() + 1;
    let place = format!("0.jsonl:24:{column}: source must be");
    let text = report.to_text(Lang::English);
    assert!(text.contains(&place) && text.contains("run the same command again"), "{text}");

    // Corrected, it goes on with the line that was wrong.
    content[23] = line(23);
    fs::write(directory.path().join("0.jsonl"), content.join("\n") + "\n").unwrap();
    let report = run(&options);
    assert_eq!(counts(&report), (27, 27, 0, 0, 0));
    assert_eq!(stored(&fake), (0..50).collect::<Vec<_>>());
}

#[test]
fn bad_lines_can_be_skipped() {
    let fake = FakeLog::start(Fault::None);
    let mut content = lines(0..30);
    content[5] = "{".to_owned();
    content[29] = "[1]".to_owned();
    let (_directory, inputs) = files(&[&content]);
    let report = run(&PublishOptions { on_invalid: OnInvalid::Skip, ..options(&fake, inputs) });
    assert_eq!(counts(&report), (30, 28, 0, 0, 2));
    assert_eq!((report.exit_code(), report.stop), (1, None));
    let found: Vec<(u64, &str)> = report.findings.iter().map(|f| (f.line, f.fault)).collect();
    assert_eq!(found, [(6, "invalid"), (30, "invalid")]);
}

#[test]
fn what_only_the_server_refuses_is_named_by_its_line() {
    let mut content = lines(0..30);
    for at in [14, 17] {
        content[at] = line(at).replace("\"n\"", "\"refuse\":true,\"n\"");
    }
    for (on_invalid, left) in [(OnInvalid::Stop, 14), (OnInvalid::Skip, 28)] {
        let fake = FakeLog::start(Fault::None);
        let (directory, inputs) = files(&[&content]);
        let resume = Some(directory.path().join("state"));
        let options = PublishOptions { on_invalid, resume, ..options(&fake, inputs) };
        let report = run(&options);
        assert_eq!((report.stored, report.exit_code()), (left, 1));
        let finding = &report.findings[0];
        assert_eq!((finding.line, finding.column), (15, None));
        assert!(
            finding.message.contains("payload") && finding.message.contains("is refused"),
            "{finding:?}"
        );
        if on_invalid == OnInvalid::Stop {
            assert_eq!(
                run(&options).findings[0].line,
                15,
                "it begins again with the line at fault"
            );
        }
    }
}

#[test]
fn a_batch_that_is_too_large_for_the_server_is_halved() {
    let fake = FakeLog::start(Fault::None);
    fake.take_at_most(3);
    let (_directory, inputs) = files(&[&lines(0..50)]);
    let report = run(&options(&fake, inputs));
    assert_eq!((counts(&report), report.exit_code()), ((50, 50, 0, 0, 0), 0));
    assert_eq!(stored(&fake), (0..50).collect::<Vec<_>>());
}

#[test]
fn conflicts_are_named_by_their_line() {
    let fake = FakeLog::start(Fault::None);
    let mut content = lines(0..20);
    content[12] = line(3).replace("\"n\":3", "\"n\":4");
    content[15] = line(3);
    let (_directory, inputs) = files(&[&content]);
    let report = run(&options(&fake, inputs));
    assert_eq!((counts(&report), report.exit_code()), ((20, 18, 1, 1, 0), 1));
    let finding = &report.findings[0];
    assert_eq!((finding.line, finding.fault), (13, "conflict"));
    assert!(finding.message.ends_with("offset 3"), "{finding:?}");
}

#[test]
fn what_can_not_be_published_says_why() {
    let stop = |fault, code: u8, part: &str| {
        let fake = FakeLog::start(fault);
        let (_directory, inputs) = files(&[&lines(0..30)]);
        let report = run(&PublishOptions { retries: 1, ..options(&fake, inputs) });
        let message = report.stop.as_ref().map(|stop| stop.message.clone()).unwrap_or_default();
        assert!(report.exit_code() == code && message.contains(part), "{fault:?}: {message}");
    };
    stop(Fault::AsksForAToken, 2, "KILAT_PUBLISH_TOKEN");
    stop(Fault::AnswersHtml, 1, "not what the contract says");
    stop(Fault::Redirects, 1, "307");
    stop(Fault::ContradictsItself, 1, "received 11");
    let mut fake = FakeLog::start(Fault::None);
    fake.server.kill();
    let (_directory, inputs) = files(&[&lines(0..30)]);
    let report = run(&PublishOptions { retries: 1, ..options(&fake, inputs) });
    let message = report.stop.as_ref().unwrap().message.clone();
    assert!(message.contains("given up") && report.retries == 1, "{message}");
}

#[test]
fn options_that_can_not_work_are_refused() {
    let fake = FakeLog::start(Fault::None);
    let check = |change: &dyn Fn(&mut PublishOptions), part: &str| {
        let (_directory, inputs) = files(&[&lines(0..1)]);
        let mut options = options(&fake, inputs);
        change(&mut options);
        let error = publish::run(&options, &mut Progress::quiet(Lang::English)).unwrap_err();
        assert!(matches!(&error, ClientError::Usage(text) if text.contains(part)), "{error}");
    };
    check(&|o| o.batch = 0, "--batch");
    check(&|o| o.batch = 10_001, "--batch");
    check(&|o| o.connections = 0, "--connections");
    check(&|o| o.inputs = vec![Input::Stdin, Input::Stdin], "-");
    check(&|o| o.inputs = vec![Input::File(PathBuf::from("/nowhere"))], "/nowhere");
    check(&|o| o.inputs = vec![Input::File(PathBuf::from("/"))], "/");
    check(&|o| (o.inputs, o.resume) = (vec![Input::Stdin], Some("s".into())), "--resume");
    check(&|o| o.access.url = "nowhere".to_owned(), "nowhere");
    assert_eq!(fake.log().posts.len(), 0);
}

#[test]
fn an_interrupt_finishes_what_is_on_its_way() {
    let fake = FakeLog::start(Fault::None);
    let (directory, inputs) = files(&[&lines(0..50_000)]);
    let options =
        PublishOptions { resume: Some(directory.path().join("state")), ..options(&fake, inputs) };
    let (first, cancel) = (options.clone(), options.cancel.clone());
    let publishing = std::thread::spawn(move || run(&first));
    fake.await_posts(20);
    cancel.store(true, Ordering::Relaxed);
    let report = publishing.join().unwrap();
    assert_eq!((report.exit_code(), report.cancelled, report.stop.is_none()), (130, true, true));
    assert_eq!(report.stored as usize, fake.log().events.len());
    assert!(report.stored < 50_000 && report.next.is_some());
    let second = run(&PublishOptions { cancel: Arc::default(), batch: 1_000, ..options });
    assert_eq!((second.stored, second.duplicates), (50_000 - report.stored, 0));
}

#[test]
fn the_demonstration_shows_one_duplicate() {
    let fake = FakeLog::start(Fault::None);
    let access = Access { url: fake.url(), token: None, timeout: Duration::from_secs(5) };
    let text = publish::demo(&access, false, Lang::English).unwrap();
    let expected = "demo/demo-1: stored at offset 0\n\
        demo/demo-2: stored at offset 1\n\
        demo/demo-1: duplicate, stored before at offset 0\n\
        total_events_received: 3\ntotal_unique_events_processed: 2\ntotal_duplicate_events_dropped: 1\n";
    assert_eq!(text, expected);
    let json: serde_json::Value =
        serde_json::from_str(&publish::demo(&access, true, Lang::English).unwrap()).unwrap();
    assert_eq!(json["events"][1]["status"], "duplicate");
    assert_eq!(json["stats"]["total_duplicate_events_dropped"], 4);
}

#[test]
fn forgetting_says_what_it_did() {
    let fake = FakeLog::start(Fault::None);
    fake.publish_as_stranger("a", "1");
    let options = |token: &str, older_than: Option<u64>| ForgetOptions {
        access: Access {
            url: fake.url(),
            token: Some(Token::from(token)),
            timeout: Duration::from_secs(5),
        },
        topic: Some("a".to_owned()),
        older_than: older_than.map(Duration::from_secs),
        json: false,
        lang: Lang::English,
    };
    let told = forget(&options("admin", Some(86_400))).unwrap();
    assert!(told.text.contains("topic a below offset 1"), "{told:?}");
    forget(&options("admin", None)).unwrap();
    let asked = serde_json::Value::Array(fake.log().forgets.clone());
    assert_eq!(
        asked,
        serde_json::json!([{"topic": "a", "older_than_seconds": 86_400}, {"topic": "a", "older_than_seconds": null}])
    );
    let error = forget(&options("wrong", None)).unwrap_err();
    assert!(
        matches!(&error, ClientError::Usage(text) if text.contains("KILAT_ADMIN_TOKEN")),
        "{error}"
    );
    let nothing = ForgetOptions { topic: None, ..options("admin", None) };
    assert!(matches!(forget(&nothing), Err(ClientError::Usage(_))));
    let explained = options("admin", Some(30 * 86_400)).explain();
    assert!(explained.contains("topic a") && explained.contains("30d"), "{explained}");
}
