//! One line of a JSON Lines log, read back.

use super::RunId;
use super::chain::Sum;
use super::records::{Counts, FORMAT, Origin};
use crate::check::finding::Outcome;
use serde::Deserialize;
use std::borrow::Cow;

/// How every record begins; the run's id follows, of so many bytes.
pub(super) const RECORD: &[u8] = b"{\"run\":\"";
pub(super) const RUN_ID_BYTES: usize = 36;
/// After the run's id in a first record.
const START: &[u8] = b"\",\"n\":0,\"kind\":\"start\",";

/// A record whose form is right; whether it is what was written, its sum tells.
#[derive(Debug)]
pub(super) struct Record<'a> {
    pub(super) run: RunId,
    pub(super) n: u64,
    /// What its sum is taken over.
    pub(super) text: &'a [u8],
    pub(super) sum: Sum,
    pub(super) kind: Kind<'a>,
}

/// What a record says.
#[derive(Debug)]
pub(super) enum Kind<'a> {
    /// A run begins.
    Start { profile: Cow<'a, str>, url: Cow<'a, str>, at: Cow<'a, str>, origin: Option<Origin> },
    /// An id has ended.
    Lookup { id: Cow<'a, str>, outcome: Outcome, synced: Option<u64> },
    /// A run ends.
    End { complete: bool, counts: Counts },
}

/// The fields of all kinds. Others are covered by the sum and mean nothing here.
#[derive(Deserialize)]
struct Fields<'a> {
    run: &'a str,
    n: u64,
    kind: &'a str,
    format: Option<u32>,
    #[serde(borrow)]
    profile: Option<Text<'a>>,
    #[serde(borrow)]
    url: Option<Text<'a>>,
    #[serde(borrow)]
    resumes: Option<Resumes<'a>>,
    #[serde(borrow)]
    at: Option<Text<'a>>,
    #[serde(borrow)]
    id: Option<Text<'a>>,
    outcome: Option<&'a str>,
    synced: Option<u64>,
    complete: Option<bool>,
    found: Option<u64>,
    not_found: Option<u64>,
    unknown: Option<u64>,
}

/// A string that is only copied when it holds escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
struct Resumes<'a> {
    root: &'a str,
    run: &'a str,
    n: u64,
    sum: &'a str,
}

impl<'a> Record<'a> {
    /// Reads a line; `None` when it is no record.
    pub(super) fn read(line: &'a [u8]) -> Option<Record<'a>> {
        let (text, sum) = Sum::split(line)?;
        run_bytes(line)?;
        let fields: Fields<'a> = serde_json::from_slice(line).ok()?;
        let run = RunId::from_text(fields.run)?;
        // One more must be a number still.
        fields.n.checked_add(1)?;
        Some(Record { run, n: fields.n, text, sum, kind: fields.into_kind()? })
    }
}

impl<'a> Fields<'a> {
    fn into_kind(self) -> Option<Kind<'a>> {
        match self.kind {
            "start" if self.n == 0 && self.format == Some(FORMAT) => {
                let origin = match self.resumes {
                    Some(resumes) => Some(resumes.into_origin()?),
                    None => None,
                };
                let (profile, url, at) = (self.profile?.0, self.url?.0, self.at?.0);
                Some(Kind::Start { profile, url, at, origin })
            }
            "lookup" if self.n > 0 => {
                let outcome = Outcome::from_name(self.outcome?)?;
                Some(Kind::Lookup { id: self.id?.0, outcome, synced: self.synced })
            }
            "end" if self.n > 0 => {
                let (found, not_found, unknown) = (self.found?, self.not_found?, self.unknown?);
                let counts = Counts { found, not_found, unknown };
                Some(Kind::End { complete: self.complete?, counts })
            }
            _ => None,
        }
    }
}

impl Resumes<'_> {
    fn into_origin(self) -> Option<Origin> {
        let (root, run) = (RunId::from_text(self.root)?, RunId::from_text(self.run)?);
        self.n.checked_add(1)?;
        Some(Origin { root, run, n: self.n, sum: Sum::from_hex(self.sum.as_bytes())? })
    }
}

/// The run's id as it stands in a line, and what follows it, without reading the line.
pub(super) fn run_bytes(line: &[u8]) -> Option<(&[u8], &[u8])> {
    line.strip_prefix(RECORD)?.split_at_checked(RUN_ID_BYTES)
}

/// Whether a line can be the first record of a run.
pub(super) fn is_start(line: &[u8]) -> bool {
    run_bytes(line).is_some_and(|(_, rest)| rest.starts_with(START))
}

/// Tells which lines go on with the run `root`.
pub(super) fn fence(root: RunId) -> impl Fn(&[u8]) -> bool + Send {
    move |line| {
        is_start(line)
            && Record::read(line).is_some_and(|record| match record.kind {
                Kind::Start { origin: Some(origin), .. } => origin.root == root,
                _ => false,
            })
    }
}
