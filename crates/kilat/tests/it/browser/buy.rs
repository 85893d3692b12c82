//! A visitor buys: once, in two languages, with scripts and without.

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

fn sold(server: &Server) -> u64 {
    server.get(SALE).json()["sold"].as_u64().unwrap()
}

/// The visit from page to receipt and back, in words of one language.
struct Words {
    language: &'static str,
    buy: &'static str,
    thanks: &'static str,
    served_by: &'static str,
    limit: &'static str,
}

const INDONESIAN: Words = Words {
    language: "id",
    buy: "BELI SEKARANG",
    thanks: "Terima kasih. Pesanan Anda tersimpan dengan aman.",
    served_by: "Dilayani oleh Node: kilat-test",
    limit: "Anda sudah mencapai batas pembelian untuk penjualan ini.",
};
const ENGLISH: Words = Words {
    language: "en",
    buy: "BUY NOW",
    thanks: "Thank you. Your order is safely recorded.",
    served_by: "Served by node: kilat-test",
    limit: "You have reached the limit per buyer of this sale.",
};

fn check(javascript: bool, words: &Words) {
    let (server, _folder) = up();
    let browser = Browser::start(javascript);
    browser.open(&format!("{}/?lang={}", server.url, words.language));
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
    browser.open(&server.url);
    assert_eq!(browser.text("#available"), "99");
    browser.click("button.buy");
    assert_eq!(browser.text("[role=alert]"), words.limit);
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
fn the_page_follows_the_stock_while_it_is_open() {
    let (server, _folder) = up();
    let browser = Browser::start(true);
    browser.open(&format!("{}/?lang=id", server.url));
    browser.wait_for_text("#available", "100");
    let order = |customer: &str| format!(r#"{{"customer":"{customer}","quantity":1}}"#);
    for number in 0..3 {
        let reply =
            server.order("iphone-17-pro-max", &format!("k{number}"), &order(&format!("c{number}")));
        assert_eq!(reply.status, 201, "{}", reply.text());
    }
    browser.wait_for_text("#available", "97");
    let close = server.admin("PATCH", SALE, "close", r#"{"state":"closed"}"#);
    assert_eq!(close.status, 200, "{}", close.text());
    browser.wait_for_text("[data-when=closed]", "Penjualan telah ditutup.");
}
