//! Ids from everywhere, well written and not.

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

fn json(field: Option<&str>) -> IdForm {
    IdForm::JsonLines { field: field.map(str::to_owned) }
}

/// The ids of a file with this content, or the mistake in it, without the file's path.
fn read(form: &IdForm, content: &[u8]) -> Result<Vec<String>, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ids");
    std::fs::write(&path, content).unwrap();
    let input = IdInput::File { path: path.clone(), form: form.clone() };
    let told = |error: ClientError| {
        assert!(matches!(error, ClientError::Usage(_)), "{error:?}");
        error.to_string().replace(&path.display().to_string(), "ids")
    };
    opened(vec![input.clone()], directory.path()).map_err(told)?;
    match drain(vec![input]) {
        (_, Some(error), _) => Err(told(error)),
        (texts, None, _) => Ok(texts),
    }
}

fn check(form: &IdForm, cases: &[(&str, &[&str])]) {
    for (content, expected) in cases {
        assert_eq!(
            read(form, content.as_bytes()).as_deref(),
            Ok(&to_owned(expected)[..]),
            "{content:?}"
        );
    }
}

fn to_owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

/// Each mistake is named with its place and the words that follow it.
fn check_wrong(form: &IdForm, cases: &[(&[u8], &str)]) {
    for (content, expected) in cases {
        let shown = String::from_utf8_lossy(&content[..content.len().min(60)]).into_owned();
        let error = read(form, content).expect_err(&shown);
        assert!(error.starts_with(expected), "{shown:?}: {error}");
    }
}

#[test]
fn text_is_one_id_a_line() {
    check(
        &IdForm::Text,
        &[
            ("a\nb\n", &["a", "b"]),
            ("a\r\n\r\n\n  \n\tb b \r\nc", &["a", "b b", "c"]),
            ("\u{a0}a\u{3000}\n \u{85}b\u{200b}\n\u{a0}\n", &["a", "b\u{200b}"]),
            ("\u{feff}#a\n\u{feff}b\n", &["#a", "\u{feff}b"]),
            ("\"a,b\"\né\n😀\n", &["\"a,b\"", "é", "😀"]),
            ("a\rb\n", &["a\rb"]),
            ("a\na \nb\na\n", &["a", "b"]),
            ("", &[]),
            ("\u{feff}", &[]),
            ("\n\n", &[]),
        ],
    );
    let most = "x".repeat(ID_BYTES_MAX);
    check(&IdForm::Text, &[(most.as_str(), &[most.as_str()])]);
}

#[test]
fn csv_is_a_column_with_whatever_is_in_its_cells() {
    check(
        &csv("sku"),
        &[
            ("name,sku\nMouse,a\nPad,b\n", &["a", "b"]),
            ("\u{feff}sku,name\r\na,Mouse\r\n\r\n\"b\",Pad", &["a", "b"]),
            ("sku\n\"a,\"\"b\"\"\"\n\"two\nlines\r\n\"\n c \n", &["a,\"b\"", "two\nlines", "c"]),
            ("x,sku\n1,\n2,a\n", &["a"]),
            ("sku\n", &[]),
            ("a,sku,a\n1,2,3\n", &["2"]),
        ],
    );
    check(&csv("a,b"), &[("\"a,b\"\nc\n", &["c"])]);
    check(&csv(" sku "), &[("sku;n\na;1\n", &["a"])]);
    check(
        &csv("sku"),
        &[
            ("nama;sku;harga\n\"Tas; besar\";a;\"1.500,00\"\nTopi;b;2,5\n", &["a", "b"]),
            ("\u{feff}nama\tsku\r\nTas\ta,b\r\n", &["a,b"]),
            ("\"a,b\";sku\n1;c\n", &["c"]),
            ("x;y,sku\n1;2,c\n", &["c"]),
            ("sku\na;b\n", &["a;b"]),
            ("nama; sku\u{a0};n\n1; a\u{a0};2\n3;\" b\tc \";4\n5;  ;6\n", &["a", "b\tc"]),
        ],
    );
    check_wrong(
        &csv("zzz"),
        &[(
            b"nama;sku\n",
            "ids:1: there is no column zzz: name one of these with --column: nama, sku",
        )],
    );
}

#[test]
fn json_lines_are_strings_numbers_and_fields() {
    check(
        &json(None),
        &[
            ("\"a\"\n\n 72.0 \n\"b\\n\\u0043\"\r\n-1e400\n", &["a", "72.0", "b\nC", "-1e400"]),
            ("\" a\\u00a0\"\n\u{a0}\n \" b c \"\n", &["a", "b c"]),
        ],
    );
    check(
        &json(Some("sku")),
        &[
            (
                "{\"sku\":\"a\",\"x\":[1,{\"sku\":\"no\"}]}\n{\"x\":1,\"\\u0073ku\":7}\n",
                &["a", "7"],
            ),
            ("\u{feff}{\"sku\":\"a\",\"sku\":\"b\"}", &["b"]),
        ],
    );
}

#[test]
fn mistakes_are_named_with_their_place_and_the_remedy() {
    let long = [b"a\n".as_slice(), &[b'x'; ID_BYTES_MAX + 1]].concat();
    let endless = vec![b'x'; 3 << 20];
    check_wrong(
        &IdForm::Text,
        &[
            (b"a\n\nb\xff\n", "ids:3: byte 2 is not valid UTF-8"),
            (b"\xff\xfea\0\n\0", "ids:1: this looks like UTF-16"),
            (b"a\nb\0c\n", "ids:2: an id with the character NUL"),
            (&long, "ids:2: an id of 65537 bytes is longer than 65536"),
            (&endless, "ids:1: the line is longer than 1048576 bytes"),
        ],
    );
    let quoted = [b"sku\na\n\"".as_slice(), &b"x\n".repeat(4 << 20)].concat();
    let long = [b"x,sku\n1,a\n2,".as_slice(), &[b'x'; ID_BYTES_MAX + 1]].concat();
    check_wrong(
        &csv("sku"),
        &[
            (
                b"name,stock\n",
                "ids:1: there is no column sku: name one of these with --column: name, stock",
            ),
            (b"", "ids is empty: "),
            (b"\xef\xbb\xbf\r\n \r\n", "ids is empty: "),
            (b"sep=;\r\n", "ids is empty: "),
            (b"\n\nname;stock\n", "ids:3: there is no column sku"),
            (b"sep=;\r\nn;sku\r\n1;a\r\nb\r\n", "ids:4: the row has 1 cell where the first has 2"),
            (b"a,sku,sku\n1,2,3\n", "ids:1: 2 columns are called sku: rename"),
            (b"sku;a;\"sku\";\xc2\xa0sku\n", "ids:1: 3 columns are called sku: rename"),
            (b"\xff\xfes\0k\0u\0\n\0", "ids:1: this looks like UTF-16"),
            (b"\xfe\xff\0s\0k\0u\0\n", "ids:1: this looks like UTF-16"),
            (
                b"a\x1b[31m,\xe2\x80\xae\n",
                "ids:1: there is no column sku: name one of these with --column: a\u{fffd}[31m, \u{fffd}",
            ),
            (b"x,sku\n\"1\n1\",a\nb\n", "ids:4: the row has 1 cell where the first has 2"),
            (b"sku\n\"a\nb\"\n\xff\n", "ids:4: byte 1 is not valid UTF-8"),
            (b"sku;n\r\na;1\r\nb;2\r\nc\r\n", "ids:4: the row has 1 cell"),
            (b"n,sku\r\n\r\n\"1\r\n1\",a\r\nb\r\n", "ids:5: the row has 1 cell"),
            (b"sku\r\na\r\n\xff\r\n", "ids:3: byte 1 is not valid UTF-8"),
            (b"sku\ra\r\xff\r", "ids:3: byte 1 is not valid UTF-8"),
            (b"sku\na\0\n", "ids:2: an id with the character NUL"),
            (&long, "ids:3: an id of 65537 bytes"),
            (&quoted, "ids:3: the row is longer than 1048576 bytes: look for a quotation mark"),
            (&endless, "ids:1: the row is longer"),
        ],
    );
    check_wrong(
        &json(None),
        &[
            (b"\"a\"\n{\"sku\":1}\n", "ids:2: the line is an object: say with --field"),
            (b"a\n", "ids:1: the line is not valid JSON"),
            (b"\"a\" \"b\"\n", "ids:1: the line is not valid JSON"),
            (b"\"\\ud800\"\n", "ids:1: the id is neither a number nor a string"),
            (b"\"a\xff\"\n", "ids:1: byte 3 is not valid UTF-8"),
            (b"\"\\u0000\"\n", "ids:1: an id with the character NUL"),
            (b"\"\"\n", "ids:1: the id is neither"),
            (b"\" \"\n", "ids:1: the id is neither"),
            (b"[\"a\"]\n", "ids:1: the id is neither"),
            (b"null\n", "ids:1: the id is neither"),
        ],
    );
    check_wrong(
        &json(Some("sku")),
        &[
            (
                b"{\"a\\u001b[2J\":1}\n",
                "ids:1: there is no member sku: name one of these with --field: a\u{fffd}[2J",
            ),
            (
                b"{\"sku\":1}\n{\"a\":1,\"b\":2}",
                "ids:2: there is no member sku: name one of these with --field: a, b",
            ),
            (b"\"a\"", "ids:1: the line is no object with a member sku"),
            (b"{\"sku\":1", "ids:1: the line is not valid JSON"),
            (b"{\"sku\":1}}", "ids:1: the line is not valid JSON"),
            (b"{\"sku\":{}}", "ids:1: the id is neither"),
        ],
    );
}

#[test]
fn files_of_another_kind_are_refused_unless_their_lines_are_said_to_be_ids() {
    let like_json = "this looks like JSON: ";
    check_wrong(
        &IdForm::Guessed,
        &[
            (b"[\n  \"a\"\n]\n", &format!("ids:1: {like_json}")),
            (b"\xef\xbb\xbf{\"sku\":\"a\"}\n", &format!("ids:1: {like_json}")),
            (b"\r\n \xc2\xa0\r\n  [\r\n", &format!("ids:3: {like_json}")),
        ],
    );
    check(&IdForm::Guessed, &[("a\n[b]\n{c}\n", &["a", "[b]", "{c}"]), ("", &[])]);
    check(&IdForm::Text, &[("[b]\n{c}\n", &["[b]", "{c}"])]);
    for form in [IdForm::Guessed, IdForm::Text, csv("sku"), json(None)] {
        for workbook in [b"PK\x03\x04\x14\0\x06\0\x08\0".as_slice(), b"\xd0\xcf\x11\xe0\xa1\xb1\n"]
        {
            check_wrong(
                &form,
                &[(workbook, "ids:1: this is a workbook or a zip file: save it as CSV")],
            );
        }
    }
}

#[test]
fn csv_begins_with_its_first_row_that_is_not_blank_and_may_name_its_separator() {
    check(
        &csv("sku"),
        &[
            ("\r\n \u{a0}\r\nnama;sku\r\nx,y;a\r\n", &["a"]),
            ("\u{feff}\n;;\nnama;sku;\nx;a;\n;;\n  \ny;b;\n", &["a", "b"]),
            ("sep=;\r\nnama;sku\r\n1,5;a\r\n", &["a"]),
            ("\u{feff}\"SEP=|\"\nnama|sku\n1;2|a\n", &["a"]),
            ("sep=\t\n\nnama\tsku\n1;2\ta\n", &["a"]),
            ("sep=;,sku\n1,a\n", &["a"]),
        ],
    );
    // Another would make a cell of the name.
    check(&csv("sku,n"), &[("sep=;\nsku,n;x\na,1;2\n", &["a,1"])]);
    check(&csv("sep=,"), &[("sep=,;x\na;1\n", &["a"])]);
    check(&csv("sep=a"), &[("sep=a\nb\n", &["b"])]);
}

/// It would make one cell of all that follows.
#[test]
fn a_quote_that_is_never_closed_is_named_where_it_begins() {
    let place = |line: u32| format!("ids:{line}: the quote that begins here is never closed");
    for (content, line) in [
        ("sku;nama\r\na;\"Layar 24\r\nb;USB\r\nc;Hub\r\n", 2),
        ("sku,n\na,\"1\nb,2", 2),
        ("sku,n\na,1\n\"b\nb\",\"1\n2\n", 4),
        ("sku,n\na,1\nb,\"", 3),
        ("sku,n\na,1\n\"", 3),
        ("sku,n\na,\"1\"\"", 2),
        ("\"sku\na\n", 1),
    ] {
        check_wrong(&csv("sku"), &[(content.as_bytes(), &place(line))]);
    }
    check(&csv("sku"), &[("n,sku\n1,\"a\"", &["a"]), ("n,sku\n\"1\n\",a\n\n", &["a"])]);
    let whole = format!("n,sku\n\"{}\",a\n\"1\n\",\"b\"\n", "1\n".repeat(100_000));
    check(&csv("sku"), &[(&whole, &["a", "b"])]);
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
