//! What can be kept of a sale: its audit, its orders, its certificate of conservation.

use super::check::{attachment, csv_cell};
use super::html::Page;
use super::moment::ZONES;
use super::session::Session;
use crate::path::Names;
use crate::problem::Fault;
use crate::render::{status, timestamp};
use crate::show;
use crate::state::App;
use askama::Template;
use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use kilat_api::audit::Audit;
use kilat_api::problem::Code;
use kilat_api::sale::SaleReply;
use kilat_engine::{OwnedOrder, Page as Span, Sale};
use serde::Serialize;

/// Orders that are read at a time.
const ORDERS_AT_A_TIME: usize = 1_000;

/// The file of an audit.
#[derive(Serialize)]
struct AuditFile<'a> {
    sale: SaleReply,
    audit: Audit,
    /// Facts of the sale that the figures are after.
    sequence: u64,
    read_at: String,
    node: &'a str,
}

/// The sale as it is now, not as it was told a while ago.
async fn current(app: &App, names: &Names) -> Result<Sale, Fault> {
    Ok(app.handle.current(names.sale()?).await?.ok_or(Code::SaleNotFound)?)
}

pub(super) async fn audit(State(app): State<App>, names: Names) -> Result<Response, Fault> {
    let sale = current(&app, &names).await?;
    let now = app.now();
    let file = AuditFile {
        audit: show::audit(&sale),
        sequence: sale.sequence,
        read_at: timestamp(now).to_string(),
        node: &app.node,
        sale: show::sale(&sale, now),
    };
    // Of strings and numbers: it can always be written.
    let text = serde_json::to_vec_pretty(&file).unwrap_or_default();
    let name = format!("kilat-audit-{}.json", sale.terms.id);
    Ok(attachment(text.into(), "application/json", &name))
}

/// All orders of a sale, a page at a time as the visitor takes them.
pub(super) async fn orders(State(app): State<App>, names: Names) -> Result<Response, Fault> {
    let sale = names.sale()?.to_owned();
    // Refused before the file begins, or not at all.
    let first = read(&app, &sale, 0).await?;
    let name = format!("kilat-orders-{sale}.csv");
    let head = Bytes::from_static(b"sequence,order,customer,quantity,status,expires_at\r\n");
    let rest = stream::unfold(Some((app, sale, first)), |state| async {
        let (app, sale, orders) = state?;
        let last = orders.last()?.order.sequence;
        let text = Bytes::from(rows(&app, &orders));
        if orders.len() < ORDERS_AT_A_TIME {
            return Some((Ok(text), None));
        }
        match read(&app, &sale, last).await {
            Ok(next) => Some((Ok(text), Some((app, sale, next)))),
            // A file that is cut off must not look whole.
            Err(fault) => Some((Err(std::io::Error::other(fault.code().as_str())), None)),
        }
    });
    let body = futures_util::StreamExt::chain(stream::iter([Ok(head)]), rest);
    Ok(attachment(Body::from_stream(body), "text/csv; charset=utf-8", &name))
}

async fn read(app: &App, sale: &str, after: u64) -> Result<Vec<OwnedOrder>, Fault> {
    let span = Span { sale: sale.to_owned(), customer: None, after, limit: ORDERS_AT_A_TIME };
    Ok(app.handle.orders(span).await?.ok_or(Code::SaleNotFound)?)
}

fn rows(app: &App, orders: &[OwnedOrder]) -> String {
    let now = app.now();
    let row = |owned: &OwnedOrder| {
        let order = owned.order.at(now);
        let expires = order.expires_at.map(|at| timestamp(at).to_string()).unwrap_or_default();
        format!(
            "{},{},{},{},{},{expires}\r\n",
            order.sequence,
            order.id,
            csv_cell(&owned.customer),
            order.quantity,
            status(order.status).as_str(),
        )
    };
    orders.iter().map(row).collect()
}

/// A page to be printed.
#[derive(Template)]
#[template(path = "ops_certificate.html")]
struct CertificatePage<'a> {
    page: &'a Page,
    sale: SaleReply,
    audit: Audit,
    sequence: u64,
    at: String,
    at_utc: String,
}

pub(super) async fn certificate(
    State(app): State<App>,
    Extension(session): Extension<Session>,
    names: Names,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let page = Page::new(&app, &headers, &uri, Some(&session));
    let sale = match current(&app, &names).await {
        Ok(sale) => sale,
        Err(fault) => return page.refuse(&fault),
    };
    let now = timestamp(app.now());
    let template = CertificatePage {
        audit: show::audit(&sale),
        sequence: sale.sequence,
        at: ZONES[0].tell(now),
        at_utc: now.to_string(),
        sale: show::sale(&sale, app.now()),
        page: &page,
    };
    page.reply(&template, StatusCode::OK)
}
