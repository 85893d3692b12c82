//! Several ids in one request.

use super::*;
use Outcome::{Found, NotFound, Unknown};

fn batch(url: &str, section: &str) -> Profile {
    let text = format!(
        "url = \"{url}\"\nfold = \"upper\"\nlabel = \"SKU\"\n[batch]\nsize = 3\n{section}\n\
         [[rule]]\nstatus = 200\nwhere = {{ \"/stock\" = 0 }}\noutcome = \"found\"\n\
         notable = true\nmessage = \"{{id}}: none\"\n\
         [[rule]]\nstatus = 200\nwhere = {{ \"/stock\" = {{ exists = true }} }}\n\
         outcome = \"found\"\nmessage = \"{{id}}: {{stock}}\"\n"
    );
    custom(&text).unwrap()
}

fn ids(list: &[&str]) -> Vec<Id> {
    list.iter().map(|text| id(text)).collect()
}

#[test]
fn ids_are_joined_and_encoded_one_by_one() {
    for (url, section, expected) in [
        ("http://h/s?q={ids}", "", "http://h/s?q=A,B%26C,%C3%89"),
        ("http://h/s/{ids}", "join = \";\"", "http://h/s/A;B%26C;%C3%89"),
        ("http://h/s?q={ids}", "join = \"&q=\"", "http://h/s?q=A&q=B%26C&q=%C3%89"),
        ("http://h/s?q={ids}", "join = \"%20\"", "http://h/s?q=A%20B%26C%20%C3%89"),
    ] {
        let profile = batch(url, section);
        let request = profile.request(&ids(&["a", "B&c", "é"]), ENGLISH).unwrap();
        assert_eq!(request.uri, expected);
        assert_eq!(profile.batch_size(), 3);
    }
}

#[test]
fn an_id_that_would_become_two_is_not_sent() {
    let profile = batch("http://h/s?q={ids}", "");
    let refused = profile.sendable(&id("a,b"), ENGLISH).unwrap_err();
    assert_eq!(refused, "Not sent: the id holds ',', which stands between ids.");
    assert!(profile.request(&ids(&["a", "b,c"]), ENGLISH).is_err());
    assert!(profile.sendable(&id("a;b"), ENGLISH).is_ok());
    // Encoded it would be what stands between, or become it where the server decodes it.
    for (join, split, whole) in [
        ("%20", "a b", "a-b"),
        ("%7C", "a|b", "ab"),
        ("+", "a b", "a-b"),
        ("+", "a+b", "ab"),
        ("X", "ax", "ay"),
    ] {
        let profile = batch("http://h/s?q={ids}", &format!("join = \"{join}\""));
        assert!(profile.sendable(&id(split), ENGLISH).is_err(), "{join} {split}");
        assert!(profile.sendable(&id(whole), ENGLISH).is_ok(), "{join} {whole}");
    }
    assert!(batch("http://h/s?q={ids}", "join = \"&q=\"").sendable(&id("a&q=b"), ENGLISH).is_ok());
}

#[test]
fn a_body_carries_all_ids_as_a_list() {
    let text = "url = \"http://h/s\"\nmethod = \"POST\"\nidempotent = true\n\
                body = '{\"skus\": {ids}}'\n[batch]\nsize = 2\n[[rule]]\nstatus = 200\n\
                outcome = \"found\"\nmessage = \"{id}\"\n";
    let request = custom(text).unwrap().request(&ids(&["a,\"", "b"]), ENGLISH).unwrap();
    assert_eq!(request.body, &br#"{"skus": ["a,\"","b"]}"#[..]);
}

#[test]
fn each_id_gets_the_verdict_of_its_own_item() {
    let list =
        batch("http://h/{ids}", "items = \"/data/items\"\nkey = \"/sku\"\nmissing = \"not_found\"");
    let object = batch("http://h/{ids}", "items = \"/data/items\"\nmissing = \"not_found\"");
    let in_list = r#"{"data":{"items":[{"sku":"B","stock":7},{"sku":"x"},7,{"sku":"a","stock":0},{"sku":12,"stock":1}]}}"#;
    let in_object =
        r#"{"data":{"items":{"B":{"stock":7},"x":{},"a":{"stock":0},"12":{"stock":1},"n":null}}}"#;
    for (profile, body) in [(list, in_list), (object, in_object)] {
        let asked = ids(&["A", "b", "X", "n", "12"]);
        let verdicts = profile.judge(&asked, &reply(200, body), ENGLISH);
        let said: Vec<_> =
            verdicts.iter().map(|v| (v.outcome, v.message.as_str(), v.notable)).collect();
        let unlike = format!("Received an error status from the API: 200 - {:.100}", body);
        assert_eq!(
            said,
            [
                (Found, "A: none", true),
                (Found, "b: 7", false),
                (Unknown, unlike.as_str(), false),
                (NotFound, "Error: SKU n not found. Message: not in the reply", false),
                (Found, "12: 1", false),
            ]
        );
        let row = verdicts[1].row.as_ref().map(|row| row.get());
        assert!(row.is_some_and(|row| row.ends_with("\"stock\":7}")), "{row:?}");
    }
}

#[test]
fn a_reply_without_items_leaves_all_ids_unknown() {
    let list =
        batch("http://h/{ids}", "items = \"/items\"\nkey = \"/sku\"\nmissing = \"not_found\"");
    let object = batch("http://h/{ids}", "missing = \"not_found\"");
    let keyless = batch("http://h/{ids}", "missing = \"not_found\"");
    for (profile, status, body, retry) in [
        (&list, 200, "{}", true),
        (&list, 200, "{\"items\":null}", true),
        (&list, 200, "{\"items\":7}", true),
        (&list, 200, "<html>", true),
        (&list, 200, "", true),
        (&list, 404, "{\"items\":[]}", false),
        (&list, 503, "{\"items\":[]}", true),
        (&list, 200, "{\"items\":[{\"sku\":\"X\"},{}]}", true),
        (&object, 200, "{\"error\":\"too many at once\"}", true),
        (&object, 200, "{\"A\":\"slow down\"}", true),
        (&keyless, 200, "[{\"sku\":\"A\"}]", true),
    ] {
        for verdict in profile.judge(&ids(&["A", "B"]), &reply(status, body), ENGLISH) {
            assert_eq!((verdict.outcome, verdict.retry), (Unknown, retry), "{body}");
        }
    }
    // Which of two things counts, nobody knows.
    let (one, other) = (r#"{"sku":"a","stock":0}"#, r#"{"sku":"A","stock":7}"#);
    for (profile, body) in [
        (&list, format!(r#"{{"items":[{one},{other}]}}"#)),
        (&list, format!(r#"{{"items":[{one}],"items":[]}}"#)),
        (&list, format!(r#"{{"items":[],"items":[{one}]}}"#)),
        (&list, r#"{"items":[{"sku":"A","stock":0,"stock":7}]}"#.to_owned()),
        (&object, format!(r#"{{"a":{one},"A":{other}}}"#)),
        (&object, format!(r#"{{"A":{one},"A":{other}}}"#)),
    ] {
        let verdict = profile.judge(&ids(&["A"]), &reply(200, body.clone()), ENGLISH).remove(0);
        assert_eq!(verdict.outcome, Unknown, "{body}");
        assert!(verdict.message.contains("twice"), "{}", verdict.message);
    }
    for (profile, body) in [(&list, "{\"items\":[]}"), (&list, "{\"items\":{}}"), (&object, "{}")] {
        let verdict = profile.judge(&ids(&["A"]), &reply(200, body), ENGLISH).remove(0);
        assert_eq!((verdict.outcome, verdict.retry), (NotFound, false), "{body}");
    }
    let unknown = batch("http://h/{ids}", "items = \"/items\"\nkey = \"/sku\"");
    let verdict = unknown.judge(&ids(&["A"]), &reply(200, "{\"items\":[]}"), ENGLISH).remove(0);
    assert_eq!((verdict.outcome, verdict.retry), (Unknown, true));
    assert_eq!(verdict.message, "Request error: the reply holds nothing about SKU A");
}
