//! A visitor's own orders: held, bought, given back, and nobody else's.

use crate::http::Reply;
use crate::pages::{FORM, Visitor, check_page, sold};
use crate::world::World;

const SITE: (&str, &str) = ("sec-fetch-site", "same-origin");
const SCRIPT: (&str, &str) = ("accept", "application/json");

fn place(reply: &Reply) -> String {
    assert_eq!(reply.status, 303, "{}", reply.text());
    reply.header("location").unwrap().to_owned()
}

impl Visitor {
    fn hold(&self, world: &World) -> Reply {
        self.post(world, &[SITE], &format!("sale=s&key={}&hold=true", self.key))
    }

    /// Takes over the cookies of a reply, as a browser does.
    fn keep(&mut self, reply: &Reply) {
        let set = reply.all("set-cookie").map(|line| line.split(';').next().unwrap());
        let all: Vec<&str> = std::iter::once(&*self.cookie).chain(set).collect();
        self.cookie = all.join("; ");
    }

    fn settle(&self, world: &World, path: &str, headers: &[(&str, &str)], form: &str) -> Reply {
        world.call("POST", path, &[&[FORM, ("cookie", &*self.cookie)], headers].concat(), form)
    }
}

fn figure(world: &World, name: &str) -> u64 {
    world.get("/v1/sales/s").json()[name].as_u64().unwrap()
}

#[test]
fn what_is_held_can_be_bought_once() {
    let world = World::open();
    world.make_sale(&[]);
    let mut visitor = Visitor::arrive(&world);
    let held = visitor.hold(&world);
    let receipt = place(&held);
    visitor.keep(&held);
    assert_eq!(place(&visitor.hold(&world)), receipt, "the same form holds no second unit");
    assert_eq!((figure(&world, "held"), sold(&world)), (1, 0));
    let confirm = format!("action=\"{receipt}/confirm\"");
    let cancel = format!("action=\"{receipt}/cancel\"");
    for path in [&*receipt, "/", "/s/s/orders"] {
        check_page(&visitor.see(&world, path), 200, &[&confirm, &cancel, "Sisa waktu", "WIB"]);
    }
    for _ in 0..2 {
        let bought = visitor.settle(&world, &format!("{receipt}/confirm"), &[SITE], "");
        assert_eq!(place(&bought), receipt);
    }
    assert_eq!((figure(&world, "held"), sold(&world)), (0, 1));
    check_page(&visitor.see(&world, &receipt), 200, &["Berhasil!", "Dikonfirmasi"]);
    let page = visitor.see(&world, "/");
    check_page(&page, 200, &["Satu unit sudah Anda beli", &receipt]);
    assert!(!page.text().contains("/confirm"));
    let late = visitor.settle(&world, &format!("{receipt}/cancel"), &[SITE], "");
    let told = place(&late);
    assert_eq!(told, format!("{receipt}?refused=order_confirmed"));
    check_page(&visitor.see(&world, &told), 200, &["role=\"alert\">Pesanan ini sudah dibeli"]);
    assert_eq!(sold(&world), 1);
}

#[test]
fn what_is_held_can_be_given_back() {
    let world = World::open();
    world.make_sale(&[]);
    let visitor = Visitor::arrive(&world);
    let receipt = place(&visitor.hold(&world));
    for _ in 0..2 {
        let path = format!("{receipt}/cancel");
        assert_eq!(place(&visitor.settle(&world, &path, &[SITE], "")), receipt);
    }
    assert_eq!((figure(&world, "held"), figure(&world, "available")), (0, 10));
    check_page(&visitor.see(&world, &receipt), 200, &["Pesanan dibatalkan"]);
    let late = place(&visitor.settle(&world, &format!("{receipt}/confirm"), &[SITE], ""));
    assert_eq!(late, format!("{receipt}?refused=order_cancelled"));
}

#[test]
fn one_key_is_one_intent_whichever_button_it_came_by() {
    let world = World::open();
    world.make_sale(&[]);
    let mut visitor = Visitor::arrive(&world);
    place(&visitor.hold(&world));
    let other = visitor.buy(&world);
    visitor.keep(&other);
    assert_eq!(place(&other), "/s/s?refused=idempotency_key_reused");
    let page = visitor.see(&world, "/s/s?refused=idempotency_key_reused");
    check_page(&page, 200, &["sudah dipakai untuk satu pesanan", "Satu unit ditahan untuk Anda"]);
    assert_eq!((figure(&world, "held"), sold(&world)), (1, 0));
}

#[test]
fn nobody_else_can_settle_an_order() {
    let world = World::open();
    world.make_sale(&[]);
    let visitor = Visitor::arrive(&world);
    let receipt = place(&visitor.hold(&world));
    let stranger = Visitor::arrive(&world);
    for end in ["confirm", "cancel"] {
        let path = format!("{receipt}/{end}");
        check_page(&stranger.settle(&world, &path, &[SITE], ""), 404, &["bukan milik Anda"]);
        let other_site = [("sec-fetch-site", "cross-site")];
        check_page(&visitor.settle(&world, &path, &other_site, ""), 403, &["situs lain"]);
        let other_origin = [("origin", "https://evil.test")];
        check_page(&visitor.settle(&world, &path, &other_origin, ""), 403, &["situs lain"]);
        check_page(&visitor.settle(&world, &path, &[SITE], "a=b"), 400, &["Muat ulang"]);
        let nobody = world.call("POST", &path, &[FORM, SITE], "");
        check_page(&nobody, 401, &["cookie"]);
        let lost = format!("/s/none/orders/{}/{end}", "0".repeat(32));
        check_page(&visitor.settle(&world, &lost, &[SITE], ""), 404, &["tidak ada"]);
    }
    assert_eq!((figure(&world, "held"), sold(&world)), (1, 0));
    assert!(!stranger.see(&world, "/s/s/orders").text().contains(&receipt));
}

#[test]
fn a_visitor_at_the_limit_is_told_and_offered_nothing_more() {
    let world = World::open();
    world.make_sale(&[(r#""per_customer":2"#, r#""per_customer":1"#)]);
    let mut visitor = Visitor::arrive(&world);
    let bought = visitor.buy(&world);
    visitor.keep(&bought);
    let page = visitor.see(&world, "/");
    check_page(&page, 200, &["Batas pembelian Anda untuk penjualan ini sudah tercapai."]);
    assert!(!page.text().contains("action=\"/buy\""), "{}", page.text());
}

#[test]
fn a_list_of_orders_goes_on_where_a_page_ends() {
    let world = World::open();
    world.make_sale(&[
        (r#""per_customer":2"#, r#""per_customer":null"#),
        (r#""supply":10"#, r#""supply":1000"#),
    ]);
    let mut visitor = Visitor::arrive(&world);
    check_page(&visitor.see(&world, "/s/s/orders"), 200, &["belum punya pesanan"]);
    let orders = |page: &Reply| page.text().matches("class=\"link\" href=\"/s/s/orders/").count();
    for n in 0..51 {
        visitor.key = format!("k{n}");
        place(&visitor.buy(&world));
    }
    let first = visitor.see(&world, "/s/s/orders");
    assert_eq!(orders(&first), 50);
    let (_, next) = first.text().split_once("/s/s/orders?after=").expect("a next page");
    let next = next.split('"').next().unwrap();
    let second = visitor.see(&world, &format!("/s/s/orders?after={next}"));
    assert_eq!(orders(&second), 1);
    assert!(!second.text().contains("?after="));
    check_page(&visitor.see(&world, "/s/none/orders"), 404, &["Penjualan itu tidak ada"]);
    check_page(&visitor.see(&world, "/s/s/orders?after=x"), 200, &[]);
}

#[test]
fn a_script_is_told_where_to_look() {
    let world = World::open();
    world.make_sale(&[(r#""per_customer":2"#, r#""per_customer":1"#)]);
    let mut visitor = Visitor::arrive(&world);
    let form = format!("sale=s&key={}", visitor.key);
    let bought = visitor.post(&world, &[SITE, SCRIPT], &form);
    assert_eq!(bought.status, 200);
    let place = bought.json()["location"].as_str().unwrap().to_owned();
    check_page(&visitor.see(&world, &place), 200, &["Berhasil!"]);
    visitor.key = "another".to_owned();
    let refused = visitor.post(&world, &[SITE, SCRIPT], "sale=s&key=another");
    assert_eq!(refused.json()["location"], "/s/s?refused=limit_reached");
    assert_eq!(refused.header("cache-control"), Some("no-store"));
}

#[test]
fn what_nobody_could_decide_is_a_form_to_send_again_with_its_key() {
    let mut world = World::open();
    world.make_sale(&[]);
    let mut visitor = Visitor::arrive(&world);
    let held = visitor.hold(&world);
    let receipt = place(&held);
    visitor.keep(&held);
    visitor.key = "key-of-a-later-page".to_owned();
    world.stop_engine();
    let same_key = r#"name="key" value="key-of-a-later-page""#;
    let again = "Coba lagi</button>";
    let bought = visitor.buy(&world);
    check_page(&bought, 503, &[r#"method="post" action="/buy""#, same_key, again]);
    assert!(!bought.text().contains(r#"name="hold""#));
    let hold = visitor.hold(&world);
    check_page(&hold, 503, &[same_key, r#"name="hold" value="true""#]);
    let path = format!("{receipt}/confirm");
    let confirmed = visitor.settle(&world, &path, &[SITE], "");
    check_page(&confirmed, 503, &[&format!("method=\"post\" action=\"{path}\"")]);
    let shown = visitor.see(&world, &receipt);
    check_page(&shown, 503, &[&format!("method=\"get\" action=\"{receipt}\"")]);
    for reply in [bought, hold, confirmed, shown] {
        assert_eq!(reply.header("retry-after"), Some("1"));
    }
    check_page(&visitor.see(&world, "/"), 200, &["Lampu"]);
}
