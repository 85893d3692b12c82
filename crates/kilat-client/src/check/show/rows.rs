//! Findings for programs on stdout, one a line: JSON Lines or CSV. No language changes them
//! but for the message, which is for people.

use crate::check::Finding;
use csv::{Terminator, WriterBuilder};
use serde::Serialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::io::{self, Write};

/// Columns of the CSV. Stable: further ones are added at the end.
const COLUMNS: [&str; 9] =
    ["id", "outcome", "notable", "message", "status", "attempts", "at", "ms", "row"];

/// Where findings go.
pub(crate) enum Rows<W: Write> {
    /// People read tables instead.
    Text(W),
    /// One object a line.
    Json(io::BufWriter<W>),
    /// RFC 4180, with a header.
    Csv(Box<csv::Writer<W>>),
}

/// One finding as JSON. Its form is stable: members are added, never renamed or removed.
#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    outcome: &'static str,
    notable: bool,
    message: &'a str,
    status: Option<u16>,
    attempts: u32,
    /// When work on it began.
    at: String,
    /// How long it took, waits included.
    ms: f64,
    row: Option<&'a RawValue>,
}

impl<W: Write> Rows<W> {
    /// JSON Lines.
    pub(crate) fn json(out: W) -> Rows<W> {
        Rows::Json(io::BufWriter::new(out))
    }

    /// CSV; its header is written at once.
    ///
    /// # Errors
    /// When `out` can't be written to.
    pub(crate) fn csv(out: W) -> io::Result<Rows<W>> {
        let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(out);
        writer.write_record(COLUMNS).map_err(io::Error::from)?;
        Ok(Rows::Csv(Box::new(writer)))
    }

    /// Writes findings and flushes.
    ///
    /// # Errors
    /// When `out` can't be written to, such as a pipe whose reader went away.
    pub(crate) fn write(&mut self, findings: &[Finding]) -> io::Result<()> {
        match self {
            Rows::Text(_) => Ok(()),
            Rows::Json(out) => {
                for finding in findings {
                    serde_json::to_writer(&mut *out, &Row::of(finding))?;
                    out.write_all(b"\n")?;
                }
                out.flush()
            }
            Rows::Csv(out) => {
                for finding in findings {
                    write_record(out, &Row::of(finding)).map_err(io::Error::from)?;
                }
                out.flush()
            }
        }
    }

    /// Writes text for people, and flushes. Nothing where programs read.
    ///
    /// # Errors
    /// As [`Rows::write`].
    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        match self {
            Rows::Text(out) => out.write_all(text.as_bytes()).and_then(|()| out.flush()),
            Rows::Json(_) | Rows::Csv(_) => Ok(()),
        }
    }

    /// Writes one line of JSON that is no finding, and flushes. Nothing in other forms.
    ///
    /// # Errors
    /// As [`Rows::write`].
    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        match self {
            Rows::Json(out) => {
                writeln!(out, "{text}")?;
                out.flush()
            }
            Rows::Text(_) | Rows::Csv(_) => Ok(()),
        }
    }
}

fn write_record<W: Write>(out: &mut csv::Writer<W>, row: &Row<'_>) -> csv::Result<()> {
    let status = row.status.map(|status| status.to_string());
    out.write_record([
        &*cell(row.id),
        row.outcome,
        if row.notable { "true" } else { "false" },
        &*cell(row.message),
        status.as_deref().unwrap_or_default(),
        &row.attempts.to_string(),
        &row.at,
        &row.ms.to_string(),
        row.row.map_or("", RawValue::get),
    ])
}

/// A cell that no spreadsheet takes for a formula: an apostrophe stands before text that
/// begins like one, as OWASP recommends against CSV injection.
fn cell(text: &str) -> Cow<'_, str> {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        return Cow::Owned(format!("'{text}"));
    }
    Cow::Borrowed(text)
}

impl<'a> Row<'a> {
    fn of(finding: &'a Finding) -> Row<'a> {
        Row {
            id: finding.id.as_str(),
            outcome: finding.outcome.name(),
            notable: finding.notable,
            message: &finding.message,
            status: finding.status,
            attempts: finding.attempts,
            at: format!("{:.6}", finding.began_at),
            ms: finding.elapsed.as_micros() as f64 / 1e3,
            row: finding.row.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Outcome;
    use crate::check::show::sample::{finding, notable, with_row};

    #[test]
    fn a_finding_is_one_line_of_json_with_all_members() {
        let mut written = Vec::new();
        let mut rows = Rows::json(&mut written);
        let sold_out = with_row(notable(0, "a\n\"b", "m\nn"), r#"{"stock":0,"win_rate":72.0}"#);
        rows.write(&[sold_out, finding(1, "c", Outcome::Unknown, "")]).unwrap();
        rows.line(r#"{"summary":{}}"#).unwrap();
        drop(rows);
        let text = String::from_utf8(written).unwrap();
        let expected = [
            r#"{"id":"a\n\"b","outcome":"found","notable":true,"message":"m\nn","status":200,"attempts":1,"at":"1970-01-01T00:00:00.000000Z","ms":1500.0,"row":{"stock":0,"win_rate":72.0}}"#,
            r#"{"id":"c","outcome":"unknown","notable":false,"message":"","status":200,"attempts":1,"at":"1970-01-01T00:00:00.000000Z","ms":1500.0,"row":null}"#,
            r#"{"summary":{}}"#,
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn csv_quotes_and_holds_no_formula() {
        let mut written = Vec::new();
        let mut rows = Rows::csv(&mut written).unwrap();
        let row =
            with_row(finding(0, "=cmd|' /C calc'!A0", Outcome::Found, "a, \"b\"\nc"), "{\"s\":1}");
        rows.write(&[row, finding(1, "+62", Outcome::NotFound, "-1")]).unwrap();
        drop(rows);
        let expected = "id,outcome,notable,message,status,attempts,at,ms,row\r\n\
            '=cmd|' /C calc'!A0,found,false,\"a, \"\"b\"\"\nc\",200,1,1970-01-01T00:00:00.000000Z,1500,\"{\"\"s\"\":1}\"\r\n\
            '+62,not_found,false,'-1,200,1,1970-01-01T00:00:00.000000Z,1500,\r\n";
        assert_eq!(String::from_utf8(written).unwrap(), expected);
    }
}
