//! Traces: one for a purchase through every process, and none that ever costs one.

use crate::collector::{Collector, Manners, Span};
use crate::http::{self, Connection};
use crate::program::{Server, kilat, serve, wait_for};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::Value;
use std::path::Path;

const DEMO: &str = "iphone-17-pro-max";
const ORDER: &str = r#"{"customer":"budi","quantity":1}"#;
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

fn traceparent(trace_id: &str, sampled: bool) -> String {
    format!("00-{trace_id}-{CALLER}-0{}", u8::from(sampled))
}

/// Places an order; the status of the reply.
fn order(url: &str, sale: &str, key: &str, traceparent: &str) -> u16 {
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", key),
        ("traceparent", traceparent),
        ("x-request-id", key),
    ];
    http::call(url, "POST", &format!("/v1/sales/{sale}/orders"), &headers, ORDER).unwrap().status
}

/// The one span that `is_it`.
fn the(spans: &[Span], what: &str, is_it: impl Fn(&Span) -> bool) -> Span {
    let found: Vec<&Span> = spans.iter().filter(|span| is_it(span)).collect();
    assert_eq!(found.len(), 1, "{what}: {found:?} of {spans:#?}");
    found[0].clone()
}

fn spans_of(collector: &Collector, trace_id: &str, at_least: usize) -> Vec<Span> {
    wait_for("spans", || {
        let all = collector.spans().into_iter().filter(|span| span.trace_id == trace_id);
        Some(all.collect::<Vec<_>>()).filter(|spans| spans.len() >= at_least)
    })
}

/// The stage called `name` within `parent`.
fn check_stage(spans: &[Span], name: &str, parent: &Span) -> Span {
    let stage = the(spans, name, |span| span.name == name && span.parent == parent.span_id);
    assert_eq!(stage.kind, SpanKind::Internal);
    assert!(parent.began <= stage.began && stage.ended <= parent.ended, "{stage:?} {parent:?}");
    stage
}

/// The stages of a purchase, one after the other within `parent`.
fn check_stages(spans: &[Span], parent: &Span) {
    let stage = |name: &str| check_stage(spans, name, parent);
    let (queue, decide, commit) = (stage("queue"), stage("decide"), stage("commit"));
    assert!(queue.began <= queue.ended, "{queue:?}");
    assert!(decide.began <= commit.began && commit.began < commit.ended, "{decide:?} {commit:?}");
}

/// A system that sends traces of what it is asked to trace, and of nothing else.
fn up(data: &Path, arguments: &[&str]) -> Server {
    let mut command = kilat(["up", "--lang=en", "--listen=127.0.0.1:0", "--replicas=2", "--data"]);
    command.arg(data).args(arguments);
    Server::run(&mut command)
}

#[test]
fn a_purchase_is_one_trace_through_gateway_replica_and_core() {
    let (folder, collector) = (tempfile::tempdir().unwrap(), Collector::start(Manners::Good));
    let up = up(&folder.path().join("data"), &["--otlp", &collector.url, "--trace-ratio=0"]);
    assert_eq!(order(&up.url, DEMO, "quiet", &traceparent(TRACE, false)), 201);
    assert_eq!(order(&up.url, DEMO, "k", &traceparent(TRACE, true)), 409, "one per customer");
    let spans = spans_of(&collector, TRACE, 7);
    let caller = |span: &Span| span.parent == CALLER;
    let gateway = the(&spans, "the gateway", caller);
    let hop = the(&spans, "the hop", |span| span.parent == gateway.span_id);
    let replica = the(&spans, "the replica", |span| span.parent == hop.span_id);
    let core = the(&spans, "the core", |span| span.parent == replica.span_id);
    check_stages(&spans, &core);
    assert_eq!(spans.len(), 7, "{spans:#?}");
    for (span, service, kind, name) in [
        (&gateway, "kilat-gateway", SpanKind::Server, "POST"),
        (&hop, "kilat-gateway", SpanKind::Client, "POST"),
        (&replica, "kilat-server", SpanKind::Server, "POST /v1/sales/{sale}/orders"),
        (&core, "kilat-core", SpanKind::Server, "place orders"),
    ] {
        assert_eq!((&*span.service, span.kind, &*span.name), (service, kind, name));
    }
    assert!(replica.instance.starts_with("web-") && core.instance == "core", "{replica:?}");
    for span in [&gateway, &replica] {
        let has = |name: &str, value: &str| assert_eq!(span.attributes[name], value, "{span:?}");
        has("http.request.method", "POST");
        has("http.response.status_code", "409");
        has("url.path", &format!("/v1/sales/{DEMO}/orders"));
        has("kilat.request_id", "k");
    }
    assert_eq!(replica.attributes["http.route"], "/v1/sales/{sale}/orders");
    assert_eq!(core.attributes["kilat.outcome"], "limit_reached");
    assert!(format!("http://127.0.0.1:{}", hop.attributes["server.port"]) != up.url);
    up.stop();
}

/// `kilat serve` with the settings that OpenTelemetry defines.
fn traced(data: &Path, collector: &str, sampler: &str, arguments: &[&str]) -> Server {
    let mut command = kilat(serve(data));
    command.args(["--listen=127.0.0.1:0", "--lanes=1"]).args(arguments);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector);
    command.env("OTEL_SERVICE_NAME", "shop").env("OTEL_TRACES_SAMPLER", sampler);
    Server::run(&mut command)
}

#[test]
fn both_lanes_are_traced_and_the_last_spans_arrive_at_the_end() {
    let (folder, collector) = (tempfile::tempdir().unwrap(), Collector::start(Manners::Good));
    let server = traced(folder.path(), &collector.url, "parentbased_always_on", &[]);
    server.make_sale("s", 10, 60);
    let parent = traceparent(TRACE, true);
    assert_eq!(order(&server.url, "s", "fast", &parent), 201);
    let batch = r#"{"orders":[{"key":"b","customer":"c","quantity":1}]}"#;
    let headers = [("content-type", "application/json"), ("traceparent", &*parent)];
    let path = "/v1/sales/s/orders:batch";
    assert_eq!(http::call(&server.url, "POST", path, &headers, batch).unwrap().status, 200);
    let event = r#"{"topic":"t","event_id":"e","timestamp":"2026-01-01T00:00:00Z","source":"s","payload":{}}"#;
    let reply = http::call(&server.url, "POST", "/publish", &headers, event).unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(order(&server.url, "s", "unsampled", &traceparent(TRACE, false)), 201);
    assert_eq!(order(&server.url, "s", "of its own", "no trace"), 201);
    server.stop();
    let all = collector.spans();
    assert!(all.iter().all(|span| span.service == "shop"), "{all:#?}");
    let in_trace: Vec<Span> = all.iter().filter(|span| span.trace_id == TRACE).cloned().collect();
    for (route, places) in [
        ("/v1/sales/{sale}/orders", true),
        ("/v1/sales/{sale}/orders:batch", true),
        ("/publish", false),
    ] {
        let name = format!("POST {route}");
        let span = the(&in_trace, route, |span| span.name == name);
        assert_eq!((&*span.parent, span.kind), (CALLER, SpanKind::Server));
        if places {
            check_stages(&in_trace, &span);
        } else {
            check_stage(&in_trace, "store events", &span);
        }
    }
    assert_eq!(in_trace.len(), 3 + 7, "an unsampled request was recorded: {in_trace:#?}");
    let is_it =
        |span: &Span| span.attributes.get("kilat.request_id").is_some_and(|id| id == "of its own");
    assert!(!all.iter().any(is_it), "an id with blanks was taken over");
    let own = |span: &Span| span.name == "POST /v1/sales/{sale}/orders" && span.parent.is_empty();
    the(&all, "a trace of its own", own);
}

#[test]
fn a_change_and_events_of_the_full_lane_are_stages_too() {
    let (folder, collector) = (tempfile::tempdir().unwrap(), Collector::start(Manners::Good));
    let server = traced(folder.path(), &collector.url, "parentbased_always_off", &[]);
    server.make_sale("s", 10, 60);
    let parent = traceparent(TRACE, true);
    let json = ("content-type", "application/json");
    let held = ["first", "second"].map(|customer| {
        let body = format!(r#"{{"customer":"{customer}","quantity":1,"hold":true}}"#);
        let path = "/v1/sales/s/orders";
        let headers = [json, ("idempotency-key", "k")];
        let reply = http::call(&server.url, "POST", path, &headers, &body).unwrap();
        let order: Value = serde_json::from_str(reply.text()).unwrap();
        format!("{path}/{}", order["order"].as_str().unwrap())
    });
    let traced = [json, ("traceparent", &*parent)];
    let events = r#"[{"topic":"t","event_id":"e","timestamp":"2026-01-01T00:00:00Z","source":"s","payload":{}}]"#;
    for (path, body) in [
        (format!("{}/confirm", held[0]), ""),
        (format!("{}/cancel", held[1]), ""),
        ("/publish".to_owned(), events),
    ] {
        let reply = http::call(&server.url, "POST", &path, &traced, body).unwrap();
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    }
    server.stop();
    let spans = collector.spans();
    for (route, stage) in [
        ("/v1/sales/{sale}/orders/{order}/confirm", "confirm order"),
        ("/v1/sales/{sale}/orders/{order}/cancel", "cancel order"),
        ("/publish", "store events"),
    ] {
        let name = format!("POST {route}");
        let request = the(&spans, route, |span| span.name == name);
        check_stage(&spans, stage, &request);
    }
    assert_eq!(spans.len(), 6, "{spans:#?}");
}

#[test]
fn a_collector_that_misbehaves_costs_no_purchase() {
    let nobody = format!("http://{}", Collector::nobody());
    let collectors = [Manners::Silent, Manners::Garbage, Manners::Broken, Manners::Babbling]
        .map(|manners| (format!("{manners:?}"), Collector::start(manners).url));
    for (what, url) in collectors.into_iter().chain([("Nobody".to_owned(), nobody)]) {
        let folder = tempfile::tempdir().unwrap();
        let server = traced(folder.path(), &url, "always_on", &[]);
        server.make_sale("s", 1_000_000, 60);
        let mut connection = Connection::open(&server.url).unwrap();
        // Each is four spans; a queue has room for 4,096.
        for number in 0..1_500 {
            let key = number.to_string();
            let headers = [("content-type", "application/json"), ("idempotency-key", &key)];
            let reply = connection.call("POST", "/v1/sales/s/orders", &headers, ORDER).unwrap();
            assert_eq!(reply.status, 201, "{what}");
        }
        let metrics = server.get("/metrics");
        let count = |result: &str| {
            let name = format!("kilat_trace_spans_total{{result=\"{result}\"}} ");
            let line = metrics.text().lines().find_map(|line| line.strip_prefix(&name)).unwrap();
            line.parse::<u64>().unwrap()
        };
        match what.as_str() {
            "Silent" => assert!(count("dropped") > 0 && count("delivered") == 0, "{what}"),
            // Whoever says that it took them is believed.
            "Babbling" => assert!(count("failed") == 0, "{what}"),
            _ => {
                assert!(
                    count("failed") + count("dropped") > 0 && count("delivered") == 0,
                    "{what}"
                );
            }
        }
        server.stop();
    }
}

/// The records of a log, every line of which must be one.
fn records(log: &str) -> Vec<Value> {
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no record: {line}"));
    log.lines().map(parse).collect()
}

#[test]
fn records_of_a_request_have_its_ids() {
    let (folder, collector) = (tempfile::tempdir().unwrap(), Collector::start(Manners::Good));
    for (otlp, own_span) in [(None, false), (Some(&collector), true)] {
        let mut command = kilat(serve(folder.path()));
        command.args(["--listen=127.0.0.1:0", "--log=debug", "--log-json"]);
        command.args(otlp.iter().flat_map(|collector| ["--otlp", &collector.url]));
        let server = Server::run(&mut command);
        let parent = traceparent(TRACE, true);
        let headers = [("traceparent", &*parent), ("x-request-id", "me-1")];
        assert_eq!(http::call(&server.url, "GET", "/v1/sales", &headers, "").unwrap().status, 200);
        let found = wait_for("the record", || {
            let found = records(&server.log()).into_iter().find(|one| one["path"] == "/v1/sales");
            found.filter(|one| one["message"] == "a request was answered")
        });
        assert_eq!(found["request_id"], "me-1", "{found}");
        assert_eq!(found["trace_id"], TRACE, "{found}");
        if own_span {
            let spans = spans_of(&collector, TRACE, 1);
            let span = the(&spans, "the request", |span| span.name == "GET /v1/sales");
            assert_eq!(found["span_id"], *span.span_id, "{found}");
        } else {
            assert_eq!(found["span_id"], CALLER, "{found}");
        }
        server.stop();
    }
}

#[test]
fn records_of_every_process_say_whose_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let up = up(&folder.path().join("data"), &["--log-json", "--log=debug"]);
    let headers = [("traceparent", &*traceparent(TRACE, true)), ("x-request-id", "me-2")];
    assert_eq!(http::call(&up.url, "GET", "/v1/sales", &headers, "").unwrap().status, 200);
    let found = wait_for("the record", || {
        records(&up.log()).into_iter().find(|one| one["request_id"] == "me-2")
    });
    assert!(found["process"].as_str().unwrap().starts_with("web-"), "{found}");
    assert_eq!(found["trace_id"], TRACE, "{found}");
    up.stop();
}

#[test]
fn what_can_not_be_traced_is_refused_with_the_remedy() {
    let table: [(&[&str], &str); 4] = [
        (&["serve", "--otlp=collector:4318"], "http://127.0.0.1:4318"),
        (&["core", "--trace-ratio=2"], "from 0 to 1"),
        (&["gateway", "--replica=http://127.0.0.1:1", "--otlp=http://a:b@c:1"], "otlp"),
        (&["up", "--otlp=grpc://127.0.0.1:4317"], "http://127.0.0.1:4318"),
    ];
    for (arguments, says) in table {
        let output = kilat(arguments.iter().copied()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(says), "{arguments:?}: {said}");
    }
}
