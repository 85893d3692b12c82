//! A visitor buys: once, in two languages, with scripts and without, whatever is pressed.

use super::driver::Browser;
use crate::program::{Server, kilat};
use tempfile::TempDir;

const SALE: &str = "/v1/sales/iphone-17-pro-max";

/// `kilat up` with its demo sale of 100 units, one for a customer.
fn up() -> (Server, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut command = kilat(["up", "--listen=127.0.0.1:0", "--node=kilat-test", "--data"]);
    (Server::run(command.arg(data)), folder)
}

/// One process with a sale of `supply` units, no limit for a customer.
fn serve(supply: u64, hold_seconds: u32) -> (Server, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    server.make_sale("s", supply, hold_seconds);
    (server, folder)
}

fn figure(server: &Server, sale: &str, name: &str) -> u64 {
    server.get(sale).json()[name].as_u64().unwrap()
}

fn sold(server: &Server) -> u64 {
    figure(server, SALE, "sold")
}

/// The visit from page to receipt and back, in words of one language.
struct Words {
    language: &'static str,
    buy: &'static str,
    thanks: &'static str,
    served_by: &'static str,
    limit: &'static str,
    at_limit: &'static str,
}

const INDONESIAN: Words = Words {
    language: "id",
    buy: "BELI SEKARANG",
    thanks: "Terima kasih. Pesanan Anda tersimpan dengan aman.",
    served_by: "Dilayani oleh Node: kilat-test",
    limit: "Anda sudah mencapai batas pembelian untuk penjualan ini.",
    at_limit: "Batas pembelian Anda untuk penjualan ini sudah tercapai.",
};
const ENGLISH: Words = Words {
    language: "en",
    buy: "BUY NOW",
    thanks: "Thank you. Your order is safely recorded.",
    served_by: "Served by node: kilat-test",
    limit: "You have reached the limit per buyer of this sale.",
    at_limit: "You have reached your limit for this sale.",
};

fn check(javascript: bool, words: &Words) {
    let (server, _folder) = up();
    let browser = Browser::start(javascript);
    browser.open(&format!("{}/?lang={}", server.url, words.language));
    // A second tab, opened before there is an order: it still shows its button afterwards.
    let tab = browser.open_tab();
    browser.open(&server.url);
    assert_eq!(browser.text("button.buy"), words.buy);
    assert_eq!(browser.text("#available"), "100");
    browser.click("button.buy");
    let order = browser.text("#order");
    assert!(browser.text("main").contains(words.thanks), "{}", browser.text("main"));
    let footer = browser.text("footer");
    let node = footer.strip_prefix(words.served_by).unwrap_or_else(|| panic!("{footer}"));
    assert!(["-1", "-2", "-3"].contains(&node), "one of three replicas: {footer}");
    assert_eq!(sold(&server), 1);
    browser.reload();
    assert_eq!(browser.text("#order"), order, "a reload shows the same order");
    assert!(browser.address().contains("/orders/"));
    assert_eq!(sold(&server), 1, "a reload makes no second order");
    browser.back();
    browser.wait_for("main", |text| text.contains(words.at_limit));
    assert!(!browser.is_shown("#buy"), "the page asks again when the buyer comes back");
    assert_eq!(browser.text("#available"), "99");
    browser.turn_to(&tab);
    browser.click("button.buy");
    assert_eq!(browser.text("[role=alert]"), words.limit);
    assert_eq!(browser.text(".own code"), order);
    assert_eq!(sold(&server), 1);
    server.stop();
}

#[test]
fn a_visitor_buys_once() {
    check(true, &INDONESIAN);
}

#[test]
fn a_visitor_buys_once_in_english() {
    check(true, &ENGLISH);
}

#[test]
fn a_visitor_without_scripts_buys_once() {
    check(false, &INDONESIAN);
}

#[test]
fn the_page_speaks_the_browser_s_language_until_it_is_switched() {
    let (server, _folder) = serve(1_234, 60);
    let browser = Browser::start(true);
    let accept = |tags: &str| {
        let headers = serde_json::json!({"headers": {"Accept-Language": tags}});
        browser.command("Network.setExtraHTTPHeaders", &headers);
    };
    accept("en-GB,en;q=0.8");
    browser.open(&server.url);
    assert_eq!(
        (browser.text("button.buy"), browser.text("#supply")),
        ("BUY NOW".into(), "1,234".into())
    );
    browser.click(".switch");
    browser.wait_for_text("button.buy", "BELI SEKARANG");
    assert_eq!(browser.text("#supply"), "1.234");
    browser.open(&server.url);
    assert_eq!(browser.text("button.buy"), "BELI SEKARANG", "the switch is remembered");
    browser.command("Network.clearBrowserCookies", &serde_json::json!({}));
    accept("fr");
    browser.open(&server.url);
    assert_eq!(
        browser.text("button.buy"),
        "BELI SEKARANG",
        "Indonesian when nothing else is known"
    );
    server.stop();
}

/// Presses twice where each order would be one more.
fn check_double_click(javascript: bool) {
    let (server, _folder) = serve(10, 60);
    let browser = Browser::start(javascript);
    browser.open(&server.url);
    browser.double_click("button.buy");
    browser.text("#order");
    assert_eq!(figure(&server, "/v1/sales/s", "sold"), 1);
    browser.back();
    browser.double_click("button.quiet[name=hold]");
    browser.text("#order");
    let held = figure(&server, "/v1/sales/s", "held");
    assert_eq!((held, figure(&server, "/v1/sales/s", "sold")), (1, 1));
    server.stop();
}

#[test]
fn a_double_click_is_one_order() {
    check_double_click(true);
}

#[test]
fn a_double_click_without_scripts_is_one_order() {
    check_double_click(false);
}

fn check_hold(javascript: bool) {
    let (server, _folder) = serve(10, 600);
    let browser = Browser::start(javascript);
    browser.open(&format!("{}/?lang=id", server.url));
    browser.click("button[name=hold]");
    browser.text("#order");
    assert_eq!(figure(&server, "/v1/sales/s", "held"), 1);
    assert_eq!(browser.is_shown(".left"), javascript, "time is counted by scripts only");
    browser.open(&server.url);
    assert!(browser.text(".own").contains("Satu unit ditahan untuk Anda"));
    browser.click(".own .quiet");
    browser.wait_for("main", |text| text.contains("Pesanan dibatalkan"));
    assert_eq!(figure(&server, "/v1/sales/s", "held"), 0);
    browser.open(&server.url);
    browser.click("button[name=hold]");
    browser.text("#order");
    browser.click(".tools a");
    browser.click(".ticket .buy");
    browser.wait_for("main", |text| text.contains("Berhasil!"));
    assert_eq!(figure(&server, "/v1/sales/s", "sold"), 1);
    server.stop();
}

#[test]
fn a_visitor_holds_gives_back_and_buys() {
    check_hold(true);
}

#[test]
fn a_visitor_without_scripts_holds_gives_back_and_buys() {
    check_hold(false);
}
