//! The operator's pages: figures of the whole system, the sales and their buttons.
//!
//! ```text
//! browser ─▶ routes: a session? ─▶ dashboard, sale ─▶ engine's Handle
//!                                └▶ feed ─▶ link ─▶ console, where the state is ◀─ beats of every process
//! ```
//!
//! They work without scripts; scripts add live figures. Must never touch the ledger's thread but as
//! any caller does: by a command. Why it is so is in ADR 15.

mod amount;
mod assets;
mod beat;
mod check;
mod console;
mod dashboard;
mod download;
mod feed;
mod figures;
mod form;
mod html;
mod link;
mod moment;
mod rehearsal;
mod routes;
mod sale;
mod session;
mod sign_in;
mod text;
mod tries;
mod typed;

pub use console::{Console, ConsoleOptions};
pub use link::ConsoleLink;
pub(crate) use routes::router;
pub use routes::{Door, OpsRoute, ROUTES};

use crate::auth::Access;
use crate::state::{App, wall_clock};
use axum::http::HeaderMap;
use feed::Feed;
use session::{Session, SessionKey};
use std::time::Duration;
use tries::Tries;

/// What the operator's pages are started with.
#[derive(Clone, Default)]
pub struct Operations {
    /// The way to the console; without one there are no figures.
    pub console: Option<ConsoleLink>,
    /// The console hears of no other process, though others work on the same state.
    pub is_alone: bool,
    /// The console tells the figures of this process itself.
    pub is_silent: bool,
    /// Where this server is reached from its own machine: `http://…`. Rehearsals go there.
    pub url: String,
    /// Where its lookups are reached, if it has any. Checks go there.
    pub lookups: Option<String>,
    /// How long one signs in for; 8 hours if it is not said. Whole seconds count.
    pub session: Option<Duration>,
}

/// What the operator's pages share.
pub(crate) struct Ops {
    pub(crate) feed: Feed,
    sessions: SessionKey,
    tries: Tries,
    is_alone: bool,
    is_silent: bool,
    url: String,
    lookups: Option<String>,
}

impl Ops {
    pub(crate) fn new(given: Operations, secret: &[u8], access: &Access, is_secure: bool) -> Ops {
        // Without an admin token nobody can sign in, whatever the key.
        let admin = access.admin_hash().unwrap_or_else(|| blake3::hash(&[]));
        Ops {
            feed: Feed::new(given.console),
            sessions: SessionKey::derive(
                secret,
                &admin,
                is_secure,
                given.session.unwrap_or(session::SESSION),
            ),
            tries: Tries::default(),
            is_alone: given.is_alone,
            is_silent: given.is_silent,
            url: given.url,
            lookups: given.lookups,
        }
    }

    /// Who is signed in.
    fn session(&self, headers: &HeaderMap) -> Option<Session> {
        self.sessions.session(headers, self.now())
    }

    /// Seconds since 1970.
    fn now(&self) -> u64 {
        u64::try_from(wall_clock().as_millis() / 1_000).unwrap_or(0)
    }
}

/// Begins to tell the console how this process is.
pub(crate) fn begin(app: &App) {
    if let Some(link) = app.ops.feed.link().cloned().filter(|_| !app.ops.is_silent) {
        tokio::spawn(beat::run(app.clone(), link));
    }
}
