//! An operator's session without a browser: sign in, read pages, send their forms.

use crate::http::{Reply, call};
use crate::program::ADMIN;

/// Somebody who is signed in. The session is good on every replica.
pub(crate) struct Operator {
    cookie: String,
}

/// The value of the first attribute or field behind `mark` on a page.
pub(crate) fn behind<'a>(page: &'a str, mark: &str) -> Option<&'a str> {
    page.split_once(mark)?.1.split('"').next()
}

impl Operator {
    pub(crate) fn sign_in(url: &str) -> Operator {
        let body = format!("token={ADMIN}");
        let form = ("content-type", "application/x-www-form-urlencoded");
        let reply = call(url, "POST", "/ops/sign-in", &[form], &body).unwrap();
        assert_eq!(reply.status, 303, "{}", reply.text());
        let cookie = reply.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        Operator { cookie }
    }

    pub(crate) fn get(&self, url: &str, path: &str) -> Reply {
        let headers = [("cookie", self.cookie.as_str()), ("accept-language", "en")];
        call(url, "GET", path, &headers, "").unwrap()
    }

    /// Sends the form of a page with these fields.
    pub(crate) fn post(&self, url: &str, page: &str, path: &str, fields: &str) -> Reply {
        let shown = self.get(url, page);
        let token = behind(shown.text(), "name=\"form_token\" value=\"").unwrap();
        let form = ("content-type", "application/x-www-form-urlencoded");
        let body = format!("form_token={token}&{fields}");
        call(url, "POST", path, &[("cookie", &self.cookie), form], &body).unwrap()
    }
}
