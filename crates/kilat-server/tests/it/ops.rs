//! The operator's pages: who gets in, what forms are refused, and what they change.

use crate::http::{Connection, Reply};
use crate::world::{ADMIN, World};
use kilat_server::ops::{Door, ROUTES};
use serde_json::Value;
use std::time::Duration;

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const ENGLISH: (&str, &str) = ("accept-language", "en");
const HERE: (&str, &str) = ("sec-fetch-site", "same-origin");

/// A browser: its cookie, and the token of its forms.
pub(crate) struct Browser<'a> {
    world: &'a World,
    cookie: String,
    form_token: String,
}

/// One request that no document describes.
fn ask(world: &World, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    world.connect().call(method, path, headers, body)
}

fn sign_in(world: &World, token: &str) -> Reply {
    ask(world, "POST", "/ops/sign-in", &[FORM, ENGLISH, HERE], &format!("token={token}&to=/ops"))
}

fn cookie(reply: &Reply) -> String {
    let cookie = reply.all("set-cookie").find(|line| line.starts_with("kilat_ops=")).unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

/// The value of the first field called `name` on a page.
fn value(page: &str, name: &str) -> String {
    let field = page.split(&format!("name=\"{name}\" value=\"")).nth(1).expect(name);
    field.split('"').next().unwrap().to_owned()
}

impl<'a> Browser<'a> {
    pub(crate) fn signed_in(world: &'a World) -> Browser<'a> {
        let reply = sign_in(world, ADMIN);
        assert_eq!((reply.status, reply.header("location")), (303, Some("/ops")));
        let mut browser = Browser { world, cookie: cookie(&reply), form_token: String::new() };
        browser.form_token = value(browser.get("/ops").text(), "form_token");
        browser
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        ask(self.world, "GET", path, &[("cookie", &self.cookie), ENGLISH], "")
    }

    fn post_with(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut all = vec![("cookie", self.cookie.as_str()), FORM, ENGLISH];
        all.extend_from_slice(headers);
        ask(self.world, "POST", path, &all, body)
    }

    /// Posts a form as this browser's pages do.
    pub(crate) fn post(&self, path: &str, fields: &str) -> Reply {
        let body = format!("form_token={}&{fields}", self.form_token);
        self.post_with(path, &[HERE], &body)
    }
}

#[test]
fn nothing_is_shown_or_done_without_a_session() {
    let world = World::open();
    world.make_sale(&[]);
    for route in ROUTES.iter().filter(|route| route.door != Door::Open) {
        let path = route.path.replace("{sale}", "s");
        let what = format!("{} {path}", route.method);
        let forged = "kilat_ops=99999999999.00.0000000000000000000000000000000000000000000000000000000000000000";
        for headers in [&[FORM, HERE][..], &[FORM, HERE, ("cookie", forged)]] {
            let body =
                if route.method == "POST" { "form_token=&key=k&do=close&sure=yes" } else { "" };
            let reply = ask(&world, route.method, &path, headers, body);
            let expected = match (route.method, route.door) {
                ("GET", Door::Signed) => 303,
                _ => 401,
            };
            assert_eq!(reply.status, expected, "{what}");
            if expected == 303 {
                let place = reply.header("location").unwrap();
                assert!(place.starts_with("/ops/sign-in"), "{what}: {place}");
            }
        }
        // A token for programs opens no page.
        let bearer = format!("Bearer {ADMIN}");
        let reply = ask(&world, route.method, &path, &[FORM, ("authorization", &bearer)], "");
        assert!(matches!(reply.status, 303 | 401), "{what}");
    }
    assert_eq!(world.get("/v1/sales/s").json()["state"], "open");
}

#[test]
fn a_session_is_shown_everything_under_a_strict_policy() {
    let world = World::open();
    world.make_sale(&[]);
    let browser = Browser::signed_in(&world);
    for route in ROUTES.iter().filter(|route| route.method == "GET" && route.door == Door::Signed) {
        let reply = browser.get(&route.path.replace("{sale}", "s"));
        assert_eq!(reply.status, 200, "{}", route.path);
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{}", route.path);
        let policy = reply.header("content-security-policy").unwrap();
        assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
        let page = reply.text();
        assert!(!page.contains("<script>") && !page.contains(" style="), "{}", route.path);
        assert!(!page.contains("<Kilat>"), "{}: what people typed is escaped", route.path);
    }
}

#[test]
fn wrong_tokens_are_limited_and_the_page_says_for_how_long() {
    let world = World::open();
    for number in 0..5 {
        let reply = sign_in(&world, "wrong");
        assert_eq!(reply.status, 401, "{number}");
        assert!(reply.text().contains("That token is wrong."), "{number}");
        assert!(reply.all("set-cookie").all(|line| !line.starts_with("kilat_ops")), "{number}");
    }
    for token in ["wrong", ADMIN] {
        let reply = sign_in(&world, token);
        assert_eq!(reply.status, 429, "{token}");
        let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=61).contains(&wait), "{wait}");
        let said = format!("Too many wrong tokens. Try again in {wait} seconds.");
        assert!(reply.text().contains(&said), "{token}: {}", reply.text());
    }
}

#[test]
fn signing_in_is_for_this_site_only_and_leads_to_its_own_pages() {
    let world = World::open();
    let foreign = [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")];
    for header in foreign {
        let body = format!("token={ADMIN}&to=/ops");
        let reply = ask(&world, "POST", "/ops/sign-in", &[FORM, header], &body);
        assert_eq!(reply.status, 403, "{header:?}");
    }
    let body = format!("token={ADMIN}&to=https://evil.example");
    let reply = ask(&world, "POST", "/ops/sign-in", &[FORM, HERE], &body);
    assert_eq!((reply.status, reply.header("location")), (303, Some("/ops")));
    for bad in ["", "token", "to=/ops", "token=a&token=b", "token=a&more=b", "%%%"] {
        let reply = ask(&world, "POST", "/ops/sign-in", &[FORM, HERE], bad);
        assert!(matches!(reply.status, 400 | 401), "{bad}: {}", reply.status);
    }
}

#[test]
fn a_form_must_be_of_this_session_and_this_site_and_whole() {
    let world = World::open();
    world.make_sale(&[]);
    let (browser, other) = (Browser::signed_in(&world), Browser::signed_in(&world));
    let close = "key=k&do=close&sure=yes";
    let own = format!("form_token={}&{close}", browser.form_token);
    let theirs = format!("form_token={}&{close}", other.form_token);
    let foreign = [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ];
    for header in foreign {
        assert_eq!(browser.post_with("/ops/sales/s", &[header], &own).status, 403, "{header:?}");
    }
    for body in [close, "form_token=", &theirs, &format!("form_token=&{close}")] {
        assert_eq!(browser.post_with("/ops/sales/s", &[HERE], body).status, 403, "{body}");
    }
    let table = [
        ("do=close&sure=yes", 400),
        ("key=&do=pause", 400),
        ("key=k", 400),
        ("key=k&do=explode", 400),
        ("key=k&do=close", 400),
        ("key=k&do=close&sure=no", 400),
        ("key=k&do=pause&more=1", 400),
        ("key=k&key=l&do=pause", 400),
        ("key=k&do=restock", 400),
        ("key=k&do=restock&units=many", 422),
        ("key=k&do=restock&units=-1", 422),
        ("key=k&do=restock&units=0", 422),
        ("key=k&do=restock&units=9999999999999", 422),
        ("key=k&do=schedule&opens_at=&closes_at=&zone=99", 400),
        ("key=k&do=schedule&opens_at=soon&closes_at=&zone=7", 422),
        ("key=k&do=schedule&opens_at=2030-01-02T00:00&closes_at=2030-01-01T00:00&zone=7", 422),
    ];
    for (fields, status) in table {
        let reply = browser.post("/ops/sales/s", fields);
        assert_eq!(reply.status, status, "{fields}: {}", reply.text());
        assert!(reply.text().contains("<h1>"), "{fields}: a page says so");
    }
    assert_eq!(browser.post("/ops/sales/none", "key=k&do=pause").status, 404);
    assert_eq!(
        browser.post("/ops/sales/s", &format!("key=k&do={}", "x".repeat(5_000))).status,
        413
    );
    let sale = world.get("/v1/sales/s").json();
    assert_eq!((&sale["state"], &sale["supply"]), (&"open".into(), &10.into()), "nothing changed");
}

#[test]
fn every_button_of_a_sale_does_what_it_says_once() {
    let world = World::open();
    let browser = Browser::signed_in(&world);
    let fields = "id=baru&title=Barang+Baru&sku=SKU-9&amount=19.90&currency=idr&supply=5&per_customer=&hold_seconds=60&opens_at=2030-01-01T07:00&closes_at=&zone=7";
    for done in ["created", "unchanged"] {
        let reply = browser.post("/ops/sales", fields);
        let place = format!("/ops/sales/baru?done={done}");
        assert_eq!((reply.status, reply.header("location")), (303, Some(place.as_str())));
    }
    let sale = || world.get("/v1/sales/baru").json();
    assert_eq!(sale()["opens_at"], "2030-01-01T00:00:00Z");
    assert_eq!(sale()["per_customer"], Value::Null);
    let steps = [
        ("a", "do=schedule&opens_at=&closes_at=2031-01-01T00:00:00&zone=0", "changed", "open", 5),
        ("b", "do=restock&units=7", "changed", "open", 12),
        ("b", "do=restock&units=7", "unchanged", "open", 12),
        ("c", "do=pause", "changed", "paused", 12),
        ("d", "do=open&from=dashboard", "", "open", 12),
        ("e", "do=close&sure=yes", "changed", "closed", 12),
    ];
    for (key, fields, done, state, supply) in steps {
        let reply = browser.post("/ops/sales/baru", &format!("key={key}&{fields}"));
        let place = if done.is_empty() {
            "/ops".to_owned()
        } else {
            format!("/ops/sales/baru?done={done}")
        };
        assert_eq!(
            (reply.status, reply.header("location")),
            (303, Some(place.as_str())),
            "{fields}"
        );
        assert_eq!(
            (&sale()["state"], &sale()["supply"]),
            (&state.into(), &supply.into()),
            "{fields}"
        );
    }
    assert_eq!(sale()["closes_at"], "2031-01-01T00:00:00Z");
    let reopened = browser.post("/ops/sales/baru", "key=f&do=open");
    assert_eq!(reopened.status, 409);
    assert!(reopened.text().contains("The sale is closed for good."));
    let reused = browser.post("/ops/sales/baru", "key=b&do=restock&units=8");
    assert_eq!(reused.status, 422, "{}", reused.text());
}

#[test]
fn the_language_switch_is_not_forgotten_on_the_way_to_sign_in() {
    let world = World::open();
    let reply = ask(&world, "GET", "/ops?lang=id", &[ENGLISH], "");
    assert_eq!((reply.status, reply.header("location")), (303, Some("/ops/sign-in")));
    assert!(reply.all("set-cookie").any(|cookie| cookie.starts_with("kilat_lang=id;")));
}

#[test]
fn a_stream_ends_with_its_session() {
    let world = World::with_sessions_of(Duration::from_secs(2));
    let browser = Browser::signed_in(&world);
    let mut stream = world.connect();
    stream.send(crate::http::request("GET", "/ops/stream", &[("cookie", &browser.cookie)], ""));
    assert_eq!(stream.read_head().status, 200);
    stream.read_until(b"\r\n0\r\n\r\n");
    assert_eq!(browser.get("/ops/stream").status, 401);
    assert_eq!(browser.get("/ops").status, 303);
}

#[test]
fn a_new_sale_that_is_wrong_comes_back_with_what_was_typed() {
    let world = World::open();
    world.make_sale(&[]);
    let browser = Browser::signed_in(&world);
    let good = "id=baru&title=T&sku=S&amount=1&currency=IDR&supply=5&per_customer=1&hold_seconds=60&opens_at=&closes_at=&zone=7";
    let table = [
        ("id=baru", "id=Not+An+Id", "id"),
        ("title=T", "title=", "title"),
        ("amount=1", "amount=cheap", "amount"),
        ("currency=IDR", "currency=XXY", "currency"),
        ("supply=5", "supply=", "supply"),
        ("supply=5", "supply=1e3", "supply"),
        ("per_customer=1", "per_customer=0", "per_customer"),
        ("hold_seconds=60", "hold_seconds=0", "hold_seconds"),
        ("opens_at=", "opens_at=soon", "opens_at"),
    ];
    for (from, to, field) in table {
        let reply = browser.post("/ops/sales", &good.replace(from, to));
        assert_eq!(reply.status, 422, "{to}");
        let page = reply.text();
        assert!(page.contains(&format!("id=\"w-{field}\"")), "{to}: {page}");
        assert!(to == "title=" || page.contains("value=\"T\""), "{to}: what was typed is kept");
    }
    let taken = browser.post("/ops/sales", &good.replace("id=baru", "id=s"));
    assert_eq!(taken.status, 409);
    assert!(taken.text().contains("Another sale has this ID."));
}

#[test]
fn what_is_beyond_the_limits_of_a_run_is_refused_and_makes_no_copy() {
    let world = World::open();
    world.make_sale(&[]);
    let browser = Browser::signed_in(&world);
    let many = "a%0A".repeat(5_001).replace('a', "SKU");
    let ids = (0..5_001).map(|number| format!("{number}%0A")).collect::<String>();
    let table = [
        ("/ops/rehearsals", "sale=s&buyers=500", 400),
        ("/ops/rehearsals", "key=k&buyers=500", 400),
        ("/ops/rehearsals", "key=k&sale=s&buyers=", 422),
        ("/ops/rehearsals", "key=k&sale=s&buyers=0", 422),
        ("/ops/rehearsals", "key=k&sale=s&buyers=200001", 422),
        ("/ops/rehearsals", "key=k&sale=s&buyers=5&rate=50001", 422),
        ("/ops/rehearsals", "key=k&sale=s&buyers=5&seconds=301", 422),
        ("/ops/rehearsals", "key=k&sale=s&buyers=5&url=http%3A%2F%2Fevil", 400),
        ("/ops/rehearsals", "key=k&sale=none&buyers=5", 404),
        ("/ops/rehearsals", "key=k&sale=..%2Fs&buyers=5", 404),
        ("/ops/check", "key=k&profile=stock&ids=+%0A+", 422),
        ("/ops/check", "key=k&profile=..%2Fx.toml&ids=a", 422),
        ("/ops/check", "key=k&profile=flight", 422),
        ("/ops/check", "key=k&profile=stock&ids=a&every=1", 422),
        ("/ops/check", &format!("key=k&profile=stock&ids={ids}"), 422),
        // The same id thousands of times is one id: only the lookups are missing here.
        ("/ops/check", &format!("key=k&profile=stock&ids={many}"), 404),
        ("/ops/check", "key=k&profile=stock", 404),
        ("/ops/cancel", "", 400),
        ("/ops/cancel", "run=none", 303),
    ];
    for (path, fields, status) in table {
        let reply = browser.post(path, fields);
        let what = &fields[..fields.len().min(80)];
        assert_eq!(reply.status, status, "{path} {what}: {}", reply.text());
    }
    let huge = format!("key=k&profile=stock&ids={}", "x".repeat(1 << 20));
    assert_eq!(browser.post("/ops/check", &huge).status, 413);
    let sales = world.get("/v1/sales").json();
    assert_eq!(sales["sales"].as_array().unwrap().len(), 1, "no copy was made: {sales}");
}

#[test]
fn audit_orders_and_certificate_say_the_same() {
    let world = World::open();
    world.make_sale(&[
        ("\"supply\":10", "\"supply\":3000"),
        ("\"per_customer\":2", "\"per_customer\":null"),
    ]);
    for batch in 0..3 {
        let order = |number| {
            let name = batch * 1_000 + number;
            format!(r#"{{"key":"{name}","customer":"=c,{name}","quantity":1,"hold":false}}"#)
        };
        let orders = (0..800).map(order).collect::<Vec<_>>().join(",");
        assert_eq!(world.batch(&format!(r#"{{"orders":[{orders}]}}"#)).status, 200);
    }
    let browser = Browser::signed_in(&world);
    let audit = browser.get("/ops/sales/s/audit.json");
    assert!(audit.header("content-disposition").unwrap().contains("kilat-audit-s.json"));
    assert_eq!(audit.json()["audit"], world.get("/v1/sales/s/audit").json());
    let file = browser.get("/ops/sales/s/orders.csv");
    let rows: Vec<_> = file.text().lines().collect();
    assert_eq!(rows.len(), 1 + 2_400, "every order, over several pages");
    assert_eq!(rows[0], "sequence,order,customer,quantity,status,expires_at");
    assert!(rows[1].contains(",\"'=c,0\",1,confirmed,"), "{}", rows[1]);
    let page = browser.get("/ops/sales/s/certificate?lang=en");
    assert!(page.text().contains("3,000 = 600 + 0 + 2,400"), "{}", page.text());
    assert!(page.text().contains("Balanced: no unit was oversold or lost."));
    let page = browser.get("/ops/sales/s/certificate?lang=id");
    assert!(page.text().contains("3.000 = 600 + 0 + 2.400"));
    for path in ["audit.json", "orders.csv", "certificate"] {
        assert_eq!(browser.get(&format!("/ops/sales/none/{path}")).status, 404, "{path}");
    }
}

#[test]
fn signing_out_ends_the_cookie() {
    let world = World::open();
    let browser = Browser::signed_in(&world);
    let reply = browser.post("/ops/sign-out", "");
    assert_eq!((reply.status, reply.header("location")), (303, Some("/ops/sign-in")));
    assert!(reply.header("set-cookie").unwrap().contains("Max-Age=0"));
}

/// What the next event of a stream says.
fn tick(stream: &mut Connection) -> Value {
    loop {
        // Chunks' sizes stand on lines of their own.
        let text = String::from_utf8(stream.read_until(b"\n\n")).unwrap();
        if let Some(data) = text.lines().find_map(|line| line.strip_prefix("data: ")) {
            return serde_json::from_str(data).unwrap();
        }
    }
}

fn numbers(tick: &Value) -> Vec<u64> {
    let samples = tick["samples"].as_array().unwrap();
    samples.iter().map(|sample| sample["number"].as_u64().unwrap()).collect()
}

#[test]
fn the_stream_begins_with_the_past_and_goes_on() {
    let world = World::open();
    world.make_sale(&[]);
    assert_eq!(world.buy("budi", "a", 1).status, 201);
    let browser = Browser::signed_in(&world);
    let follow = || {
        let mut stream = world.connect();
        let cookie = ("cookie", browser.cookie.as_str());
        stream.send(crate::http::request("GET", "/ops/stream", &[cookie], ""));
        assert_eq!(stream.read_head().header("content-type"), Some("text/event-stream"));
        stream
    };
    let mut stream = follow();
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let tick = tick(&mut stream);
        assert_eq!(tick["sales"][0]["sold"], 1);
        seen.extend(numbers(&tick));
    }
    assert!(seen.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{seen:?}");
    // Whoever comes later sees the same past.
    let first = tick(&mut follow());
    assert_eq!(numbers(&first)[0], seen[0]);
    assert_eq!(first["nodes"][0]["name"], crate::world::NODE);
}
