//! Where a redirect leads, and whether to follow it: only within its own origin.
//!
//! Whoever answers may be hostile: a redirect to another host, port or scheme could reach what
//! only this machine can reach, or take secrets elsewhere.

use super::Reply;
use super::setback::Setback;
use hyper::header::LOCATION;
use hyper::{Method, Uri};

/// The place to ask next, or `None` when the reply is an answer itself.
///
/// # Errors
/// [`Setback::Redirected`] for a redirect that is not followed.
pub(super) fn next(method: &Method, from: &Uri, reply: &Reply) -> Result<Option<Uri>, Setback> {
    let keeps_method = matches!(reply.status, 307 | 308);
    if !keeps_method && !matches!(reply.status, 301..=303) {
        return Ok(None);
    }
    let Some(location) = reply.headers.get(LOCATION) else {
        return Ok(None);
    };
    let refused =
        || Setback::Redirected { to: String::from_utf8_lossy(location.as_bytes()).into() };
    let to = location.to_str().ok().and_then(|to| resolve(from, to)).ok_or_else(refused)?;
    let may_follow = keeps_method || *method == Method::GET || *method == Method::HEAD;
    if may_follow && is_same_origin(from, &to) { Ok(Some(to)) } else { Err(refused()) }
}

/// `reference` as seen from `base` (RFC 3986, 5.2), its fragment left out.
fn resolve(base: &Uri, reference: &str) -> Option<Uri> {
    let reference = reference.split('#').next().unwrap_or_default();
    let (scheme, authority) = (base.scheme_str()?, base.authority()?);
    let path = base.path();
    let text = if has_scheme(reference) {
        reference.to_owned()
    } else if reference.starts_with("//") {
        format!("{scheme}:{reference}")
    } else if reference.starts_with('/') {
        format!("{scheme}://{authority}{reference}")
    } else if reference.starts_with('?') {
        format!("{scheme}://{authority}{path}{reference}")
    } else if reference.is_empty() {
        return Some(base.clone());
    } else {
        let folder = &path[..=path.rfind('/')?];
        format!("{scheme}://{authority}{folder}{reference}")
    };
    let to: Uri = text.parse().ok()?;
    let (scheme, authority, path) = (to.scheme_str()?, to.authority()?, without_dots(to.path()));
    let query = to.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{scheme}://{authority}{path}{query}").parse().ok()
}

/// A path whose `.` and `..` have been followed (RFC 3986, 5.2.4). Left to the server they could
/// lead to a place that is not there, which means something else than the place that was meant.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
        if matches!(segment, "." | "..") && segments.peek().is_none() {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

/// Whether it begins with `name:`, before any `/` or `?`.
fn has_scheme(reference: &str) -> bool {
    let end = reference.find([':', '/', '?']).filter(|&at| reference.as_bytes()[at] == b':');
    end.is_some_and(|at| {
        reference[..at].bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    })
}

fn is_same_origin(one: &Uri, other: &Uri) -> bool {
    let origin = |uri: &Uri| {
        let scheme = uri.scheme_str()?.to_ascii_lowercase();
        let port = uri.port_u16().or(match scheme.as_str() {
            "http" => Some(80),
            "https" => Some(443),
            _ => None,
        })?;
        Some((scheme, uri.host()?.to_ascii_lowercase(), port))
    };
    origin(one).is_some_and(|one| origin(other) == Some(one))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use hyper::HeaderMap;

    /// What follows from a reply with `status` and `location` to a GET of `/a/b?x=1`.
    fn led(method: &Method, status: u16, location: &str) -> Result<Option<String>, ()> {
        let from = "http://API.test:80/a/b?x=1".parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, location.parse().unwrap());
        let reply = Reply { status, headers, body: Bytes::new() };
        match next(method, &from, &reply) {
            Ok(to) => Ok(to.map(|to| to.to_string())),
            Err(Setback::Redirected { to }) => {
                assert_eq!(to, location);
                Err(())
            }
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn redirects_within_the_origin_are_resolved() {
        for (location, to) in [
            ("/c", "http://API.test:80/c"),
            ("c?d=1:2", "http://API.test:80/a/c?d=1:2"),
            ("?y=2", "http://API.test:80/a/b?y=2"),
            ("/c#part", "http://API.test:80/c"),
            ("../c", "http://API.test:80/c"),
            ("../../../c/./d/..?../e", "http://API.test:80/c/?../e"),
            ("./", "http://API.test:80/a/"),
            ("..", "http://API.test:80/"),
            ("/c/..d/%2e%2e//e", "http://API.test:80/c/..d/%2e%2e//e"),
            ("", "http://API.test:80/a/b?x=1"),
            ("//api.test/c", "http://api.test/c"),
            ("http://api.TEST/c", "http://api.TEST/c"),
            ("HTTP://api.test:80/c", "http://api.test:80/c"),
        ] {
            assert_eq!(led(&Method::GET, 302, location), Ok(Some(to.to_owned())), "{location}");
        }
    }

    #[test]
    fn redirects_to_anywhere_else_are_not_followed() {
        for location in [
            "https://api.test/c",
            "http://api.test:81/c",
            "http://api.test.evil/c",
            "http://169.254.169.254/latest/meta-data",
            "//127.0.0.1/c",
            "http://api.test:80@evil.test/",
            "file:///etc/passwd",
            "gopher:x",
            "http://",
            "http://[::1",
            "/ä",
        ] {
            assert_eq!(led(&Method::GET, 301, location), Err(()), "{location}");
        }
    }

    #[test]
    fn what_is_no_redirect_is_an_answer_and_a_body_goes_only_where_it_may() {
        for status in [200, 300, 304, 404] {
            assert_eq!(led(&Method::GET, status, "/c"), Ok(None), "{status}");
        }
        assert_eq!(led(&Method::POST, 302, "/c"), Err(()));
        assert!(led(&Method::POST, 307, "/c").unwrap().is_some());
        let bare = Reply { status: 302, headers: HeaderMap::new(), body: Bytes::new() };
        assert_eq!(next(&Method::GET, &"http://a/".parse().unwrap(), &bare), Ok(None));
    }
}
