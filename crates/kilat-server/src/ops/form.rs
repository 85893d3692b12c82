//! Forms of the operator's pages: whether they come from there, and their fields.

use super::session::Session;
use crate::body::{self, malformed};
use crate::limits::FORM_BODY_BYTES_MAX;
use crate::pages::form::comes_from_here;
use crate::problem::Fault;
use crate::state::App;
use axum::body::Body;
use axum::http::HeaderMap;
use kilat_api::problem::Code;
use kilat_api::text::is_idempotency_key;
use std::ops::RangeInclusive;

/// The field with which a form shows that it was made for the session.
const FORM_TOKEN: &str = "form_token";

/// The fields of a form that is genuine, each once.
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads the form of somebody who is signed in.
    ///
    /// # Errors
    /// [`Code::Forbidden`] when it comes from elsewhere, and what can be wrong with a body.
    pub(super) async fn of_session(
        app: &App,
        session: &Session,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Fields, Fault> {
        Fields::of_session_up_to(app, session, headers, body, FORM_BODY_BYTES_MAX).await
    }

    /// The same, of at most `bytes_max`.
    ///
    /// # Errors
    /// As [`Fields::of_session`].
    pub(super) async fn of_session_up_to(
        app: &App,
        session: &Session,
        headers: &HeaderMap,
        body: Body,
        bytes_max: usize,
    ) -> Result<Fields, Fault> {
        let mut fields = Fields::of_site(app, headers, body, bytes_max).await?;
        let token = fields.take(FORM_TOKEN).ok_or(Code::Forbidden)?;
        if session.made(&token) { Ok(fields) } else { Err(Code::Forbidden.into()) }
    }

    /// Reads a form of this site, of at most `bytes_max`.
    ///
    /// # Errors
    /// As [`Fields::of_session`].
    pub(super) async fn of_site(
        app: &App,
        headers: &HeaderMap,
        body: Body,
        bytes_max: usize,
    ) -> Result<Fields, Fault> {
        if !comes_from_here(headers) {
            return Err(Code::Forbidden.into());
        }
        let bytes = body::form(app, headers, body, bytes_max).await?;
        let fields: Vec<(String, String)> =
            serde_urlencoded::from_bytes(&bytes).map_err(|error| malformed(error.to_string()))?;
        let mut names: Vec<_> = fields.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(malformed("a field stands twice in the form".to_owned()));
        }
        Ok(Fields(fields))
    }

    /// A field, without the space around it.
    pub(super) fn look(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| value.trim())
    }

    /// Takes a field out, without the space around it.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let place = self.0.iter().position(|(field, _)| field == name)?;
        Some(self.0.swap_remove(place).1.trim().to_owned())
    }

    /// Takes out a field that must be there.
    ///
    /// # Errors
    /// [`Code::Malformed`] when it is not.
    pub(super) fn need(&mut self, name: &str) -> Result<String, Fault> {
        self.take(name).ok_or_else(|| malformed(format!("the form has no field {name}")))
    }

    /// Takes out a whole number that may be left empty.
    ///
    /// # Errors
    /// [`Code::Invalid`] when it is none, or out of `range`.
    pub(super) fn number(
        &mut self,
        name: &str,
        range: RangeInclusive<u32>,
    ) -> Result<Option<u32>, Fault> {
        match self.take(name).unwrap_or_default().as_str() {
            "" => Ok(None),
            text => {
                let number = text.parse().ok().filter(|number| range.contains(number));
                number.map(Some).ok_or_else(|| Code::Invalid.into())
            }
        }
    }

    /// Takes out the idempotency key that was made with the form.
    ///
    /// # Errors
    /// [`Code::Malformed`] when there is none.
    pub(super) fn key(&mut self) -> Result<String, Fault> {
        let key = self.need("key")?;
        if is_idempotency_key(&key) {
            Ok(key)
        } else {
            Err(malformed("the key can't be one".to_owned()))
        }
    }

    /// Nothing must be left.
    ///
    /// # Errors
    /// [`Code::Malformed`] when there is a field that nobody asked for.
    pub(super) fn end(self) -> Result<(), Fault> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(malformed(format!("the form has an unknown field {name:?}"))),
        }
    }
}
