//! Addresses with places for ids, and how an id gets into one.
//!
//! An id may hold any character: everything but the unreserved characters of RFC 3986,
//! section 2.3, is percent-encoded, so that no id can end its place, add a parameter,
//! climb a path or begin a new line.

use hyper::Uri;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Longest address that is sent, in bytes; servers commonly take 8 to 16 KiB in a request line.
pub(super) const URL_BYTES_MAX: usize = 8 * 1024 + 512;

const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A parsed template.
#[derive(Clone, Debug)]
pub(super) struct Address {
    /// As it is shown: without ids.
    text: String,
    /// Scheme, host and port, and a path before the rest; `None` when the bootstrap
    /// file names it.
    base: Option<String>,
    rest: Vec<Piece>,
    place: Option<Place>,
    /// Whether an id is a part of the path.
    in_path: bool,
}

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Id(Place),
}

/// How ids get in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// `{id}`: one.
    One,
    /// `{ids}`: several, with something between.
    Many,
}

/// Why a text is not an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AddressFault {
    Scheme,
    /// User and password.
    User,
    Fragment,
    /// `${…}`.
    Secret,
    /// A place in the host or before it.
    Host(String),
    /// A place that means nothing here.
    Placeholder(String),
    /// A brace without its other half.
    Brace,
    /// `{base}` anywhere but at the beginning, or without a path.
    Base,
    /// `{id}` and `{ids}` in one.
    Both,
    /// A character that must be encoded.
    Character(char),
    /// Whatever else.
    Malformed,
}

/// Why an address can't be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    TooLong,
    Malformed,
}

/// Stands for the host that a bootstrap file names.
const BASE: &str = "{base}";

impl Address {
    /// # Errors
    /// The byte at fault, and what is wrong there.
    pub(super) fn parse(text: &str) -> Result<Address, (usize, AddressFault)> {
        refuse_characters(text)?;
        let end_of_base = match text.strip_prefix(BASE) {
            // Anything else would become a part of somebody's host.
            Some(rest) if !rest.starts_with('/') => return Err((BASE.len(), AddressFault::Base)),
            Some(_) => BASE.len(),
            None => end_of_authority(text)?,
        };
        let (base, rest) = text.split_at(end_of_base);
        let rest = pieces(rest).map_err(|(at, fault)| (end_of_base + at, fault))?;
        let address = Address {
            text: text.to_owned(),
            base: (base != BASE).then(|| base.to_owned()),
            place: place(&rest)?,
            rest,
            in_path: text.split('?').next().is_some_and(|path| path.contains("{id")),
        };
        let base = address.base.as_deref().unwrap_or("https://example.com");
        match address.build(base, "x") {
            Ok(_) => Ok(address),
            Err(_) => Err((0, AddressFault::Malformed)),
        }
    }

    /// With another base, as `http://host:port/prefix`.
    pub(super) fn at(mut self, base: &str) -> Address {
        let base = base.trim_end_matches('/');
        let was = self.base.as_deref().unwrap_or(BASE).len();
        self.text.replace_range(..was, base);
        self.base = Some(base.to_owned());
        self
    }

    /// As it is shown.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// How ids get in; `None` when they don't.
    pub(super) fn place(&self) -> Option<Place> {
        self.place
    }

    /// Whether `id` can stand in its place: as a part of a path `.` and `..` mean another
    /// path, however they are encoded.
    pub(super) fn can_hold(&self, id: &str) -> bool {
        !self.in_path || !matches!(id, "." | "..")
    }

    /// Scheme, host and port; `None` when the bootstrap file names them.
    pub(super) fn base(&self) -> Option<&str> {
        self.base.as_deref()
    }

    /// The address at `base` for `encoded` ids.
    ///
    /// # Errors
    /// [`Unfit`] when it would mean something else or nothing.
    pub(super) fn build(&self, base: &str, encoded: &str) -> Result<Uri, Unfit> {
        let mut url = String::with_capacity(base.len() + self.text.len() + encoded.len());
        url.push_str(base);
        for piece in &self.rest {
            match piece {
                Piece::Text(text) => url.push_str(text),
                Piece::Id(_) => url.push_str(encoded),
            }
        }
        if url.len() > URL_BYTES_MAX {
            return Err(Unfit::TooLong);
        }
        Uri::from_maybe_shared(bytes::Bytes::from(url)).map_err(|_| Unfit::Malformed)
    }
}

/// Appends an id, encoded.
pub(super) fn push_encoded(out: &mut String, id: &str) {
    out.extend(utf8_percent_encode(id, RESERVED));
}

/// Whether an address can be a base: `http://host:port/prefix` and nothing more.
pub(super) fn is_base(text: &str) -> bool {
    let parsed = Address::parse(text);
    !text.contains('?')
        && parsed.is_ok_and(|address| address.base.is_some() && address.place.is_none())
}

fn refuse_characters(text: &str) -> Result<(), (usize, AddressFault)> {
    for (at, found) in text.char_indices() {
        let fault = match found {
            '#' => AddressFault::Fragment,
            '$' if text[at..].starts_with("${") => AddressFault::Secret,
            '!'..='~' if !matches!(found, '"' | '<' | '>' | '\\' | '^' | '`') => continue,
            _ => AddressFault::Character(found),
        };
        return Err((at, fault));
    }
    Ok(())
}

/// Behind scheme, host and port, which are checked.
fn end_of_authority(text: &str) -> Result<usize, (usize, AddressFault)> {
    let scheme = ["http://", "https://"].into_iter().find(|scheme| {
        text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    });
    let start = scheme.ok_or((0, AddressFault::Scheme))?.len();
    let length = text[start..].find(['/', '?']).unwrap_or(text.len() - start);
    let (authority, end) = (&text[start..start + length], start + length);
    if authority.contains('@') {
        return Err((start, AddressFault::User));
    }
    if let Some(at) = authority.find(['{', '}']) {
        let end = authority[at..].find('}').map_or(length, |to| at + to + 1);
        let place = authority[at..end].to_owned();
        return Err((start + at, AddressFault::Host(place)));
    }
    let parsed = authority.parse::<hyper::http::uri::Authority>();
    let has_sound_port = |authority: &hyper::http::uri::Authority| {
        authority.as_str().ends_with(authority.host()) || authority.port_u16().is_some()
    };
    match parsed {
        Ok(parsed) if !parsed.host().is_empty() && has_sound_port(&parsed) => Ok(end),
        _ => Err((start, AddressFault::Malformed)),
    }
}

/// The pieces behind the authority.
fn pieces(rest: &str) -> Result<Vec<Piece>, (usize, AddressFault)> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(next) = rest[at..].find(['{', '}']) {
        let start = at + next;
        pieces.push(Piece::Text(rest[at..start].to_owned()));
        let length = match rest[start..].find('}') {
            Some(length) if rest[start..].starts_with('{') => length + 1,
            _ => return Err((start, AddressFault::Brace)),
        };
        at = start + length;
        let place = match &rest[start..at] {
            "{id}" => Place::One,
            "{ids}" => Place::Many,
            BASE => return Err((start, AddressFault::Base)),
            other => return Err((start, AddressFault::Placeholder(other.to_owned()))),
        };
        pieces.push(Piece::Id(place));
    }
    pieces.push(Piece::Text(rest[at..].to_owned()));
    Ok(pieces)
}

/// The one kind of place that the pieces use.
fn place(pieces: &[Piece]) -> Result<Option<Place>, (usize, AddressFault)> {
    let mut places = pieces.iter().filter_map(|piece| match piece {
        Piece::Id(place) => Some(*place),
        Piece::Text(_) => None,
    });
    let first = places.next();
    match places.all(|place| Some(place) == first) {
        true => Ok(first),
        false => Err((0, AddressFault::Both)),
    }
}
