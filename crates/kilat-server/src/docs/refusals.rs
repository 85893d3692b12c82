//! Which codes each call can answer.
//!
//! What follows from the table of routes (credentials, bodies, keys) is worked
//! out from it; what only the handler knows stands in [`OWN`].

use crate::auth::Rule;
use crate::router::{Route, Takes};
use kilat_api::problem::Code;

/// An engine that could not decide or record.
const WRITES: &[Code] = &[
    Code::Overloaded,
    Code::StorageFull,
    Code::ShuttingDown,
    Code::CoreUnreachable,
    Code::OutcomeUnknown,
    Code::Internal,
];
/// An engine that could not be asked.
const READS: &[Code] = &[
    Code::Overloaded,
    Code::ShuttingDown,
    Code::CoreUnreachable,
    Code::OutcomeUnknown,
    Code::Internal,
];

/// The rules of the sale, for one order.
const ORDER: &[Code] = &[
    Code::SaleNotFound,
    Code::KeyReused,
    Code::Closed,
    Code::NotOpen,
    Code::Paused,
    Code::LimitReached,
    Code::SoldOut,
];

/// What the handler of a route refuses by itself, as lists of codes.
#[rustfmt::skip]
const OWN: &[(&str, &str, &[&[Code]])] = &[
    ("POST", "/v1/sales", &[&[Code::SaleExists], WRITES]),
    ("GET", "/v1/sales", &[READS]),
    ("GET", "/v1/sales/{sale}", &[&[Code::SaleNotFound], READS]),
    ("PATCH", "/v1/sales/{sale}", &[&[Code::SaleNotFound, Code::KeyReused, Code::Closed], WRITES]),
    ("POST", "/v1/sales/{sale}/orders", &[&[Code::Forbidden], ORDER, WRITES]),
    ("POST", "/v1/sales/{sale}/orders:batch", &[&[Code::Forbidden, Code::SaleNotFound], WRITES]),
    ("GET", "/v1/sales/{sale}/orders", &[&[Code::Forbidden, Code::Invalid, Code::SaleNotFound], READS]),
    ("GET", "/v1/sales/{sale}/orders/{order}", &[&[Code::SaleNotFound, Code::OrderNotFound], READS]),
    ("POST", "/v1/sales/{sale}/orders/{order}/confirm",
        &[&[Code::SaleNotFound, Code::OrderNotFound, Code::Expired, Code::OrderCancelled], WRITES]),
    ("POST", "/v1/sales/{sale}/orders/{order}/cancel",
        &[&[Code::SaleNotFound, Code::OrderNotFound, Code::Expired, Code::OrderConfirmed], WRITES]),
    ("GET", "/v1/sales/{sale}/stream", &[&[Code::SaleNotFound]]),
    ("GET", "/v1/sales/{sale}/audit", &[&[Code::SaleNotFound], READS]),
    ("POST", "/publish", &[WRITES]),
    ("GET", "/events", &[&[Code::Forbidden, Code::Invalid], READS]),
    ("GET", "/events/stream", &[&[Code::Forbidden, Code::Invalid]]),
    ("POST", "/events/forget", &[WRITES]),
    ("GET", "/topics", &[&[Code::Invalid], READS]),
    ("GET", "/stats", &[READS]),
    ("GET", "/readyz", &[WRITES]),
    ("GET", "/healthz", &[WRITES]),
    ("GET", "/docs/{file}", &[&[Code::NotFound]]),
    ("GET", "/assets/{*file}", &[&[Code::NotFound]]),
    ("GET", "/s/{sale}", &[&[Code::SaleNotFound]]),
    ("GET", "/s/{sale}/orders/{order}", &[&[Code::SaleNotFound, Code::OrderNotFound], READS]),
    ("GET", "/s/{sale}/orders", &[&[Code::SaleNotFound], READS]),
    ("POST", "/s/{sale}/orders/{order}/confirm",
        &[&[Code::Unauthorized, Code::Forbidden, Code::SaleNotFound, Code::OrderNotFound], WRITES]),
    ("POST", "/s/{sale}/orders/{order}/cancel",
        &[&[Code::Unauthorized, Code::Forbidden, Code::SaleNotFound, Code::OrderNotFound], WRITES]),
    ("POST", "/buy", &[&[Code::Unauthorized, Code::Forbidden, Code::SaleNotFound], WRITES]),
];

/// Every code that a route can answer, each once.
pub(super) fn of(route: &Route) -> Vec<Code> {
    // A connection that gets no seat is told so whatever it asks for.
    let mut codes = vec![Code::Overloaded];
    match route.rule {
        Rule::Public => {}
        Rule::Admin => codes.extend([Code::Unauthorized, Code::Forbidden]),
        Rule::Order | Rule::List | Rule::Publish => {
            codes.extend([Code::Unauthorized, Code::Forbidden]);
        }
        Rule::Read => codes.push(Code::Unauthorized),
    }
    let body = [Code::Malformed, Code::TooLarge, Code::UnsupportedMediaType, Code::RequestTimeout];
    match route.takes {
        Takes::Nothing | Takes::Page => {}
        Takes::Form { .. } => codes.extend(body),
        Takes::Events { .. } => {
            codes.extend(body);
            codes.extend([Code::Invalid, Code::TopicReserved, Code::TooManyTopics]);
        }
        Takes::Json { key, .. } => {
            codes.extend(body);
            codes.push(Code::Invalid);
            codes.extend(key.then_some(Code::KeyMissing));
        }
    }
    let own = OWN.iter().filter(|(method, path, _)| (*method, *path) == (route.method, route.path));
    codes.extend(own.flat_map(|(_, _, lists)| lists.iter().copied().flatten()));
    codes.sort_unstable();
    codes.dedup();
    codes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::ROUTES;

    #[test]
    fn what_handlers_refuse_is_said_of_routes_that_exist() {
        for (method, path, _) in OWN {
            let known = ROUTES.iter().any(|route| (route.method, route.path) == (*method, *path));
            assert!(known, "{method} {path}");
        }
    }

    #[test]
    fn every_code_can_be_answered_by_some_call() {
        let said: Vec<Code> = ROUTES.iter().flat_map(of).collect();
        // Answered to what is no call, or before it is known which, or by a gateway in front.
        let apart = [
            Code::MethodNotAllowed,
            Code::HeadersTooLarge,
            Code::TooManyRequests,
            Code::NoReplica,
            Code::ReplicaLost,
        ];
        for code in Code::ALL.iter().filter(|code| !apart.contains(code)) {
            assert!(said.contains(code), "{code}");
        }
    }
}
