//! Writes the replies of the fast lane into a reused buffer.

use crate::events;
use crate::ids::RequestId;
use crate::metrics;
use crate::problem;
use crate::render;
use axum::http::StatusCode;
use kilat_api::problem::Code;
use kilat_engine::{Outcome, Time, Verdict};
use std::io::Write;
use std::sync::Arc;
use std::time::SystemTime;

/// What every reply of a lane says about who answers.
pub(super) struct Envelope {
    node: Arc<str>,
    date: String,
    date_second: u64,
    body: Vec<u8>,
}

/// An order as asked, for the reply.
pub(super) struct Asked<'a> {
    pub(super) sale: &'a str,
    pub(super) customer: &'a str,
}

impl Envelope {
    pub(super) fn new(node: Arc<str>) -> Envelope {
        Envelope { node, date: String::new(), date_second: 0, body: Vec::new() }
    }

    /// Brings the `Date` header up to the second.
    pub(super) fn tick(&mut self) {
        let now = SystemTime::now();
        let second = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if second != self.date_second {
            self.date_second = second;
            self.date = httpdate::fmt_http_date(now);
        }
    }

    /// Writes the reply to an order and tells how it counts.
    pub(super) fn outcome(
        &mut self,
        out: &mut Vec<u8>,
        outcome: &Outcome,
        at: Time,
        asked: &Asked<'_>,
        request_id: &str,
    ) -> &'static str {
        match outcome {
            Outcome::Order { order, replayed } => {
                let order = order.at(at);
                self.body.clear();
                render::order_json(
                    &mut self.body,
                    &order,
                    asked.sale,
                    asked.customer,
                    &self.node,
                    false,
                );
                let kind = if *replayed { ORDER_REPLAYED } else { ORDER_PLACED };
                self.head(out, kind, self.body.len(), request_id);
                out.extend_from_slice(&self.body);
                problem::order_label(order.status, *replayed)
            }
            Outcome::Refused(refusal) => self.problem(out, problem::code(*refusal), request_id),
            // The engine answers an order with an order or a refusal.
            _ => self.problem(out, Code::Internal, request_id),
        }
    }

    /// Writes the reply to one published event.
    pub(super) fn published(&mut self, out: &mut Vec<u8>, verdict: Verdict, request_id: &str) {
        self.body.clear();
        events::put_one(&mut self.body, verdict);
        self.head(out, PUBLISHED, self.body.len(), request_id);
        out.extend_from_slice(&self.body);
    }

    /// Writes a problem and tells how it counts.
    pub(super) fn problem(
        &mut self,
        out: &mut Vec<u8>,
        code: Code,
        request_id: &str,
    ) -> &'static str {
        self.problem_for(out, code, RETRY_AFTER_SECONDS, request_id)
    }

    /// The same; when it may pass, the same may be asked again after so many seconds.
    pub(super) fn problem_for(
        &mut self,
        out: &mut Vec<u8>,
        code: Code,
        retry_after: u32,
        request_id: &str,
    ) -> &'static str {
        let body = render::problem_body(code);
        out.extend_from_slice(b"HTTP/1.1 ");
        let mut digits = itoa::Buffer::new();
        out.extend_from_slice(digits.format(code.status()).as_bytes());
        out.push(b' ');
        let status =
            StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        out.extend_from_slice(status.canonical_reason().unwrap_or("Refused").as_bytes());
        out.extend_from_slice(PROBLEM.as_bytes());
        if matches!(code.status(), 429 | 503 | 504) {
            out.extend_from_slice(b"\r\nretry-after: ");
            out.extend_from_slice(digits.format(retry_after).as_bytes());
        }
        self.head(out, "", body.len(), request_id);
        out.extend_from_slice(body);
        code.as_str()
    }

    fn head(&self, out: &mut Vec<u8>, start: &str, length: usize, request_id: &str) {
        let mut digits = itoa::Buffer::new();
        for part in [
            start,
            "\r\ncontent-length: ",
            digits.format(length),
            "\r\nx-request-id: ",
            request_id,
            "\r\nx-kilat-node: ",
            &self.node,
            "\r\ndate: ",
            &self.date,
            "\r\n\r\n",
        ] {
            out.extend_from_slice(part.as_bytes());
        }
    }
}

const PUBLISHED: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json";
const ORDER_PLACED: &str = "HTTP/1.1 201 Created\r\ncontent-type: application/json";
const ORDER_REPLAYED: &str =
    "HTTP/1.1 201 Created\r\ncontent-type: application/json\r\nidempotency-replayed: true";
const PROBLEM: &str = "\r\ncontent-type: application/problem+json";
/// Seconds after which a request may be sent again that could not be carried out.
const RETRY_AFTER_SECONDS: u32 = 1;

/// The status of a reply that was written here.
pub(super) fn status(reply: &[u8]) -> u16 {
    let digits = reply.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or_default()
}

/// A reply to a connection that gets no seat.
pub(crate) fn write_busy(stream: &mut impl Write, node: &str) {
    let body = render::problem_body(Code::Overloaded);
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\nretry-after: 1\r\n\
         connection: close\r\ncontent-length: {}\r\nx-request-id: {}\r\nx-kilat-node: {node}\r\n\r\n",
        body.len(),
        RequestId::of(None).as_str(),
    );
    metrics::connection_refused();
    // The peer may be gone; there is nothing left to tell it.
    let _ = stream.write(&[head.as_bytes(), body].concat());
}
