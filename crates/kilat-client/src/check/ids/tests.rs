//! Ids from everywhere, well written and not.

mod forms;

use super::*;
use crate::check::ID_BYTES_MAX;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

fn id(text: &str) -> Id {
    Id::new(text).unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Begins to read in this directory; what comes of opening the inputs.
fn opened(inputs: Vec<IdInput>, directory: &std::path::Path) -> Result<(), ClientError> {
    block_on(Ids::start(inputs, Seen::new(directory), Lang::English)?.opened())
}

/// All that a stream gives, and what ended it.
fn drain(inputs: Vec<IdInput>) -> (Vec<String>, Option<ClientError>, u64) {
    let directory = tempfile::tempdir().unwrap();
    let mut ids = Ids::start(inputs, Seen::new(directory.path()), Lang::English).unwrap();
    let (mut texts, mut error) = (Vec::new(), None);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        while let Some(next) = ids.next().await {
            match next {
                Ok((index, id)) => {
                    assert_eq!(index, texts.len() as u64);
                    texts.push(id.as_str().to_owned());
                }
                Err(e) => error = Some(e),
            }
        }
    });
    (texts, error, ids.skipped())
}

#[test]
fn listed_ids_come_once_and_in_their_order() {
    let inputs = vec![
        IdInput::Listed(vec![id("b"), id("a"), id("b")]),
        IdInput::Listed(vec![id("c"), id("a"), id("B")]),
    ];
    let (texts, error, skipped) = drain(inputs);
    assert_eq!((texts.join(" ").as_str(), error, skipped), ("b a c B", None, 2));
}

fn csv(column: &str) -> IdForm {
    IdForm::Csv { column: column.to_owned() }
}

#[test]
fn what_comes_before_a_mistake_is_given_and_nothing_after_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ids");
    std::fs::write(&path, "a\nb\n\0\nc\n").unwrap();
    let inputs = vec![IdInput::File { path, form: IdForm::Text }, IdInput::Listed(vec![id("d")])];
    let (texts, error, _) = drain(inputs);
    assert_eq!(texts, ["a", "b"]);
    assert!(error.is_some());
}

#[test]
fn nothing_starts_when_an_input_is_not_there() {
    let directory = tempfile::tempdir().unwrap();
    for path in [directory.path().join("none"), directory.path().to_owned()] {
        let inputs = vec![
            IdInput::Listed(vec![id("a")]),
            IdInput::File { path: path.clone(), form: IdForm::Text },
        ];
        let error = opened(inputs, directory.path()).unwrap_err();
        assert!(matches!(error, ClientError::Usage(_)));
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    }
    let many = vec![IdInput::Listed(Vec::new()); INPUTS_MAX + 1];
    assert!(opened(many, directory.path()).is_err());
}

/// The thread waits until somebody writes; whoever started it does not.
#[test]
fn a_pipe_is_open_when_somebody_writes_to_it() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ids");
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let inputs = vec![IdInput::File { path: path.clone(), form: csv("sku") }];
    let mut ids = Ids::start(inputs, Seen::new(directory.path()), Lang::English).unwrap();
    std::fs::write(&path, "sku\na\n").unwrap();
    assert_eq!(block_on(ids.opened()), Ok(()));
    assert_eq!(block_on(ids.next()).unwrap().unwrap().1, id("a"));
    assert!(block_on(ids.next()).is_none());
}

#[test]
fn ids_that_are_known_already_are_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let mut seen = Seen::new(directory.path());
    seen.insert(b"a").unwrap();
    let inputs = vec![IdInput::Listed(vec![id("a"), id("b"), id("a")])];
    let mut ids = Ids::start(inputs, seen, Lang::English).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let next = runtime.block_on(ids.next()).unwrap().unwrap();
    assert_eq!((next.0, next.1.as_str()), (0, "b"));
    assert!(runtime.block_on(ids.next()).is_none());
    assert_eq!(ids.skipped(), 2);
}

/// A million ids, while the reader stays a bounded way ahead of whoever asks.
#[test]
fn many_ids_stream_through_bounded_memory() {
    let count = 1_000_000_u64;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ids");
    let text: String = (0..count).map(|n| format!("SKU-{n:09}\n")).collect();
    std::fs::write(&path, text).unwrap();
    let inputs = vec![IdInput::File { path, form: IdForm::Text }];
    let mut ids = Ids::start(inputs, Seen::new(directory.path()), Lang::English).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        for expected in 0..count {
            let (index, id) = ids.next().await.unwrap().unwrap();
            assert_eq!((index, id.as_str()), (expected, format!("SKU-{expected:09}").as_str()));
            assert!(ids.ready.len() <= queue::WAITING_IDS_MAX);
        }
        assert!(ids.next().await.is_none());
    });
}

#[test]
fn long_ids_are_bounded_by_their_bytes() {
    const FIT: usize = (1 << 20) / ID_BYTES_MAX;
    let (queue, pushed) = (Arc::new(Queue::new()), Arc::new(AtomicUsize::new(0)));
    let long = Id::new(&"x".repeat(ID_BYTES_MAX)).unwrap();
    let pushing = {
        let (queue, pushed) = (Arc::clone(&queue), Arc::clone(&pushed));
        std::thread::spawn(move || {
            (0..100).all(|index| {
                let is_wanted = queue.push(index, long.clone());
                pushed.fetch_add(1, Ordering::SeqCst);
                is_wanted
            })
        })
    };
    while pushed.load(Ordering::SeqCst) < FIT {
        std::thread::yield_now();
    }
    // Whoever did not wait for room would be through by now.
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(pushed.load(Ordering::SeqCst), FIT);
    let (mut total, mut ready) = (0, VecDeque::new());
    while total < 100 {
        if matches!(queue.fetch(&mut ready), queue::Fetched::Some) {
            assert!(ready.len() <= FIT, "{}", ready.len());
            total += ready.len();
            ready.clear();
        }
    }
    assert!(pushing.join().unwrap());
}

/// Whoever drops the stream ends the thread, also when it waits for room.
#[test]
fn a_dropped_stream_ends_its_reader() {
    let directory = tempfile::tempdir().unwrap();
    let listed = (0..3 * queue::WAITING_IDS_MAX).map(|n| id(&n.to_string())).collect();
    let ids = Ids::start(vec![IdInput::Listed(listed)], Seen::new(directory.path()), Lang::English);
    let queue = Arc::clone(&ids.as_ref().unwrap().queue);
    drop(ids);
    // The thread's own share of the queue goes with it.
    while Arc::strong_count(&queue) > 1 {
        std::thread::yield_now();
    }
}

/// An input without end may hold nothing new.
#[test]
fn an_id_that_came_before_ends_a_reader_that_nobody_listens_to() {
    let (queue, seen) = (Arc::new(Queue::new()), Seen::new(&std::env::temp_dir()));
    let mut reader = Reader { queue: Arc::clone(&queue), seen, next_index: 0, lang: Lang::English };
    for _ in 0..2 {
        assert!(reader.take("a").is_ok());
    }
    queue.shut();
    assert!(matches!(reader.take("a"), Err(Halt::Shut)));
    assert_eq!(queue.skipped(), 2);
}

const CHILD: &str = "KILAT_TEST_STDIN";

/// Runs this very test again with a pipe for its input.
#[test]
fn standard_input_gives_each_id_as_soon_as_it_is_there() {
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Command, Stdio};
    if std::env::var_os(CHILD).is_some() {
        return echo();
    }
    let name = "check::ids::tests::standard_input_gives_each_id_as_soon_as_it_is_there";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    for text in ["a", "b", "last"] {
        writeln!(input, "{text}").unwrap();
        let expected = format!("<{text}>");
        assert!(output.any(|line| line.unwrap().contains(&expected)), "{text} never came");
    }
    drop(input);
    assert!(child.wait().unwrap().success());
}

fn echo() {
    let directory = tempfile::tempdir().unwrap();
    let inputs = vec![IdInput::Stdin { form: IdForm::Text }];
    let mut ids = Ids::start(inputs, Seen::new(directory.path()), Lang::English).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    while let Some(next) = runtime.block_on(ids.next()) {
        println!("<{}>", next.unwrap().1.as_str());
    }
}
