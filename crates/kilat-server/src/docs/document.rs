//! The OpenAPI 3.1 description, put together once.
//!
//! Handlers and contract types describe themselves; the table of routes adds
//! what holds for every call of its kind, so that it need not be said, or
//! forgotten, call by call. Must never know what a call does.

use super::{refusals, site};
use crate::auth::Rule;
use crate::limits::REQUEST_ID_BYTES_MAX;
use crate::router::{ROUTES, Route, Takes};
use crate::{events, health, orders, pages, sales, stream};
use axum::http::StatusCode;
use kilat_api::event::StoredEvent;
use kilat_api::problem::{Code, FieldFault, MEDIA_TYPE, Problem};
use kilat_api::sale::Stock;
use kilat_api::schema::{IdempotencyKey, OrderId, SaleId, Topic};
use kilat_api::{IDEMPOTENCY_KEY, NODE, REQUEST_ID};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::LazyLock;
use utoipa::OpenApi;

/// The description as JSON.
pub(super) static DOCUMENT: LazyLock<Vec<u8>> = LazyLock::new(|| {
    // Links of the types' own documentation lead nowhere here.
    whole().to_string().replace("[`", "`").replace("`]", "`").into_bytes()
});

const ABOUT: &str = "\
A sale that never oversells, and a log that keeps each event once for its topic and id. What is \
acknowledged is on stable storage, and the same idempotency key never has a second effect.

Every reply names its exchange (`x-request-id`) and who answered (`x-kilat-node`). A reply that is \
not a success is a problem document (RFC 9457) with a stable `code`. Unknown addresses answer 404 \
`not_found`, unknown methods 405 `method_not_allowed`. What is no HTTP is answered 400 without a \
body. Whole numbers are written as such: `1`, not `1.0`.";

#[derive(OpenApi)]
#[openapi(
    info(title = "Kilat", description = ABOUT, license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")),
    tags(
        (name = "Sale", description = "Making, changing, watching and auditing a sale; the buy page"),
        (name = "Orders", description = "Buying: at once, held first, or many in one request"),
        (name = "Events", description = "Publishing events, reading, following and counting them"),
        (name = "Operations", description = "Health, figures and this description"),
    ),
    components(schemas(kilat_api::order::BatchOrder<'_>, FieldFault, IdempotencyKey, OrderId, Problem, SaleId,
        Stock, StoredEvent<'_>, Topic)),
    paths(
        sales::create, sales::list, sales::get, sales::change, sales::audit,
        stream::stock,
        orders::place, orders::place_batch, orders::list, orders::show, orders::confirm, orders::cancel,
        events::publish::publish, events::pages::list, events::follow::follow,
        events::forget::forget, events::figures::topics, events::figures::stats,
        health::live, health::ready, health::health, health::metrics,
        site::openapi, site::page, site::file,
        pages::home, pages::sale, pages::own_orders, pages::receipt, pages::confirm, pages::cancel,
        pages::buy, pages::asset,
    ),
)]
struct Described;

fn whole() -> Value {
    let mut document = json!(Described::openapi());
    let schemes = [
        ("admin", "The operator, who may do everything: `KILAT_ADMIN_TOKEN`."),
        ("shop", "The shop's own backend, which names the customer: `KILAT_API_TOKEN`."),
        (
            "customer",
            "A customer, who acts for itself only: a JWT that the shop signs (HS256) with \
             `KILAT_CUSTOMER_KEY`; `sub` is the customer, `exp` is required.",
        ),
        ("publisher", "Who publishes events: `KILAT_PUBLISH_TOKEN`."),
    ];
    let components = &mut document["components"];
    components["securitySchemes"] = schemes
        .map(|(name, what)| {
            (name.to_owned(), json!({"type": "http", "scheme": "bearer", "description": what}))
        })
        .into_iter()
        .collect();
    refine(&mut components["schemas"]);
    components["headers"] = headers();
    components["parameters"] = parameters();
    for route in ROUTES {
        let (path, method) = (address(route), route.method.to_ascii_lowercase());
        let found = document["paths"].get_mut(&path).and_then(|calls| calls.get_mut(&method));
        if let Some(call) = found {
            complete(call, route);
        }
    }
    document
}

/// Says what the types can't say of themselves.
fn refine(schemas: &mut Value) {
    for (name, data) in [("StockEvent", "Stock"), ("LogEvent", "StoredEvent")] {
        schemas[name]["properties"]["data"]["contentSchema"] = reference("schemas", data);
    }
    schemas["ForgetRequest"]["anyOf"] = json!([
        {"required": ["topic"], "properties": {"topic": {"type": "string"}}},
        {"required": ["older_than_seconds"], "properties": {"older_than_seconds": {"type": "integer"}}},
    ]);
    schemas["CloudEvent"]["not"] = json!({"required": ["data", "data_base64"]});
    schemas["CloudEvent"]["anyOf"] = json!([
        {"required": ["topic"], "properties": {"topic": {"type": "string"}}},
        {"properties": {"type": reference("schemas", "Topic")}},
    ]);
}

/// The route's path as OpenAPI writes it.
fn address(route: &Route) -> String {
    route.path.replace("{*", "{")
}

/// Headers of replies.
fn headers() -> Value {
    let text =
        |what: &str| json!({"description": what, "required": true, "schema": {"type": "string"}});
    json!({
        REQUEST_ID: text("Identifies this exchange in the logs: the caller's own id, or a new one."),
        NODE: text("Who answered."),
        "retry-after": {
            "description": "Seconds after which it is worth trying again.", "required": true,
            "schema": {"type": "integer", "minimum": 0},
        },
        "www-authenticate": text("`Bearer`."),
    })
}

/// What requests carry besides a body.
fn parameters() -> Value {
    let path = |name: &str, schema: Value| json!({"name": name, "in": "path", "required": true, "schema": schema});
    json!({
        "sale": path("sale", schema::<SaleId>()),
        "order": path("order", schema::<OrderId>()),
        IDEMPOTENCY_KEY: {
            "name": "Idempotency-Key", "in": "header", "required": true,
            "schema": schema::<IdempotencyKey>(),
        },
        REQUEST_ID: {
            "name": "X-Request-Id", "in": "header", "required": false,
            "description": format!("Taken over if it is 1 to {REQUEST_ID_BYTES_MAX} of `A-Za-z0-9._-`; otherwise a new one is made."),
            "schema": {"type": "string"},
        },
    })
}

fn schema<T: utoipa::PartialSchema>() -> Value {
    json!(T::schema())
}

/// Adds what holds for every call of this kind.
fn complete(call: &mut Value, route: &Route) {
    let mut parameters = Vec::new();
    for name in ["sale", "order"] {
        if route.path.contains(&format!("{{{name}}}")) {
            parameters.push(reference("parameters", name));
        }
    }
    if let Takes::Json { key: true, .. } = route.takes {
        parameters.push(reference("parameters", IDEMPOTENCY_KEY));
    }
    if let Some(own) = call["parameters"].as_array() {
        parameters.extend(own.iter().cloned().map(without_null));
    }
    parameters.push(reference("parameters", REQUEST_ID));
    call["parameters"] = parameters.into();
    call["security"] = security(route.rule);
    let shows_pages = is_for_people(call, route);
    if let Some(responses) = call["responses"].as_object_mut() {
        for response in responses.values_mut() {
            mark(response, &[]);
        }
        refuse(responses, route, shows_pages);
    }
}

/// A parameter can be absent, but never `null`.
fn without_null(mut parameter: Value) -> Value {
    let schema = &mut parameter["schema"];
    if let Some(alternatives) = schema["oneOf"].as_array() {
        let other = alternatives.iter().find(|schema| schema["type"] != "null");
        *schema = other.cloned().unwrap_or_default();
    } else if let Some(types) = schema["type"].as_array() {
        let other = types.iter().find(|name| *name != "null").cloned();
        schema["type"] = other.unwrap_or_default();
    }
    parameter
}

/// Whether refusals are pages too.
fn is_for_people(call: &Value, route: &Route) -> bool {
    let page = call.pointer("/responses/200/content/text~1html; charset=utf-8");
    page.is_some() || matches!(route.takes, Takes::Form { .. })
}

fn reference(kind: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}

/// Who may call; the last alternative is nobody in particular.
fn security(rule: Rule) -> Value {
    match rule {
        Rule::Public => json!([]),
        Rule::Admin => json!([{"admin": []}]),
        // The topics of sales are for the operator only.
        Rule::Read => json!([{"admin": []}, {}]),
        // Open while no token for publishers is set.
        Rule::Publish => json!([{"admin": []}, {"publisher": []}, {}]),
        Rule::List => json!([{"admin": []}, {"shop": []}, {"customer": []}]),
        // Open while no secret for shops or customers is set.
        Rule::Order => json!([{"admin": []}, {"shop": []}, {"customer": []}, {}]),
    }
}

/// Adds the headers that every reply has, and `more`.
fn mark(response: &mut Value, more: &[&str]) {
    let mut headers = response["headers"].as_object().cloned().unwrap_or_default();
    for name in [REQUEST_ID, NODE].iter().chain(more) {
        headers.insert((*name).to_owned(), reference("headers", name));
    }
    response["headers"] = headers.into();
}

/// Adds the refusals, one for each status.
fn refuse(responses: &mut Map<String, Value>, route: &Route, shows_pages: bool) {
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in refusals::of(route) {
        by_status.entry(code.status()).or_default().push(code);
    }
    for (status, codes) in by_status {
        responses.insert(status.to_string(), refusal(status, &codes, shows_pages));
    }
    // Told by the connection, before there is a call.
    let head = json!({"description": "The headers are too large. The reply is empty and the connection ends."});
    responses.insert(Code::HeadersTooLarge.status().to_string(), head);
}

fn refusal(status: u16, codes: &[Code], shows_pages: bool) -> Value {
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let lines = codes.iter().map(|code| format!("\n- `{code}`: {}", code.title()));
    let names: Vec<_> = codes.iter().map(|code| code.as_str()).collect();
    let examples: Map<String, Value> = codes
        .iter()
        .map(|&code| (code.to_string(), json!({"value": Problem::new(code)})))
        .collect();
    let schema = json!({"allOf": [
        reference("schemas", "Problem"),
        {"type": "object", "properties": {"status": {"const": status}, "code": {"enum": names}}},
    ]});
    let mut content = json!({MEDIA_TYPE: {"schema": schema, "examples": examples}});
    if shows_pages {
        content["text/html; charset=utf-8"] = json!({"schema": {"type": "string"}});
    }
    let description = format!("{}{}", reason.unwrap_or_default(), lines.collect::<String>());
    let mut response = json!({"description": description, "content": content});
    let more: &[&str] = match status {
        401 if !shows_pages => &["www-authenticate"],
        429 | 503 | 504 => &["retry-after"],
        _ => &[],
    };
    mark(&mut response, more);
    response
}
