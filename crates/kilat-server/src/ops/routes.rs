//! The table of the operator's routes, and who stands before them.
//!
//! These are pages, no part of the contract for programs: they have a table of their own. What is
//! not marked `Open` needs a session, so that a route that forgets to say so is shut.

use super::html::{self, Page};
use super::session::Session;
use super::{assets, check, dashboard, download, rehearsal, sale, sign_in};
use crate::metrics::RouteSeconds;
use crate::pages::language::Choice;
use crate::problem::Fault;
use crate::state::App;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use kilat_api::problem::Code;
use std::sync::Arc;
use std::time::Instant;
use tower_http::compression::CompressionLayer;

/// One call of the operator's pages.
pub struct OpsRoute {
    /// HTTP method.
    pub method: &'static str,
    /// Path, with `{sale}` and `{*file}` in it.
    pub path: &'static str,
    /// Who may call it.
    pub door: Door,
    serve: fn() -> MethodRouter<App>,
}

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Everybody.
    Open,
    /// Who is signed in.
    Signed,
    /// The same; what it sends has no end or is large, so it is not compressed here, and without a
    /// session it answers a problem and no page.
    Stream,
}

macro_rules! routes {
    ($($method:literal $path:literal $door:ident => $serve:expr;)*) => {
        /// Every route.
        pub const ROUTES: &[OpsRoute] = &[$(OpsRoute {
            method: $method,
            path: $path,
            door: Door::$door,
            serve: || $serve,
        },)*];
    };
}

routes! {
    "GET" "/ops/sign-in" Open => get(sign_in::page);
    "POST" "/ops/sign-in" Open => post(sign_in::sign_in);
    "POST" "/ops/sign-out" Signed => post(sign_in::sign_out);
    "GET" "/ops/assets/{*file}" Open => get(assets::asset);
    "GET" "/ops" Signed => get(dashboard::page);
    "GET" "/ops/stream" Stream => get(dashboard::stream);
    "GET" "/ops/new-sale" Signed => get(sale::new);
    "POST" "/ops/sales" Signed => post(sale::create);
    "GET" "/ops/sales/{sale}" Signed => get(sale::page);
    "POST" "/ops/sales/{sale}" Signed => post(sale::change);
    "GET" "/ops/sales/{sale}/certificate" Signed => get(download::certificate);
    "GET" "/ops/sales/{sale}/audit.json" Stream => get(download::audit);
    "GET" "/ops/sales/{sale}/orders.csv" Stream => get(download::orders);
    "POST" "/ops/rehearsals" Signed => post(rehearsal::start);
    "POST" "/ops/cancel" Signed => post(rehearsal::cancel);
    "GET" "/ops/check" Signed => get(check::page);
    "POST" "/ops/check" Signed => post(check::start);
    "GET" "/ops/check/result.csv" Stream => get(check::csv);
}

/// The operator's routes, for the router of the full lane.
pub(crate) fn router(app: &App) -> Router<App> {
    ROUTES.iter().fold(Router::new(), |router, route| {
        let seconds = Arc::new(RouteSeconds::new(route.method, route.path));
        let guard = Guard { app: app.clone(), door: route.door, seconds };
        let served = (route.serve)().route_layer(middleware::from_fn_with_state(guard, admit));
        let served = match route.door {
            Door::Open | Door::Signed => served.layer(CompressionLayer::new()),
            Door::Stream => served,
        };
        router.route(route.path, served)
    })
}

/// What stands before a route.
#[derive(Clone)]
struct Guard {
    app: App,
    door: Door,
    seconds: Arc<RouteSeconds>,
}

async fn admit(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    let since = Instant::now();
    let session = guard.app.ops.session(request.headers());
    let response = match (guard.door, session) {
        (Door::Open, _) => next.run(request).await,
        (_, Some(session)) => {
            request.extensions_mut().insert::<Session>(session);
            next.run(request).await
        }
        (Door::Stream, None) => Fault::new(Code::Unauthorized).into_response(),
        (Door::Signed, None) => stranger(&guard.app, &request),
    };
    guard.seconds.note(response.status(), since);
    response
}

/// Whoever looks is sent to sign in; whoever posts is told that nothing was done.
fn stranger(app: &App, request: &Request) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = html::see(&sign_in::address(request.uri().path()));
        // The switch is not forgotten on the way.
        if let Some(cookie) = Choice::of(request.headers(), request.uri()).cookie() {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        return response;
    }
    let page = Page::new(app, request.headers(), request.uri(), None);
    sign_in::form(&page, StatusCode::UNAUTHORIZED, page.text.signed_out, "/ops")
}
