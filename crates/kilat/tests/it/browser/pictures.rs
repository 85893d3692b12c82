//! The buy page in each of its states, as pictures.

use super::album;
use super::driver::Browser;
use super::film::{BYTES_MAX, Film};
use crate::collector::Collector;
use crate::program::{Server, kilat, serve};
use crate::storm::Storm;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const SALE: &str = "/v1/sales/nusantara-x1";

/// A server with one sale that looks like a real one, and a visitor at its page.
struct Shop {
    server: Server,
    browser: Browser,
    _folder: TempDir,
}

impl Shop {
    fn open(opens_at: Option<&str>) -> Shop {
        let shop = Shop::without_sale();
        shop.make("nusantara-x1", "Nusantara X1 Pro", 2_500, opens_at);
        shop.home();
        shop
    }

    fn without_sale() -> Shop {
        let folder = tempfile::tempdir().unwrap();
        let mut command = kilat(serve(folder.path()));
        let server = Server::run(command.args(["--listen=127.0.0.1:0", "--node=kilat-2"]));
        let browser = Browser::start(true);
        browser.open(&format!("{}/?lang={}", server.url, album::language("id")));
        Shop { server, browser, _folder: folder }
    }

    fn make(&self, id: &str, title: &str, supply: u32, opens_at: Option<&str>) {
        let sale = json!({
            "id": id, "title": title, "sku": id.to_uppercase(),
            "price": {"amount": "18999000", "currency": "IDR"}, "supply": supply,
            "per_customer": 1, "opens_at": opens_at, "closes_at": null, "hold_seconds": 600,
        });
        let reply = self.server.admin("POST", "/v1/sales", id, &sale.to_string());
        assert_eq!(reply.status, 201, "{}", reply.text());
    }

    /// Waits until the page says that so many are left.
    fn await_left(&self, units: u32) {
        let digits = |text: &str| text.replace(['.', ','], "");
        self.browser.wait_for("#available", |text| digits(text) == units.to_string());
    }

    fn take(&self, state: &str) {
        album::take(&self.browser, &format!("buy-{state}"));
    }

    fn home(&self) {
        self.browser.open(&self.server.url);
    }

    /// Presses, and waits for what comes of it.
    fn press(&self, css: &str, then: &str) {
        self.browser.click(css);
        self.browser.wait_until_shown(then, true);
    }

    fn change(&self, body: &str) {
        let reply = self.server.admin("PATCH", SALE, body.trim_matches(['{', '}']), body);
        assert_eq!(reply.status, 200, "{}", reply.text());
    }

    /// Others buy so many.
    fn sell(&self, units: u32) {
        let order = |n: u32| json!({"key": "k", "customer": format!("c{n}"), "quantity": 1});
        let orders: Vec<Value> = (0..units).map(order).collect();
        let body = json!({"orders": orders}).to_string();
        let headers = [("content-type", "application/json")];
        let path = format!("{SALE}/orders:batch");
        let reply = crate::http::call(&self.server.url, "POST", &path, &headers, &body).unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
}

#[test]
fn pictures_before_the_opening() {
    let opens_at = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(15);
    let shop = Shop::open(Some(&opens_at.to_string()));
    shop.browser.wait_until_shown("#countdown", true);
    shop.take("soon");
}

#[test]
fn pictures_of_a_purchase() {
    let shop = Shop::open(None);
    shop.sell(1_266);
    shop.await_left(1_234);
    shop.take("open");
    shop.press("button.buy", "#order");
    shop.take("receipt");
    shop.home();
    shop.take("bought");
    shop.browser.open(&format!("{}/s/nusantara-x1/orders", shop.server.url));
    shop.take("orders");
    shop.browser.open(&format!("{}/s/nusantara-x1?refused=limit_reached", shop.server.url));
    shop.take("limit");
}

#[test]
fn pictures_of_a_hold() {
    let shop = Shop::open(None);
    shop.sell(2_312);
    shop.press("button[name=hold]", "#order");
    shop.take("hold");
    shop.home();
    shop.take("held");
    shop.press(".own .quiet", "#order");
    shop.take("cancelled");
}

#[test]
fn pictures_of_a_sale_that_can_t_sell() {
    let shop = Shop::open(None);
    shop.sell(700);
    shop.change(r#"{"state":"paused"}"#);
    shop.browser.wait_until_shown("[data-when=paused]", true);
    shop.take("paused");
    shop.change(r#"{"state":"open"}"#);
    shop.sell(2_500);
    shop.browser.wait_until_shown("[data-when=sold_out]", true);
    shop.take("sold-out");
    shop.change(r#"{"state":"closed"}"#);
    shop.browser.wait_until_shown("[data-when=closed]", true);
    shop.take("closed");
}

#[test]
fn pictures_of_a_sale_of_which_all_is_held() {
    let shop = Shop::without_sale();
    shop.make("nusantara-x1", "Nusantara X1 Pro", 1, None);
    shop.home();
    let hold = r#"{"customer":"c","quantity":1,"hold":true}"#;
    assert_eq!(shop.server.order("nusantara-x1", "k", hold).status, 201);
    shop.browser.wait_until_shown("[data-when=all_held]", true);
    shop.take("all-held");
}

#[test]
fn pictures_of_a_long_title_and_of_other_sales() {
    let shop = Shop::open(None);
    let title = "Konser Gerhana Matahari Total di Pelataran Candi Prambanan, Malam Kedua";
    shop.make("gerhana", title, 1_000_000, None);
    shop.make("kereta", "Tiket Kereta Lebaran: Jakarta–Surabaya", 600, None);
    shop.browser.open(&format!("{}/s/gerhana", shop.server.url));
    shop.await_left(1_000_000);
    shop.take("long-title");
}

#[test]
fn pictures_of_pages_that_say_no() {
    let shop = Shop::without_sale();
    shop.take("no-sale");
    let open = |path: &str, picture: &str| {
        shop.browser.open(&format!("{}{path}", shop.server.url));
        shop.browser.text(".notice");
        shop.take(picture);
    };
    open("/s/nothing", "not-found");
    shop.make("nusantara-x1", "Nusantara X1 Pro", 2_500, None);
    open(&format!("/s/nusantara-x1/orders/{:032x}", 1), "not-yours");
    shop.home();
    shop.browser.script("document.querySelector('[name=key]').remove();");
    shop.browser.script("document.querySelector('#buy').submit();");
    shop.browser.wait_until_shown(".notice", true);
    shop.take("refused");
}

/// The gateway's own page, when no replica is there that could make one.
#[test]
fn pictures_of_a_gateway_without_a_replica() {
    let replica = format!("--replica=http://{}", Collector::nobody());
    let arguments = ["gateway", "--listen=127.0.0.1:0", "--node=gateway-1", &replica];
    let gateway = Server::run(&mut kilat(arguments));
    let browser = Browser::start(true);
    browser.open(&format!("{}/s/nusantara-x1?lang={}", gateway.url, album::language("id")));
    browser.text(".notice");
    album::take(&browser, "buy-away");
}

#[test]
fn pictures_of_a_page_that_nobody_answers() {
    let Shop { server, browser, _folder } = Shop::open(None);
    browser.wait_until_shown("button.buy", true);
    server.kill();
    browser.click("button.buy");
    browser.wait_until_shown("#busy", true);
    browser.wait_until_shown("#offline", true);
    album::take(&browser, "buy-busy");
}

/// What is filmed, in CSS pixels, and the part of it that changes: left, top, width, height. Three
/// quarters of each are even.
const STAGE: [u32; 4] = [0, 0, 1_200, 640];
const WORDS: [u32; 4] = [0, 96, 616, 544];
const FILM_QUALITY: u32 = 75;

#[test]
fn pictures_of_an_attack() {
    let shop = Shop::open(None);
    shop.browser.show_as(STAGE[2], STAGE[3], "dark");
    shop.await_left(2_500);
    let first = shop.browser.part(STAGE, FILM_QUALITY);
    let attack = ["--sale=nusantara-x1", "--buyers=4000", "--rate=600", "--connections=16"];
    let storm = Storm::start(&shop.server.url, &attack);
    let mut film = Film::new(&first, Duration::from_secs(1));
    loop {
        let since = Instant::now();
        let picture = shop.browser.part(WORDS, FILM_QUALITY);
        let is_over = shop.browser.is_shown("[data-when=sold_out]");
        film.add(&picture, (0, WORDS[1] * 3 / 4), since.elapsed());
        if is_over {
            break;
        }
    }
    film.add(
        &shop.browser.part(WORDS, FILM_QUALITY),
        (0, WORDS[1] * 3 / 4),
        Duration::from_secs(3),
    );
    storm.proven();
    let film = film.finish();
    assert!(film.len() <= BYTES_MAX, "{} bytes", film.len());
    if let Some(folder) = album::folder() {
        std::fs::write(folder.join("attack.webp"), film).unwrap();
    }
}
