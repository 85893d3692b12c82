//! The dashboard: figures of the whole system as they are now, and the buttons of the sales.

use super::console::message::Node;
use super::console::run::RunView;
use super::feed;
use super::html::Page;
use super::session::Session;
use crate::problem::Fault;
use crate::state::App;
use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use kilat_api::sale::{SaleReply, SaleState};
use kilat_api::text::REHEARSAL_PREFIX;

/// The page.
#[derive(Template)]
#[template(path = "ops_dashboard.html")]
struct DashboardPage<'a> {
    page: &'a Page,
    sales: Vec<SaleRow>,
    nodes: Vec<Node>,
    reached: bool,
    is_alone: bool,
    rehearsal: Option<RunView>,
}

impl DashboardPage<'_> {
    /// The sales that can be rehearsed.
    fn originals(&self) -> impl Iterator<Item = &SaleRow> {
        self.sales.iter().filter(|row| !row.is_rehearsal && !row.is_closed())
    }
}

/// A sale in the table.
pub(super) struct SaleRow {
    pub(super) sale: SaleReply,
    pub(super) state: &'static str,
    /// The state's machine code.
    pub(super) code: &'static str,
    pub(super) is_rehearsal: bool,
}

impl SaleRow {
    pub(super) fn new(sale: SaleReply, page: &Page) -> SaleRow {
        SaleRow {
            state: page.text.state(sale.state),
            code: code(sale.state),
            is_rehearsal: sale.id.starts_with(REHEARSAL_PREFIX),
            sale,
        }
    }

    /// Whether it can be opened again.
    pub(super) fn can_open(&self) -> bool {
        self.sale.state == SaleState::Paused
    }

    pub(super) fn is_closed(&self) -> bool {
        self.sale.state == SaleState::Closed
    }
}

const fn code(state: SaleState) -> &'static str {
    match state {
        SaleState::Scheduled => "scheduled",
        SaleState::Open => "open",
        SaleState::Paused => "paused",
        SaleState::SoldOut => "sold_out",
        SaleState::Closed => "closed",
    }
}

pub(super) async fn page(
    State(app): State<App>,
    Extension(session): Extension<Session>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let page = Page::new(&app, &headers, &uri, Some(&session));
    app.ops.feed.refresh().await;
    let (nodes, reached) = app.ops.feed.nodes();
    let sales = feed::sales(&app).into_iter().map(|sale| SaleRow::new(sale, &page)).collect();
    let (rehearsal, _) = app.ops.feed.runs();
    let is_alone = app.ops.is_alone;
    let shown = DashboardPage { page: &page, sales, nodes, reached, is_alone, rehearsal };
    page.reply(&shown, StatusCode::OK)
}

/// The figures, once a second.
pub(super) async fn stream(
    State(app): State<App>,
    Extension(session): Extension<Session>,
) -> Result<Response, Fault> {
    feed::follow(app, &session).map(IntoResponse::into_response)
}
