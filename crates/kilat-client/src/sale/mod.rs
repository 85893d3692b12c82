//! What an operator does to sales: create, list, show, restock, pause, open, close, schedule.
//!
//! | module | holds |
//! |---|---|
//! | `draft` | a sale to create, from flags and a file |
//! | `show` | sales as a table for people |

mod draft;
mod show;

pub use draft::SaleDraft;

use crate::http::{Access, Api, CallError, decode, random_key};
use crate::{ClientError, Lang};
use jiff::Timestamp;
use kilat_api::body::check;
use kilat_api::problem::Problem;
use kilat_api::sale::{SaleChange, SaleList, SaleReply, SaleSwitch};
use kilat_api::text::{is_idempotency_key, is_sale_id};
use serde::Serialize;
use ureq::http::Method;

/// What to do.
#[derive(Clone, Debug)]
pub enum SaleAction {
    /// Create a sale from flags, a file, or both.
    Create(Box<SaleDraft>),
    /// List every sale.
    List,
    /// Show one sale.
    Show {
        /// The sale's id.
        sale: String,
    },
    /// Add units to the supply.
    Restock {
        /// The sale's id.
        sale: String,
        /// Units to add.
        units: u64,
    },
    /// Refuse orders for now, take them again, or refuse them for good.
    Switch {
        /// The sale's id.
        sale: String,
        /// What to switch it to.
        to: SaleSwitch,
    },
    /// Change when a sale opens or closes. A time is RFC 3339 with an offset;
    /// `now` opens at once and `never` lifts the closing; `None` leaves it.
    Schedule {
        /// The sale's id.
        sale: String,
        /// A time, or `now`.
        opens_at: Option<String>,
        /// A time, or `never`.
        closes_at: Option<String>,
    },
}

/// One command on sales.
#[derive(Clone, Debug)]
pub struct SaleOptions {
    /// Where the server is; every action but `List` and `Show` needs the admin token.
    pub access: Access,
    /// What to do.
    pub action: SaleAction,
    /// Makes the change safe to repeat; `None` for a random key.
    pub idempotency_key: Option<String>,
    /// JSON in place of a table.
    pub json: bool,
    /// Language of the table and of errors.
    pub lang: Lang,
}

/// Carries out one action and returns what belongs on stdout, with a newline at its end.
///
/// # Errors
/// [`ClientError::Usage`] for flags or a file with mistakes, each named;
/// [`ClientError::NoAdminToken`] for a change without it;
/// [`ClientError::Refused`] with the server's reason and fields;
/// [`ClientError::Unreachable`] when nothing answers.
pub fn run(options: &SaleOptions) -> Result<String, ClientError> {
    let api = Api::new(&options.access, options.lang)?;
    let desk = Desk { api, options };
    match &options.action {
        SaleAction::Create(draft) => desk.create(draft),
        SaleAction::List => desk.list(),
        SaleAction::Show { sale } => {
            let path = desk.path(sale)?;
            desk.one(desk.api.get(&path))
        }
        SaleAction::Restock { sale, units } => {
            desk.change(sale, &SaleChange { add_supply: Some(*units), ..SaleChange::default() })
        }
        SaleAction::Switch { sale, to } => {
            desk.change(sale, &SaleChange { state: Some(*to), ..SaleChange::default() })
        }
        SaleAction::Schedule { sale, opens_at, closes_at } => {
            let change = desk.schedule(opens_at.as_deref(), closes_at.as_deref())?;
            desk.change(sale, &change)
        }
    }
}

/// The server and what was asked of it.
struct Desk<'a> {
    api: Api,
    options: &'a SaleOptions,
}

impl Desk<'_> {
    fn create(&self, draft: &SaleDraft) -> Result<String, ClientError> {
        let request = draft.to_request(self.options.lang)?;
        self.one(self.send(Method::POST, "/v1/sales", &request)?)
    }

    fn list(&self) -> Result<String, ClientError> {
        let body = self.api.get("/v1/sales").map_err(|e| self.explain(&e))?;
        let list: SaleList = decode(&body).map_err(|e| self.explain(&e))?;
        if self.options.json {
            return Ok(json(&list));
        }
        Ok(show::list(&list.sales, self.options.lang))
    }

    fn change(&self, sale: &str, change: &SaleChange) -> Result<String, ClientError> {
        check(change).map_err(|problem| {
            draft::faulty("error.flag_fields", "", &as_typed(problem), self.options.lang)
        })?;
        let path = self.path(sale)?;
        self.one(self.send(Method::PATCH, &path, change)?)
    }

    fn schedule(
        &self,
        opens_at: Option<&str>,
        closes_at: Option<&str>,
    ) -> Result<SaleChange, ClientError> {
        let lang = self.options.lang;
        if opens_at.is_none() && closes_at.is_none() {
            return Err(ClientError::Usage(lang.say("error.no_change", &[])));
        }
        let time =
            |option: &'static str, text: Option<&str>, none: &str| -> Result<_, ClientError> {
                match text {
                    None => Ok(None),
                    Some(text) if text == none => Ok(Some(None)),
                    Some(text) => parse_time(option, text, lang).map(|time| Some(Some(time))),
                }
            };
        Ok(SaleChange {
            opens_at: time("opens-at", opens_at, "now")?,
            closes_at: time("closes-at", closes_at, "never")?,
            ..SaleChange::default()
        })
    }

    fn path(&self, sale: &str) -> Result<String, ClientError> {
        if is_sale_id(sale) {
            return Ok(format!("/v1/sales/{sale}"));
        }
        let message = self.options.lang.say("error.sale_id", &[("sale", &sale)]);
        Err(ClientError::Usage(message))
    }

    fn send(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<Result<Vec<u8>, CallError>, ClientError> {
        let key = self.options.idempotency_key.clone().unwrap_or_else(random_key);
        if !is_idempotency_key(&key) {
            let message = self.options.lang.say("error.key", &[]);
            return Err(ClientError::Usage(message));
        }
        if !self.api.has_token() {
            let message = self.options.lang.say("error.no_admin_token", &[]);
            return Err(ClientError::NoAdminToken(message));
        }
        // Strings and numbers only: nothing in it can fail to be written.
        let body = serde_json::to_vec(body).unwrap_or_default();
        Ok(self.api.send(method, path, Some(&key), body).map(|(_, body)| body))
    }

    fn one(&self, answer: Result<Vec<u8>, CallError>) -> Result<String, ClientError> {
        let body = answer.map_err(|e| self.explain(&e))?;
        let sale: SaleReply = decode(&body).map_err(|e| self.explain(&e))?;
        if self.options.json {
            return Ok(json(&sale));
        }
        Ok(show::one(&sale, self.options.lang))
    }

    fn explain(&self, error: &CallError) -> ClientError {
        match error {
            CallError::Refused { status: 401 | 403, .. } => {
                ClientError::Usage(self.options.lang.say("error.admin_token", &[]))
            }
            CallError::Refused { status, problem: Some(problem) } => {
                let problem = Some(Box::new(as_typed(Problem::clone(problem))));
                let error = CallError::Refused { status: *status, problem };
                error.explain(&self.options.access.url, self.options.lang)
            }
            error => error.explain(&self.options.access.url, self.options.lang),
        }
    }
}

/// With the name that `kilat sale restock` has for the units: nobody typed that of the field.
fn as_typed(mut problem: Problem) -> Problem {
    for fault in problem.errors.iter_mut().filter(|fault| fault.field == "add_supply") {
        fault.field = "UNITS".to_owned();
    }
    problem
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

/// A time in RFC 3339 with an offset.
fn parse_time(option: &str, text: &str, lang: Lang) -> Result<Timestamp, ClientError> {
    text.parse().map_err(|_| {
        ClientError::Usage(lang.say("error.time", &[("option", &option), ("value", &text)]))
    })
}
