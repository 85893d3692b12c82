//! Logs on stderr: readable lines, of which repeated warnings are merged, or one JSON record a line.

use crate::failure::Failure;
use crate::lang::{Lang, say};
use crate::repeats::Merged;
use std::fmt;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{self, Format, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// Starts logging from `level` on.
///
/// # Errors
/// [`Failure::usage`] when the level is none.
pub(crate) fn start(level: &str, json: bool, lang: Lang) -> Result<(), Failure> {
    let level: Level = level
        .parse()
        .map_err(|_| Failure::usage(say!(lang, "settings.log", level = level.escape_default())))?;
    let lines = tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(level);
    if json {
        lines.fmt_fields(JsonFields::new()).event_format(Records::new()).init();
    } else {
        let lines = lines.with_target(false).with_ansi(wants_colour());
        lines.map_event_format(Merged::new).init();
    }
    Ok(())
}

/// Colour only for people who look at a terminal and did not say no (no-color.org).
fn wants_colour() -> bool {
    use std::io::IsTerminal;
    std::io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A record a line, flat: the ids of the request that it is about are members like any others, so
/// that whatever collects logs finds them without knowing Kilat.
struct Records(Format<format::Json>);

impl Records {
    fn new() -> Records {
        let records = format::format().json();
        Records(records.flatten_event(true).with_current_span(false).with_span_list(false))
    }
}

impl<S, N> FormatEvent<S, N> for Records
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut record = String::new();
        self.0.format_event(context, Writer::new(&mut record), event)?;
        let members = record.trim_end();
        writer.write_str(members.strip_suffix('}').unwrap_or(members))?;
        for span in context.event_scope().into_iter().flatten() {
            let extensions = span.extensions();
            let known = extensions.get::<FormattedFields<N>>().map_or("", |known| &known.fields);
            if let Some(ids) = known.strip_prefix('{').and_then(|known| known.strip_suffix('}'))
                && !ids.is_empty()
            {
                write!(writer, ",{ids}")?;
            }
        }
        writer.write_str("}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The records of `work`, without the time.
    fn records(work: impl FnOnce()) -> Vec<Value> {
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .fmt_fields(JsonFields::new())
            .event_format(Records::new())
            .finish();
        tracing::subscriber::with_default(subscriber, work);
        let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        text.lines()
            .map(|line| {
                let mut record: Value = serde_json::from_str(line).unwrap();
                let members = record.as_object_mut().unwrap();
                assert!(
                    members.remove("timestamp").is_some() && members.remove("target").is_some()
                );
                record
            })
            .collect()
    }

    #[test]
    fn a_record_is_flat_and_has_the_ids_of_its_request() {
        let found = records(|| {
            tracing::warn!(status = 503, "outside");
            let trace_id: Option<&str> = None;
            let span = tracing::error_span!("request", request_id = "a\"b", trace_id);
            span.in_scope(|| tracing::info!("inside"));
            let span = tracing::error_span!("request", request_id = "c", trace_id = "d");
            span.in_scope(|| {
                tracing::error_span!("empty").in_scope(|| tracing::info!(n = 1, "in"));
            });
        });
        assert_eq!(
            found,
            [
                json!({"level": "WARN", "message": "outside", "status": 503}),
                json!({"level": "INFO", "message": "inside", "request_id": "a\"b"}),
                json!({"level": "INFO", "message": "in", "n": 1, "request_id": "c", "trace_id": "d"}),
            ]
        );
    }
}
