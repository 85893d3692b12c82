//! The buy page and its visitors.

use crate::http::Reply;
use crate::world::{NODE, World};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};

pub(crate) const HTML: (&str, &str) = ("accept", "text/html,*/*");
pub(crate) const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// What arrives without waiting for an acknowledgement: ten segments (RFC 6928), with headers.
const FIRST_FLIGHT_BYTES: usize = 10 * 1_460 - 1_024;

/// Somebody with a browser: a cookie, and the key of the page it last looked at.
pub(crate) struct Visitor {
    pub(crate) cookie: String,
    pub(crate) key: String,
}

impl Visitor {
    pub(crate) fn arrive(world: &World) -> Visitor {
        let page = world.get("/");
        Visitor { cookie: cookie(&page).expect("a cookie"), key: key(&page) }
    }

    pub(crate) fn buy(&self, world: &World) -> Reply {
        self.post(world, &[("sec-fetch-site", "same-origin")], &format!("sale=s&key={}", self.key))
    }

    pub(crate) fn post(&self, world: &World, headers: &[(&str, &str)], form: &str) -> Reply {
        world.call("POST", "/buy", &[&[FORM, ("cookie", &*self.cookie)], headers].concat(), form)
    }

    pub(crate) fn see(&self, world: &World, path: &str) -> Reply {
        world.call("GET", path, &[("cookie", &self.cookie), HTML], "")
    }
}

pub(crate) fn cookie(page: &Reply) -> Option<String> {
    let set = page.all("set-cookie").find(|line| line.starts_with("kilat_visitor="))?;
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Lax"), "{set}");
    Some(set.split(';').next().unwrap().to_owned())
}

pub(crate) fn key(page: &Reply) -> String {
    let start = r#"name="key" value=""#;
    let at =
        page.text().find(start).unwrap_or_else(|| panic!("no key: {}", page.text())) + start.len();
    page.text()[at..at + 32].to_owned()
}

pub(crate) fn check_page(page: &Reply, status: u16, texts: &[&str]) {
    assert_eq!(page.status, status, "{}", page.text());
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    for text in texts {
        assert!(page.text().contains(text), "{text} in {}", page.text());
    }
    let policy = page.header("content-security-policy").unwrap();
    for part in [
        "default-src 'none'",
        "script-src 'self';",
        "style-src 'self' 'sha256-",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(page.header("referrer-policy"), Some("same-origin"));
    check_style(page.text(), policy);
    for inline in ["<script>", "style=", "onclick=", "javascript:"] {
        assert!(!page.text().contains(inline), "{inline} in {}", page.text());
    }
}

/// The one stylesheet in a page is the one that its policy names.
fn check_style(page: &str, policy: &str) {
    let styles: Vec<&str> = page.split("<style>").skip(1).collect();
    let [style] = styles[..] else { panic!("{} stylesheets", styles.len()) };
    let style = style.split("</style>").next().unwrap();
    let hash = BASE64_STANDARD.encode(Sha256::digest(style));
    assert!(policy.contains(&format!("style-src 'self' 'sha256-{hash}';")), "{policy}");
}

pub(crate) fn sold(world: &World) -> u64 {
    world.get("/v1/sales/s").json()["sold"].as_u64().unwrap()
}

#[test]
fn the_buy_page_speaks_both_languages() {
    let world = World::open();
    let empty = world.get("/");
    check_page(&empty, 200, &["Belum ada penjualan", "kilat sale create"]);
    assert!(!empty.text().contains("Kembali ke penjualan"), "{}", empty.text());
    world.make_sale(&[]);
    let title = "Lampu &#60;Kilat&#62; &#38; &#34;Co&#34;";
    let indonesian = [
        "BELI SEKARANG",
        "Dilayani oleh Node: <strong id=\"node\">node-1</strong>",
        title,
        "Rp24.999.000",
    ];
    let english = [
        "BUY NOW",
        "Served by node: <strong id=\"node\">node-1</strong>",
        title,
        "IDR\u{a0}24,999,000",
    ];
    for path in ["/", "/s/s", "/?lang=id"] {
        check_page(&world.get(path), 200, &indonesian);
    }
    check_page(
        &world.call("GET", "/", &[("accept-language", "en-GB,en;q=0.9")], ""),
        200,
        &english,
    );
    let switched = world.get("/?lang=en");
    check_page(&switched, 200, &english);
    let remembered = switched
        .all("set-cookie")
        .find(|line| line.starts_with("kilat_lang=en"))
        .expect("a cookie");
    let remembered = remembered.split(';').next().unwrap();
    check_page(&world.call("GET", "/", &[("cookie", remembered)], ""), 200, &english);
    assert!(indonesian[1].contains(NODE));
}

#[test]
fn rehearsals_are_not_offered_to_visitors() {
    let world = World::open();
    world.make_sale(&[("\"id\":\"s\"", "\"id\":\"rehearsal-1\""), ("Lampu", "Latihan")]);
    check_page(&world.get("/"), 200, &["Belum ada penjualan"]);
    check_page(&world.get("/s/rehearsal-1"), 200, &["Latihan"]);
    world.make_sale(&[]);
    let page = world.get("/");
    check_page(&page, 200, &["Lampu"]);
    assert!(!page.text().contains("Latihan"), "{}", page.text());
}

#[test]
fn other_sales_are_those_where_something_can_still_be_bought() {
    let world = World::open();
    world.make_sale(&[]);
    for (id, opens) in [("open", "null"), ("later", "\"2999-01-01T00:00:00Z\""), ("over", "null")] {
        let (id_is, opens_at) = (format!("\"id\":\"{id}\""), format!("\"opens_at\":{opens}"));
        world.make_sale(&[("\"id\":\"s\"", &id_is), ("\"opens_at\":null", &opens_at)]);
    }
    let links = |page: &Reply| {
        ["open", "later", "over"].map(|id| page.text().contains(&format!("href=\"/s/{id}\"")))
    };
    assert_eq!(links(&world.get("/s/s")), [true, true, true]);
    let closed = world.admin("PATCH", "/v1/sales/over", "close", r#"{"state":"closed"}"#);
    assert_eq!(closed.status, 200);
    assert_eq!(links(&world.get("/s/s")), [true, true, false]);
    check_page(&world.get("/s/over"), 200, &[r#"<p data-when="closed" >"#]);
}

#[test]
fn units_that_are_only_held_may_come_back_and_the_page_says_so() {
    let world = World::open();
    world.make_sale(&[(r#""supply":10"#, r#""supply":1"#)]);
    let order = world.hold("budi", "a").json()["order"].as_str().unwrap().to_owned();
    let all_held = "Semua unit sedang ditahan; bisa tersedia lagi.";
    let held = format!(r#"<p data-when="all_held" >{all_held}</p>"#);
    check_page(&world.get("/s/s"), 200, &[&held, r#"<p data-when="sold_out" hidden>"#]);
    let alert = format!("role=\"alert\">{all_held}");
    check_page(&world.get("/s/s?refused=sold_out"), 200, &[&alert]);
    let confirm = format!("/v1/sales/s/orders/{order}/confirm");
    let headers = [("content-type", "application/json")];
    assert_eq!(world.call("POST", &confirm, &headers, "").status, 200);
    check_page(
        &world.get("/s/s?refused=sold_out"),
        200,
        &[
            r#"<p data-when="sold_out" >"#,
            r#"<p data-when="all_held" hidden>"#,
            "role=\"alert\">Maaf, stok sudah habis.",
        ],
    );
}

#[test]
fn a_purchase_leads_to_a_receipt_that_only_its_buyer_sees() {
    let world = World::open();
    world.make_sale(&[]);
    let visitor = Visitor::arrive(&world);
    let bought = visitor.buy(&world);
    assert_eq!(bought.status, 303, "{}", bought.text());
    let place = bought.header("location").unwrap().to_owned();
    let order = place.strip_prefix("/s/s/orders/").expect("a receipt");
    check_page(&visitor.see(&world, &place), 200, &[order, "Dikonfirmasi", "Dilayani oleh Node"]);
    let stranger = [
        "<h1>Pesanan tidak ditemukan</h1>",
        "Pesanan itu tidak ada, atau bukan milik Anda. Buka dengan peramban yang dipakai saat membeli.",
    ];
    check_page(&Visitor::arrive(&world).see(&world, &place), 404, &stranger);
    check_page(&world.get(&place), 404, &stranger);
    for _ in 0..2 {
        assert_eq!(
            visitor.buy(&world).header("location"),
            Some(&*place),
            "the same form makes no second order"
        );
    }
    assert_eq!(sold(&world), 1);
}

#[test]
fn a_page_makes_a_new_key_each_time() {
    let world = World::open();
    world.make_sale(&[]);
    let mut visitor = Visitor::arrive(&world);
    let first = visitor.key.clone();
    visitor.key = key(&visitor.see(&world, "/"));
    assert_ne!(visitor.key, first);
    assert!(cookie(&visitor.see(&world, "/")).is_none(), "a known visitor keeps the cookie");
}

#[test]
fn a_refusal_is_said_on_the_page() {
    let world = World::open();
    world.make_sale(&[
        (r#""supply":10"#, r#""supply":1"#),
        (r#""per_customer":2"#, r#""per_customer":1"#),
    ]);
    let (mut first, late) = (Visitor::arrive(&world), Visitor::arrive(&world));
    assert_eq!(first.buy(&world).status, 303);
    let refused = late.buy(&world);
    assert_eq!((refused.status, refused.header("location")), (303, Some("/s/s?refused=sold_out")));
    check_page(
        &late.see(&world, "/s/s?refused=sold_out"),
        200,
        &["role=\"alert\">Maaf, stok sudah habis."],
    );
    first.key = "b".repeat(32);
    assert_eq!(first.buy(&world).header("location"), Some("/s/s?refused=limit_reached"));
    check_page(&first.see(&world, "/s/s?refused=limit_reached&lang=en"), 200, &["limit per buyer"]);
    let injected = first.see(&world, "/s/s?refused=%3Cscript%3Ealert(1)%3C/script%3E");
    assert!(!injected.text().contains("role=\"alert\""));
}

#[test]
fn only_our_own_pages_can_post_the_form() {
    let world = World::open();
    world.make_sale(&[]);
    let visitor = Visitor::arrive(&world);
    let form = format!("sale=s&key={}", visitor.key);
    for headers in [
        [("sec-fetch-site", "cross-site")],
        [("sec-fetch-site", "same-site")],
        [("origin", "https://evil.test")],
        [("origin", "null")],
        [("origin", "kilat.test")],
    ] {
        let refused = visitor.post(&world, &headers, &form);
        check_page(&refused, 403, &["situs lain", "Kembali ke penjualan"]);
    }
    assert_eq!(sold(&world), 0);
    assert_eq!(visitor.post(&world, &[("origin", "http://kilat.test")], &form).status, 303);
    assert_eq!(sold(&world), 1);
}

#[test]
fn a_forged_or_missing_cookie_buys_nothing_and_is_replaced() {
    let world = World::open();
    world.make_sale(&[]);
    let mut visitor = Visitor::arrive(&world);
    let genuine = visitor.cookie.clone();
    let mut flipped = genuine.clone();
    let last = flipped.pop().unwrap();
    flipped.push(if last == '0' { '1' } else { '0' });
    for forged in [
        "a=b".to_owned(),
        flipped,
        "kilat_visitor=visitor:1".to_owned(),
        genuine.replace("visitor:", "budi:"),
    ] {
        visitor.cookie = forged.clone();
        let refused = visitor.buy(&world);
        check_page(&refused, 401, &["cookie"]);
        assert!(cookie(&refused).is_some_and(|fresh| fresh != genuine), "{forged}");
        assert!(cookie(&visitor.see(&world, "/")).is_some(), "{forged}");
    }
    assert_eq!(sold(&world), 0);
}

#[test]
fn a_form_must_be_the_page_s_own() {
    let world = World::open();
    world.make_sale(&[]);
    let visitor = Visitor::arrive(&world);
    let site = [("sec-fetch-site", "same-origin")];
    for form in [
        "",
        "sale=s",
        "key=k",
        "sale=s&key=",
        "sale=s&key=k&quantity=9",
        "sale=s&sale=s&key=k",
        "%",
        "sale=s&key=%00",
    ] {
        let refused = visitor.post(&world, &site, form);
        check_page(&refused, if form.is_empty() { refused.status } else { 400 }, &["Muat ulang"]);
    }
    check_page(&visitor.post(&world, &site, "sale=none&key=k"), 404, &["Penjualan itu tidak ada"]);
    check_page(&visitor.post(&world, &site, &"x".repeat(5_000)), 413, &[]);
    assert_eq!(sold(&world), 0);
}

#[test]
fn each_state_has_its_words_and_only_an_open_sale_its_button() {
    let world = World::open();
    world.make_sale(&[(r#""opens_at":null"#, r#""opens_at":"2999-01-01T00:00:00Z""#)]);
    let hidden_form = r#"<form id="buy" data-when="open" method="post" action="/buy" hidden>"#;
    check_page(
        &world.get("/"),
        200,
        &[
            hidden_form,
            r#"<div data-when="scheduled" >"#,
            "2999-01-01T00:00:00Z",
            "1 Januari 2999 pukul 07.00 WIB",
        ],
    );
    world.change_sale("a", r#"{"opens_at":null}"#);
    check_page(
        &world.get("/"),
        200,
        &[r#"action="/buy" >"#, r#"<div data-when="scheduled" hidden>"#],
    );
    world.change_sale("b", r#"{"state":"paused"}"#);
    check_page(&world.get("/"), 200, &[hidden_form, r#"<p data-when="paused" >"#]);
    world.change_sale("c", r#"{"state":"closed"}"#);
    check_page(&world.get("/"), 200, &[hidden_form, r#"<p data-when="closed" >"#]);
}

#[test]
fn unknown_addresses_are_a_page_for_people_and_a_problem_for_programs() {
    let world = World::open();
    check_page(&world.call("GET", "/nowhere", &[HTML], ""), 404, &["Tidak ditemukan"]);
    assert_eq!(world.get("/nowhere").code(), "not_found");
    assert_eq!(world.call("GET", "/v1/nowhere", &[HTML], "").code(), "not_found");
    check_page(&world.get("/s/none"), 404, &["Penjualan itu tidak ada"]);
}

#[test]
fn a_first_visit_is_one_small_reply_and_files_that_are_kept() {
    let world = World::open();
    world.make_sale(&[]);
    let gzip = [("accept-encoding", "gzip")];
    let page = world.call("GET", "/", &gzip, "");
    assert_eq!(page.header("content-encoding"), Some("gzip"));
    let mut bytes = page.body.len();
    assert!(bytes <= FIRST_FLIGHT_BYTES, "{bytes} bytes with styles and artwork");
    let plain = world.get("/");
    assert!(!plain.text().contains("stylesheet"), "nothing else is needed for the first paint");
    let files = plain.text().split('"').filter(|part| part.starts_with("/assets/"));
    let files: std::collections::BTreeSet<&str> = files.collect();
    assert_eq!(files.len(), 2, "{files:?}");
    for file in files {
        let asset = world.call("GET", file, &gzip, "");
        assert_eq!(asset.status, 200, "{file}");
        assert!(asset.header("cache-control").unwrap().contains("immutable"), "{file}");
        bytes += asset.body.len();
        let etag = world.get(file).header("etag").unwrap().to_owned();
        let known = world.call("GET", file, &[("if-none-match", &etag)], "");
        assert_eq!((known.status, known.body.len()), (304, 0), "{file}");
    }
    println!("a first visit takes {bytes} bytes, {} of them at once", page.body.len());
    assert!(bytes <= 60 * 1024, "{bytes} bytes");
    assert_eq!(world.get("/assets/../lib.rs").status, 404);
    assert_eq!(world.get("/assets/nothing.js").status, 404);
}

#[test]
fn who_looks_at_the_address_of_a_form_is_led_to_its_page() {
    let world = World::open();
    world.make_sale(&[]);
    let table = [
        ("/buy", "/"),
        ("/s/s/orders/abc/confirm", "/s/s/orders/abc"),
        ("/s/s/orders/abc/cancel", "/s/s/orders/abc"),
        ("/ops/rehearsals", "/ops"),
    ];
    for (form, page) in table {
        let reply = world.connect().call("GET", form, &[HTML], "");
        assert_eq!((reply.status, reply.header("location")), (303, Some(page)), "{form}");
        let reply = world.connect().call("GET", form, &[], "");
        assert_eq!(reply.code(), "method_not_allowed", "{form}");
        assert_eq!(world.connect().call("PUT", form, &[HTML], "").status, 405, "{form}");
    }
}

#[test]
fn no_address_makes_a_page_link_to_another_site() {
    let world = World::open();
    for path in ["//evil.example", "//evil.example/confirm"] {
        let page = world.connect().call("GET", path, &[HTML], "");
        check_page(&page, 404, &["href=\"/?lang=en\""]);
        assert!(!page.text().contains("evil"), "{path}");
    }
    // Some read it as the first of them.
    assert_eq!(world.connect().call("GET", "/\\evil.example", &[HTML], "").code(), "malformed");
}
