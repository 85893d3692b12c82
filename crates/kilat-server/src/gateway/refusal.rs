//! The gateway's own replies: why a request did not reach a replica, or no reply came back.

use super::reply::ReplyBody;
use super::upload::Upload;
use crate::pages::away::{self, Lost};
use crate::render;
use crate::wire::Reason;
use bytes::Bytes;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Response, StatusCode, Uri};
use kilat_api::problem::{Code, MEDIA_TYPE, Problem};

pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static(kilat_api::REQUEST_ID);
pub(super) const X_NODE: HeaderName = HeaderName::from_static(kilat_api::NODE);
/// Seconds after which a busy gateway may be asked again.
const RETRY_AFTER_SECONDS: u32 = 1;

/// Why a request is answered by the gateway itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    code: Code,
    detail: Option<&'static str>,
    /// What is left of the request would be read as the next one.
    closes: bool,
    /// Seconds after which the same may be sent again, when it is no fault of the request.
    retry_after: u32,
}

impl Refusal {
    /// The request was read to its end.
    pub(super) const fn new(code: Code) -> Refusal {
        Refusal { code, detail: None, closes: false, retry_after: RETRY_AFTER_SECONDS }
    }

    /// The request can't be read to its end.
    pub(super) const fn closing(code: Code) -> Refusal {
        Refusal { code, detail: None, closes: true, retry_after: RETRY_AFTER_SECONDS }
    }

    /// The same, with what happened.
    pub(super) const fn because(self, detail: &'static str) -> Refusal {
        Refusal { detail: Some(detail), ..self }
    }

    /// The same, after so many seconds.
    pub(super) const fn retry_after(self, seconds: u32) -> Refusal {
        Refusal { retry_after: seconds, ..self }
    }

    pub(super) fn code(&self) -> Code {
        self.code
    }

    /// The reply, in the name of `node`; to a person, a page.
    pub(super) fn reply(&self, node: &HeaderValue, person: Option<&Person>) -> Response<ReplyBody> {
        let status = StatusCode::from_u16(self.code.status());
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut reply = match person.filter(|_| self.is_of_ours()) {
            Some(person) => person.page(node, status),
            None => self.document(status),
        };
        let headers = reply.headers_mut();
        headers.insert(X_NODE, node.clone());
        if self.code.status() == 503 {
            headers.insert(RETRY_AFTER, HeaderValue::from(self.retry_after));
        }
        if self.closes {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        reply
    }

    /// Whether it is no fault of the request, so that the same may be sent again.
    const fn is_of_ours(&self) -> bool {
        matches!(self.code.status(), 500..)
    }

    fn document(&self, status: StatusCode) -> Response<ReplyBody> {
        let body = match self.detail {
            None => Bytes::from_static(render::problem_body(self.code)),
            Some(detail) => {
                let problem = Problem::new(self.code).with_detail(detail);
                // The document has string keys only, so rendering it can't fail.
                serde_json::to_vec(&problem).unwrap_or_default().into()
            }
        };
        let mut reply = Response::new(ReplyBody::whole(body));
        *reply.status_mut() = status;
        reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        reply
    }
}

/// Somebody at a browser, and what it sent.
pub(super) struct Person {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

impl Person {
    /// Whoever asks for pages.
    pub(super) fn of(head: &Parts) -> Option<Person> {
        away::is_person(&head.headers).then(|| Person {
            method: head.method.clone(),
            uri: head.uri.clone(),
            headers: head.headers.clone(),
            body: Bytes::new(),
        })
    }

    /// A body that is kept goes into the page.
    pub(super) fn sent(&mut self, upload: &Upload) {
        if let Upload::Whole(Some(body)) = upload {
            self.body = body.clone();
        }
    }

    fn page(&self, node: &HeaderValue, status: StatusCode) -> Response<ReplyBody> {
        let Person { method, uri, headers, body } = self;
        let lost = Lost { method, uri, headers, body };
        away::page(&lost, node.to_str().unwrap_or_default(), status)
            .map(|page| ReplyBody::whole(page.into()))
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Refusal {
        Refusal::closing(reason.code()).because(reason.detail())
    }
}
