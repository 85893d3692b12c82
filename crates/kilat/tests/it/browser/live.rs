//! A page that stays open while the world changes: stock, opening, the end of a hold, a restart.

use super::driver::Browser;
use crate::program::{Server, kilat, serve, wait_for};
use serde_json::json;
use std::path::Path;

const SALE: &str = "/v1/sales/s";

fn buy(server: &Server, number: u32) {
    let order = format!(r#"{{"customer":"c{number}","quantity":1}}"#);
    let reply = server.order("s", &format!("k{number}"), &order);
    assert_eq!(reply.status, 201, "{}", reply.text());
}

fn change(server: &Server, key: &str, body: &str) {
    let reply = server.admin("PATCH", SALE, key, body);
    assert_eq!(reply.status, 200, "{}", reply.text());
}

/// A server at a certain address, which the page that is open knows.
fn start_again(data: &Path, url: &str) -> Server {
    let address = url.strip_prefix("http://").unwrap();
    let listen = format!("--listen={address}");
    wait_for("the address to be free", || Server::try_run(kilat(serve(data)).arg(&listen)).ok())
}

fn open(server: &Server) -> Browser {
    let browser = Browser::start(true);
    browser.open(&format!("{}/?lang=id", server.url));
    // So that a page which was loaded anew is told from one that is still open.
    browser.script("window.opened = true");
    browser
}

fn is_still_open(browser: &Browser) -> bool {
    browser.script("return window.opened === true") == true
}

#[test]
fn the_stock_falls_to_its_end_while_the_page_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    server.make_sale("s", 1_003, 60);
    let browser = open(&server);
    browser.wait_for_text("#available", "1.003");
    (0..4).for_each(|number| buy(&server, number));
    browser.wait_for_text("#available", "999");
    change(&server, "pause", r#"{"state":"paused"}"#);
    browser.wait_until_shown("[data-when=paused]", true);
    assert!(!browser.is_shown("#buy"));
    change(&server, "open", r#"{"state":"open"}"#);
    browser.wait_until_shown("#buy", true);
    let all = json!({"orders": [{"key": "all", "customer": "all", "quantity": 999}]}).to_string();
    let headers = [("content-type", "application/json")];
    let path = format!("{SALE}/orders:batch");
    crate::http::call(&server.url, "POST", &path, &headers, &all).unwrap();
    browser.wait_until_shown("[data-when=sold_out]", true);
    assert_eq!(browser.text("[data-when=sold_out]"), "Maaf, stok sudah habis.");
    assert!(!browser.is_shown("#buy"));
    change(&server, "more", r#"{"add_supply":5}"#);
    browser.wait_until_shown("#buy", true);
    assert_eq!(browser.text("#available"), "5");
    change(&server, "close", r#"{"state":"closed"}"#);
    browser.wait_until_shown("[data-when=closed]", true);
    assert!(is_still_open(&browser), "all of it without a reload");
    server.stop();
}

#[test]
fn a_sale_opens_while_the_page_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let one_each =
        crate::program::sale("s", 10, 60).replace(r#""per_customer":null"#, r#""per_customer":1"#);
    assert_eq!(server.admin("POST", "/v1/sales", "make", &one_each).status, 201);
    let seconds = |seconds: i64| jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
    change(&server, "later", &format!(r#"{{"opens_at":"{}"}}"#, seconds(3_600)));
    let browser = open(&server);
    browser.show_as(360, 740, "dark");
    browser.wait_until_shown("#countdown", true);
    assert!(!browser.is_shown("#buy"));
    change(&server, "moved", &format!(r#"{{"opens_at":"{}"}}"#, seconds(3 * 86_400)));
    browser.wait_for("#clock", |left| left.starts_with("2 hari 23:59"));
    let at = browser.text("#opens");
    let zone = at.rsplit(' ').next().unwrap_or_default();
    assert!(zone.starts_with(char::is_alphabetic), "the zone is named: {at}");
    change(&server, "soon", &format!(r#"{{"opens_at":"{}"}}"#, seconds(2)));
    browser.wait_until_shown("#buy", true);
    assert!(is_still_open(&browser), "the button came without a reload");
    browser.click("button.buy");
    let order = browser.text("#order");
    browser.reload();
    assert_eq!(browser.text("#order"), order);
    browser.open(&server.url);
    browser.wait_for("main", |text| text.contains("Batas pembelian Anda"));
    assert!(!browser.is_shown("#buy"));
    server.stop();
}

#[test]
fn a_hold_that_ends_while_the_page_is_open_is_said_to_have_ended() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    server.make_sale("s", 1, 2);
    let browser = open(&server);
    browser.click("button[name=hold]");
    browser.wait_for("main", |text| text.contains("Waktunya habis"));
    browser.open(&server.url);
    browser.wait_until_shown("#buy", true);
    assert_eq!(browser.text("#available"), "1");
    server.stop();
}

#[test]
fn a_server_that_starts_again_finds_its_pages_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    server.make_sale("s", 10, 60);
    let url = server.url.clone();
    let browser = open(&server);
    buy(&server, 1);
    browser.wait_for_text("#available", "9");
    server.kill();
    browser.wait_until_shown("#offline", true);
    let server = start_again(folder.path(), &url);
    buy(&server, 2);
    browser.wait_for_text("#available", "8");
    browser.wait_until_shown("#offline", false);
    assert!(is_still_open(&browser), "the page went on by itself");
    server.kill();
    browser.click("button.buy");
    browser.wait_until_shown("#busy", true);
    assert!(is_still_open(&browser), "what was pressed is not lost with the server");
    let server = start_again(folder.path(), &url);
    let order = browser.text("#order");
    assert_eq!(server.get(SALE).json()["sold"], 3);
    server.kill();
    let server = start_again(folder.path(), &url);
    browser.reload();
    assert_eq!(browser.text("#order"), order, "receipt and visitor outlive the server");
    assert_eq!(server.get(SALE).json()["sold"], 3);
    server.stop();
}

#[test]
fn a_page_without_a_stream_asks_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    server.make_sale("s", 10, 60);
    let browser = Browser::start(true);
    browser.command("Network.enable", &json!({}));
    browser.command("Network.setBlockedURLs", &json!({"urls": ["*/stream"]}));
    browser.open(&format!("{}/?lang=id", server.url));
    browser.wait_for_text("#available", "10");
    buy(&server, 1);
    browser.wait_for_text("#available", "9");
    let followed = browser.requests().iter().filter(|url| url.ends_with("/v1/sales/s")).count();
    assert!(followed > 0, "the stock was asked for");
    server.stop();
}
