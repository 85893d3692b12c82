//! The interface described: `/openapi.json` for programs, `/docs` for people.
//!
//! | module | holds |
//! |---|---|
//! | `document` | the description, put together from the routes, the handlers and the contract's types |
//! | `refusals` | which codes each call can answer |
//! | `site` | the page that shows it, with everything it loads |
//!
//! Must never know what a call does.

mod document;
mod refusals;
mod site;

pub(crate) use site::{file, openapi, page};
