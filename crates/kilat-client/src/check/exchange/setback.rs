//! Why no reply came, by what the caller should do about it.

use crate::Lang;
use std::time::Duration;

/// Longest quotation of what another program or server said, in characters.
const QUOTE_CHARS_MAX: usize = 200;

/// One attempt that brought no reply. None of them says anything of the id that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Setback {
    /// No whole reply within this time, connecting included.
    TimedOut(Duration),
    /// No connection: no such host, nobody listens, no route.
    Unreachable(String),
    /// The connection ended before the reply was whole.
    Closed,
    /// The server broke the request off and said why.
    BrokenOff {
        /// In the words of HTTP/2.
        why: String,
        /// It was too much for the server.
        is_overload: bool,
    },
    /// What came is not HTTP, or breaks its rules.
    Garbled(String),
    /// Bytes came over this connection or another of the same server that nobody asked for, so
    /// that what came may be the answer to another request.
    Astray,
    /// The body is longer than this many bytes.
    TooLarge(usize),
    /// The head, or the interim replies before it, are longer than this many bytes.
    HeadTooLarge(usize),
    /// The body is encoded in this way, which nobody asked for.
    Encoded(String),
    /// The API says that the answer is at another place, which may be anyone's.
    Redirected {
        /// That place, as far as it can be read.
        to: String,
    },
    /// The API redirects again and again.
    RedirectedOften {
        /// How often that is followed.
        most: usize,
        /// The last place.
        to: String,
    },
    /// The host, which came with the data, is at this private address.
    Refused(String),
    /// The server answers the first words of HTTP/2 with something else.
    NoHttp2,
    /// No secure connection: the server answers the first words of TLS with something else.
    NoTls,
    /// No secure connection: its certificate is signed by an authority that is not trusted.
    UnknownAuthority,
    /// No secure connection: its certificate ended on this day.
    Expired(String),
    /// No secure connection: its certificate begins on this day only.
    NotYetValid(String),
    /// No secure connection: its certificate is for others.
    OtherName {
        /// Some of those that it names; empty when it names nobody.
        names: String,
        /// Who was asked.
        host: String,
    },
    /// No secure connection: the certificate is not one to trust, or no common version of TLS.
    Untrusted(String),
    /// The request can't be sent as it is.
    Unsendable(String),
}

impl Setback {
    /// Whether another attempt may go better. Without it the same would come again, or harm.
    pub(crate) const fn retry(&self) -> bool {
        matches!(
            self,
            Setback::TimedOut(_)
                | Setback::Unreachable(_)
                | Setback::Closed
                | Setback::BrokenOff { .. }
                | Setback::Garbled(_)
                | Setback::NoHttp2
                | Setback::Astray
        )
    }

    /// One sentence: what is wrong and, where a user can do something, what.
    pub(crate) fn text(&self, lang: Lang) -> String {
        match self {
            Setback::TimedOut(after) => {
                lang.say("setback.timed_out", &[("after", &lang.micros(micros(*after)))])
            }
            Setback::Unreachable(why) => lang.say("setback.unreachable", &[("why", &quote(why))]),
            Setback::Closed => lang.say("setback.closed", &[]),
            Setback::BrokenOff { why, .. } => {
                lang.say("setback.broken_off", &[("why", &quote(why))])
            }
            Setback::Garbled(why) => lang.say("setback.garbled", &[("why", &quote(why))]),
            Setback::Astray => lang.say("setback.astray", &[]),
            Setback::TooLarge(bytes) => {
                lang.say("setback.too_large", &[("bytes", &lang.number(*bytes as u64))])
            }
            Setback::HeadTooLarge(bytes) => {
                lang.say("setback.head_too_large", &[("bytes", &lang.number(*bytes as u64))])
            }
            Setback::Encoded(coding) => lang.say("setback.encoded", &[("coding", &quote(coding))]),
            Setback::Redirected { to } => lang.say("setback.redirected", &[("to", &quote(to))]),
            Setback::RedirectedOften { most, to } => {
                lang.say("setback.redirected_often", &[("most", most), ("to", &quote(to))])
            }
            Setback::Refused(address) => {
                lang.say("setback.refused", &[("address", &quote(address))])
            }
            Setback::NoHttp2 => lang.say("setback.no_http2", &[]),
            Setback::NoTls => lang.say("setback.no_tls", &[]),
            Setback::UnknownAuthority => lang.say("setback.unknown_authority", &[]),
            Setback::Expired(day) => lang.say("setback.expired", &[("day", &quote(day))]),
            Setback::NotYetValid(day) => lang.say("setback.not_yet_valid", &[("day", &quote(day))]),
            Setback::OtherName { names, host } if names.is_empty() => {
                lang.say("setback.no_name", &[("host", &quote(host))])
            }
            Setback::OtherName { names, host } => {
                lang.say("setback.other_name", &[("names", &quote(names)), ("host", &quote(host))])
            }
            Setback::Untrusted(why) => lang.say("setback.untrusted", &[("why", &quote(why))]),
            Setback::Unsendable(why) => lang.say("setback.unsendable", &[("why", &quote(why))]),
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Foreign words, shortened and without control characters.
fn quote(words: &str) -> String {
    words
        .chars()
        .take(QUOTE_CHARS_MAX)
        .map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c })
        .collect()
}
