//! What an error of PostgreSQL means to whoever called.

use crate::store::{Allow, StoreFault, StoreReason, Trust};
use std::io;
use tokio_postgres::Error;
use tokio_postgres::error::{DbError, SqlState};

/// What the error says of a statement that was sent.
pub(super) fn of_call(error: &Error) -> StoreFault {
    let Some(said) = error.as_db_error() else {
        // Nobody said that it was not carried out.
        return StoreFault::Lost(text(error));
    };
    let code = said.code();
    let why = told(said);
    if BUSY.contains(&code) {
        StoreFault::Busy(why)
    } else if FULL.contains(&code) {
        StoreFault::Full(StoreReason::Disk { said: why })
    } else if *code == SqlState::READ_ONLY_SQL_TRANSACTION {
        StoreFault::Away(why.into())
    } else if is_refusal(code) {
        StoreFault::Refused(refusal(code, why))
    } else {
        // Among these is a backend that was ended while it waited for its standby: committed here.
        StoreFault::Lost(why)
    }
}

/// What the error says of an attempt to connect.
pub(super) fn of_connecting(error: &Error) -> StoreFault {
    match error.as_db_error() {
        Some(said) if is_refusal(said.code()) => {
            StoreFault::Refused(refusal(said.code(), told(said)))
        }
        Some(said) if *said.code() == SqlState::TOO_MANY_CONNECTIONS => {
            StoreFault::Away(StoreReason::Connections { said: told(said) })
        }
        Some(said) => StoreFault::Away(told(said).into()),
        None if is_about_trust(error) => {
            StoreFault::Refused(StoreReason::Certificate { said: text(error), trust: Trust::Url })
        }
        // The driver has no other word for it.
        None if text(error).contains("password missing") => {
            StoreFault::Refused(StoreReason::Credentials { said: "it wants a password".to_owned() })
        }
        None => StoreFault::Away(text(error).into()),
    }
}

/// Whether TLS failed in a way that will be the same next time.
fn is_about_trust(error: &Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(found) = cause {
        let inner = found.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if inner.is_some_and(|inner| inner.is::<rustls::Error>()) {
            return true;
        }
        cause = found.source();
    }
    // The driver has no other word for it.
    text(error).contains("server does not support TLS")
}

/// Given up as a whole: a repetition may succeed.
const BUSY: [&SqlState; 6] = [
    &SqlState::T_R_SERIALIZATION_FAILURE,
    &SqlState::T_R_DEADLOCK_DETECTED,
    &SqlState::LOCK_NOT_AVAILABLE,
    &SqlState::QUERY_CANCELED,
    &SqlState::OUT_OF_MEMORY,
    // An order id that another sale used a moment ago: next time it is seen.
    &SqlState::UNIQUE_VIOLATION,
];

const FULL: [&SqlState; 1] = [&SqlState::DISK_FULL];

/// Classes of errors that no repetition mends: wrong data, no such thing, no permission, a limit
/// of the server, no such user or database, a broken rule.
const REFUSED_CLASSES: [&str; 7] = ["22", "23", "28", "3D", "42", "54", "P0"];

fn is_refusal(code: &SqlState) -> bool {
    REFUSED_CLASSES.iter().any(|class| code.code().starts_with(class))
}

/// What to change, as far as the class of the error tells.
fn refusal(code: &SqlState, said: String) -> StoreReason {
    match code.code().get(..2) {
        _ if *code == SqlState::INSUFFICIENT_PRIVILEGE => {
            StoreReason::Forbidden { said, allow: Allow::Postgres }
        }
        Some("28") => StoreReason::Credentials { said },
        Some("3D") => StoreReason::NoDatabase { said },
        _ => said.into(),
    }
}

fn told(error: &DbError) -> String {
    let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
    format!("PostgreSQL says: {}{hint} [{}]", error.message(), error.code().code())
}

/// With its causes, which the error's own text leaves out.
fn text(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
