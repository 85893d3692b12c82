//! What profiles send.

use super::*;

const ITEM: &str = "[[rule]]\nstatus = 200\noutcome = \"found\"\nmessage = \"{name}\"\n";

fn at(url: &str) -> Profile {
    custom(&format!("url = \"{url}\"\n{ITEM}")).unwrap()
}

fn uri(profile: &Profile, asked: &str) -> Result<String, String> {
    profile.request(&[id(asked)], ENGLISH).map(|request| request.uri.to_string())
}

#[test]
fn each_built_in_profile_asks_as_the_seed_does() {
    for (profile, asked, url) in [
        ("stock", "SKU-001", "http://127.0.0.1:5000/get_stock?sku=SKU-001"),
        ("flight", "GA202", "http://127.0.0.1:5000/get_flight_status?flight_number=GA202"),
        ("domain", "google.com", "http://127.0.0.1:5000/check_domain?domain=google.com"),
        ("package", "JNE001", "http://127.0.0.1:5000/track_package?tracking_number=JNE001"),
        ("player", "PLAYER01", "http://127.0.0.1:5000/get_player_stats?player_id=PLAYER01"),
    ] {
        let request = built_in(profile).request(&[id(asked)], ENGLISH).unwrap();
        assert_eq!(request.uri, url);
        assert_eq!((request.method, request.guarded), (Method::GET, false));
        assert!(request.headers.is_empty() && request.body.is_empty());
        assert_eq!(built_in(profile).batch_size(), 1);
    }
}

#[test]
fn an_id_stays_in_its_place() {
    for (asked, encoded) in [
        ("a b", "a%20b"),
        ("a\nb\r\n", "a%0Ab%0D%0A"),
        ("\"'", "%22%27"),
        ("&sku=x", "%26sku%3Dx"),
        ("100%", "100%25"),
        ("%0A", "%250A"),
        ("#?/;:@+,", "%23%3F%2F%3B%3A%40%2B%2C"),
        ("a/../b", "a%2F..%2Fb"),
        ("{id}", "%7Bid%7D"),
        ("😀é", "%F0%9F%98%80%C3%A9"),
        ("\u{0}\u{7f}\u{85}\u{2028}", "%00%7F%C2%85%E2%80%A8"),
        ("-._~", "-._~"),
        ("...", "..."),
    ] {
        for (before, after) in [
            ("http://h/get?sku=", ""),
            ("http://h:80/a/", "/b?c=d"),
            ("https://[::1]:8443/x-", ".json"),
        ] {
            let profile = at(&format!("{before}{{id}}{after}"));
            assert_eq!(uri(&profile, asked).unwrap(), format!("{before}{encoded}{after}"));
        }
    }
}

#[test]
fn what_would_mean_something_else_is_not_sent() {
    let (path, query) = (at("http://h/a/{id}"), at("http://h/a?b={id}"));
    for dots in [".", ".."] {
        assert_eq!(
            uri(&path, dots).unwrap_err(),
            format!("Not sent: '{dots}' would mean another path.")
        );
        assert!(uri(&query, dots).is_ok());
    }
    let long = "😀".repeat(crate::check::ID_SENT_BYTES_MAX / 4);
    assert!(uri(&query, &long).is_ok());
    for asked in [format!("{long}x"), "x".repeat(10 * 1024)] {
        assert_eq!(uri(&query, &asked).unwrap_err(), "Not sent: the id has more than 2,048 bytes.");
    }
    let twice = at("http://h/{id}?b={id}");
    assert!(uri(&twice, &long).unwrap_err().contains("8,704 bytes"));
    assert_eq!(uri(&twice, "a/").unwrap(), "http://h/a%2F?b=a%2F");
}

#[test]
fn another_server_takes_the_place_of_scheme_host_and_port() {
    for (base, url) in [
        ("http://10.0.0.1:8080", "http://10.0.0.1:8080/get_stock?sku=X"),
        ("https://shop.example/", "https://shop.example/get_stock?sku=X"),
        ("http://h/api/v1", "http://h/api/v1/get_stock?sku=X"),
        ("HTTP://[::1]:5000", "http://[::1]:5000/get_stock?sku=X"),
    ] {
        let profile = built_in("stock").at(base, ENGLISH).unwrap();
        assert_eq!(uri(&profile, "X").unwrap().to_string(), url);
        assert!(profile.url().ends_with("/get_stock?sku={id}"), "{}", profile.url());
        assert!(!profile.request(&[id("X")], ENGLISH).unwrap().guarded);
    }
    for base in [
        "",
        "localhost:5000",
        "ftp://h",
        "http://",
        "http://u:p@h",
        "http://h/?a=b",
        "http://h/#a",
        "http://h:99999",
        "http://h:",
        "http://h/{id}",
        "http://{id}",
        "http://h h",
        "{base}",
        "//h",
        "http:///x",
        "http://h/é",
    ] {
        let refused = built_in("stock").at(base, ENGLISH).unwrap_err();
        assert!(matches!(refused, ClientError::Usage(_)), "{base}");
        assert!(refused.to_string().contains("write it as http://host:port"), "{refused}");
    }
}

#[test]
fn the_case_of_ids_is_folded_where_the_profile_says_so() {
    let text = format!("url = \"http://h/{{id}}\"\nfold = \"upper\"\n{ITEM}");
    assert_eq!(uri(&custom(&text).unwrap(), "aß-1").unwrap(), "http://h/ASS-1");
    assert_eq!(uri(&at("http://h/{id}"), "aA").unwrap(), "http://h/aA");
}

#[test]
fn headers_carry_secrets_and_show_none() {
    let text = format!(
        "url = \"http://h/{{id}}\"\n[headers]\nauthorization = \"Bearer ${{SHOP_TOKEN}}!\"\nX-Plain = \"a $ $5 {{b}} $$c\"\n{ITEM}"
    );
    let profile = custom(&text).unwrap();
    let headers = profile.request(&[id("a")], ENGLISH).unwrap().headers;
    assert_eq!(headers["authorization"], format!("Bearer {SECRET}!"));
    assert_eq!(headers["x-plain"], "a $ $5 {b} $c");
    assert!(headers.values().all(hyper::header::HeaderValue::is_sensitive));
    assert!(!format!("{profile:?} {headers:?} {}", profile.url()).contains(SECRET));
}

#[test]
fn a_post_carries_ids_as_json() {
    let text = |body: &str| {
        format!(
            "url = \"http://h/q\"\nmethod = \"POST\"\nidempotent = true\nbody = '{body}'\n{ITEM}"
        )
    };
    let profile = custom(&text(r#"{"query":"q($s)","sku":{id}}"#)).unwrap();
    let request = profile.request(&[id("a\"\n{id}")], ENGLISH).unwrap();
    assert_eq!(request.body, &br#"{"query":"q($s)","sku":"a\"\n{id}"}"#[..]);
    assert_eq!(request.method, Method::POST);
    assert_eq!(request.headers["content-type"], "application/json");
}

#[test]
fn a_domain_is_asked_of_the_server_that_the_registry_names() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("dns.json");
    // As Notepad saves it, with a byte order mark.
    let text = "\u{feff}{\"services\":[[[\"com\"],[\"https://rdap.example/com/v1/\"]]]}";
    std::fs::write(&file, text).unwrap();
    let profile = built_in("rdap");
    assert!(profile.needs_bootstrap());
    assert!(uri(&profile, "a.com").unwrap_err().contains("--bootstrap"));
    let profile = profile.with_bootstrap(&file, ENGLISH).unwrap();
    assert!(!profile.needs_bootstrap());
    let request = profile.request(&[id("Example.COM")], ENGLISH).unwrap();
    assert_eq!(request.uri, "https://rdap.example/com/v1/domain/example.com");
    assert!(request.guarded);
    assert_eq!(request.headers["accept"], "application/rdap+json, application/json");
    for (asked, says) in [
        ("a.xyz", "names no server for 'a.xyz'"),
        ("toko.é", "xn--"),
        ("a b.com", "not a domain name"),
        ("..", "another path"),
    ] {
        assert!(uri(&profile, asked).unwrap_err().contains(says), "{asked}");
    }
    let direct = built_in("rdap").at("http://127.0.0.1:1/rdap/", ENGLISH).unwrap();
    assert_eq!(uri(&direct, "a.com").unwrap(), "http://127.0.0.1:1/rdap/domain/a.com");
    assert!(!direct.request(&[id("a.com")], ENGLISH).unwrap().guarded);
    assert!(direct.with_bootstrap(&file, ENGLISH).is_err());
}

#[test]
fn a_bootstrap_file_with_a_mistake_is_refused_with_its_place() {
    let directory = tempfile::tempdir().unwrap();
    for (text, says) in [
        ("{\"services\":[\n]", "line 2 column 1"),
        ("{\"services\":[[\"com\",\"https://h/\"]]}", "is not a bootstrap file"),
        ("[]", "is not a bootstrap file"),
        ("{\"services\":[]}", "names no server"),
        ("{\"services\":[[[\"com\"],[\"ftp://h/\"]]]}", "names no server"),
    ] {
        let file = directory.path().join("dns.json");
        std::fs::write(&file, text).unwrap();
        let refused = built_in("rdap").with_bootstrap(&file, ENGLISH).unwrap_err();
        assert!(refused.exit_code() == 2 && refused.to_string().contains(says), "{refused}");
    }
    let missing = built_in("rdap").with_bootstrap(&directory.path().join("none"), ENGLISH);
    assert!(missing.unwrap_err().to_string().contains("can't be read"));
}
