//! Refusals as HTTP: the one place where an outcome of the engine becomes a code.
//!
//! Must never know which route refused.

use crate::render;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use kilat_api::problem::{Code, FieldFault, MEDIA_TYPE, Problem};
use kilat_engine::{OrderStatus, Refusal, Unavailable};

/// Seconds after which a busy node may be asked again.
const RETRY_AFTER_SECONDS: &str = "1";

/// What a handler returns when it does not do what was asked.
#[derive(Debug)]
pub(crate) struct Fault(Box<Problem>);

impl Fault {
    /// A refusal without detail.
    #[must_use]
    pub(crate) fn new(code: Code) -> Self {
        Problem::new(code).into()
    }

    /// The code of the refusal.
    #[must_use]
    pub(crate) fn code(&self) -> Code {
        self.0.code
    }

    /// The fields that are to blame.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &str> {
        self.0.errors.iter().map(|fault| fault.field.as_str())
    }
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        Fault(Box::new(problem))
    }
}

impl From<Code> for Fault {
    fn from(code: Code) -> Self {
        Fault::new(code)
    }
}

impl From<Unavailable> for Fault {
    fn from(why: Unavailable) -> Self {
        Problem::new(unavailable(why)).with_detail(why.to_string()).into()
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        match field(refusal) {
            Some(name) => Problem::invalid(vec![FieldFault::new(name, refusal.to_string())]).into(),
            None => Problem::new(code(refusal)).into(),
        }
    }
}

/// The code of a refusal by the rules.
#[must_use]
pub(crate) const fn code(refusal: Refusal) -> Code {
    match refusal {
        Refusal::SaleNotFound => Code::SaleNotFound,
        Refusal::SaleExists => Code::SaleExists,
        Refusal::KeyReused => Code::KeyReused,
        Refusal::Closed => Code::Closed,
        Refusal::NotOpen => Code::NotOpen,
        Refusal::Paused => Code::Paused,
        Refusal::LimitReached => Code::LimitReached,
        Refusal::SoldOut => Code::SoldOut,
        Refusal::OrderNotFound => Code::OrderNotFound,
        Refusal::HoldExpired => Code::Expired,
        Refusal::OrderConfirmed => Code::OrderConfirmed,
        Refusal::OrderCancelled => Code::OrderCancelled,
        // Another order has drawn these 128 bits; the next try draws others.
        Refusal::OrderIdTaken => Code::Overloaded,
        Refusal::InvalidQuantity
        | Refusal::InvalidSchedule
        | Refusal::SupplyOverflow
        | Refusal::TooLong => Code::Invalid,
        Refusal::Full => Code::StorageFull,
    }
}

/// The field that a refusal blames, if it blames one.
const fn field(refusal: Refusal) -> Option<&'static str> {
    match refusal {
        Refusal::InvalidQuantity => Some("quantity"),
        Refusal::InvalidSchedule => Some("closes_at"),
        Refusal::SupplyOverflow => Some("add_supply"),
        Refusal::TooLong => Some(""),
        _ => None,
    }
}

/// The code of an engine that could not decide.
#[must_use]
pub(crate) const fn unavailable(why: Unavailable) -> Code {
    match why {
        Unavailable::Overloaded => Code::Overloaded,
        Unavailable::StorageFull => Code::StorageFull,
        Unavailable::ShuttingDown => Code::ShuttingDown,
        Unavailable::TooManyTopics => Code::TooManyTopics,
        Unavailable::Away => Code::CoreUnreachable,
        Unavailable::Unknown => Code::OutcomeUnknown,
        Unavailable::Failed => Code::Internal,
    }
}

/// How an order counts in `flash_sale_requests_total`.
#[must_use]
pub(crate) const fn order_label(status: OrderStatus, replayed: bool) -> &'static str {
    if replayed { "replayed" } else { render::status(status).as_str() }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let code = self.0.code;
        let plain = self.0.detail.is_none() && self.0.errors.is_empty();
        let body = if plain {
            Body::from(render::problem_body(code))
        } else {
            Body::from(serde_json::to_vec(&self.0).unwrap_or_default())
        };
        let mut response = Response::new(body);
        *response.status_mut() =
            StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        match code {
            Code::Unauthorized => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            // What is left of the body would be read as the next request.
            Code::RequestTimeout | Code::TooLarge => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ if matches!(code.status(), 429 | 503 | 504) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
            }
            _ => {}
        }
        response
    }
}
