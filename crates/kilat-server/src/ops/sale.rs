//! Making a sale, and everything that can be done to one.
//!
//! Each change goes the way of an admin call: validated by the contract, decided by the ledger.

use super::amount;
use super::dashboard::SaleRow;
use super::form::Fields;
use super::html::{self, Page};
use super::moment::{self, ZONES, Zone};
use super::session::Session;
use super::typed::{Typed, closing};
use crate::body::malformed;
use crate::path::Names;
use crate::problem::Fault;
use crate::show;
use crate::state::App;
use askama::Template;
use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use jiff::Timestamp;
use kilat_api::audit::Audit;
use kilat_api::body::check;
use kilat_api::problem::{Code, FieldFault, Problem};
use kilat_api::sale::{Price, SaleChange, SaleReply, SaleRequest, SaleSwitch};
use kilat_engine::{Change, Outcome};

/// What somebody typed into the form of a new sale, and what is wrong with it.
#[derive(Default)]
struct Draft {
    id: String,
    title: String,
    sku: String,
    amount: String,
    currency: String,
    supply: String,
    per_customer: String,
    hold_seconds: String,
    opens_at: String,
    closes_at: String,
    zone: String,
    /// Names of the fields that are wrong.
    wrong: Vec<String>,
}

impl Draft {
    fn empty() -> Draft {
        Draft {
            currency: "IDR".to_owned(),
            supply: "100".to_owned(),
            per_customer: "1".to_owned(),
            hold_seconds: "600".to_owned(),
            ..Draft::default()
        }
    }

    fn read(mut fields: Fields) -> Result<Draft, Fault> {
        let draft = Draft {
            id: fields.need("id")?,
            title: fields.need("title")?,
            sku: fields.need("sku")?,
            amount: fields.need("amount")?,
            currency: fields.need("currency")?,
            supply: fields.need("supply")?,
            per_customer: fields.need("per_customer")?,
            hold_seconds: fields.need("hold_seconds")?,
            opens_at: fields.need("opens_at")?,
            closes_at: fields.need("closes_at")?,
            zone: fields.need("zone")?,
            wrong: Vec::new(),
        };
        fields.end()?;
        Ok(draft)
    }

    /// The request that it stands for; `None` when fields are wrong, which are noted.
    fn request(&mut self) -> Result<Option<SaleRequest>, Fault> {
        let zone = moment::zone(&self.zone).ok_or_else(|| malformed("no such zone".to_owned()))?;
        let mut wrong = Vec::new();
        let request = SaleRequest {
            id: self.id.clone(),
            title: self.title.clone(),
            sku: self.sku.clone(),
            price: Price { amount: self.amount.clone(), currency: self.currency.to_uppercase() },
            supply: number("supply", &self.supply, &mut wrong).unwrap_or(0),
            per_customer: number("per_customer", &self.per_customer, &mut wrong),
            opens_at: instant("opens_at", zone, &self.opens_at, &mut wrong),
            closes_at: instant("closes_at", zone, &self.closes_at, &mut wrong),
            hold_seconds: number("hold_seconds", &self.hold_seconds, &mut wrong).unwrap_or(600),
        };
        if self.supply.is_empty() {
            wrong.push("supply".to_owned());
        }
        if let Err(problem) = check(&request) {
            let last = |field: &str| field.rsplit('.').next().unwrap_or(field).to_owned();
            wrong.extend(problem.errors.iter().map(|fault| last(&fault.field)));
        }
        self.wrong = wrong;
        Ok(self.wrong.is_empty().then_some(request))
    }

    fn is_wrong(&self, field: &str) -> bool {
        self.wrong.iter().any(|wrong| wrong == field)
    }
}

/// A whole number, or nothing; notes the field when it is neither.
fn number<T: std::str::FromStr>(name: &str, text: &str, wrong: &mut Vec<String>) -> Option<T> {
    if text.is_empty() {
        return None;
    }
    let value = text.parse().ok();
    if value.is_none() {
        wrong.push(name.to_owned());
    }
    value
}

/// An instant, or nothing; notes the field when it is neither.
fn instant(name: &str, zone: &Zone, text: &str, wrong: &mut Vec<String>) -> Option<Timestamp> {
    if text.is_empty() {
        return None;
    }
    let at = zone.read(text);
    if at.is_none() {
        wrong.push(name.to_owned());
    }
    at
}

/// The form of a new sale.
#[derive(Template)]
#[template(path = "ops_new_sale.html")]
struct NewSalePage<'a> {
    page: &'a Page,
    draft: &'a Draft,
    zones: &'static [Zone],
    refused: Option<&'static str>,
}

impl NewSalePage<'_> {
    /// What a field must be, when it is not.
    fn wrong(&self, field: &str) -> String {
        let (draft, text) = (self.draft, self.page.text);
        match field {
            "amount" => amount::advice(&draft.amount, &draft.currency, text),
            _ => closing(field, &draft.closes_at, text)
                .unwrap_or_else(|| text.field(field))
                .to_owned(),
        }
    }
}

pub(super) async fn new(
    State(app): State<App>,
    Extension(session): Extension<Session>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let page = Page::new(&app, &headers, &uri, Some(&session));
    draft_page(&page, &Draft::empty(), None, StatusCode::OK)
}

fn draft_page(page: &Page, draft: &Draft, refused: Option<Code>, status: StatusCode) -> Response {
    let refused = refused.map(|code| page.text.refusal(code));
    page.reply(&NewSalePage { page, draft, zones: &ZONES, refused }, status)
}

/// What the form of a new sale posts.
pub(super) async fn create(
    State(app): State<App>,
    Extension(session): Extension<Session>,
    headers: HeaderMap,
    _uri: Uri,
    body: Body,
) -> Response {
    // A form's own address answers to POST only, so the language switch leads to the empty form.
    let page = Page::new(&app, &headers, &Uri::from_static("/ops/new-sale"), Some(&session));
    let fields = Fields::of_session(&app, &session, &headers, body).await;
    let mut draft = match fields.and_then(Draft::read) {
        Ok(draft) => draft,
        Err(fault) => return page.refuse(&fault),
    };
    match make(&app, &mut draft).await {
        Ok((id, done)) => html::see(&format!("/ops/sales/{id}?done={done}")),
        Err(fault) => {
            let status = StatusCode::from_u16(fault.code().status());
            let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            draft_page(&page, &draft, Some(fault.code()), status)
        }
    }
}

/// Makes the sale; its id and what became of it.
async fn make(app: &App, draft: &mut Draft) -> Result<(String, &'static str), Fault> {
    let request = draft.request()?.ok_or(Code::Invalid)?;
    let terms = show::terms(request);
    let id = terms.id.clone();
    match app.change(Change::CreateSale { terms: Box::new(terms) }).await?.0 {
        Outcome::SaleCreated => Ok((id, "created")),
        Outcome::SaleAlreadyCreated => Ok((id, "unchanged")),
        Outcome::Refused(refusal) => Err(refusal.into()),
        _ => Err(Code::Internal.into()),
    }
}

/// The page of a sale.
#[derive(Template)]
#[template(path = "ops_sale.html")]
struct SalePage<'a> {
    page: &'a Page,
    row: SaleRow,
    audit: Audit,
    zones: &'static [Zone],
    typed: Typed,
    opens_text: String,
    closes_text: String,
    done: Option<&'static str>,
    refused: Option<&'static str>,
}

impl SalePage<'_> {
    /// What a field must be, when it is not.
    fn wrong(&self, field: &str) -> Option<&'static str> {
        let faults = self.typed.faults(self.page.text);
        faults.iter().find(|(name, ..)| *name == field).map(|(_, _, said)| *said)
    }

    /// Whether the form has chosen `zone`.
    fn is_chosen(&self, zone: &Zone) -> bool {
        self.typed.zone.as_deref() == Some(zone.value)
    }
}

pub(super) async fn page(
    State(app): State<App>,
    Extension(session): Extension<Session>,
    names: Names,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let page = Page::new(&app, &headers, &uri, Some(&session));
    let done = match uri.query().and_then(|query| query.strip_prefix("done=")) {
        Some("created") => Some(page.text.done_created),
        Some("changed") => Some(page.text.done_changed),
        Some("unchanged") => Some(page.text.done_unchanged),
        _ => None,
    };
    match show_sale(&app, &page, &names, done, None).await {
        Ok(response) => response,
        Err(fault) => page.refuse(&fault),
    }
}

async fn show_sale(
    app: &App,
    page: &Page,
    names: &Names,
    done: Option<&'static str>,
    refused: Option<(Code, Typed)>,
) -> Result<Response, Fault> {
    let sale = app.handle.current(names.sale()?).await?.ok_or(Code::SaleNotFound)?;
    let reply: SaleReply = show::sale(&sale, app.now());
    let zone = &ZONES[0];
    let tell = |at: Option<Timestamp>| at.map(|at| zone.tell(at)).unwrap_or_default();
    let (code, typed) = refused.unzip();
    let status = code.and_then(|code| StatusCode::from_u16(code.status()).ok());
    let typed = typed.unwrap_or_default();
    let template = SalePage {
        typed: typed.or_schedule(zone.write(reply.opens_at), zone.write(reply.closes_at)),
        opens_text: tell(reply.opens_at),
        closes_text: tell(reply.closes_at),
        audit: show::audit(&sale),
        row: SaleRow::new(reply, page),
        zones: &ZONES,
        done,
        refused: code.map(|code| page.text.refusal(code)),
        page,
    };
    Ok(page.reply(&template, status.unwrap_or(StatusCode::OK)))
}

/// What the buttons of a sale post.
pub(super) async fn change(
    State(app): State<App>,
    Extension(session): Extension<Session>,
    names: Names,
    headers: HeaderMap,
    uri: Uri,
    body: Body,
) -> Response {
    let page = Page::new(&app, &headers, &uri, Some(&session));
    let fields = match Fields::of_session(&app, &session, &headers, body).await {
        Ok(fields) => fields,
        Err(fault) => return page.refuse(&fault),
    };
    let typed = Typed::of(&fields);
    let fault = match carry_out(&app, &names, fields).await {
        Ok(place) => return html::see(&place),
        Err(fault) => fault,
    };
    // What is wrong with the sale is said on its page; what is wrong with the form, alone.
    let code = fault.code();
    if matches!(code, Code::Closed | Code::Invalid | Code::KeyReused)
        && let Ok(response) =
            show_sale(&app, &page, &names, None, Some((code, typed.blamed(&fault)))).await
    {
        return response;
    }
    page.refuse(&fault)
}

/// Where to go once it is done.
async fn carry_out(app: &App, names: &Names, mut fields: Fields) -> Result<String, Fault> {
    let sale = names.sale()?.to_owned();
    let (key, from) = (fields.key()?, fields.take("from"));
    let wanted = wanted(&mut fields)?;
    fields.end()?;
    check(&wanted)?;
    let change = Change::ChangeSale { sale: sale.clone(), key, change: show::change(&wanted) };
    let done = match app.change(change).await?.0 {
        Outcome::SaleChanged { replayed: false } => "changed",
        Outcome::SaleChanged { replayed: true } => "unchanged",
        Outcome::Refused(refusal) => return Err(refusal.into()),
        _ => return Err(Code::Internal.into()),
    };
    match from.as_deref() {
        Some("dashboard") => Ok("/ops".to_owned()),
        _ => Ok(format!("/ops/sales/{sale}?done={done}")),
    }
}

/// The change that a button stands for.
fn wanted(fields: &mut Fields) -> Result<SaleChange, Fault> {
    let state = |state| SaleChange { state: Some(state), ..SaleChange::default() };
    match fields.need("do")?.as_str() {
        "open" => Ok(state(SaleSwitch::Open)),
        "pause" => Ok(state(SaleSwitch::Paused)),
        "close" if fields.take("sure").as_deref() == Some("yes") => Ok(state(SaleSwitch::Closed)),
        "close" => Err(malformed("closing needs the box to be ticked".to_owned())),
        "restock" => {
            let units = fields
                .need("units")?
                .parse()
                .map_err(|_| unreadable(vec!["add_supply".to_owned()]))?;
            Ok(SaleChange { add_supply: Some(units), ..SaleChange::default() })
        }
        "schedule" => schedule(fields),
        _ => Err(malformed("the form asks for what can't be done".to_owned())),
    }
}

fn schedule(fields: &mut Fields) -> Result<SaleChange, Fault> {
    let zone = fields.need("zone")?;
    let zone = moment::zone(&zone).ok_or_else(|| malformed("no such zone".to_owned()))?;
    let mut wrong = Vec::new();
    let opens_at = instant("opens_at", zone, &fields.need("opens_at")?, &mut wrong);
    let closes_at = instant("closes_at", zone, &fields.need("closes_at")?, &mut wrong);
    if !wrong.is_empty() {
        return Err(unreadable(wrong));
    }
    Ok(SaleChange { opens_at: Some(opens_at), closes_at: Some(closes_at), ..SaleChange::default() })
}

/// Fields that can't be read as what they should be.
fn unreadable(fields: Vec<String>) -> Fault {
    let faults = fields.into_iter().map(|field| FieldFault::new(field, "can't be read"));
    Problem::invalid(faults.collect()).into()
}
