//! What is known of a request on its way through, for logs and traces.
//!
//! ```text
//! Trip::begin ─▶ hop ─▶ end_hop ─▶ hop … ─▶ end      a span for the request, one for each attempt
//! ```
//!
//! With tracing off and for requests that are not sampled it costs next to nothing.

use super::replicas::Replica;
use super::upload::Upload;
use crate::trace::{self, Active, Ended, Parent, TRACEPARENT, Tracer};
use hyper::header::HeaderValue;
use hyper::{Method, Request, StatusCode};
use kilat_api::problem::Code;
use opentelemetry::KeyValue;
use opentelemetry::trace::SpanKind;

/// A request on its way through.
pub(super) struct Trip {
    context: Option<Parent>,
    /// If its way is recorded.
    recorded: Option<Box<Recorded>>,
}

struct Recorded {
    tracer: Tracer,
    span: Active,
    method: Method,
    path: String,
}

/// An attempt at a replica.
pub(super) struct Hop {
    span: Active,
    attributes: Vec<KeyValue>,
}

impl Trip {
    /// Decides whether the way of a request is recorded; the header tells whoever is asked next, if
    /// the request itself does not.
    pub(super) fn begin(
        tracer: &Tracer,
        method: &Method,
        path: &str,
        parent: Option<Parent>,
    ) -> (Trip, Option<HeaderValue>) {
        let entered = tracer.enter(parent);
        let told = entered.context.filter(|_| parent.is_none()).map(|context| context.header());
        let recorded = entered.span.map(|span| {
            let (method, path) = (method.clone(), path.to_owned());
            Box::new(Recorded { tracer: tracer.clone(), span, method, path })
        });
        (Trip { context: entered.context, recorded }, told)
    }

    /// Whether its way is recorded.
    pub(super) const fn is_recorded(&self) -> bool {
        self.recorded.is_some()
    }

    /// An attempt begins, after so many others: the replica's spans will be within this one's.
    pub(super) fn hop(
        &self,
        request: &mut Request<Upload>,
        replica: &Replica,
        others: u32,
    ) -> Option<Box<Hop>> {
        let recorded = self.recorded.as_ref()?;
        let span = recorded.span.child();
        request.headers_mut().insert(TRACEPARENT, span.as_parent().header());
        let mut attributes = trace::http(&recorded.method, recorded.path.clone(), None);
        let (host, port) = replica.host_and_port();
        attributes.push(KeyValue::new("server.address", host.to_owned()));
        attributes.push(KeyValue::new("server.port", i64::from(port)));
        if others > 0 {
            attributes.push(KeyValue::new("http.request.resend_count", i64::from(others)));
        }
        Some(Box::new(Hop { span, attributes }))
    }

    /// The attempt came to a reply, or to nothing.
    pub(super) fn end_hop(&self, hop: Option<Box<Hop>>, said: Result<StatusCode, &'static str>) {
        let (Some(recorded), Some(hop)) = (&self.recorded, hop) else {
            return;
        };
        let Hop { span, mut attributes } = *hop;
        // To whoever asks, a 4xx is a failure; to whoever answers it is not.
        let failed = !said.is_ok_and(|status| status.as_u16() < 400);
        match said {
            Ok(status) => {
                let status = i64::from(status.as_u16());
                attributes.push(KeyValue::new("http.response.status_code", status));
                if status >= 400 {
                    attributes.push(KeyValue::new("error.type", status.to_string()));
                }
            }
            Err(why) => attributes.push(KeyValue::new("error.type", why)),
        }
        let name = recorded.method.to_string().into();
        recorded.tracer.end(&span, Ended { name, kind: SpanKind::Client, attributes, failed });
    }

    /// A request that the gateway answers itself. That nothing is known of it is worth a warning.
    pub(super) fn log_refusal(&self, code: Code, id: &HeaderValue) {
        let request_id = id.to_str().unwrap_or_default();
        let ids = self.context.map(|at| (at.trace(), at.span()));
        let (trace_id, span_id) = ids.unzip();
        let code_text = code.as_str();
        if code == Code::ReplicaLost {
            tracing::warn!(request_id, trace_id, span_id, code = code_text, "a request was lost");
        } else {
            tracing::debug!(
                request_id,
                trace_id,
                span_id,
                code = code_text,
                "a request was refused"
            );
        }
    }

    /// The reply leaves.
    pub(super) fn end(self, id: &HeaderValue, status: StatusCode) {
        let Some(recorded) = self.recorded else {
            return;
        };
        let Recorded { tracer, span, method, path } = *recorded;
        let id = id.to_str().unwrap_or_default();
        tracer.end_request(&span, &method, path, None, id, status.as_u16());
    }
}
