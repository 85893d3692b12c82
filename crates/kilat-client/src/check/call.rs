//! One call of an API: what is sent, and what comes back whole.
//!
//! The seam between a profile, which writes requests and reads replies, and the exchange,
//! which carries them and understands neither.

use bytes::Bytes;
use hyper::{HeaderMap, Method, Uri};

/// What is sent.
#[derive(Clone)]
pub(crate) struct Request {
    /// GET, or a method that its profile declares safe to repeat.
    pub(crate) method: Method,
    /// Absolute, with everything encoded.
    pub(crate) uri: Uri,
    /// May hold secrets: never shown.
    pub(crate) headers: HeaderMap,
    /// Empty for GET.
    pub(crate) body: Bytes,
    /// The host comes from data and not from the user: private addresses are refused.
    pub(crate) guarded: bool,
}

/// What came back, whole and within its limits.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    /// HTTP status code.
    pub(crate) status: u16,
    /// As received.
    pub(crate) headers: HeaderMap,
    /// Not longer than the exchange's limit.
    pub(crate) body: Bytes,
}
