//! Every route with every role, from the table that the router is built from.

use crate::http::Reply;
use crate::world::{ADMIN, CUSTOMER_KEY, PUBLISHER, SHOP, World};
use hmac::{Hmac, Mac};
use kilat_server::{ROUTES, Route, Rule, Takes};
use sha2::Sha256;
use std::time::{SystemTime, UNIX_EPOCH};

/// Base64url without padding (RFC 4648, section 5), written apart from the server's.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            text.push(char::from(DIGITS[(bits >> (18 - 6 * place) & 63) as usize]));
        }
    }
    text
}

fn token(header: &str, claims: &str, key: &[u8]) -> String {
    let signed = format!("{}.{}", base64(header.as_bytes()), base64(claims.as_bytes()));
    let mac = Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(&signed).finalize();
    format!("{signed}.{}", base64(&mac.into_bytes()))
}

const HS256: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

fn in_seconds(seconds: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    i64::try_from(now).unwrap() + seconds
}

fn customer_token(customer: &str) -> String {
    token(HS256, &format!(r#"{{"sub":"{customer}","exp":{}}}"#, in_seconds(600)), CUSTOMER_KEY)
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// Calls a route in its plainest form and with the body of a customer called budi.
fn call(world: &World, route: &Route, credentials: Option<&str>) -> Reply {
    let path = route
        .path
        .replace("{sale}", "s")
        .replace("{order}", &"0".repeat(32))
        .replace("{*file}", "sale.js");
    let body = match route.path {
        "/v1/sales/{sale}/orders" if route.method == "POST" => {
            r#"{"customer":"budi","quantity":1}"#
        }
        "/v1/sales/{sale}/orders:batch" => {
            r#"{"orders":[{"key":"k","customer":"budi","quantity":1}]}"#
        }
        _ if route.takes == Takes::Nothing || route.takes == Takes::Page => "",
        _ => "{}",
    };
    let mut headers = vec![("content-type", "application/json"), ("idempotency-key", "k")];
    headers.extend(credentials.map(|value| ("authorization", value)));
    let mut connection = world.connect();
    connection.send(crate::http::request(route.method, &path, &headers, body));
    // A stream has no end; its head is enough.
    let ends = !path.ends_with("/stream");
    let reply = if ends { connection.read_reply() } else { connection.read_head() };
    crate::docs::check(route.method, &path, &reply);
    reply
}

/// 401 and 403 as the rule says; anything else counts as let in.
fn expected(rule: Rule, role: &str, open: bool) -> u16 {
    match (rule, role) {
        (Rule::Public, _) | (_, "admin") => 200,
        (_, "forged" | "expired" | "unsigned") => 401,
        (Rule::Order | Rule::Publish, "nobody") if open => 200,
        (Rule::Read, _) => 200,
        (_, "nobody") => 401,
        (Rule::Publish, "publisher") => 200,
        (Rule::Admin | Rule::Publish, _) | (_, "publisher") => 403,
        // A list names a customer; the shop has to as well.
        (Rule::List, "shop") => 403,
        (Rule::Order | Rule::List, _) => 200,
    }
}

fn check(world: &World, role: &str, credentials: Option<&str>, open: bool) {
    for route in ROUTES {
        let reply = call(world, route, credentials);
        // The buy form is refused for its own reasons: the test sends no form.
        let got = match reply.status {
            401 if matches!(route.takes, Takes::Form { .. }) => 200,
            status @ (401 | 403) => status,
            _ => 200,
        };
        let what = format!(
            "{role}: {} {} gave {} {:?}",
            route.method, route.path, reply.status, reply.body
        );
        assert_eq!(got, expected(route.rule, role, open), "{what}");
        if got == 401 {
            assert_eq!(reply.header("www-authenticate"), Some("Bearer"), "{what}");
        }
    }
}

#[test]
fn every_route_lets_in_whom_its_rule_names() {
    let world = World::guarded();
    world.make_sale(&[]);
    let expired =
        token(HS256, &format!(r#"{{"sub":"budi","exp":{}}}"#, in_seconds(-60)), CUSTOMER_KEY);
    let unsigned = format!(
        "{}.{}.",
        base64(br#"{"alg":"none"}"#),
        base64(br#"{"sub":"budi","exp":9999999999}"#)
    );
    check(&world, "nobody", None, false);
    check(&world, "admin", Some(&bearer(ADMIN)), false);
    check(&world, "shop", Some(&bearer(SHOP)), false);
    check(&world, "publisher", Some(&bearer(PUBLISHER)), false);
    check(&world, "customer", Some(&bearer(&customer_token("budi"))), false);
    check(&world, "forged", Some(&bearer("something-else")), false);
    check(&world, "expired", Some(&bearer(&expired)), false);
    check(&world, "unsigned", Some(&bearer(&unsigned)), false);
}

#[test]
fn without_secrets_orders_are_open_and_admin_calls_are_not() {
    let world = World::open();
    world.make_sale(&[]);
    check(&world, "nobody", None, true);
    check(&world, "admin", Some(&bearer(ADMIN)), true);
    check(&world, "forged", Some(&bearer("something-else")), true);
}

/// What a list of orders answers to an `Authorization` header.
fn check_list(world: &World, authorization: &str, status: u16, what: &str) {
    let reply = world.call("GET", "/v1/sales/s/orders", &[("authorization", authorization)], "");
    assert_eq!(reply.status, status, "{what}: {}", reply.text());
}

#[test]
fn a_token_must_be_genuine_whole_and_for_a_customer() {
    let world = World::guarded();
    world.make_sale(&[]);
    let soon = in_seconds(600);
    let good = format!(r#"{{"sub":"budi","exp":{soon}}}"#);
    let no_subject = format!(r#"{{"exp":{soon}}}"#);
    let visitor = format!(r#"{{"sub":"visitor:1","exp":{soon}}}"#);
    let control = format!(r#"{{"sub":"a\u0000","exp":{soon}}}"#);
    let signed = |header: &str, claims: &str| token(header, claims, CUSTOMER_KEY);
    let genuine = signed(HS256, &good);
    check_list(&world, &bearer(&genuine), 200, "genuine");
    let refused = [
        (token(HS256, &good, b"another key, of the same length!"), "another key"),
        (signed(r#"{"alg":"HS512"}"#, &good), "another algorithm"),
        (signed(r#"{"alg":"none"}"#, &good), "no algorithm"),
        (signed(HS256, r#"{"sub":"budi"}"#), "no expiry"),
        (signed(HS256, r#"{"sub":"budi","exp":"never"}"#), "an expiry that is no number"),
        (signed(HS256, &no_subject), "no subject"),
        (signed(HS256, &visitor), "a visitor"),
        (signed(HS256, &control), "a control character"),
        (format!("{genuine}x"), "a longer signature"),
        (genuine[..genuine.len() - 1].to_owned(), "a shorter signature"),
        (String::new(), "nothing"),
    ];
    for (token, what) in refused {
        check_list(&world, &bearer(&token), 401, what);
    }
}

#[test]
fn a_header_that_is_no_bearer_token_is_refused() {
    let world = World::guarded();
    world.make_sale(&[]);
    let (glued, long) = (format!("Bearer{ADMIN}"), bearer(&"x".repeat(5_000)));
    for header in ["Basic YTpi", ADMIN, "Bearer", &glued, &long] {
        check_list(&world, header, 401, header);
    }
}

#[test]
fn a_customer_acts_for_itself_only() {
    let world = World::guarded();
    world.make_sale(&[]);
    let (budi, siti) = (bearer(&customer_token("budi")), bearer(&customer_token("siti")));
    let call = |who: &str, method: &str, path: &str, body: &str| {
        let json = ("content-type", "application/json");
        world.call(method, path, &[("authorization", who), ("idempotency-key", "k"), json], body)
    };
    let own = call(
        &budi,
        "POST",
        "/v1/sales/s/orders",
        r#"{"customer":"budi","quantity":1,"hold":true}"#,
    );
    assert_eq!(own.status, 201, "{}", own.text());
    let order = own.json()["order"].as_str().unwrap().to_owned();
    let for_siti = r#"{"customer":"siti","quantity":1}"#;
    assert_eq!(call(&budi, "POST", "/v1/sales/s/orders", for_siti).code(), "forbidden");
    let mixed = r#"{"orders":[{"key":"a","customer":"budi","quantity":1},{"key":"b","customer":"siti","quantity":1}]}"#;
    assert_eq!(call(&budi, "POST", "/v1/sales/s/orders:batch", mixed).code(), "forbidden");
    let path = format!("/v1/sales/s/orders/{order}");
    for (method, path) in [
        ("GET", path.clone()),
        ("POST", format!("{path}/confirm")),
        ("POST", format!("{path}/cancel")),
    ] {
        assert_eq!(call(&siti, method, &path, "").code(), "order_not_found", "{method} {path}");
    }
    assert_eq!(call(&siti, "GET", "/v1/sales/s/orders?customer=budi", "").code(), "forbidden");
    assert_eq!(
        call(&siti, "GET", "/v1/sales/s/orders", "").json()["orders"].as_array().unwrap().len(),
        0
    );
    assert_eq!(
        call(&budi, "GET", "/v1/sales/s/orders?customer=budi", "").json()["orders"][0]["order"],
        order.as_str()
    );
    assert_eq!(call(&bearer(SHOP), "GET", "/v1/sales/s/orders?customer=budi", "").status, 200);
    assert_eq!(call(&budi, "POST", &format!("{path}/confirm"), "").json()["status"], "confirmed");
}
