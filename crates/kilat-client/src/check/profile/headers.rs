//! Headers of a request, with secrets from the environment as `${NAME}`. `$$` is a dollar sign.
//!
//! A secret enters a header value that is marked sensitive, and nothing else: no message,
//! log or `Debug` shows it.

use super::source::{Entry, Named};
use crate::ClientError;
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

/// Headers that say how a message is carried: a profile that set them would contradict
/// what is sent.
const OWN: [&str; 13] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Looks up an environment variable.
pub(super) type Secrets<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What a profile's `[headers]` say.
#[derive(Default)]
pub(super) struct Headers {
    pub(super) map: HeaderMap,
    /// First variable that was used.
    pub(super) variable: Option<String>,
}

/// Reads `[headers]`.
///
/// # Errors
/// [`ClientError::Usage`] for what no header can carry, and for a variable that is not set.
pub(super) fn read(entry: &Entry<'_>, secrets: Secrets<'_>) -> Result<Headers, ClientError> {
    let mut headers = Headers::default();
    for named in entry.named()? {
        let name = header_name(&named)?;
        let value = header_value(&named, secrets, &mut headers.variable)?;
        if headers.map.insert(name, value).is_some() {
            return Err(named.mistake(0, "profile.header_double", &[("name", &named.name)]));
        }
    }
    Ok(headers)
}

fn header_name(named: &Named<'_>) -> Result<HeaderName, ClientError> {
    let shown = named.name.escape_debug();
    let mistake = |key: &str| named.mistake(0, key, &[("name", &shown)]);
    let name = HeaderName::from_bytes(named.name.as_bytes())
        .map_err(|_| mistake("profile.header_name"))?;
    match OWN.contains(&name.as_str()) {
        true => Err(mistake("profile.header_own")),
        false => Ok(name),
    }
}

fn header_value(
    named: &Named<'_>,
    secrets: Secrets<'_>,
    used: &mut Option<String>,
) -> Result<HeaderValue, ClientError> {
    let text = named.value.text()?;
    let mut filled = String::new();
    let mut at = 0;
    while let Some(next) = text[at..].find('$') {
        let start = at + next;
        filled.push_str(&text[at..start]);
        at = match text[start + 1..].bytes().next() {
            Some(b'{') => {
                let variable = variable(named, text, start)?;
                filled.push_str(&secret(named, start, variable, secrets)?);
                used.get_or_insert_with(|| variable.to_owned());
                start + "${}".len() + variable.len()
            }
            // Meant as a variable, as a shell writes it; what follows may be secret and is not said.
            Some(b'_' | b'a'..=b'z' | b'A'..=b'Z') => {
                return Err(named.value.mistake_at(start, "profile.header_dollar", &[]));
            }
            next => {
                filled.push('$');
                start + if next == Some(b'$') { 2 } else { 1 }
            }
        };
    }
    filled.push_str(&text[at..]);
    let value = visible(&filled)
        .ok_or_else(|| named.value.mistake("profile.header_value", &[("name", &named.name)]));
    value.map(|mut value| {
        value.set_sensitive(true);
        value
    })
}

/// The name in the `${NAME}` that begins at `start`.
fn variable<'a>(named: &Named<'_>, text: &'a str, start: usize) -> Result<&'a str, ClientError> {
    let inner = &text[start + "${".len()..];
    let length = inner.find('}');
    let length = length.ok_or_else(|| named.value.mistake_at(start, "profile.header_open", &[]))?;
    Ok(&inner[..length])
}

fn secret(
    named: &Named<'_>,
    at: usize,
    variable: &str,
    secrets: Secrets<'_>,
) -> Result<String, ClientError> {
    let mistake =
        |key: &str| named.value.mistake_at(at, key, &[("variable", &variable.escape_debug())]);
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if variable.is_empty() || !variable.bytes().all(is_name) {
        return Err(mistake("profile.variable_name"));
    }
    let value = secrets(variable).ok_or_else(|| mistake("profile.secret_missing"))?;
    match value.is_empty() || visible(&value).is_none() {
        true => Err(mistake("profile.secret_unusable")),
        false => Ok(value),
    }
}

/// Visible ASCII and spaces: what every server reads alike.
fn visible(text: &str) -> Option<HeaderValue> {
    let is_visible = text.bytes().all(|b| (b' '..=b'~').contains(&b));
    is_visible.then(|| HeaderValue::from_str(text).ok())?
}
