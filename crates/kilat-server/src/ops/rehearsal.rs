//! Starting a rehearsal: an attack on a copy of a sale, never on the sale; and ending any run.

use super::console::message::{Answer, Question};
use super::console::run::{BUYERS_MAX, RATE_MAX, SECONDS_MAX, Task, Wanted};
use super::form::Fields;
use super::html::{self, Page};
use super::session::Session;
use crate::problem::Fault;
use crate::state::App;
use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use kilat_api::problem::Code;
use kilat_api::text::{REHEARSAL_PREFIX, is_sale_id};
use kilat_engine::{Change, Outcome, SaleTerms};

/// Letters of the form's key by which a copy is told from others.
const NAME_DIGITS: usize = 12;

/// What the form of a rehearsal posts.
pub(super) async fn start(
    State(app): State<App>,
    Extension(session): Extension<Session>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let page = Page::new(&app, &headers, &Uri::from_static("/ops"), Some(&session));
    match begin(&app, &session, &page, &headers, body).await {
        Ok(()) => html::see("/ops#rehearsal"),
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
    let mut fields = Fields::of_session(app, session, headers, body).await?;
    let (id, of) = (fields.key()?, fields.need("sale")?);
    let buyers = fields.number("buyers", 1..=BUYERS_MAX)?.ok_or(Code::Invalid)?;
    let rate = fields.number("rate", 1..=RATE_MAX)?;
    let seconds = fields.number("seconds", 1..=SECONDS_MAX)?;
    fields.end()?;
    app.ops.feed.refresh().await;
    let (rehearsal, check) = app.ops.feed.runs();
    // Without a copy that nobody would storm.
    if [rehearsal, check].into_iter().flatten().any(|run| run.is_running() && run.id != id) {
        return Err(Code::TooManyRequests.into());
    }
    let sale = copy(app, &of, &id).await?;
    let task = Task::Rehearsal { sale, of, buyers, rate, seconds };
    run(app, page, id, task, app.ops.url.clone()).await
}

/// Makes a sale with the terms of `of` that is open now, once for each form.
async fn copy(app: &App, of: &str, id: &str) -> Result<String, Fault> {
    if !is_sale_id(of) {
        return Err(Code::SaleNotFound.into());
    }
    let sale = app.handle.current(of).await?.ok_or(Code::SaleNotFound)?;
    let name = blake3::hash(id.as_bytes()).to_hex();
    let name = format!("{REHEARSAL_PREFIX}{}", &name[..NAME_DIGITS]);
    let terms = SaleTerms {
        id: name.clone(),
        sku: "REHEARSAL".to_owned(),
        supply: sale.counters.supply,
        opens_at: None,
        closes_at: None,
        ..sale.terms
    };
    match app.change(Change::CreateSale { terms: Box::new(terms) }).await?.0 {
        // The sale was restocked since the same form was sent: its copy is as it was.
        Outcome::SaleCreated
        | Outcome::SaleAlreadyCreated
        | Outcome::Refused(kilat_engine::Refusal::SaleExists) => Ok(name),
        Outcome::Refused(refusal) => Err(refusal.into()),
        _ => Err(Code::Internal.into()),
    }
}

/// Has the console start it.
///
/// # Errors
/// [`Code::Overloaded`] while another run is not over, and when there is no console.
pub(super) async fn run(
    app: &App,
    page: &Page,
    id: String,
    task: Task,
    url: String,
) -> Result<(), Fault> {
    let link = app.ops.feed.link().ok_or(Code::CoreUnreachable)?;
    let (lang, node) = (page.text.tag.to_owned(), app.node.to_string());
    match link.ask(Question::Start(Box::new(Wanted { id, task, url, lang, node }))).await? {
        Answer::Started => Ok(()),
        Answer::Busy => Err(Code::TooManyRequests.into()),
        Answer::Refused(_) => Err(Code::Invalid.into()),
        _ => Err(Code::Internal.into()),
    }
}

/// What the button posts that ends a run.
pub(super) async fn cancel(
    State(app): State<App>,
    Extension(session): Extension<Session>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let page = Page::new(&app, &headers, &Uri::from_static("/ops"), Some(&session));
    let ended = async {
        let mut fields = Fields::of_session(&app, &session, &headers, body).await?;
        let (run, from) = (fields.need("run")?, fields.take("from"));
        fields.end()?;
        let link = app.ops.feed.link().ok_or(Code::CoreUnreachable)?;
        link.ask(Question::Cancel(run)).await?;
        Ok::<_, Fault>(if from.as_deref() == Some("check") {
            "/ops/check"
        } else {
            "/ops#rehearsal"
        })
    };
    match ended.await {
        Ok(place) => html::see(place),
        Err(fault) => page.refuse(&fault),
    }
}
