//! Signing in with the admin token, and out again.

use super::form::Fields;
use super::html::{self, Page};
use super::session::Session;
use crate::full_lane::Peer;
use crate::limits::FORM_BODY_BYTES_MAX;
use crate::problem::Fault;
use crate::state::App;
use askama::Template;
use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::Response;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Where somebody is sent to sign in who wanted to see `path`.
pub(super) fn address(path: &str) -> String {
    match destination(path) {
        "/ops" => "/ops/sign-in".to_owned(),
        path => format!("/ops/sign-in?to={path}"),
    }
}

/// `path` if it is a page of the operator, written with nothing that could lead elsewhere.
fn destination(path: &str) -> &str {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'.');
    let is_ours = path.starts_with("/ops/") && !path.starts_with("/ops/sign");
    if is_ours && !path.contains("//") && path.bytes().all(plain) { path } else { "/ops" }
}

/// The form.
pub(super) async fn page(State(app): State<App>, headers: HeaderMap, uri: Uri) -> Response {
    if app.ops.session(&headers).is_some() {
        return html::see("/ops");
    }
    let page = Page::new(&app, &headers, &uri, None);
    let wanted = uri.query().into_iter().flat_map(|query| query.split('&'));
    let to = wanted.filter_map(|pair| pair.strip_prefix("to=")).next().map_or("/ops", destination);
    let said = if app.access.admin_hash().is_none() { page.text.token_none } else { "" };
    form(&page, StatusCode::OK, said, to)
}

#[derive(Template)]
#[template(path = "ops_sign_in.html")]
struct SignInPage<'a> {
    page: &'a Page,
    said: &'a str,
    to: &'a str,
}

/// The form with something said above it.
pub(super) fn form(page: &Page, status: StatusCode, said: &str, to: &str) -> Response {
    page.reply(&SignInPage { page, said, to }, status)
}

/// What the form posts.
pub(super) async fn sign_in(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    uri: Uri,
    body: Body,
) -> Response {
    let page = Page::new(&app, &headers, &uri, None);
    let (token, to) = match read(&app, &headers, body).await {
        Ok(fields) => fields,
        Err(fault) => return page.refuse(&fault),
    };
    let (who, now) = (visitor(peer, &headers), Instant::now());
    if let Some(wait) = app.ops.tries.wait(who, now) {
        return told_to_wait(&page, wait, &to);
    }
    if !app.access.is_admin(token.as_bytes()) {
        app.ops.tries.wrong(who, now);
        tracing::warn!(from = %who, "somebody showed a wrong admin token");
        return form(&page, StatusCode::UNAUTHORIZED, page.text.token_wrong, &to);
    }
    tracing::info!(from = %who, "the operator signed in");
    let mut response = html::see(&to);
    response.headers_mut().append(header::SET_COOKIE, app.ops.sessions.begin(app.ops.now()));
    response
}

async fn read(app: &App, headers: &HeaderMap, body: Body) -> Result<(String, String), Fault> {
    let mut fields = Fields::of_site(app, headers, body, FORM_BODY_BYTES_MAX).await?;
    let token = fields.need("token")?;
    let to = fields.take("to").unwrap_or_default();
    fields.end()?;
    Ok((token, destination(&to).to_owned()))
}

fn told_to_wait(page: &Page, wait: Duration, to: &str) -> Response {
    let seconds = wait.as_secs() + 1;
    let said = page.text.token_wait.replace("{}", &seconds.to_string());
    let mut response = form(page, StatusCode::TOO_MANY_REQUESTS, &said, to);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// Who is asking. What a gateway on this machine says of it is believed, nobody else.
fn visitor(Peer(peer): Peer, headers: &HeaderMap) -> IpAddr {
    let peer = peer.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    let told = headers.get_all("x-forwarded-for").iter().next_back();
    let told = told.and_then(|value| value.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
    told.filter(|_| peer.is_loopback()).unwrap_or(peer)
}

/// Ends the session of this browser.
pub(super) async fn sign_out(
    State(app): State<App>,
    Extension(session): Extension<Session>,
    headers: HeaderMap,
    uri: Uri,
    body: Body,
) -> Response {
    let ended = async { Fields::of_session(&app, &session, &headers, body).await?.end() };
    match ended.await {
        Ok(()) => {
            let mut response = html::see("/ops/sign-in");
            response.headers_mut().append(header::SET_COOKIE, app.ops.sessions.end());
            response
        }
        Err(fault) => Page::new(&app, &headers, &uri, Some(&session)).refuse(&fault),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_in_leads_to_a_page_of_the_operator_and_nowhere_else() {
        let table = [
            ("/ops", "/ops"),
            ("/ops/check", "/ops/check"),
            ("/ops/sales/iphone-17", "/ops/sales/iphone-17"),
            ("/ops/sign-out", "/ops"),
            ("//evil.example", "/ops"),
            ("/ops//evil.example", "/ops"),
            ("https://evil.example", "/ops"),
            ("/ops/\r\nset-cookie: a", "/ops"),
            ("/opsx", "/ops"),
            ("", "/ops"),
        ];
        for (wanted, led) in table {
            assert_eq!(destination(wanted), led, "{wanted:?}");
        }
    }

    #[test]
    fn only_a_neighbour_is_believed_about_addresses() {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", HeaderValue::from_static("6.6.6.6, 192.0.2.7"));
        let table = [("127.0.0.1", "192.0.2.7"), ("::1", "192.0.2.7"), ("10.0.0.9", "10.0.0.9")];
        for (peer, who) in table {
            let peer = Peer(Some(peer.parse().unwrap()));
            assert_eq!(visitor(peer, &headers), who.parse::<IpAddr>().unwrap());
        }
    }
}
