//! What is known of a hot request whose way is recorded: hardly ever one.

use crate::trace::{Active, Parent, Tracer};
use hyper::Method;
use kilat_engine::{Placed, TraceContext};

const ORDERS: &str = "/v1/sales/{sale}/orders";
const PUBLISH: &str = "/publish";

/// A request whose way is recorded.
#[derive(Debug)]
pub(super) struct Trip {
    span: Active,
    /// Of an order: which sale it is for.
    sale: Option<Box<str>>,
}

impl Trip {
    /// Begins, if the way of a request is recorded that came with this `traceparent`, if any. An
    /// order names its sale.
    pub(super) fn begin(
        tracer: &Tracer,
        traceparent: Option<&[u8]>,
        sale: Option<&str>,
    ) -> Option<Box<Trip>> {
        if !tracer.is_on() {
            return None;
        }
        let span = tracer.enter(traceparent.and_then(Parent::read)).span?;
        Some(Box::new(Trip { span, sale: sale.map(Into::into) }))
    }

    /// What the engine is told.
    pub(super) const fn context(&self) -> TraceContext {
        self.span.context()
    }

    /// The group with this order was placed.
    pub(super) fn placed(&self, tracer: &Tracer, placed: &Placed) {
        tracer.stages(self.context(), placed);
    }

    /// The event of this request was stored.
    pub(super) fn stored(&self, tracer: &Tracer) {
        tracer.stored(&self.span);
    }

    /// The reply leaves.
    pub(super) fn end(&self, tracer: &Tracer, request_id: &str, status: u16) {
        let (path, route) = match &self.sale {
            Some(sale) => (format!("/v1/sales/{sale}/orders"), ORDERS),
            None => (PUBLISH.to_owned(), PUBLISH),
        };
        tracer.end_request(&self.span, &Method::POST, path, Some(route), request_id, status);
    }
}
