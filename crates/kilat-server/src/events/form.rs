//! In which of the forms a request holds its events.

use crate::body::{media_type, require_type, unsupported};
use crate::problem::Fault;
use axum::http::{HeaderMap, header};
use kilat_api::event::{Binary, Form};

/// Start of the headers of a CloudEvent in the binary mode.
const ATTRIBUTE_PREFIX: &str = "ce-";
const TAKEN: [(&str, Form); 5] = [
    ("application/json", Form::Json),
    ("application/x-ndjson", Form::Lines),
    ("application/ndjson", Form::Lines),
    ("application/cloudevents+json", Form::CloudEvent),
    ("application/cloudevents-batch+json", Form::CloudBatch),
];

/// How a request holds its events.
pub(super) enum Sent {
    /// In its body.
    Body(Form),
    /// One in its headers, the body is its data.
    Headers(HeaderMap),
}

impl Sent {
    /// As the request's headers say.
    ///
    /// # Errors
    /// 415 for a media type that holds no events.
    pub(super) fn of(headers: &HeaderMap) -> Result<Sent, Fault> {
        let kind = media_type(headers)?;
        let binary = headers.keys().any(|name| name.as_str().starts_with(ATTRIBUTE_PREFIX));
        // The binding asks for the media type first (section 3): attributes may be repeated in
        // headers of the other modes.
        if binary && !kind.starts_with("application/cloudevents") {
            return Ok(Sent::Headers(headers.clone()));
        }
        let Some((expected, form)) = TAKEN.iter().find(|(taken, _)| *taken == kind) else {
            let taken = TAKEN.map(|(kind, _)| kind).join(", ");
            return Err(unsupported(format!(
                "the body must be one of {taken}, or a CloudEvent with its attributes in headers ce-*"
            )));
        };
        require_type(headers, expected)?;
        Ok(Sent::Body(*form))
    }
}

/// The attributes and data of a CloudEvent in the binary mode.
pub(super) fn binary<R>(
    headers: &HeaderMap,
    data: &[u8],
    read: impl FnOnce(&Binary<'_>) -> R,
) -> R {
    let attributes: Vec<(&str, &[u8])> = headers
        .iter()
        .filter_map(|(name, value)| {
            Some((name.as_str().strip_prefix(ATTRIBUTE_PREFIX)?, value.as_bytes()))
        })
        .collect();
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    read(&Binary { attributes: &attributes, content_type, data })
}
