//! Every route with everything that can be wrong with a request, from the table of routes.

use crate::http::{Reply, request};
use crate::world::{ADMIN, NODE, World};
use kilat_server::{ROUTES, Route, Takes};

const JSON: (&str, &str) = ("content-type", "application/json");
const KEY: (&str, &str) = ("idempotency-key", "k");

fn path(route: &Route) -> String {
    route
        .path
        .replace("{sale}", "s")
        .replace("{order}", &"0".repeat(32))
        .replace("{*file}", "sale.js")
}

/// Sends `body` to a route as the operator.
fn call(world: &World, route: &Route, headers: &[(&str, &str)], body: &str) -> Reply {
    let bearer = format!("Bearer {ADMIN}");
    let mut all = vec![("authorization", bearer.as_str())];
    all.extend_from_slice(headers);
    world.call(route.method, &path(route), &all, body)
}

/// Routes that read a JSON body, with its limit and whether a key is needed.
fn json_routes() -> impl Iterator<Item = (&'static Route, usize, bool)> {
    ROUTES.iter().filter_map(|route| match route.takes {
        Takes::Json { bytes_max, key } => Some((route, bytes_max, key)),
        Takes::Events { bytes_max } => Some((route, bytes_max, false)),
        _ => None,
    })
}

#[test]
fn a_wrong_method_is_named_and_the_right_ones_are_told() {
    let world = World::open();
    for route in ROUTES {
        let reply = world.call("PURGE", &path(route), &[], "");
        assert_eq!(reply.code(), "method_not_allowed", "{}", route.path);
        let allowed = reply.header("allow").unwrap_or_default();
        assert!(
            allowed.split(',').any(|method| method == route.method),
            "{}: {allowed}",
            route.path
        );
    }
}

#[test]
fn a_body_must_be_json_and_say_so() {
    let world = World::open();
    world.make_sale(&[]);
    for (route, ..) in json_routes() {
        for kind in [
            "text/plain",
            "application/jsonx",
            "application/json; charset=latin1",
            "multipart/form-data",
            "",
        ] {
            let reply = call(&world, route, &[("content-type", kind), KEY], "{}");
            assert_eq!(reply.code(), "unsupported_media_type", "{} {kind}", route.path);
        }
        assert_eq!(
            call(&world, route, &[KEY], "{}").code(),
            "unsupported_media_type",
            "{} without",
            route.path
        );
        let gzip = call(&world, route, &[JSON, KEY, ("content-encoding", "gzip")], "{}");
        assert_eq!(gzip.code(), "unsupported_media_type", "{} gzip", route.path);
        let charset = call(
            &world,
            route,
            &[("content-type", "Application/JSON; charset=\"UTF-8\""), KEY],
            "{}",
        );
        assert_eq!(charset.code(), "invalid", "{} with a charset", route.path);
    }
}

#[test]
fn a_body_has_a_limit_whether_its_length_is_told_or_not() {
    let world = World::open();
    world.make_sale(&[]);
    for (route, bytes_max, _) in json_routes() {
        let body = " ".repeat(bytes_max);
        assert_eq!(
            call(&world, route, &[JSON, KEY], &body).code(),
            "malformed",
            "{} at the limit",
            route.path
        );
        let head = [JSON, KEY, ("authorization", &format!("Bearer {ADMIN}"))];
        let mut told = world.connect();
        told.send(
            request(route.method, &path(route), &head, "")
                .replace("\r\n\r\n", &format!("\r\ncontent-length: {}\r\n\r\n", bytes_max + 1)),
        );
        let reply = told.read_reply();
        assert_eq!(reply.code(), "too_large", "{} over the limit", route.path);
        assert_eq!(reply.header("connection"), Some("close"), "{}", route.path);
        let mut chunked = world.connect();
        let chunk = format!("{:x}\r\n{body} \r\n0\r\n\r\n", bytes_max + 1);
        let head = request(
            route.method,
            &path(route),
            &[&head[..], &[("transfer-encoding", "chunked")]].concat(),
            "",
        );
        chunked.send(head);
        // The reply may come, and the connection end, before all of it is sent.
        chunked.try_send(chunk.as_bytes());
        assert_eq!(chunked.read_reply().code(), "too_large", "{} chunked", route.path);
    }
}

#[test]
fn a_body_must_be_whole_json_with_known_fields() {
    let world = World::open();
    world.make_sale(&[]);
    let deep = "[".repeat(10_000);
    for (route, ..) in json_routes() {
        for broken in ["{", "", "\u{feff}{}", "{\u{1}}", "nul"] {
            let reply = call(&world, route, &[JSON, KEY], broken);
            assert_eq!(reply.code(), "malformed", "{} {broken:?}: {}", route.path, reply.text());
        }
        for wrong in ["{\"nobody_knows\":1}", "[]", "1", "null", &deep] {
            let reply = call(&world, route, &[JSON, KEY], wrong);
            let code = reply.code();
            assert!(
                code == "invalid" || (wrong == deep && code == "malformed"),
                "{} {wrong:.20}: {}",
                route.path,
                reply.text()
            );
        }
        let unknown = call(&world, route, &[JSON, KEY], "{\"nobody_knows\":1}").json();
        assert_eq!(unknown["errors"][0]["field"], "nobody_knows", "{}", route.path);
    }
}

#[test]
fn a_key_must_be_there_once_and_printable() {
    let world = World::open();
    world.make_sale(&[]);
    for (route, ..) in json_routes().filter(|(_, _, key)| *key) {
        assert_eq!(
            call(&world, route, &[JSON], "{}").code(),
            "idempotency_key_missing",
            "{}",
            route.path
        );
        let empty = call(&world, route, &[JSON, ("idempotency-key", "")], "{}");
        assert_eq!(empty.code(), "idempotency_key_missing", "{}", route.path);
        let long = "k".repeat(256);
        for bad in [&*long, "caf\u{e9}", "a\tb"] {
            let reply = call(&world, route, &[JSON, ("idempotency-key", bad)], "{}");
            assert_eq!(reply.code(), "malformed", "{} {bad}", route.path);
            assert!(
                reply.json()["detail"].as_str().unwrap().contains("Idempotency-Key"),
                "{}",
                reply.text()
            );
        }
        let twice = call(&world, route, &[JSON, KEY, ("idempotency-key", "k2")], "{}");
        assert_eq!(twice.code(), "malformed", "{} two keys", route.path);
    }
}

#[test]
fn every_reply_tells_its_exchange_and_its_node() {
    let world = World::open();
    let paths = ROUTES.iter().filter(|route| !route.path.ends_with("/stream"));
    for route in paths {
        for method in [route.method, "PURGE"] {
            let reply = world.call(method, &path(route), &[("x-request-id", "my-id.1")], "");
            assert_eq!(reply.header("x-request-id"), Some("my-id.1"), "{method} {}", route.path);
            assert_eq!(reply.header("x-kilat-node"), Some(NODE), "{method} {}", route.path);
        }
    }
    for bad in ["", "a b", "x\u{e9}", &"x".repeat(65)] {
        let reply = world.call("GET", "/nowhere", &[("x-request-id", bad)], "");
        let id = reply.header("x-request-id").unwrap();
        assert!(!id.is_empty() && id != bad, "{bad} came back as {id}");
        assert_eq!(reply.code(), "not_found");
    }
}

#[test]
fn what_can_not_be_an_id_names_nothing() {
    let world = World::open();
    world.make_sale(&[]);
    for bad in ["S", "a_b", "..%2f", "%00", "%ff", "a%0ab", "-a", &"a".repeat(65)] {
        for end in ["", "/audit", "/stream", "/orders/00000000000000000000000000000000"] {
            assert_eq!(
                world.get(&format!("/v1/sales/{bad}{end}")).code(),
                "sale_not_found",
                "{bad}{end}"
            );
        }
    }
    for bad in ["0", "x", "%00", &"0".repeat(33), &"A".repeat(32), "../../x"] {
        let code = world.get(&format!("/v1/sales/s/orders/{bad}")).code();
        assert!(code == "order_not_found" || code == "not_found", "{bad}: {code}");
    }
}
