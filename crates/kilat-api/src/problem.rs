//! RFC 9457 problem documents and the stable codes in them.
//!
//! A code is a promise: callers branch on it, so it never changes, whatever
//! the language of the text beside it.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use utoipa::ToSchema;

/// Media type of every problem document.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// Most faults that one reply lists; further ones are counted, not listed.
pub const FAULTS_MAX: usize = 100;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident $code:literal $status:literal $title:literal;)*) => {
        /// Why a request was not carried out. See [`Code::status`] for the HTTP status of each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every code, for documents and tests that must not miss one.
            pub const ALL: &[Code] = &[$(Code::$name,)*];

            /// The stable machine code, as written in `code`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$name => $code,)* }
            }

            /// HTTP status that carries this code.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Code::$name => $status,)* }
            }

            /// Short English summary, the same for every occurrence.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Code::$name => $title,)* }
            }

            /// The code written as `text`, if there is one.
            #[must_use]
            pub fn from_code(text: &str) -> Option<Code> {
                match text { $($code => Some(Code::$name),)* _ => None }
            }
        }
    };
}

codes! {
    /// Fewer units are left than were asked for. May change after a restock.
    SoldOut "sold_out" 409 "Sold out";
    /// The customer would hold more units than the sale allows one customer.
    LimitReached "limit_reached" 409 "Limit per customer reached";
    /// The sale opens later.
    NotOpen "not_open" 409 "The sale is not open yet";
    /// The sale is paused.
    Paused "paused" 409 "The sale is paused";
    /// The sale is over for good.
    Closed "closed" 409 "The sale is closed";
    /// The hold was not confirmed in time.
    Expired "expired" 409 "The hold has expired";
    /// A confirmed order can't be cancelled.
    OrderConfirmed "order_confirmed" 409 "The order is confirmed already";
    /// A cancelled order can't be confirmed.
    OrderCancelled "order_cancelled" 409 "The order was cancelled";
    /// Another sale has this id.
    SaleExists "sale_exists" 409 "Another sale has this id";
    /// No such sale.
    SaleNotFound "sale_not_found" 404 "No such sale";
    /// No such order, or not this caller's.
    OrderNotFound "order_not_found" 404 "No such order";
    /// No such page or call.
    NotFound "not_found" 404 "No such address";
    /// The idempotency key came with another request before.
    KeyReused "idempotency_key_reused" 422 "The idempotency key was used for another request";
    /// The call needs an `Idempotency-Key` header.
    KeyMissing "idempotency_key_missing" 400 "The Idempotency-Key header is missing";
    /// The body is not JSON, or a header can't be read.
    Malformed "malformed" 400 "The request can't be read";
    /// Fields are missing, unknown or out of range; `errors` names each.
    Invalid "invalid" 422 "Some fields are not valid";
    /// No credentials, or wrong ones.
    Unauthorized "unauthorized" 401 "Credentials are needed";
    /// Valid credentials that do not allow this call.
    Forbidden "forbidden" 403 "This caller may not do that";
    /// Only the sale itself publishes to its topics.
    TopicReserved "topic_reserved" 403 "The topic is the sale's own";
    /// The log has as many topics as it can have.
    TooManyTopics "too_many_topics" 409 "No more topics can be made";
    /// The address exists, the method does not.
    MethodNotAllowed "method_not_allowed" 405 "Method not allowed";
    /// The request did not arrive in time.
    RequestTimeout "request_timeout" 408 "The request took too long to arrive";
    /// The body is larger than this call takes.
    TooLarge "too_large" 413 "The body is too large";
    /// The body is not `application/json`.
    UnsupportedMediaType "unsupported_media_type" 415 "The body must be application/json";
    /// This caller sends faster than it may.
    TooManyRequests "too_many_requests" 429 "Too many requests";
    /// The headers are larger than the server takes.
    HeadersTooLarge "headers_too_large" 431 "The headers are too large";
    /// The queue is full; try again after `Retry-After` seconds.
    Overloaded "overloaded" 503 "Too busy, try again soon";
    /// No space is left on the disk, nothing was changed.
    StorageFull "storage_full" 503 "No space left to record the change";
    /// The process is stopping; another one answers.
    ShuttingDown "shutting_down" 503 "This node is stopping";
    /// No replica is there that could be asked; try again after `Retry-After` seconds.
    NoReplica "no_replica" 503 "No replica is ready, try again soon";
    /// The replica failed after it got the request: whether it was carried out is not known.
    ReplicaLost "replica_lost" 502 "The replica failed before it answered";
    /// The core behind this replica can't be reached; nothing was changed.
    CoreUnreachable "core_unreachable" 503 "What keeps the state can't be reached";
    /// The core's answer did not come; whether anything was changed is not known. The same request
    /// with the same key finds out.
    OutcomeUnknown "outcome_unknown" 504 "What became of the request is not known";
    /// A fault of the server's own; nothing was acknowledged.
    Internal "internal" 500 "A fault of the server";
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Code::from_code(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("unknown code {text}")))
    }
}

/// One field that is not valid, and what would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldFault {
    /// Which event of a body it is about, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// Path of the field in the body, such as `orders[3].quantity`, or a header's name.
    pub field: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl FieldFault {
    /// A fault of `field`, explained by `message`.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        FieldFault { index: None, field: field.into(), message: message.into() }
    }

    /// The same fault, of the event at `index` of a body.
    #[must_use]
    pub fn of_event(mut self, index: usize) -> Self {
        self.index = Some(index);
        self
    }
}

/// The body of every reply that is not a success (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: the code says more than an address would.
    #[serde(rename = "type")]
    pub kind: Cow<'static, str>,
    /// Short summary, the same for each occurrence of the code.
    pub title: Cow<'static, str>,
    /// HTTP status, repeated for bodies that were stored without it.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// Stable machine code.
    pub code: Code,
    /// What happened this time and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    pub detail: Option<String>,
    /// The fields at fault, at most [`FAULTS_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(schema_with = crate::schema::faults)]
    pub errors: Vec<FieldFault>,
    /// How many more faults there are than are listed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
pub(crate) fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Problem {
    /// The document of `code` without detail.
    #[must_use]
    pub fn new(code: Code) -> Self {
        Problem {
            kind: Cow::Borrowed("about:blank"),
            title: Cow::Borrowed(code.title()),
            status: code.status(),
            code,
            detail: None,
            errors: Vec::new(),
            more: 0,
        }
    }

    /// The same document with what happened this time.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// An [`Code::Invalid`] document that lists `faults`, at most [`FAULTS_MAX`] of them.
    #[must_use]
    pub fn invalid(faults: Vec<FieldFault>) -> Self {
        let total = faults.len();
        Problem::invalid_of(faults, total)
    }

    /// As [`Problem::invalid`], when there are `total` faults and only the first were kept.
    #[must_use]
    pub fn invalid_of(mut faults: Vec<FieldFault>, total: usize) -> Self {
        faults.truncate(FAULTS_MAX);
        let more = total.saturating_sub(faults.len());
        let problem = Problem { errors: faults, more, ..Problem::new(Code::Invalid) };
        if more > 0 {
            problem.with_detail(format!("{total} faults; the first {FAULTS_MAX} are listed"))
        } else {
            problem
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_reads_back() {
        for &code in Code::ALL {
            assert_eq!(Code::from_code(code.as_str()), Some(code));
            assert!((400..600).contains(&code.status()), "{code}");
        }
    }

    #[test]
    fn a_problem_survives_the_wire() {
        let sent = Problem::invalid(vec![FieldFault::new("quantity", "must be at least 1")]);
        let text = serde_json::to_string(&sent).unwrap();
        assert_eq!(serde_json::from_str::<Problem>(&text).unwrap(), sent);
    }

    #[test]
    fn a_reply_never_lists_more_faults_than_the_limit() {
        let problem = Problem::invalid(vec![FieldFault::new("a", "b"); FAULTS_MAX + 2]);
        assert_eq!((problem.errors.len(), problem.more), (FAULTS_MAX, 2));
    }
}
