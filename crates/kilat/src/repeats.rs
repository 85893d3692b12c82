//! A warning that comes again and again is said once, and then counted.
//!
//! A server that loses its core refuses each request with the same words. What tells one request
//! from another is all that is left out then; whatever differs otherwise is a line of its own.
//! Records in JSON are for machines and are never merged.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// How often people are told how many more there were.
const EVERY: Duration = Duration::from_secs(5);
/// Between two looks at what is due.
const LOOK: Duration = Duration::from_secs(1);
/// Most kinds of warnings that are counted at once; each of a further kind is a line.
const KINDS_MAX: usize = 256;
/// Fields that tell one request from another of the same kind.
const OF_ONE_REQUEST: [&str; 4] = ["ms", "request_id", "trace_id", "span_id"];

/// What was said lately by this process.
static SAID: OnceLock<Arc<Repeats>> = OnceLock::new();

/// Lines of which a repeated warning is none.
pub(crate) struct Merged<F> {
    lines: F,
    repeats: Arc<Repeats>,
}

impl<F> Merged<F> {
    /// Merges from now on; who can't have a thread for it writes every line.
    pub(crate) fn new(lines: F) -> Merged<F> {
        let repeats = Arc::clone(SAID.get_or_init(Arc::default));
        let counted = Arc::clone(&repeats);
        let count = move || {
            loop {
                std::thread::sleep(LOOK);
                counted.due(Instant::now()).iter().for_each(More::say);
            }
        };
        let started = std::thread::Builder::new().name("repeats".to_owned()).spawn(count);
        repeats.lock().is_counting = started.is_ok();
        Merged { lines, repeats }
    }
}

impl<S, N, F> FormatEvent<S, N> for Merged<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let (level, ours) = (*event.metadata().level(), event.metadata().target());
        if level <= Level::WARN && ours != module_path!() {
            let mut kind = Kind::default();
            event.record(&mut kind);
            if self.repeats.is_repeat(level, kind.0, Instant::now()) {
                return Ok(());
            }
        }
        self.lines.format_event(context, writer, event)
    }
}

/// Says what is counted and not yet told: a process ends.
pub(crate) fn finish() {
    if let Some(said) = SAID.get() {
        said.rest(Instant::now()).iter().for_each(More::say);
    }
}

/// A warning without what belongs to one request.
#[derive(Default)]
struct Kind(String);

impl Visit for Kind {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if OF_ONE_REQUEST.contains(&field.name()) {
            return;
        }
        let space = if self.0.is_empty() { "" } else { " " };
        // Writing to a text can't fail.
        let _ = match field.name() {
            "message" => write!(self.0, "{space}{value:?}"),
            "path" => write!(self.0, "{space}path={}", without_order(&format!("{value:?}"))),
            name => write!(self.0, "{space}{name}={value:?}"),
        };
    }
}

/// A path for all orders of a sale.
fn without_order(path: &str) -> String {
    let Some((orders, order)) = path.split_once("/orders/") else {
        return path.to_owned();
    };
    let action = order.split_once('/').map_or(String::new(), |(_, action)| format!("/{action}"));
    format!("{orders}/orders/…{action}")
}

#[derive(Default)]
struct Repeats(Mutex<Lately>);

#[derive(Default)]
struct Lately {
    is_counting: bool,
    kinds: HashMap<String, Repeat>,
}

struct Repeat {
    level: Level,
    since: Instant,
    more: u64,
}

impl Repeats {
    /// Whether this was said lately; then it is counted.
    fn is_repeat(&self, level: Level, kind: String, now: Instant) -> bool {
        let mut lately = self.lock();
        if let Some(repeat) = lately.kinds.get_mut(&kind) {
            repeat.more += 1;
            return true;
        }
        if lately.is_counting && lately.kinds.len() < KINDS_MAX {
            lately.kinds.insert(kind, Repeat { level, since: now, more: 0 });
        }
        false
    }

    /// What there was more of in a time that is over; what did not come again is forgotten.
    fn due(&self, now: Instant) -> Vec<More> {
        let mut told = Vec::new();
        self.lock().kinds.retain(|kind, repeat| {
            if now.saturating_duration_since(repeat.since) < EVERY {
                return true;
            }
            let more = More::of(kind, repeat, now);
            let came_again = more.is_some();
            told.extend(more);
            (repeat.since, repeat.more) = (now, 0);
            came_again
        });
        told
    }

    fn rest(&self, now: Instant) -> Vec<More> {
        let kinds = std::mem::take(&mut self.lock().kinds);
        kinds.iter().filter_map(|(kind, repeat)| More::of(kind, repeat, now)).collect()
    }

    /// Counts are whole between any two steps, also after a panic.
    fn lock(&self) -> MutexGuard<'_, Lately> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How often something was said again in a time.
#[derive(Debug, PartialEq)]
struct More {
    level: Level,
    kind: String,
    more: u64,
    seconds: u64,
}

impl More {
    fn of(kind: &str, repeat: &Repeat, now: Instant) -> Option<More> {
        let lasted = now.saturating_duration_since(repeat.since).as_secs_f64();
        let (kind, seconds) = (kind.to_owned(), lasted.ceil().max(1.0) as u64);
        (repeat.more > 0).then_some(More { level: repeat.level, kind, more: repeat.more, seconds })
    }

    fn say(&self) {
        let More { level, kind, more, seconds } = self;
        if *level == Level::ERROR {
            tracing::error!("{more} more like it in the last {seconds} s: {kind}");
        } else {
            tracing::warn!("{more} more like it in the last {seconds} s: {kind}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    /// Lines as the program writes them, with nobody who counts in the background.
    fn lines(work: impl FnOnce(&Repeats)) -> Vec<String> {
        let repeats = Arc::new(Repeats::default());
        repeats.lock().is_counting = true;
        let sink = Arc::new(Mutex::new(Vec::new()));
        let writer = Arc::clone(&sink);
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || Sink(Arc::clone(&writer)))
            .with_ansi(false)
            .without_time()
            .with_target(false)
            .map_event_format(|lines| Merged { lines, repeats: Arc::clone(&repeats) })
            .finish();
        tracing::subscriber::with_default(subscriber, || work(&repeats));
        let text = String::from_utf8(sink.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| line.trim().to_owned()).collect()
    }

    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_warning_is_said_once_and_then_counted() {
        let said = lines(|repeats| {
            for ms in 0..300 {
                tracing::warn!(status = 503, ms, "a request failed");
            }
            tracing::warn!(status = 500, ms = 1, "a request failed");
            tracing::info!("well");
            tracing::info!("well");
            assert_eq!(repeats.due(Instant::now()), [], "its time is not over");
            repeats.due(Instant::now() + EVERY).iter().for_each(More::say);
            // Nobody asked again for a whole time: it is news.
            assert_eq!(repeats.due(Instant::now() + EVERY * 3), []);
            tracing::warn!(status = 503, ms = 2, "a request failed");
        });
        assert_eq!(
            said,
            [
                "WARN a request failed status=503 ms=0",
                "WARN a request failed status=500 ms=1",
                "INFO well",
                "INFO well",
                "WARN 299 more like it in the last 6 s: a request failed status=503",
                "WARN a request failed status=503 ms=2",
            ]
        );
    }

    #[test]
    fn requests_for_different_orders_are_alike() {
        for (path, expected) in [
            ("/v1/sales/a/orders/1", "/v1/sales/a/orders/…"),
            ("/v1/sales/a/orders/2/confirm", "/v1/sales/a/orders/…/confirm"),
            ("/v1/sales/a/orders", "/v1/sales/a/orders"),
        ] {
            assert_eq!(without_order(path), expected);
        }
    }

    #[test]
    fn what_is_counted_is_told_at_the_end() {
        let said = lines(|repeats| {
            for _ in 0..3 {
                tracing::error!("the disk is full");
            }
            repeats.rest(Instant::now()).iter().for_each(More::say);
        });
        let end = "ERROR 2 more like it in the last 1 s: the disk is full";
        assert_eq!(said, ["ERROR the disk is full", end]);
    }

    #[test]
    fn of_too_many_kinds_each_is_a_line() {
        let said = lines(|_| {
            for again in 0..2 {
                for kind in 0..KINDS_MAX + 1 {
                    tracing::warn!(kind, "unlike");
                }
                assert!(again < 2);
            }
        });
        assert_eq!(said.len(), KINDS_MAX + 2);
    }
}
