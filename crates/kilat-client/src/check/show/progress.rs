//! What people see while a check runs, on stderr: a bar on a terminal, and lines that stay.

use super::tally::Counts;
use crate::Lang;
use crate::stderr::tell;
use indicatif::{ProgressBar, ProgressStyle};
use std::fmt::Display;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Time between two updates of the bar.
pub(crate) const BAR_EVERY: Duration = Duration::from_millis(100);
/// Columns of a terminal that does not say.
const COLUMNS_UNTOLD: usize = 80;
/// Columns of the bar, the percentage and the spaces around them.
const BAR_COLUMNS: usize = 18;
/// How much of the rate is the last step's: steps of a second ago count a third.
const RATE_SHARE: f64 = 0.1;

/// Where progress goes.
pub struct Progress {
    lang: Lang,
    bar: Option<ProgressBar>,
    is_quiet: bool,
    began: Instant,
    updated: Instant,
    done_before: u64,
    rate: Option<f64>,
    /// That a server fails has been told.
    has_told: bool,
    /// That the run ends has been told.
    has_told_end: bool,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scene {
    pub(crate) counts: Counts,
    /// How many ids there are, if that is known.
    pub(crate) all: Option<u64>,
    pub(crate) in_flight: u64,
    /// Most that may be in flight now.
    pub(crate) limit: u64,
    /// Ids that wait to be asked again.
    pub(crate) waiting: u64,
    /// A server fails and gets probes only.
    pub(crate) is_troubled: bool,
    /// Nothing more is sent; what is in flight is waited for.
    pub(crate) is_stopping: bool,
}

impl Progress {
    /// A bar if it is wanted and stderr is a terminal, and lines that stay.
    #[must_use]
    pub fn stderr(lang: Lang, wants_bar: bool) -> Progress {
        let has_bar = wants_bar && std::io::stderr().is_terminal();
        Progress::new(lang, has_bar.then(|| ProgressBar::new(0).with_style(style(false))))
    }

    /// No progress at all.
    #[must_use]
    pub fn quiet(lang: Lang) -> Progress {
        Progress { is_quiet: true, ..Progress::new(lang, None) }
    }

    fn new(lang: Lang, bar: Option<ProgressBar>) -> Progress {
        let updated = Instant::now();
        Progress {
            lang,
            bar,
            is_quiet: false,
            began: updated,
            updated,
            done_before: 0,
            rate: None,
            has_told: false,
            has_told_end: false,
        }
    }

    /// Whether there is a bar to bring up to date.
    pub(crate) fn has_bar(&self) -> bool {
        self.bar.is_some()
    }

    /// A line that stays, unless all is quiet.
    pub(crate) fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None if self.is_quiet => {}
            None => tell(text),
        }
    }

    /// Begins anew, for the next round.
    pub(crate) fn start(&mut self) {
        let now = Instant::now();
        (self.began, self.updated, self.done_before, self.rate) = (now, now, 0, None);
        if let Some(bar) = &self.bar {
            bar.reset();
            bar.set_style(style(false));
        }
    }

    /// Brings the bar up to date, and tells when a server fails, when it is back, and what is
    /// still waited for at the end.
    pub(crate) fn tick(&mut self, scene: &Scene) {
        self.tell_news(scene);
        let Some(bar) = &self.bar else { return };
        let done = scene.counts.all();
        let since = self.updated.elapsed().as_secs_f64().max(1e-3);
        let now = done.saturating_sub(self.done_before) as f64 / since;
        let rate = self.rate.map_or(now, |rate| rate + (now - rate) * RATE_SHARE);
        (self.updated, self.done_before, self.rate) = (Instant::now(), done, Some(rate));
        if let Some(all) = scene.all {
            if bar.length() != Some(all) {
                bar.set_length(all);
                bar.set_style(style(true));
            }
            bar.set_position(done.min(all));
        }
        let average = done as f64 / self.began.elapsed().as_secs_f64().max(1e-3);
        let rates = Rates { now: rate, lasting: rate.max(average) };
        bar.set_message(counts_text(scene, rates, columns(), self.lang));
        bar.tick();
    }

    fn tell_news(&mut self, scene: &Scene) {
        // Who waits for the end asks nobody any more.
        if scene.is_troubled != self.has_told && !scene.is_stopping {
            self.has_told = scene.is_troubled;
            let key = if scene.is_troubled { "check.run.away" } else { "check.run.back" };
            self.line(&self.lang.say(key, &[]));
        }
        if scene.is_stopping && scene.in_flight > 0 && !self.has_told_end {
            self.has_told_end = true;
            let in_flight = self.lang.number(scene.in_flight);
            self.line(&self.lang.say("check.run.stopping", &[("in_flight", &in_flight)]));
        }
    }

    /// A line in the place of the bar, until the next tick.
    pub(crate) fn wait(&self, text: String) {
        if let Some(bar) = &self.bar {
            if bar.is_finished() {
                bar.reset();
                bar.set_style(style(false));
            }
            bar.set_message(text);
            bar.tick();
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn style(knows_all: bool) -> ProgressStyle {
    let template = match knows_all {
        true => "{bar:12} {percent:>3}% {wide_msg}",
        false => "{spinner} {wide_msg}",
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Ids a second.
#[derive(Clone, Copy)]
struct Rates {
    now: f64,
    /// What the rest is reckoned with: a server that pauses does not make hours of it.
    lasting: f64,
}

/// Columns that a line beside the bar has, also on a terminal that does not say how wide it is.
fn columns() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stderr());
    let columns = size.map_or(0, |size| usize::from(size.ws_col));
    let columns = if columns == 0 { COLUMNS_UNTOLD } else { columns };
    columns.saturating_sub(BAR_COLUMNS)
}

/// What matters most comes first: a narrow terminal shows the beginning. Where the words don't
/// fit, the outcomes have the signs that they have in the table.
fn counts_text(scene: &Scene, rates: Rates, columns: usize, lang: Lang) -> String {
    let text = |key| counts_text_in(key, scene, rates, lang);
    let full = text("check.show.counts");
    if full.chars().count() <= columns { full } else { text("check.show.counts_short") }
}

fn counts_text_in(key: &str, scene: &Scene, rates: Rates, lang: Lang) -> String {
    let number = |n: u64| lang.number(n);
    let left = time_left(scene, rates.lasting).filter(|_| !scene.is_stopping);
    let left = left.map(|left| say(lang, "check.show.left", &clock(left)));
    let counts = lang.say(
        key,
        &[
            ("rate", &number(rates.now as u64)),
            ("in_flight", &number(scene.in_flight)),
            ("limit", &number(scene.limit)),
            ("found", &number(scene.counts.found)),
            ("not_found", &number(scene.counts.not_found)),
            ("unknown", &number(scene.counts.unknown)),
        ],
    );
    let waiting =
        (scene.waiting > 0).then(|| say(lang, "check.show.waiting", &number(scene.waiting)));
    [left, Some(counts), waiting].into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

fn say(lang: Lang, key: &str, value: &dyn Display) -> String {
    lang.say(key, &[("value", value)])
}

/// How long the rest takes at `rate`; `None` when nobody can say.
fn time_left(scene: &Scene, rate: f64) -> Option<Duration> {
    let left = scene.all?.saturating_sub(scene.counts.all());
    Duration::try_from_secs_f64(left as f64 / rate).ok().filter(|_| rate > 0.0)
}

/// `0:07`, `12:05`, `1:00:00`.
pub(crate) fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene(all: Option<u64>, found: u64) -> Scene {
        let counts = Counts { found, not_found: 2, unknown: 0, notable: 0 };
        Scene { counts, all, in_flight: 9, limit: 1_000, ..Scene::default() }
    }

    fn text(scene: &Scene, columns: usize, lang: Lang) -> String {
        counts_text(scene, Rates { now: 10.0, lasting: 10.0 }, columns, lang)
    }

    #[test]
    fn the_time_left_is_told_when_it_is_known() {
        for (all, rate, left) in
            [(Some(1_010), 10.0, Some(100)), (None, 10.0, None), (Some(1_010), 0.0, None)]
        {
            let found = time_left(&scene(all, 8), rate);
            assert_eq!(found, left.map(Duration::from_secs), "{all:?} {rate}");
        }
        assert_eq!(time_left(&scene(Some(5), 8), 1.0), Some(Duration::ZERO), "more than known");
    }

    #[test]
    fn a_scene_is_one_line() {
        let running = scene(Some(1_010), 8);
        let words = "1:40 left · 10/s · 8 found · 2 not found · 0 unknown · 9 of 1,000 in flight";
        let signs = "1:40 left · 10/s · ✓ 8 · – 2 · ? 0 · 9/1,000";
        for (columns, expected) in [(76, words), (75, words), (74, signs), (0, signs)] {
            assert_eq!(text(&running, columns, Lang::English), expected, "{columns}");
        }
        let waiting = text(&Scene { waiting: 3, ..scene(None, 8) }, 99, Lang::Indonesian);
        assert!(waiting.ends_with("3 menunggu"), "{waiting}");
        let stopping = Scene { is_stopping: true, ..running };
        assert!(text(&stopping, 99, Lang::English).starts_with("10/s"), "nothing is left to do");
    }

    #[test]
    fn what_the_end_waits_for_is_told_once() {
        let mut progress = Progress::quiet(Lang::English);
        for (is_stopping, in_flight, has_told) in
            [(false, 9, false), (true, 0, false), (true, 9, true), (true, 8, true)]
        {
            progress.tick(&Scene { is_stopping, in_flight, ..Scene::default() });
            assert_eq!(progress.has_told_end, has_told, "{is_stopping} {in_flight}");
        }
    }

    #[test]
    fn clocks_are_read_at_a_glance() {
        for (seconds, text) in [(7, "0:07"), (725, "12:05"), (3_600, "1:00:00")] {
            assert_eq!(clock(Duration::from_secs(seconds)), text);
        }
    }
}
