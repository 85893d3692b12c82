//! The page of checks: stock of all sales, or ids of a built-in profile, asked of the lookups.

use super::console::message::{Answer, Question};
use super::console::run::{
    EVERY_SECONDS, IDS_BYTES_MAX, IDS_MAX, PROFILES, RunState, RunView, Task,
};
use super::form::Fields;
use super::html::{self, Page};
use super::rehearsal;
use super::session::Session;
use crate::problem::Fault;
use crate::state::App;
use askama::Template;
use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::Response;
use kilat_api::problem::Code;
use kilat_api::text::REHEARSAL_PREFIX;
use kilat_engine::SaleSwitch;
use serde_json::Value;
use std::collections::BTreeSet;

/// Rows that the page shows; the file has all.
const ROWS_SHOWN_MAX: usize = 200;
/// Largest form: ids, of which each byte may be written as three.
const FORM_BYTES_MAX: usize = 3 * IDS_BYTES_MAX + 4_096;
/// Seconds between two rounds that the form offers.
const EVERY_OFFERED: [u32; 4] = [5, 15, 60, 300];

/// The page.
#[derive(Template)]
#[template(path = "ops_check.html")]
struct CheckPage<'a> {
    page: &'a Page,
    skus: usize,
    run: Option<RunView>,
    rows: Vec<Row>,
    hidden: usize,
    has_lookups: bool,
    refused: Option<&'static str>,
    profiles: [&'static str; 5],
    every: [u32; 4],
}

/// What became of an id.
struct Row {
    id: String,
    outcome: String,
    notable: bool,
    message: String,
    status: String,
    at: String,
    ms: String,
}

impl Row {
    fn of(row: &Value) -> Row {
        let text = |name: &str| match &row[name] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Row {
            id: text("id"),
            outcome: text("outcome"),
            notable: row["notable"] == true,
            message: text("message"),
            status: text("status"),
            at: text("at"),
            ms: text("ms"),
        }
    }

    /// What wants a look comes first.
    fn rank(&self) -> u8 {
        match (self.outcome.as_str(), self.notable) {
            ("unknown", _) => 0,
            (_, true) => 1,
            ("not_found", _) => 2,
            _ => 3,
        }
    }
}

impl CheckPage<'_> {
    fn is_running(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.state == RunState::Running)
    }

    /// The word for an outcome, and the chip that it is shown in.
    fn outcome(&self, row: &Row) -> (&'static str, &'static str) {
        match row.outcome.as_str() {
            "found" if row.notable => (self.page.text.notable, "paused"),
            "found" => (self.page.text.found, "done"),
            "not_found" => (self.page.text.missing, "note"),
            _ => (self.page.text.unknown_outcome, "failed"),
        }
    }
}

pub(super) async fn page(
    State(app): State<App>,
    Extension(session): Extension<Session>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let page = Page::new(&app, &headers, &uri, Some(&session));
    show(&app, &page, None).await
}

async fn show(app: &App, page: &Page, refused: Option<Code>) -> Response {
    app.ops.feed.refresh().await;
    let (_, run) = app.ops.feed.runs();
    let mut rows: Vec<Row> = rows(app).await.unwrap_or_default().iter().map(Row::of).collect();
    rows.sort_by_key(Row::rank);
    let hidden = rows.len().saturating_sub(ROWS_SHOWN_MAX);
    rows.truncate(ROWS_SHOWN_MAX);
    let status = refused.and_then(|code| StatusCode::from_u16(code.status()).ok());
    let template = CheckPage {
        skus: skus(app).len(),
        has_lookups: app.ops.lookups.is_some(),
        refused: refused.map(|code| page.text.refusal(code)),
        profiles: PROFILES,
        every: EVERY_OFFERED,
        run,
        rows,
        hidden,
        page,
    };
    page.reply(&template, status.unwrap_or(StatusCode::OK))
}

async fn rows(app: &App) -> Result<Vec<Value>, Fault> {
    let link = app.ops.feed.link().ok_or(Code::CoreUnreachable)?;
    match link.ask(Question::Rows).await? {
        Answer::Rows(rows) => Ok(rows),
        _ => Err(Code::Internal.into()),
    }
}

/// SKUs of the sales that are not over, each once.
fn skus(app: &App) -> Vec<String> {
    let sales = app.handle.board().sales();
    let live = sales.into_iter().filter(|sale| {
        let is_over = matches!(sale.switch, SaleSwitch::Closed);
        !is_over && !sale.terms.id.starts_with(REHEARSAL_PREFIX)
    });
    let all: BTreeSet<String> = live.map(|sale| sale.terms.sku).collect();
    all.into_iter().take(IDS_MAX).collect()
}

/// What the forms of the page post.
pub(super) async fn start(
    State(app): State<App>,
    Extension(session): Extension<Session>,
    headers: HeaderMap,
    uri: Uri,
    body: Body,
) -> Response {
    let page = Page::new(&app, &headers, &uri, Some(&session));
    match begin(&app, &session, &page, &headers, body).await {
        Ok(()) => html::see("/ops/check"),
        Err(fault) if matches!(fault.code(), Code::Invalid | Code::TooManyRequests) => {
            show(&app, &page, Some(fault.code())).await
        }
        Err(fault) => page.refuse(&fault),
    }
}

async fn begin(
    app: &App,
    session: &Session,
    page: &Page,
    headers: &HeaderMap,
    body: Body,
) -> Result<(), Fault> {
    let mut fields = Fields::of_session_up_to(app, session, headers, body, FORM_BYTES_MAX).await?;
    let (id, profile) = (fields.key()?, fields.need("profile")?);
    let every = fields.number("every", EVERY_SECONDS)?;
    let ids = match fields.take("ids") {
        Some(typed) => ids(&typed),
        None if profile == "stock" => skus(app),
        None => Vec::new(),
    };
    fields.end()?;
    let is_sound = PROFILES.contains(&profile.as_str())
        && (1..=IDS_MAX).contains(&ids.len())
        && ids.iter().map(String::len).sum::<usize>() <= IDS_BYTES_MAX;
    if !is_sound {
        return Err(Code::Invalid.into());
    }
    let url = app.ops.lookups.clone().ok_or(Code::NotFound)?;
    rehearsal::run(app, page, id, Task::Check { profile, ids, every }, url).await
}

/// One id a line, each once.
fn ids(typed: &str) -> Vec<String> {
    let mut known = BTreeSet::new();
    let lines = typed.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.filter(|line| known.insert(*line)).map(str::to_owned).collect()
}

/// All rows of the last check.
pub(super) async fn csv(State(app): State<App>) -> Result<Response, Fault> {
    let mut text = "id,outcome,notable,message,status,at,ms\r\n".to_owned();
    for row in rows(&app).await?.iter().map(Row::of) {
        let notable = row.notable.to_string();
        let cells = [&row.id, &row.outcome, &notable, &row.message, &row.status, &row.at, &row.ms];
        text.push_str(&cells.map(|cell| csv_cell(cell)).join(","));
        text.push_str("\r\n");
    }
    Ok(attachment(text.into(), "text/csv; charset=utf-8", "kilat-check.csv"))
}

/// A cell of CSV (RFC 4180) that no spreadsheet takes for a formula.
pub(super) fn csv_cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let guard = if is_formula { "'" } else { "" };
    if text.contains([',', '"', '\n', '\r']) {
        return format!("\"{guard}{}\"", text.replace('"', "\"\""));
    }
    format!("{guard}{text}")
}

/// A file for the visitor to keep.
pub(super) fn attachment(body: Body, kind: &'static str, name: &str) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    crate::headers::guard_page(headers);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(name) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_no_formula_is_left() {
        let table = [
            ("a", "a"),
            ("a,b", "\"a,b\""),
            ("a\"b", "\"a\"\"b\""),
            ("=1+1", "'=1+1"),
            ("@a,\"b\"", "\"'@a,\"\"b\"\"\""),
            ("", ""),
        ];
        for (text, cell) in table {
            assert_eq!(csv_cell(text), cell, "{text}");
        }
    }

    #[test]
    fn ids_are_lines_each_once() {
        assert_eq!(ids(" a \r\n\r\nb\na\nc d"), ["a", "b", "c d"]);
    }
}
