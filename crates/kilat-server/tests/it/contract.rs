//! Every refusal of the contract by its code and in its order, replays, batches and pages of orders.

use crate::http::{Reply, request};
use crate::world::{NODE, World};
use serde_json::{Value, json};

/// Makes a test of each question to the fast lane and one to the full lane.
macro_rules! ask_both_lanes {
    ($($question:ident)*) => {
        mod fast {
            $(#[test] fn $question() { super::$question(&crate::world::World::open()); })*
        }
        mod full {
            use kilat_server::Limits;
            $(#[test] fn $question() { super::$question(&crate::world::World::full_lane(Limits::default())); })*
        }
    };
}

ask_both_lanes! {
    an_order_is_placed_once_and_repeated_as_often_as_asked
    refusals_come_in_the_contract_s_order
    fields_out_of_range_are_named
    a_hold_is_confirmed_or_cancelled_as_often_as_asked
    a_sale_is_made_once_and_only_its_operator_changes_it
    a_batch_answers_each_order_in_turn
    a_batch_has_1_to_8192_valid_orders_or_none_is_decided
    orders_are_listed_in_pages_that_miss_none
    pipelined_requests_are_answered_in_order
    requests_behind_others_wait_for_nothing_else
}

fn order_id(reply: &Reply) -> String {
    assert_eq!(reply.status, 201, "{}", reply.text());
    reply.json()["order"].as_str().unwrap().to_owned()
}

/// What `GET …/audit` says, and that it balances.
fn audit(world: &World) -> [u64; 4] {
    let audit = world.get("/v1/sales/s/audit").json();
    assert_eq!(audit["balanced"], true, "{audit}");
    ["supply", "available", "held", "sold"].map(|name| audit[name].as_u64().unwrap())
}

fn an_order_is_placed_once_and_repeated_as_often_as_asked(world: &World) {
    world.make_sale(&[]);
    let first = world.buy("budi", "k1", 1);
    let body = first.json();
    let id = order_id(&first);
    assert_eq!(first.header("idempotency-replayed"), None);
    assert!(id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
    let expected = json!({"order": id, "sale": "s", "customer": "budi", "quantity": 1, "status": "confirmed",
        "expires_at": null, "sequence": body["sequence"], "node": NODE});
    assert_eq!(body, expected);
    for _ in 0..3 {
        let again = world.buy("budi", "k1", 1);
        assert_eq!((again.status, again.header("idempotency-replayed")), (201, Some("true")));
        assert_eq!(again.json(), expected);
    }
    assert_eq!(world.buy("budi", "k1", 2).code(), "idempotency_key_reused");
    assert_ne!(order_id(&world.buy("siti", "k1", 1)), id, "keys belong to a customer");
    assert_eq!(audit(world), [10, 8, 0, 2]);
}

fn refusals_come_in_the_contract_s_order(world: &World) {
    assert_eq!(world.buy("budi", "k", 1).code(), "sale_not_found");
    world.make_sale(&[
        (r#""supply":10"#, r#""supply":3"#),
        (r#""opens_at":null"#, r#""opens_at":"2999-01-01T00:00:00Z""#),
    ]);
    assert_eq!(world.buy("budi", "k", 9).code(), "not_open");
    world.change_sale("pause", r#"{"state":"paused"}"#);
    assert_eq!(world.buy("budi", "k", 9).code(), "not_open", "not_open comes before paused");
    world.change_sale("begin", r#"{"opens_at":null}"#);
    assert_eq!(world.buy("budi", "k", 9).code(), "paused", "paused comes before limit_reached");
    world.change_sale("open", r#"{"state":"open"}"#);
    assert_eq!(
        world.buy("budi", "k", 4).code(),
        "limit_reached",
        "limit_reached comes before sold_out"
    );
    assert_eq!(world.buy("budi", "k", 2).status, 201, "a refusal is not remembered");
    assert_eq!(world.buy("siti", "k", 2).code(), "sold_out", "also when fewer are left than asked");
    assert_eq!(world.buy("siti", "k", 1).status, 201);
    assert_eq!(world.buy("budi", "k2", 1).code(), "limit_reached");
    assert_eq!(world.buy("agus", "k", 1).code(), "sold_out");
    world.change_sale("more", r#"{"add_supply":1}"#);
    assert_eq!(world.buy("agus", "k", 1).status, 201, "the same key may succeed after a restock");
    world.change_sale("close", r#"{"state":"closed"}"#);
    assert_eq!(world.buy("dewi", "k", 9).code(), "closed");
    assert_eq!(
        world.buy("budi", "k", 9).code(),
        "idempotency_key_reused",
        "a reused key comes before closed"
    );
    let replay = world.buy("budi", "k", 2);
    assert_eq!(
        (replay.status, replay.header("idempotency-replayed")),
        (201, Some("true")),
        "keys outlive the sale"
    );
    assert_eq!(audit(world), [4, 0, 0, 4]);
}

fn fields_out_of_range_are_named(world: &World) {
    world.make_sale(&[]);
    let cases = [
        (r#"{"customer":"budi"}"#, "quantity"),
        (r#"{"quantity":1}"#, "customer"),
        (r#"{"customer":"budi","quantity":0}"#, "quantity"),
        (r#"{"customer":"budi","quantity":1000001}"#, "quantity"),
        (r#"{"customer":"budi","quantity":-1}"#, "quantity"),
        (r#"{"customer":"budi","quantity":1.5}"#, "quantity"),
        (r#"{"customer":"","quantity":1}"#, "customer"),
        (r#"{"customer":"a\nb","quantity":1}"#, "customer"),
        (r#"{"customer":"a\u0000","quantity":1}"#, "customer"),
        (r#"{"customer":"a\u202eb","quantity":1}"#, "customer"),
        (r#"{"customer":"visitor:1","quantity":1}"#, "customer"),
        (r#"{"customer":"budi","quantity":1,"hold":"yes"}"#, "hold"),
        (r#"{"customer":"budi","quantity":1,"price":"0"}"#, "price"),
        (r#"{"customer":"budi","customer":"siti","quantity":1}"#, "customer"),
    ];
    for (body, field) in cases {
        let reply = world.order("k", body);
        assert_eq!((reply.status, reply.code().as_str()), (422, "invalid"), "{body}");
        assert_eq!(reply.json()["errors"][0]["field"], field, "{body}");
    }
    assert_eq!(audit(world), [10, 10, 0, 0]);
}

fn a_hold_is_confirmed_or_cancelled_as_often_as_asked(world: &World) {
    world.make_sale(&[]);
    let post = |order: &str, verb: &str| {
        world.call("POST", &format!("/v1/sales/s/orders/{order}/{verb}"), &[], "")
    };
    let kept = world.hold("budi", "k1");
    assert_eq!(kept.json()["status"], "held");
    assert!(kept.json()["expires_at"].as_str().unwrap().ends_with('Z'));
    let (kept, given_back) = (order_id(&kept), order_id(&world.hold("budi", "k2")));
    assert_eq!(world.hold("budi", "k3").code(), "limit_reached", "holds count");
    assert_eq!(audit(world), [10, 8, 2, 0]);
    for replayed in [None, Some("true")] {
        let confirmed = post(&kept, "confirm");
        assert_eq!(
            (confirmed.status, confirmed.json()["status"].as_str()),
            (200, Some("confirmed"))
        );
        assert_eq!(confirmed.header("idempotency-replayed"), replayed);
        let cancelled = post(&given_back, "cancel");
        assert_eq!(
            (cancelled.status, cancelled.json()["status"].as_str()),
            (200, Some("cancelled"))
        );
    }
    assert_eq!(post(&kept, "cancel").code(), "order_confirmed");
    assert_eq!(post(&given_back, "confirm").code(), "order_cancelled");
    assert_eq!(post(&"0".repeat(32), "confirm").code(), "order_not_found");
    assert_eq!(
        world.hold("budi", "k1").json()["status"],
        "confirmed",
        "a replay shows the current status"
    );
    let shown = world.get(&format!("/v1/sales/s/orders/{given_back}")).json();
    assert_eq!(
        (shown["status"].as_str(), shown["customer"].as_str()),
        (Some("cancelled"), Some("budi"))
    );
    assert_eq!(audit(world), [10, 9, 0, 1]);
}

fn a_sale_is_made_once_and_only_its_operator_changes_it(world: &World) {
    world.make_sale(&[]);
    let again = world.admin("POST", "/v1/sales", "make", crate::world::SALE);
    assert_eq!((again.status, again.header("location")), (200, Some("/v1/sales/s")));
    let other = crate::world::SALE.replace("\"supply\":10", "\"supply\":11");
    assert_eq!(world.admin("POST", "/v1/sales", "k", &other).code(), "sale_exists");
    let sale = world.get("/v1/sales/s").json();
    assert_eq!(sale["title"], "Lampu <Kilat> & \"Co\"");
    assert_eq!((sale["state"].as_str(), sale["available"].as_u64()), (Some("open"), Some(10)));
    assert_eq!(world.get("/v1/sales").json()["sales"], json!([sale]));
    assert_eq!(
        world.admin("PATCH", "/v1/sales/none", "k", r#"{"add_supply":1}"#).code(),
        "sale_not_found"
    );
    for replayed in [None, Some("true")] {
        let more = world.admin("PATCH", "/v1/sales/s", "more", r#"{"add_supply":5}"#);
        assert_eq!((more.status, more.json()["supply"].as_u64()), (200, Some(15)));
        assert_eq!(more.header("idempotency-replayed"), replayed);
    }
    assert_eq!(
        world.admin("PATCH", "/v1/sales/s", "more", r#"{"add_supply":6}"#).code(),
        "idempotency_key_reused"
    );
    world.change_sale("close", r#"{"state":"closed"}"#);
    assert_eq!(world.get("/v1/sales/s").json()["state"], "closed");
    assert_eq!(world.admin("PATCH", "/v1/sales/s", "k", r#"{"state":"open"}"#).code(), "closed");
    for bad in
        ["{}", r#"{"add_supply":0}"#, r#"{"state":"sold_out"}"#, r#"{"add_supply":1000000000000}"#]
    {
        assert_eq!(world.admin("PATCH", "/v1/sales/s", "k", bad).status / 100, 4, "{bad}");
    }
}

fn a_batch_answers_each_order_in_turn(world: &World) {
    world.make_sale(&[]);
    let reply = world.batch(
        r#"{"orders":[{"key":"a","customer":"budi","quantity":2},{"key":"b","customer":"siti \"x\"","quantity":1,"hold":true},
            {"key":"a","customer":"budi","quantity":2},{"key":"a","customer":"budi","quantity":1},
            {"key":"c","customer":"budi","quantity":1},{"key":"d","customer":"agus","quantity":99}]}"#,
    );
    assert_eq!(reply.status, 200, "{}", reply.text());
    let reply = reply.json();
    let outcomes = reply["outcomes"].as_array().unwrap();
    let shape = |o: &Value| o["status"].as_str().or(o["code"].as_str()).unwrap().to_owned();
    let expected = [
        "confirmed",
        "held",
        "confirmed",
        "idempotency_key_reused",
        "limit_reached",
        "limit_reached",
    ];
    assert_eq!(outcomes.iter().map(shape).collect::<Vec<_>>(), expected);
    assert_eq!(
        (&outcomes[2]["order"], &outcomes[2]["replayed"]),
        (&outcomes[0]["order"], &json!(true))
    );
    assert_eq!(
        (outcomes[0].get("replayed"), outcomes[1]["customer"].as_str()),
        (None, Some("siti \"x\""))
    );
    assert_eq!(audit(world), [10, 7, 1, 2]);
}

fn a_batch_has_1_to_8192_valid_orders_or_none_is_decided(world: &World) {
    world.make_sale(&[
        (r#""supply":10"#, r#""supply":10000"#),
        (r#""per_customer":2"#, r#""per_customer":null"#),
    ]);
    let batch = |count: usize| {
        let orders =
            (0..count).map(|n| json!({"key": format!("k{n}"), "customer": "budi", "quantity": 1}));
        world.batch(&json!({"orders": orders.collect::<Vec<_>>()}).to_string())
    };
    assert_eq!(batch(0).json()["errors"][0]["field"], "orders");
    assert_eq!(batch(8_193).json()["errors"][0]["field"], "orders");
    let bad = r#"{"orders":[{"key":"a","customer":"budi","quantity":1},{"key":"","customer":"visitor:1","quantity":0}]}"#;
    let fields: Vec<_> = world.batch(bad).json()["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["field"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(fields, ["orders[1].key", "orders[1].customer", "orders[1].quantity"]);
    assert_eq!(audit(world), [10_000, 10_000, 0, 0]);
    assert_eq!(batch(8_192).json()["outcomes"].as_array().unwrap().len(), 8_192);
    assert_eq!(audit(world), [10_000, 1_808, 0, 8_192]);
    assert!(
        batch(8_192).json()["outcomes"]
            .as_array()
            .unwrap()
            .iter()
            .all(|outcome| outcome["replayed"] == true)
    );
    assert_eq!(audit(world), [10_000, 1_808, 0, 8_192]);
}

fn orders_are_listed_in_pages_that_miss_none(world: &World) {
    world.make_sale(&[]);
    let mut placed: Vec<String> = Vec::new();
    for n in 0..7 {
        placed.push(order_id(
            &world
                .buy(if n % 3 == 0 { "budi" } else { ["siti", "agus"][n % 2] }, &format!("k{n}"), 1)
                .clone(),
        ));
        if n == 5 {
            break;
        }
    }
    let list =
        |query: &str| world.admin("GET", &format!("/v1/sales/s/orders?{query}"), "k", "").json();
    let mut seen = Vec::new();
    let mut after = json!(0);
    while !after.is_null() {
        let page = list(&format!("limit=2&after={after}"));
        seen.extend(
            page["orders"]
                .as_array()
                .unwrap()
                .iter()
                .map(|o| o["order"].as_str().unwrap().to_owned()),
        );
        after = page["next"].clone();
    }
    assert_eq!(seen, placed);
    let budi = list("customer=budi");
    assert_eq!(budi["orders"].as_array().unwrap().len(), 2, "{budi}");
    assert!(budi["next"].is_null());
    for bad in
        ["limit=0", "limit=1001", "after=x", "limit=-1", "order=1", "customer=", "customer=%00"]
    {
        let reply = world.admin("GET", &format!("/v1/sales/s/orders?{bad}"), "k", "");
        assert_eq!(reply.code(), "invalid", "{bad}");
    }
    assert_eq!(world.admin("GET", "/v1/sales/none/orders", "k", "").code(), "sale_not_found");
}

/// A lane that forgot them would find them again when it looks for silent connections, a second
/// each.
fn requests_behind_others_wait_for_nothing_else(world: &World) {
    const REQUESTS: u64 = 60;
    world.make_sale(&[(r#""per_customer":2"#, r#""per_customer":null"#)]);
    let json = ("content-type", "application/json");
    let mut all = String::new();
    for n in 0..REQUESTS / 2 {
        let key = format!("k{n}");
        let headers = [json, ("idempotency-key", &*key)];
        all +=
            &request("POST", "/v1/sales/s/orders", &headers, r#"{"customer":"budi","quantity":1}"#);
        let event = format!(
            r#"{{"topic":"t","event_id":"{n}","timestamp":"2026-11-21T12:00:00Z","source":"s","payload":{{}}}}"#
        );
        all += &request("POST", "/publish", &[json], &event);
    }
    let mut connection = world.connect();
    let since = std::time::Instant::now();
    connection.send(all);
    for n in 0..REQUESTS / 2 {
        let order = connection.read_reply();
        assert!(matches!(order.status, 201 | 409), "{n}: {}", order.status);
        assert_eq!(connection.read_reply().json()["stored"], 1, "{n}");
    }
    assert!(since.elapsed().as_secs() < REQUESTS / 3, "they waited a second each");
}

fn pipelined_requests_are_answered_in_order(world: &World) {
    world.make_sale(&[(r#""per_customer":2"#, r#""per_customer":null"#)]);
    let mut all = String::new();
    for n in 0..6 {
        let id = format!("r{n}");
        let headers = [
            ("content-type", "application/json"),
            ("idempotency-key", &*id),
            ("x-request-id", &*id),
        ];
        all +=
            &request("POST", "/v1/sales/s/orders", &headers, r#"{"customer":"budi","quantity":1}"#);
        all += &request("GET", "/livez", &[("x-request-id", &format!("l{n}"))], "");
    }
    let mut connection = world.connect();
    connection.send(all);
    let mut sequences = Vec::new();
    for n in 0..6 {
        let reply = connection.read_reply();
        assert_eq!(reply.header("x-request-id"), Some(&*format!("r{n}")));
        sequences.push(reply.json()["sequence"].as_u64().unwrap());
        assert_eq!(connection.read_reply().header("x-request-id"), Some(&*format!("l{n}")));
    }
    assert!(sequences.is_sorted_by(|a, b| a < b), "{sequences:?}");
}
