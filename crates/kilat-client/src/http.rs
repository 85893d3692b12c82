//! One blocking call of the HTTP contract, for everything that is not the stampede itself.
//!
//! Knows addresses, tokens and problem documents; never what a sale means.

use crate::{ClientError, Lang};
use kilat_api::IDEMPOTENCY_KEY;
use kilat_api::problem::Problem;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use ureq::http::{Method, Request, Uri};

/// First wait before a call is repeated, in milliseconds.
pub(crate) const BACKOFF_FIRST_MS: u32 = 20;
/// Longest wait before a call is repeated, in milliseconds.
pub(crate) const BACKOFF_MAX_MS: u32 = 500;

/// A secret that never shows itself in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl From<String> for Token {
    fn from(secret: String) -> Self {
        Token(secret)
    }
}

impl From<&str> for Token {
    fn from(secret: &str) -> Self {
        Token(secret.to_owned())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Token {
    /// Value of the `authorization` header.
    pub(crate) fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }

    /// Whether it can stand in a header.
    pub(crate) fn is_sound(&self) -> bool {
        !self.0.is_empty() && self.0.bytes().all(|b| (b'!'..=b'~').contains(&b))
    }
}

/// Where the server is and who is asking.
#[derive(Clone, Debug)]
pub struct Access {
    /// Base address, such as `http://127.0.0.1:8080`.
    pub url: String,
    /// Needed by every call that changes a sale or lists its orders.
    pub token: Option<Token>,
    /// Longest that one call may take.
    pub timeout: Duration,
}

/// Why a call brought no answer of the kind asked for.
#[derive(Clone, Debug)]
pub(crate) enum CallError {
    /// No connection, or it broke, or it took too long.
    Unreachable(String),
    /// The server said no; the problem document when it sent one.
    Refused { status: u16, problem: Option<Box<Problem>> },
    /// The answer is not what the contract says.
    Unreadable(String),
}

impl CallError {
    /// Whether the same call may succeed later.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            CallError::Unreachable(_) => true,
            CallError::Refused { status, .. } => *status == 408 || *status == 429 || *status >= 500,
            CallError::Unreadable(_) => false,
        }
    }

    /// The error for people, with the fields at fault.
    pub(crate) fn explain(&self, url: &str, lang: Lang) -> ClientError {
        match self {
            CallError::Unreachable(why) => ClientError::Unreachable(
                lang.say("error.unreachable", &[("url", &url), ("why", why)]),
            ),
            CallError::Refused { status, problem } => {
                ClientError::Refused(explain_refusal(url, *status, problem.as_deref(), lang))
            }
            CallError::Unreadable(why) => {
                ClientError::Fault(lang.say("error.unreadable", &[("url", &url), ("why", why)]))
            }
        }
    }
}

fn explain_refusal(url: &str, status: u16, problem: Option<&Problem>, lang: Lang) -> String {
    let Some(problem) = problem else {
        // Kilat has no such answer without a reason: somebody else listens there.
        let is_foreign = matches!(status, 404 | 405);
        let key = if is_foreign { "error.not_kilat" } else { "error.refused_bare" };
        return lang.say(key, &[("url", &url), ("status", &status)]);
    };
    let reason = problem.detail.as_deref().unwrap_or(problem.title.as_ref()).trim_end_matches('.');
    let mut text = lang
        .say("error.refused", &[("status", &status), ("code", &problem.code), ("reason", &reason)]);
    for fault in &problem.errors {
        text.push_str(&format!("\n  {}: {}", fault.field, fault.message));
    }
    text
}

/// The server at one address.
pub(crate) struct Api {
    pub(crate) agent: ureq::Agent,
    pub(crate) base: String,
    pub(crate) bearer: Option<String>,
}

impl Api {
    /// # Errors
    /// [`ClientError::Usage`] when the address or the token can't be used.
    pub(crate) fn new(access: &Access, lang: Lang) -> Result<Api, ClientError> {
        let base = parse_base(&access.url, lang)?;
        if access.token.as_ref().is_some_and(|token| !token.is_sound()) {
            return Err(ClientError::Usage(lang.say("error.token", &[])));
        }
        // No proxy: the witness looks at the server itself, as the stampede does.
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .timeout_global(Some(access.timeout))
            .user_agent(concat!("kilat/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Api {
            agent: config.new_agent(),
            base: base.to_string().trim_end_matches('/').to_owned(),
            bearer: access.token.as_ref().map(Token::bearer),
        })
    }

    /// Whether calls carry a token.
    pub(crate) fn has_token(&self) -> bool {
        self.bearer.is_some()
    }

    pub(crate) fn get(&self, path: &str) -> Result<Vec<u8>, CallError> {
        self.call(Method::GET, path, None, None).map(|(_, body)| body)
    }

    /// Sends `body` with an idempotency key; the status tells new from repeated.
    pub(crate) fn send(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Vec<u8>,
    ) -> Result<(u16, Vec<u8>), CallError> {
        self.call(method, path, key, Some(body))
    }

    fn call(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Option<Vec<u8>>,
    ) -> Result<(u16, Vec<u8>), CallError> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("accept", "application/json");
        if let Some(bearer) = &self.bearer {
            request = request.header("authorization", bearer);
        }
        if let Some(key) = key {
            request = request.header(IDEMPOTENCY_KEY, key);
        }
        let unreadable = |e: ureq::http::Error| CallError::Unreadable(e.to_string());
        let reply = match body {
            Some(body) => {
                let request = request.header("content-type", "application/json");
                self.agent.run(request.body(body).map_err(unreadable)?)
            }
            None => self.agent.run(request.body(()).map_err(unreadable)?),
        };
        let mut reply = reply.map_err(|e| CallError::Unreachable(reason(&e)))?;
        let status = reply.status().as_u16();
        let body =
            reply.body_mut().read_to_vec().map_err(|e| CallError::Unreachable(reason(&e)))?;
        if (200..300).contains(&status) {
            return Ok((status, body));
        }
        let problem = serde_json::from_slice(&body).ok();
        Err(CallError::Refused { status, problem })
    }
}

/// Why no answer came, without what only a programmer reads: the number of a system's error.
pub(crate) fn reason(error: &ureq::Error) -> String {
    let text = match error {
        ureq::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    };
    text.split(" (os error ").next().unwrap_or_default().to_owned()
}

/// Decodes an answer.
pub(crate) fn decode<'a, T: serde::Deserialize<'a>>(body: &'a [u8]) -> Result<T, CallError> {
    serde_json::from_slice(body).map_err(|e| CallError::Unreadable(e.to_string()))
}

/// How long a call is repeated while its failure may pass.
pub(crate) struct Patience<'a> {
    pub limit: Duration,
    /// Shortens the patience to [`PATIENCE_CANCELLED`].
    pub cancel: &'a AtomicBool,
}

/// Patience that is left to someone who wants to stop.
const PATIENCE_CANCELLED: Duration = Duration::from_secs(3);

impl Patience<'_> {
    /// Repeats `call` until it has an answer or patience runs out.
    pub(crate) fn call<T>(
        &self,
        mut call: impl FnMut() -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        let began = Instant::now();
        let mut wait = Duration::from_millis(u64::from(BACKOFF_FIRST_MS));
        loop {
            match call() {
                Err(error) if error.is_transient() => {
                    let limit = if self.cancel.load(Ordering::Relaxed) {
                        self.limit.min(PATIENCE_CANCELLED)
                    } else {
                        self.limit
                    };
                    if began.elapsed() + wait >= limit {
                        return Err(error);
                    }
                    std::thread::sleep(wait);
                    wait = (wait * 2).min(Duration::from_millis(u64::from(BACKOFF_MAX_MS)));
                }
                answer => return answer,
            }
        }
    }
}

/// The base address, checked.
pub(crate) fn parse_base(url: &str, lang: Lang) -> Result<Uri, ClientError> {
    let wrong = || ClientError::Usage(lang.say("error.url", &[("url", &url)]));
    let uri: Uri = url.parse().map_err(|_| wrong())?;
    let known = matches!(uri.scheme_str(), Some("http" | "https"));
    let plain = uri.query().is_none() && !uri.authority().is_some_and(|a| a.as_str().contains('@'));
    if known && plain && uri.host().is_some_and(|host| !host.is_empty()) {
        Ok(uri)
    } else {
        Err(wrong())
    }
}

/// 64 bits that differ on every call, from the keys that the system gives each hasher.
pub(crate) fn random_bits() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// A fresh idempotency key.
pub(crate) fn random_key() -> String {
    format!("{:016x}{:016x}", random_bits(), random_bits())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in [
            "http://127.0.0.1:8080",
            "http://localhost/",
            "https://a.example/shop",
            "http://[::1]:80",
        ] {
            assert!(parse_base(good, Lang::English).is_ok(), "{good}");
        }
        for bad in
            ["", "127.0.0.1:8080", "ftp://a", "http://", "http://u:p@a", "http://a/?q=1", "/x"]
        {
            assert!(parse_base(bad, Lang::English).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_token_does_not_show_itself() {
        assert_eq!(format!("{:?}", Token::from("secret")), "Token(…)");
        assert!(!Token::from("a\r\nb").is_sound());
    }

    #[test]
    fn keys_differ() {
        assert_ne!(random_key(), random_key());
    }
}
