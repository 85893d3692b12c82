//! One table of routes. The router is built from it, and so are the tests of
//! every route with every role and with every kind of misuse.

use crate::auth::{Caller, Rule};
use crate::limits::{
    BATCH_BODY_BYTES_MAX, FORGET_BODY_BYTES_MAX, FORM_BODY_BYTES_MAX, ORDER_BODY_BYTES_MAX,
    PUBLISH_BODY_BYTES_MAX, SALE_BODY_BYTES_MAX,
};
use crate::metrics::RouteSeconds;
use crate::state::App;
use crate::{docs, events, headers, health, ops, orders, pages, sales, stream, unread};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, patch, post};
use std::sync::Arc;
use std::time::Instant;
use tower_http::compression::CompressionLayer;

/// One call of the HTTP interface.
pub struct Route {
    /// HTTP method.
    pub method: &'static str,
    /// Path, with `{sale}` and `{order}` in it.
    pub path: &'static str,
    /// Who may call it.
    pub rule: Rule,
    /// What it reads.
    pub takes: Takes,
    serve: fn() -> MethodRouter<App>,
}

/// What a route reads from a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Nothing but the address.
    Nothing,
    /// A JSON object of at most so many bytes.
    Json {
        /// Largest body.
        bytes_max: usize,
        /// Whether an `Idempotency-Key` must come with it.
        key: bool,
    },
    /// Events in one of their forms, of at most so many bytes.
    Events {
        /// Largest body.
        bytes_max: usize,
    },
    /// A form of at most so many bytes; replies are pages.
    Form {
        /// Largest body.
        bytes_max: usize,
    },
    /// Nothing but the address; replies are pages or files for a browser.
    Page,
}

const fn keyed(bytes_max: usize) -> Takes {
    Takes::Json { bytes_max, key: true }
}

const BATCH: Takes = Takes::Json { bytes_max: BATCH_BODY_BYTES_MAX, key: false };
const EVENTS: Takes = Takes::Events { bytes_max: PUBLISH_BODY_BYTES_MAX };
const FORGET: Takes = Takes::Json { bytes_max: FORGET_BODY_BYTES_MAX, key: false };
const FORM: Takes = Takes::Form { bytes_max: FORM_BODY_BYTES_MAX };

macro_rules! routes {
    ($($method:literal $path:literal $rule:ident $takes:expr => $serve:expr;)*) => {
        /// Every route.
        pub const ROUTES: &[Route] = &[$(Route {
            method: $method,
            path: $path,
            rule: Rule::$rule,
            takes: $takes,
            serve: || $serve,
        },)*];
    };
}

routes! {
    "POST" "/v1/sales" Admin keyed(SALE_BODY_BYTES_MAX) => post(sales::create);
    "GET" "/v1/sales" Public Takes::Nothing => get(sales::list);
    "GET" "/v1/sales/{sale}" Public Takes::Nothing => get(sales::get);
    "PATCH" "/v1/sales/{sale}" Admin keyed(SALE_BODY_BYTES_MAX) => patch(sales::change);
    "POST" "/v1/sales/{sale}/orders" Order keyed(ORDER_BODY_BYTES_MAX) => post(orders::place);
    "POST" "/v1/sales/{sale}/orders:batch" Order BATCH => post(orders::place_batch);
    "GET" "/v1/sales/{sale}/orders" List Takes::Nothing => get(orders::list);
    "GET" "/v1/sales/{sale}/orders/{order}" Order Takes::Nothing => get(orders::show);
    "POST" "/v1/sales/{sale}/orders/{order}/confirm" Order Takes::Nothing => post(orders::confirm);
    "POST" "/v1/sales/{sale}/orders/{order}/cancel" Order Takes::Nothing => post(orders::cancel);
    "GET" "/v1/sales/{sale}/stream" Public Takes::Nothing => get(stream::stock);
    "GET" "/v1/sales/{sale}/audit" Public Takes::Nothing => get(sales::audit);
    "POST" "/publish" Publish EVENTS => post(events::publish::publish);
    "GET" "/events" Read Takes::Nothing => get(events::pages::list);
    "GET" "/events/stream" Read Takes::Nothing => get(events::follow::follow);
    "POST" "/events/forget" Admin FORGET => post(events::forget::forget);
    "GET" "/topics" Read Takes::Nothing => get(events::figures::topics);
    "GET" "/stats" Read Takes::Nothing => get(events::figures::stats);
    "GET" "/livez" Public Takes::Nothing => get(health::live);
    "GET" "/readyz" Public Takes::Nothing => get(health::ready);
    "GET" "/healthz" Public Takes::Nothing => get(health::health);
    "GET" "/metrics" Public Takes::Nothing => get(health::metrics);
    "GET" "/openapi.json" Public Takes::Page => get(docs::openapi);
    "GET" "/docs" Public Takes::Page => get(docs::page);
    "GET" "/docs/{file}" Public Takes::Page => get(docs::file);
    "GET" "/" Public Takes::Page => get(pages::home);
    "GET" "/s/{sale}" Public Takes::Page => get(pages::sale);
    "GET" "/s/{sale}/orders" Public Takes::Page => get(pages::own_orders);
    "GET" "/s/{sale}/orders/{order}" Public Takes::Page => get(pages::receipt);
    "POST" "/s/{sale}/orders/{order}/confirm" Public FORM => post(pages::confirm);
    "POST" "/s/{sale}/orders/{order}/cancel" Public FORM => post(pages::cancel);
    "POST" "/buy" Public FORM => post(pages::buy);
    "GET" "/assets/{*file}" Public Takes::Page => get(pages::asset);
}

/// The router of the full lane.
pub(crate) fn router(app: &App) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        router = router.route(route.path, method_router(route, app));
    }
    router
        .merge(ops::router(app))
        .fallback(pages::not_found)
        .method_not_allowed_fallback(pages::wrong_method)
        .layer(middleware::from_fn(unread::refuse))
        .layer(middleware::from_fn_with_state(app.clone(), headers::stamp))
        .with_state(app.clone())
}

fn method_router(route: &Route, app: &App) -> MethodRouter<App> {
    let seconds = Arc::new(RouteSeconds::new(route.method, route.path));
    let guard = Guard { app: app.clone(), rule: route.rule, seconds };
    let served = (route.serve)().route_layer(middleware::from_fn_with_state(guard, admit));
    match route.takes {
        Takes::Page | Takes::Form { .. } => served.layer(CompressionLayer::new()),
        Takes::Nothing | Takes::Json { .. } | Takes::Events { .. } => served,
    }
}

/// What stands before a route.
#[derive(Clone)]
struct Guard {
    app: App,
    rule: Rule,
    seconds: Arc<RouteSeconds>,
}

/// Lets those in who may, tells the handler who they are, and takes the time.
async fn admit(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    let since = Instant::now();
    let authorization = request.headers().get(header::AUTHORIZATION).map(|value| value.as_bytes());
    let response = match guard.app.access.admit(guard.rule, authorization) {
        Ok(caller) => {
            request.extensions_mut().insert::<Caller>(caller);
            next.run(request).await
        }
        Err(fault) => fault.into_response(),
    };
    guard.seconds.note(response.status(), since);
    response
}
