//! The operator's pages, as an operator uses them.

use super::album;
use super::driver::Browser;
use crate::http;
use crate::program::{ADMIN, Server, kilat, serve};
use serde_json::{Value, json};

const SALE: &str = "/v1/sales/tiket-konser";

fn sign_in(browser: &Browser, server: &Server) {
    browser.open(&format!("{}/ops?lang=en", server.url));
    assert!(browser.address().ends_with("/ops/sign-in"));
    browser.open(&format!("{}/ops/sign-in?lang=en", server.url));
    browser.fill("#token", "not the token");
    browser.click("#sign-in");
    assert_eq!(browser.text("#said"), "That token is wrong.");
    browser.fill("#token", ADMIN);
    browser.click("#sign-in");
    assert_eq!(browser.text("h1"), "Dashboard");
}

/// Makes a sale and presses each of its buttons.
fn press_every_button(browser: &Browser, server: &Server) {
    let sale = || -> Value { server.get(SALE).json() };
    browser.click("#new-sale");
    let fields =
        [("id", "tiket-konser"), ("title", "Tiket Konser"), ("sku", "TIKET"), ("amount", "750000")];
    for (name, value) in fields {
        browser.fill(&format!("#f-{name}"), value);
    }
    browser.click("#make");
    assert_eq!(browser.text("#done"), "The sale was made.");
    assert_eq!((&sale()["supply"], &sale()["state"]), (&100.into(), &"open".into()));
    browser.fill("#units", "50");
    browser.click("#do-restock");
    assert_eq!(browser.text("#done"), "The change is saved.");
    assert_eq!(sale()["supply"], 150);
    browser.click("#do-pause");
    browser.wait_for_text("#state", "Paused");
    browser.click("#do-open");
    browser.wait_for_text("#state", "Open");
    browser.click("#do-schedule");
    assert_eq!(browser.text("#done"), "The change is saved.");
    browser.click("#certificate");
    assert_eq!(browser.text("#equation"), "150 = 150 + 0 + 0");
    assert!(browser.text("#verdict").contains("Balanced"));
    browser.open(&format!("{}/ops/sales/tiket-konser", server.url));
    browser.click("#sure");
    browser.click("#do-close");
    browser.wait_for_text("#state", "Closed");
    assert_eq!(sale()["state"], "closed");
}

#[test]
fn an_operator_runs_a_sale_with_every_button() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let browser = Browser::start(true);
    sign_in(&browser, &server);
    press_every_button(&browser, &server);
    browser.click("#sign-out");
    assert_eq!(browser.text("h1"), "Sign in");
    browser.open(&format!("{}/ops", server.url));
    assert!(browser.address().ends_with("/ops/sign-in"), "the session is over");
    server.stop();
}

#[test]
fn every_button_works_without_scripts() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let browser = Browser::start(false);
    sign_in(&browser, &server);
    press_every_button(&browser, &server);
    server.stop();
}

#[test]
fn an_attack_is_watched_on_the_dashboard() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    server.make_sale("tiket-konser", 40, 600);
    let browser = Browser::start(true);
    sign_in(&browser, &server);
    browser.wait_for_text("#link", "Live");
    browser.console();
    browser.fill("#rate", "60");
    browser.fill("#seconds", "4");
    browser.click("#rehearse");
    browser.wait_for("#run-state", |state| matches!(state, "Running" | "Done"));
    browser.wait_for("#tile-rate", |rate| rate.parse::<u32>().is_ok_and(|rate| rate > 0));
    browser.wait_for("#verdict", |verdict| verdict.contains("✓ Proven: 40 acknowledged"));
    assert_eq!(browser.text("#run-state"), "Done");
    // The copy is closed once its attack is over.
    browser.wait_for("#sales", |sales| sales.contains("Closed"));
    assert_eq!(server.get(SALE).json()["sold"], 0, "the sale itself was not touched");
    let said = browser.console();
    assert!(said.is_empty(), "{said:?}");
    let asked = browser.requests();
    let own = |address: &&String| {
        ["data:", "about:", "chrome", &server.url].iter().any(|begin| address.starts_with(begin))
    };
    let elsewhere: Vec<_> = asked.iter().filter(|address| !own(address)).collect();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
    server.stop();
}

#[test]
fn a_check_runs_from_the_browser_and_its_result_can_be_kept() {
    let data = tempfile::tempdir().unwrap();
    let more = ["--listen=127.0.0.1:0", "--lookup-listen=127.0.0.1:0"];
    let server = Server::run(kilat(serve(data.path())).args(more));
    server.make_sale("tiket-konser", 40, 600);
    let browser = Browser::start(true);
    sign_in(&browser, &server);
    browser.open(&format!("{}/ops/check", server.url));
    browser.click("#check-stock");
    browser.wait_for_text("#check-state", "Done");
    browser.wait_for("#result", |rows| rows.contains("40 units in Kilat"));
    browser.fill("#ids", "SKU-001\n=2+2");
    browser.click("#check-ids");
    browser.wait_for("#result", |rows| rows.contains("Wireless Mouse Pro"));
    browser.wait_for_text("#check-state", "Done");
    let cookie = browser.cookie("kilat_ops");
    let headers = [("cookie", cookie.as_str())];
    let file = http::call(&server.url, "GET", "/ops/check/result.csv", &headers, "").unwrap();
    assert!(file.header("content-disposition").unwrap().contains("attachment"));
    let rows: Vec<_> = file.text().lines().map(str::to_owned).collect();
    assert!(rows[0].starts_with("id,outcome,"), "{rows:?}");
    assert!(
        rows[1].starts_with("SKU-001,found,") && rows[2].starts_with("'=2+2,not_found,"),
        "{rows:?}"
    );
    server.stop();
}

/// With as much to see as an operator has in the middle of a sale.
#[test]
fn pictures_of_the_operators_pages() {
    let data = tempfile::tempdir().unwrap();
    let more = ["--listen=127.0.0.1:0", "--lookup-listen=127.0.0.1:0"];
    let server = Server::run(kilat(serve(data.path())).args(more));
    for (id, title, sku, amount, supply) in [
        ("tiket-konser", "Konser Gerhana di Prambanan", "KONSER-GERHANA", "1250000", 2_500),
        ("nusantara-x1", "Nusantara X1 Pro", "NUSANTARA-X1-PRO", "18999000", 400),
    ] {
        let sale = json!({
            "id": id, "title": title, "sku": sku, "price": {"amount": amount, "currency": "IDR"},
            "supply": supply, "per_customer": 2, "opens_at": null, "closes_at": null,
            "hold_seconds": 600,
        });
        assert_eq!(server.admin("POST", "/v1/sales", id, &sale.to_string()).status, 201);
    }
    publish(&server);
    let browser = Browser::start(true);
    browser.open(&format!("{}/ops/sign-in?lang={}", server.url, album::language("en")));
    album::take(&browser, "ops-sign-in");
    browser.fill("#token", ADMIN);
    browser.click("#sign-in");
    browser.wait_until_shown("#link.live", true);
    // Kept pictures show a longer past, and the attack itself.
    let is_kept = album::folder().is_some();
    browser.fill("#seconds", if is_kept { "60" } else { "2" });
    browser.fill("#rate", if is_kept { "60" } else { "120" });
    browser.fill("#buyers", "5000");
    browser.script("document.querySelector('#rehearse-sale').value = 'tiket-konser'");
    browser.click("#rehearse");
    if is_kept {
        let digits = |text: &str| text.replace(['.', ','], "");
        let enough = |sold: &str| digits(sold).parse::<u32>().is_ok_and(|sold| sold > 800);
        browser.wait_for("#sales [data-cell=sold]", enough);
        album::take(&browser, "ops-attack");
    }
    browser.wait_until_shown("#verdict.yes", true);
    album::take(&browser, "ops-dashboard");
    let open = |path: &str, picture: &str| {
        browser.open(&format!("{}{path}", server.url));
        album::take(&browser, picture);
    };
    open("/ops/sales/tiket-konser", "ops-sale");
    browser.click("#certificate");
    browser.wait_until_shown("#equation", true);
    album::take(&browser, "ops-certificate");
    open("/ops/sales/nothing", "ops-not-found");
    browser.open(&format!("{}/ops/new-sale", server.url));
    let price = "1.500";
    for (name, value) in
        [("id", "kopi"), ("title", "Kopi Gayo"), ("sku", "KOPI"), ("amount", price)]
    {
        browser.fill(&format!("#f-{name}"), value);
    }
    browser.click("#make");
    browser.wait_until_shown("#w-amount", true);
    album::take(&browser, "ops-new-sale");
    browser.open(&format!("{}/ops/check", server.url));
    browser.click("#check-stock");
    browser.wait_for("#result", |rows| rows.contains("Kilat"));
    browser.wait_until_shown("#check-state.done", true);
    album::take(&browser, "ops-check");
    server.stop();
}

/// What a shop's own programs would publish beside its sales.
fn publish(server: &Server) {
    for (number, topic) in ["payment.settled", "payment.settled", "parcel.sent"].iter().enumerate()
    {
        let event = json!({
            "topic": topic, "event_id": format!("2026-{number:04}"), "source": "shop",
            "timestamp": "2026-11-22T05:00:00Z", "payload": {"number": number},
        });
        let headers = [("content-type", "application/json")];
        let reply = http::call(&server.url, "POST", "/publish", &headers, &event.to_string());
        assert_eq!(reply.unwrap().status, 200);
    }
}
