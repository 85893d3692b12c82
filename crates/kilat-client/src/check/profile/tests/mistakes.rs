//! Each mistake in a profile is named by its place, with what to do.

use super::*;

const URL: &str = "url = \"http://h/{id}\"";
const RULE: &str = "[[rule]]\nstatus = 200\noutcome = \"found\"\nmessage = \"m\"";

/// In both languages the place is right, and nothing secret or unfinished is said.
#[track_caller]
fn check(text: &str, place: &str, says: &str) {
    for lang in [INDONESIAN, ENGLISH] {
        let message = match read::read("mine.toml", text, &secret, lang) {
            Err(ClientError::Usage(message)) => message,
            other => panic!("{text}\n{other:?}"),
        };
        assert!(message.starts_with(&format!("mine.toml:{place}: ")), "{text}\n{message}");
        for never in ["s3cret", "profile.", "%{", "\n"] {
            assert!(!message.contains(never), "{message}");
        }
        assert!(message.contains(": ") && message.len() < 250, "{message}");
        if lang == ENGLISH {
            assert!(message.contains(says), "{text}\n{message}\n{says}");
        }
    }
}

/// Lines before the rule, from the first line on.
#[track_caller]
fn check_top(lines: &str, place: &str, says: &str) {
    check(&format!("{lines}\n{RULE}"), place, says);
}

/// Lines of the one rule, from the third line on.
#[track_caller]
fn check_rule(lines: &str, place: &str, says: &str) {
    check(&format!("{URL}\n[[rule]]\n{lines}"), place, says);
}

#[test]
fn what_is_not_toml_is_named() {
    for (text, place, says) in [
        ("url = ", "1:7", "this is not TOML"),
        ("url = \"x", "1:9", "this is not TOML"),
        ("é = 1", "1:1", "this is not TOML"),
        ("url = \"a\"\nurl = \"b\"", "2:1", "duplicate key"),
        ("[a\nb]", "1:3", "this is not TOML"),
        ("url = 5\n  \tx", "2:5", "this is not TOML"),
    ] {
        check(text, place, says);
    }
}

#[test]
fn unknown_and_missing_keys_are_named() {
    check_top(
        "urll = 1",
        "1:1",
        "'urll' is unknown in mine.toml: remove it, or use one of name, label, url,",
    );
    check_top(&format!("{URL}\nzz = 1\n  aa = 1"), "2:1", "'zz' is unknown");
    check_top("# é\n\"a\\nb\" = 1", "2:1", "'a\\nb' is unknown");
    check_top("", "1:1", "mine.toml has no 'url': add it, such as url = \"https://");
    check(URL, "1:1", "has no 'rule': add it, such as [[rule]]");
    for (lines, place, says) in [
        ("outcome = \"found\"", "2:1", "[[rule]] has no 'status': add it, such as status = 200"),
        ("status = 200", "2:1", "[[rule]] has no 'outcome'"),
        ("status = 200\noutcome = \"found\"", "2:1", "[[rule]] has no 'message'"),
        ("status = 200\noutcom = 1", "4:1", "'outcom' is unknown in [[rule]]"),
    ] {
        check_rule(lines, place, says);
    }
}

#[test]
fn values_of_another_kind_are_named() {
    for (lines, place, wanted) in [
        ("url = 1", "1:7", "'url' must be a text in quotes"),
        ("url = \"http://h/{id}\"\nids = \"a\"", "2:7", "'ids' must be a list"),
        ("url = \"http://h/{id}\"\nids = [\"a\", 7]", "2:13", "'ids' must be a text"),
        ("url = \"http://h/{id}\"\nheaders = \"a\"", "2:11", "'headers' must be a table"),
        ("url = \"http://h/{id}\"\nheaders.a = 1", "2:13", "'a' must be a text"),
        ("url = \"http://h/{id}\"\nseed = []", "2:8", "'seed' must be a table"),
        ("url = \"http://h/{id}\"\nmethod = true", "2:10", "'method' must be a text"),
        ("url = \"http://h/{id}\"\nidempotent = 1", "2:14", "'idempotent' must be true or false"),
        ("url = \"http://h/{id}\"\nname = []", "2:8", "'name' must be a text"),
        ("url = \"http://h/{id}\"\nlabel = 1", "2:9", "'label' must be a table"),
        ("url = \"http://h/{id}\"\nlabel = { fr = \"x\" }", "2:11", "'fr' is unknown in label"),
    ] {
        check_top(lines, place, wanted);
    }
    check(&format!("{URL}\nrule = 5"), "2:8", "'rule' must be a list");
    check(&format!("{URL}\nrule = [5]"), "2:9", "'rule' must be a table");
    check(&format!("{URL}\n[rule]\nstatus = 1"), "2:1", "each rule begins with [[rule]]: write");
}

#[test]
fn addresses_are_checked() {
    for (url, column, says) in [
        ("", 7, "must begin with http://"),
        ("h/{id}", 8, "must begin with http:// or https://"),
        ("ftp://h/{id}", 8, "must begin with http://"),
        ("http:/h/{id}", 8, "must begin with http://"),
        ("http://u:p@h/{id}", 15, "holds a user or a password"),
        ("http://h/{id}#a", 21, "write %23"),
        ("http://h/{id}?k=${SHOP_TOKEN}", 24, "send it in [headers]"),
        ("http://{id}/", 15, "{id} can't stand in the host"),
        ("http://h:{id}/", 17, "{id} can't stand in the host"),
        ("http://h/{sku}", 17, "{sku} is unknown in an address: use {id}, {ids}, {base}"),
        ("http://h/{id", 17, "this brace stands alone"),
        ("http://h/id}", 19, "this brace stands alone"),
        ("http://h/{base}/{id}", 17, "{base} must be the beginning"),
        ("{base}.example.com/{id}", 14, "{base} must be the beginning"),
        ("{base}{id}", 14, "{base} must be the beginning"),
        ("http://h/{id}/{ids}", 8, "exclude each other"),
        ("http://h/a b/{id}", 18, "' ' can't stand in an address: write it encoded"),
        ("http://h/é/{id}", 17, "'é' can't stand in an address"),
        ("http://h/\\t{id}", 7, "'\\t' can't stand in an address"),
        ("http://h/<{id}>", 17, "'<' can't stand"),
        ("http:///{id}", 15, "this is not an address"),
        ("http://h:0x50/{id}", 15, "this is not an address"),
        ("http://h:65536/{id}", 15, "this is not an address"),
        ("http://[::1/{id}", 15, "this is not an address"),
        ("http://h/", 7, "url has no {id}"),
        ("http://h/{ids}", 7, "add a [batch] section"),
    ] {
        check_top(&format!("url = \"{url}\""), &format!("1:{column}"), says);
    }
}

#[test]
fn methods_and_bodies_are_checked() {
    let post = "method = \"POST\"\nidempotent = true";
    for (lines, place, says) in [
        ("method = \"DELETE\"", "2:10", "method 'DELETE' is not for looking up: use GET or POST"),
        ("method = \"get\"", "2:10", "method 'get'"),
        ("method = \"POST\"", "2:10", "add idempotent = true"),
        ("method = \"POST\"\nidempotent = false", "2:10", "add idempotent = true"),
        ("body = '{}'", "2:8", "GET carries no body"),
        (
            &format!("{post}\nbody = '{{\"a\": {{idd}}}}'"),
            "4:8",
            "this is not JSON once ids are in it",
        ),
        (&format!("{post}\nbody = '\"{{id}}\"'"), "4:8", "this is not JSON"),
        (&format!("{post}\nbody = '[\"${{KEY}}\", {{id}}]'"), "4:11", "send it in [headers]"),
        (&format!("{post}\nbody = '{{ids}}'"), "1:7", "exclude each other"),
    ] {
        check_top(&format!("{URL}\n{lines}"), place, says);
    }
}

#[test]
fn headers_are_checked_and_secrets_never_shown() {
    for (line, column, says) in [
        ("\"a b\" = \"x\"", 1, "'a b' can't name a header"),
        ("\"\" = \"x\"", 1, "'' can't name a header"),
        ("Host = \"x\"", 1, "the header 'Host' says how requests travel"),
        ("content-length = \"1\"", 1, "'content-length'"),
        ("Accept-Encoding = \"gzip\"", 1, "'Accept-Encoding'"),
        ("a = \"x\\r\\ny: z\"", 5, "the value of 'a' holds a character"),
        ("a = \"é\"", 5, "the value of 'a'"),
        ("a = \"Bearer ${TOKEN\"", 13, "'${' is never closed"),
        ("a = \"${}\"", 6, "'${}' names no environment variable"),
        ("a = \"${A-B}\"", 6, "'${A-B}' names no environment variable"),
        ("a = \"Bearer ${NOWHERE}\"", 13, "the environment variable NOWHERE is not set"),
        ("a = \"Bearer ${EMPTY}\"", 13, "the environment variable EMPTY is empty"),
        (
            "a = \"x${SHOP_TOKEN}${BROKEN}\"",
            20,
            "the environment variable BROKEN is empty or holds",
        ),
        ("a = \"${SHOP_TOKEN}\\u0007\"", 5, "the value of 'a' holds a character"),
        ("a = \"Bearer $SHOP_TOKEN\"", 13, "write ${NAME} for an environment variable, or $$ for"),
        ("a = \"$_\"", 6, "write ${NAME}"),
        ("a = \"$$$x\"", 8, "write ${NAME}"),
    ] {
        let place = format!("3:{column}");
        check_top(&format!("{URL}\n[headers]\n{line}"), &place, says);
    }
    let twice = "[headers]\na = \"${SHOP_TOKEN}\"\nA = \"y\"";
    check_top(&format!("{URL}\n{twice}"), "4:1", "the header 'A' is there twice");
    let to_anyone = "url = \"{base}/{id}\"\n[headers]\na = \"${SHOP_TOKEN}\"";
    check_top(to_anyone, "1:7", "SHOP_TOKEN would be sent to whatever server");
}

#[test]
fn batches_are_checked() {
    let check_batch = |lines: &str, place: &str, says: &str| {
        check_top(&format!("url = \"http://h/{{ids}}\"\n[batch]\n{lines}"), place, says);
    };
    for (lines, place, says) in [
        ("", "2:1", "[batch] has no 'size'"),
        ("size = 1", "3:8", "'size' must be a whole number from 2 to 1000"),
        ("size = 1001", "3:8", "from 2 to 1000"),
        ("size = 99999999999999999999", "3:8", "from 2 to 1000"),
        ("size = 2.0", "3:8", "from 2 to 1000"),
        ("size = 2\njoin = \"\"", "4:8", "join must be"),
        ("size = 2\njoin = \"/\"", "4:8", "join must be"),
        ("size = 2\njoin = \" \"", "4:8", "such as %20"),
        ("size = 2\nitems = \"a/b\"", "4:10", "write it as \"/a/b\""),
        ("size = 2\nkey = \"/a~2\"", "4:10", "'~' must be ~0"),
        ("size = 2\nstatus = 99", "4:10", "from 200 to 599"),
        ("size = 2\nmissing = \"found\"", "4:11", "missing must be"),
        ("size = 2\nsizes = 2", "4:1", "'sizes' is unknown in [batch]"),
        (
            "size = 2\nstatus = [200, 503]",
            "4:10",
            "status 503 says that the server could not answer",
        ),
    ] {
        check_batch(lines, place, says);
    }
    check_top(&format!("{URL}\n[batch]\nsize = 2"), "2:1", "[batch] needs {ids} where {id} is");
    check_top("url = \"{base}/{ids}\"\n[batch]\nsize = 2", "1:7", "can't be asked of {base}");
}

#[test]
fn rules_are_checked() {
    for (lines, place, says) in [
        ("status = 199", "3:10", "'status' must be a whole number from 200 to 599"),
        ("status = [200, 600]", "3:16", "from 200 to 599"),
        ("status = \"2xx\"", "3:10", "from 200 to 599"),
        ("status = []", "3:10", "this list is empty"),
        (
            "status = [404, 503]",
            "3:10",
            "status 503 says that the server could not answer, so it can't mean found",
        ),
        ("status = 429", "3:10", "status 429"),
        ("status = 200\nbody = \"html\"", "4:8", "body must be \"object\""),
        ("status = 200\nbody = []", "4:8", "this list is empty"),
        ("status = 200\nretry = true", "4:9", "retry is only for outcome"),
        ("status = 200\nnotable = 1", "4:11", "'notable' must be true or false"),
        ("status = 200\nwhere = 1", "4:9", "'where' must be a table"),
        ("status = 200\nwhere = {}", "4:9", "this list is empty"),
        ("status = 200\nwhere = []", "4:9", "this list is empty"),
        ("status = 200\nwhere = { status = 1 }", "4:11", "write it as \"/status\""),
        ("status = 200\nwhere = { \"a/b\" = 1 }", "4:11", "write it as \"/a/b\""),
        ("status = 200\nwhere = { \"/a~\" = 1 }", "4:14", "'~' must be ~0"),
        ("status = 200\nwhere = { \"/a\" = 2026-01-01 }", "4:18", "a value to compare with"),
        ("status = 200\nwhere = { \"/a\" = nan }", "4:18", "a value to compare with"),
        ("status = 200\nwhere = { \"/a\" = [[]] }", "4:19", "a value to compare with"),
        ("status = 200\nwhere = { \"/a\" = [] }", "4:18", "this list is empty"),
        ("status = 200\nwhere = { \"/a\" = {} }", "4:18", "either is"),
        ("status = 200\nwhere = { \"/a\" = { is = 1, exists = true } }", "4:18", "either is"),
        (
            "status = 200\nwhere = { \"/a\" = { exists = true, optional = true } }",
            "4:18",
            "either is",
        ),
        ("status = 200\nwhere = { \"/a\" = { above = 1 } }", "4:20", "'above' is unknown in where"),
    ] {
        check_rule(&format!("{lines}\noutcome = \"found\"\nmessage = \"m\""), place, says);
    }
    check_rule("status = 200\noutcome = \"available\"", "4:11", "outcome must be");
    check_rule("status = 200\noutcome = \"unknown\"", "2:1", "no rule leads to found or not_found");
    check(&format!("{URL}\nrule = []"), "2:8", "no rule leads to found");
    let shadowed =
        "[[rule]]\nstatus = 200\nwhere = { \"/a\" = 1 }\noutcome = \"found\"\nmessage = \"m\"";
    check(
        &format!("{URL}\n{RULE}\n{shadowed}"),
        "6:1",
        "the one in line 2 takes them all: put this rule before line 2",
    );
}

#[test]
fn messages_are_checked() {
    for (message, column, says) in [
        ("\"a {name\"", 14, "'{' is not closed"),
        ("\"a {{b}\"", 17, "'}' closes nothing"),
        ("\"{}\"", 12, "needs a name"),
        ("\"{@code}\"", 12, "@code is unknown in a message: use @id, @status, @text"),
        ("\"é {/a~}\"", 17, "'~' must be ~0"),
        ("\"\\t{@x}\"", 11, "@x is unknown"),
        ("'''{@x}'''", 14, "@x is unknown"),
        ("{ en = \"m\" }", 11, "an Indonesian text is missing"),
        ("{ id = \"m\", fr = \"m\" }", 23, "'fr' is unknown in message"),
        ("{ id = \"m\", en = \"{\" }", 29, "'{' is not closed"),
        ("{ id = 7 }", 18, "'id' must be a text"),
        ("7", 11, "'message' must be a table"),
    ] {
        let lines = format!("status = 200\noutcome = \"found\"\nmessage = {message}");
        check_rule(&lines, &format!("5:{column}"), says);
    }
}

#[test]
fn the_place_of_the_id_is_checked() {
    for (same, column, says) in [
        ("\"sku\"", 9, "/"),
        ("{}", 8, "give is"),
        ("{ is = \"/a\", within = \"/b\" }", 8, "give is"),
        ("{ is = \"/a\", fold = \"Upper\" }", 28, "fold must be"),
        ("{ at = \"/a\" }", 10, "'at' is unknown in same"),
    ] {
        let lines = format!("status = 200\noutcome = \"found\"\nmessage = \"m\"\nsame = {same}");
        check_rule(&lines, &format!("6:{column}"), says);
    }
}

#[test]
fn words_are_checked() {
    let seed = "[seed]\nheader = \"h\"\nall = \"a\"\neach = \"e\"\ndone = \"d\"\nfile = ";
    for (lines, place, says) in [
        ("name = \"\"".to_owned(), "2:8", "use 1 to 32 characters"),
        ("name = \"My Shop\"".to_owned(), "2:8", "'My Shop' can't name a log"),
        (format!("name = \"{}\"", "a".repeat(33)), "2:8", "can't name a log"),
        ("fold = \"Upper\"".to_owned(), "2:8", "fold must be"),
        ("ids = [\"a\", \"\"]".to_owned(), "2:13", "an id must have 1 to 65536 bytes"),
        ("[seed]".to_owned(), "2:1", "[seed] has no 'file'"),
        (format!("{seed}\"a/b.txt\""), "7:8", "the plain name of a file"),
        (format!("{seed}\"..\""), "7:8", "the plain name of a file"),
        (format!("{seed}\"\""), "7:8", "the plain name of a file"),
        (format!("{seed}\"a\\nb\""), "7:8", "one line"),
    ] {
        check_top(&format!("{URL}\n{lines}"), place, says);
    }
}

#[test]
fn a_file_names_its_profile() {
    for (file, name) in [
        ("mine.toml", "mine"),
        ("/a/b/My Shop.v2.toml", "my-shop-v2"),
        ("Toko É.toml", "toko"),
        ("é.toml", "profile"),
        ("-.toml", "profile"),
    ] {
        let profile = read::read(file, &format!("{URL}\n{RULE}"), &secret, ENGLISH).unwrap();
        assert_eq!(profile.name(), name, "{file}");
    }
    let named = custom(&format!("name = \"a-1\"\n{URL}\n{RULE}")).unwrap();
    assert_eq!(named.name(), "a-1");
}
