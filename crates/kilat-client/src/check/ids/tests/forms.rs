//! Ids as they are written down: what is read of them, and what is said of mistakes.

use super::*;

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
fn mistakes_in_text_are_named_with_their_place_and_the_remedy() {
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
}

#[test]
fn mistakes_in_csv_are_named_with_their_place_and_the_remedy() {
    let endless = vec![b'x'; 3 << 20];
    let rows = [b"sku;n\r\n", &b"a;1\r\n".repeat(100_000)[..], b"b\r\n"].concat();
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
            (&rows, "ids:100002: the row has 1 cell"),
            (&long, "ids:3: an id of 65537 bytes"),
            (&quoted, "ids:3: the row is longer than 1048576 bytes: look for a quotation mark"),
            (&endless, "ids:1: the row is longer"),
        ],
    );
}

#[test]
fn mistakes_in_json_lines_are_named_with_their_place_and_the_remedy() {
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
