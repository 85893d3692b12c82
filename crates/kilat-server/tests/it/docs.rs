//! The description of the interface: it lists what there is, every reply that any
//! test of this crate saw is in it, its examples run, and its page needs nothing else.

use crate::http::Reply;
use crate::world::{ADMIN, World};
use kilat_server::ROUTES;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::OnceLock;

/// What replies of every call carry.
const STAMPS: [&str; 2] = ["x-request-id", "x-kilat-node"];

fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| World::open().connect().call("GET", "/openapi.json", &[], "").json())
}

/// What a `$ref` stands for, or the value itself.
fn resolve(value: &Value) -> &Value {
    match value["$ref"].as_str() {
        Some(place) => document().pointer(place.trim_start_matches('#')).expect(place),
        None => value,
    }
}

/// A call of the description.
struct Call {
    method: String,
    path: String,
    described: &'static Value,
}

fn calls() -> impl Iterator<Item = Call> {
    let paths = document()["paths"].as_object().unwrap();
    paths.iter().flat_map(|(path, calls)| {
        calls.as_object().unwrap().iter().map(|(method, described)| Call {
            method: method.to_ascii_uppercase(),
            path: path.clone(),
            described,
        })
    })
}

/// Whether a path of the description stands for this address.
fn stands_for(path: &str, address: &str) -> bool {
    let address = address.split('?').next().unwrap();
    let (wanted, given) = (path.split('/'), address.split('/'));
    path.split('/').count() == address.split('/').count()
        && wanted.zip(given).all(|(wanted, given)| {
            wanted == given
                || (wanted.starts_with('{') && !given.is_empty() && !wanted.contains("}:"))
        })
}

/// Checks a reply that a test got against the description.
pub(crate) fn check(method: &str, address: &str, reply: &Reply) {
    let found = calls().find(|call| {
        let fixed = !call.path.contains('{');
        call.method == method && stands_for(&call.path, address) && (fixed || call.path != address)
    });
    // What is no HTTP is told so by the connection, before there is a call.
    if reply.status == 400 && reply.body.is_empty() {
        return;
    }
    // What is no call is answered 404 or 405.
    let Some(call) = found else {
        assert!(matches!(reply.status, 404 | 405), "{method} {address} is in no document");
        return;
    };
    let what = format!("{method} {} gave {} {:?}", call.path, reply.status, reply.headers);
    let described = &call.described["responses"][reply.status.to_string()];
    assert!(described.is_object(), "{what}: the status is in no document");
    check_headers(described, reply, &what);
    check_body(described, reply, &what);
}

fn check_headers(described: &Value, reply: &Reply, what: &str) {
    let headers = described["headers"].as_object();
    for (name, header) in headers.into_iter().flatten() {
        let there = reply.header(name).is_some();
        assert!(there || resolve(header)["required"] != true, "{what}: no {name}");
    }
    for name in
        ["idempotency-replayed", "retry-after", "www-authenticate", "location", "link", "etag"]
    {
        let said = headers.is_some_and(|headers| headers.contains_key(name));
        assert!(said || reply.header(name).is_none(), "{what}: {name} is in no document");
    }
}

fn check_body(described: &Value, reply: &Reply, what: &str) {
    if reply.body.is_empty() {
        return;
    }
    let kind = reply.header("content-type").unwrap_or_default();
    let content = &described["content"][kind];
    assert!(content.is_object(), "{what}: {kind} is in no document");
    if kind == "application/problem+json" {
        let code = reply.code();
        let codes = &content["schema"]["allOf"][1]["properties"]["code"]["enum"];
        let said = codes.as_array().unwrap().iter().any(|said| *said == code);
        assert!(said, "{what}: {code} is in no document");
    }
}

#[test]
fn the_description_lists_the_calls_that_there_are() {
    let table: BTreeSet<_> = ROUTES
        .iter()
        .map(|route| (route.method.to_owned(), route.path.replace("{*", "{")))
        .collect();
    let listed: BTreeSet<_> = calls().map(|call| (call.method, call.path)).collect();
    assert_eq!(listed, table);
    assert_eq!(document()["openapi"], "3.1.0");
}

#[test]
fn every_call_says_what_it_is_and_how_it_may_end() {
    let mut names = BTreeSet::new();
    for Call { method, path, described } in calls() {
        let what = format!("{method} {path}");
        let tag = described["tags"][0].as_str().unwrap();
        assert!(["Sale", "Orders", "Events", "Operations"].contains(&tag), "{what}: {tag}");
        assert!(!described["summary"].as_str().unwrap().is_empty(), "{what}");
        assert!(names.insert(described["operationId"].as_str().unwrap()), "{what}: a name twice");
        let responses = described["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status < &"400".to_owned()), "{what}");
        for (status, response) in responses.iter().filter(|(status, _)| *status != "431") {
            for stamp in STAMPS {
                assert!(response["headers"][stamp].is_object(), "{what} {status}: {stamp}");
            }
        }
        let placeholders = path.matches('{').count();
        let in_path = parameters(described).filter(|parameter| parameter["in"] == "path").count();
        assert_eq!(in_path, placeholders, "{what}");
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn walk(value: &Value, count: &mut usize) {
        match value {
            Value::Object(members) => {
                if members.get("$ref").is_some_and(Value::is_string) {
                    resolve(value);
                    *count += 1;
                }
                members.values().for_each(|member| walk(member, count));
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, count)),
            _ => {}
        }
    }
    let mut count = 0;
    walk(document(), &mut count);
    assert!(count > 100, "{count}");
}

fn parameters(described: &'static Value) -> impl Iterator<Item = &'static Value> {
    described["parameters"].as_array().into_iter().flatten().map(resolve)
}

/// The example of a parameter or of its schema.
fn example(parameter: &Value) -> Option<String> {
    let schema = resolve(&parameter["schema"]);
    let given = [&parameter["example"], &schema["examples"][0], &schema["example"]];
    let given = given.into_iter().find(|value| !value.is_null())?;
    Some(given.as_str().map_or_else(|| given.to_string(), str::to_owned))
}

/// Each example of a request body, with its media type; one without a body where there is none.
fn bodies(described: &Value) -> Vec<Option<(String, String)>> {
    let Some(content) = described["requestBody"]["content"].as_object() else {
        return vec![None];
    };
    let mut bodies = Vec::new();
    for (kind, described) in content {
        let named = described["examples"].as_object().into_iter().flatten();
        let values = named.map(|(_, example)| &example["value"]).chain(described.get("example"));
        bodies.extend(values.map(|value| Some((kind.clone(), written(kind, value)))));
    }
    bodies
}

/// An example as it is sent.
fn written(kind: &str, value: &Value) -> String {
    match (kind, value) {
        ("application/x-www-form-urlencoded", Value::Object(fields)) => {
            let fields =
                fields.iter().map(|(name, value)| format!("{name}={}", value.as_str().unwrap()));
            fields.collect::<Vec<_>>().join("&")
        }
        (_, Value::String(text)) => text.clone(),
        _ => value.to_string(),
    }
}

/// Sends one example and sees that it succeeds as described.
fn run(world: &World, call: &Call, body: Option<&(String, String)>, order: &str, number: usize) {
    let Call { method, path, described } = call;
    let mut address = path.replace("{order}", order);
    let mut headers = vec![("authorization".to_owned(), format!("Bearer {ADMIN}"))];
    for parameter in parameters(described) {
        let name = parameter["name"].as_str().unwrap();
        let value = example(parameter);
        match (parameter["in"].as_str().unwrap(), value) {
            ("path", Some(value)) => address = address.replace(&format!("{{{name}}}"), &value),
            // One key for each intent.
            ("header", Some(_)) if name == "Idempotency-Key" => {
                headers.push((name.to_owned(), format!("example-{number}")));
            }
            ("header", Some(value)) => headers.push((name.to_owned(), value)),
            _ => {}
        }
    }
    let text = body.map_or("", |(kind, text)| {
        headers.push(("content-type".to_owned(), kind.clone()));
        text
    });
    if path == "/buy" {
        headers.push(("cookie".to_owned(), visitor(world)));
    }
    let headers: Vec<_> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    let mut connection = world.connect();
    connection.send(crate::http::request(method, &address, &headers, text));
    let streams = described["responses"]["200"]["content"]["text/event-stream"].is_object();
    let reply = if streams { connection.read_head() } else { connection.read_reply() };
    check(method, &address, &reply);
    let status = reply.status.to_string();
    assert!((200..400).contains(&reply.status), "{method} {address} {text}: {}", reply.text());
    assert!(described["responses"][&status].is_object(), "{method} {address}: {status}");
}

fn visitor(world: &World) -> String {
    let page = world.get("/");
    let cookie = page.all("set-cookie").find(|line| line.starts_with("kilat_visitor=")).unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

#[test]
fn every_example_runs() {
    let world = World::open();
    let (first, others): (Vec<_>, Vec<_>) =
        calls().partition(|call| call.described["operationId"] == "createSale");
    let mut ran = 0;
    for call in first
        .iter()
        .chain(&others)
        .filter(|call| !call.path.starts_with("/s/{sale}/orders/{order}"))
    {
        for body in bodies(call.described) {
            let order = held(&world, &call.path, ran);
            run(&world, call, body.as_ref(), &order, ran);
            ran += 1;
        }
    }
    assert!(ran >= ROUTES.len(), "{ran}");
}

/// An order to look at, confirm or cancel.
fn held(world: &World, path: &str, number: usize) -> String {
    if !path.contains("{order}") {
        return String::new();
    }
    let json = ("content-type", "application/json");
    let key = format!("held-{number}");
    let body = format!(r#"{{"customer":"{key}","quantity":1,"hold":true}}"#);
    let path = "/v1/sales/iphone-17-pro-max/orders";
    let reply = world.call("POST", path, &[json, ("idempotency-key", &key)], &body);
    reply.json()["order"].as_str().unwrap_or_else(|| panic!("{}", reply.text())).to_owned()
}

const FILES: [(&str, &str); 4] = [
    ("/docs/docs.css", "text/css; charset=utf-8"),
    ("/docs/docs.js", "text/javascript; charset=utf-8"),
    ("/docs/swagger-ui.css", "text/css; charset=utf-8"),
    ("/docs/swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
];

#[test]
fn the_page_loads_files_of_this_server_only() {
    let world = World::open();
    let page = world.get("/docs");
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.contains("script-src 'self';") && policy.contains("frame-ancestors 'none'"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    for inline in ["<script>", "<style", "style=", "onload=", "http:", "https:", "src=\"//"] {
        assert!(!page.text().contains(inline), "{inline}");
    }
    let html = page.text();
    let loaded = html.split(['"']).filter(|part| part.starts_with("/docs/"));
    assert_eq!(loaded.collect::<BTreeSet<_>>(), FILES.iter().map(|(file, _)| *file).collect());
    for (file, kind) in FILES {
        let reply = world.get(file);
        assert_eq!((reply.status, reply.header("content-type")), (200, Some(kind)), "{file}");
    }
    assert_eq!(world.get("/docs/none.js").code(), "not_found");
}

#[test]
fn the_page_is_sent_small_and_once() {
    let world = World::open();
    let gzip = ("accept-encoding", "gzip, deflate, br");
    let files = FILES.map(|(file, _)| file);
    for path in files.into_iter().chain(["/docs", "/openapi.json"]) {
        let plain = world.get(path);
        let packed = world.call("GET", path, &[gzip], "");
        assert_eq!(plain.header("content-encoding"), None, "{path}");
        assert_eq!(packed.header("content-encoding"), Some("gzip"), "{path}");
        assert!(packed.header("vary").unwrap().contains("accept-encoding"), "{path}");
        assert!(packed.body.len() < plain.body.len(), "{path}");
        let etag = plain.header("etag").unwrap();
        let again = world.call("GET", path, &[("if-none-match", etag)], "");
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
    }
    let path = "/docs/swagger-ui-bundle.js";
    assert!(world.get(path).text().contains("SwaggerUIBundle"), "the script is whole");
    let packed = world.call("GET", path, &[gzip], "").body;
    // What compresses replies as they leave knows no file names (RFC 1952, section 2.3.1).
    let named = packed[..64].windows(20).any(|part| part == b"swagger-ui-bundle.js");
    assert!(named, "the script was packed when it was built, not for this reply");
}
