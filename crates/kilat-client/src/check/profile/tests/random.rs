//! Whatever an id, a reply or a profile holds.

use super::*;
use percent_encoding::percent_decode_str;
use proptest::prelude::*;

/// Characters that mean something in addresses, JSON, TOML or logs, and any others.
fn hostile() -> impl Strategy<Value = String> {
    let marks = "[\\x00-\\x1f \"'#%&+,./:;<=>?@\\[\\]\\\\^`{|}~a0\u{7f}\u{85}é😀\u{2028}]{1,40}";
    prop_oneof![
        marks,
        "\\PC{1,40}",
        any::<String>().prop_filter("ids have bytes", |s| !s.is_empty())
    ]
}

fn hostile_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        "[\\[\\]{}\",:0-9eE+.\\\\u dtrn-]{0,80}".prop_map(String::into_bytes),
        "\\{\"(stock|status|error|items)\":[\\[\\]{}\",:0-9a-f\\\\u -]{0,40}\\}"
            .prop_map(String::into_bytes),
    ]
}

fn with_url(url: &str, more: &str) -> Profile {
    let rule = "[[rule]]\nstatus = 200\noutcome = \"found\"\nmessage = \"{id}: {a}\"";
    custom(&format!("url = \"{url}\"\n{more}\n{rule}")).unwrap()
}

fn object(text: &[u8]) -> Option<serde_json::Map<String, serde_json::Value>> {
    serde_json::from_slice(text).ok()
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

/// The seed of a run: `KILAT_SEED` replays one.
fn config() -> ProptestConfig {
    let seed = std::env::var("KILAT_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| std::process::id().into());
    println!("KILAT_SEED={seed}");
    ProptestConfig {
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(seed),
        ..ProptestConfig::with_cases(256)
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn an_id_comes_back_from_its_address(asked in hostile()) {
        let asked = id(&asked);
        let query = with_url("http://h/p?a=b&q={id}&c=d", "");
        let query = query.request(std::slice::from_ref(&asked), ENGLISH).unwrap();
        let values: Vec<&str> = query.uri.query().unwrap().split('&').collect();
        prop_assert_eq!(values.len(), 3);
        prop_assert_eq!(decoded(values[1].strip_prefix("q=").unwrap()), asked.as_str());
        prop_assert_eq!((query.uri.host(), query.uri.path()), (Some("h"), "/p"));
        if matches!(asked.as_str(), "." | "..") {
            return Ok(());
        }
        let path = with_url("http://h/a/{id}/b", "");
        let path = path.request(std::slice::from_ref(&asked), ENGLISH).unwrap();
        let segments: Vec<&str> = path.uri.path().split('/').collect();
        prop_assert_eq!((segments.len(), path.uri.query()), (4, None));
        prop_assert_eq!(decoded(segments[2]), asked.as_str());
    }

    #[test]
    fn ids_come_back_from_a_batch(asked in prop::collection::vec(hostile(), 1..5)) {
        let ids: Vec<Id> = asked.iter().map(|text| id(text)).collect();
        let joined = with_url("http://h/?q={ids}", "[batch]\nsize = 5\njoin = \"&q=\"");
        let request = joined.request(&ids, ENGLISH).unwrap();
        let values = request.uri.query().unwrap().split('&');
        let back = values.map(|value| decoded(value.strip_prefix("q=").unwrap()));
        prop_assert_eq!(&back.collect::<Vec<String>>(), &asked);
        let more = "method = \"POST\"\nidempotent = true\nbody = '{\"q\":{ids}}'\n[batch]\nsize = 5";
        let request = with_url("http://h/", more).request(&ids, ENGLISH).unwrap();
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        prop_assert_eq!(&body["q"], &serde_json::json!(asked));
    }

    #[test]
    fn any_reply_gets_one_verdict_for_each_id(
        body in hostile_bytes(),
        status in prop_oneof![Just(200_u16), Just(404), 100_u16..700],
        asked in hostile(),
    ) {
        let ids = [id(&asked), id("b")];
        let batch = "[batch]\nsize = 2\nitems = \"/items\"\nkey = \"/a\"";
        let batch = with_url("http://h/{ids}", batch);
        let profiles = Profile::names().map(built_in).chain([batch]);
        for profile in profiles {
            let verdicts = profile.judge(&ids, &reply(status, body.clone()), INDONESIAN);
            prop_assert_eq!(verdicts.len(), 2);
            for verdict in verdicts {
                let row = verdict.row.as_ref().map_or("{}", |row| row.get());
                prop_assert!(row.len() <= 4_096 && !row.contains('\n'));
                prop_assert!(object(row.as_bytes()).is_some(), "{}", row);
                prop_assert!(verdict.outcome == Outcome::Unknown || !verdict.retry);
                prop_assert!(verdict.outcome == Outcome::Unknown || matches!(status, 200 | 404));
            }
        }
    }

    // What we take for JSON, and what it says, is what serde takes for it.
    #[test]
    fn a_row_says_what_the_reply_said(body in hostile_bytes()) {
        let asked = [id("a")];
        let verdict = built_in("player").judge(&asked, &reply(200, body.clone()), ENGLISH).remove(0);
        match (verdict.row, object(&body)) {
            (Some(row), Some(reference)) => {
                prop_assert_eq!(object(row.get().as_bytes()), Some(reference));
            }
            (None, None) => {}
            // serde refuses numbers that no f64 holds; their text is all we need.
            (Some(row), None) => prop_assert!(row.get().contains(['e', 'E'])),
            (None, Some(reference)) => prop_assert!(false, "{:?} {}", reference, verdict.message),
        }
    }

    #[test]
    fn any_text_is_a_profile_or_a_mistake_with_a_place(text in hostile(), at in 0..400_usize) {
        for (_, built_in) in BUILT_IN {
            let at = built_in.floor_char_boundary(at.min(built_in.len()));
            let broken = format!("{}{text}{}", &built_in[..at], &built_in[at..]);
            if let Err(mistake) = custom(&broken) {
                prop_assert!(mistake.to_string().starts_with("mine.toml:"), "{}", mistake);
            }
        }
    }
}
