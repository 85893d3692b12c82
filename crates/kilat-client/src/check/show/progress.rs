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
/// How much of the rate is the last step's: steps of a second ago count a third.
const RATE_SHARE: f64 = 0.1;

/// Where progress goes.
pub struct Progress {
    lang: Lang,
    bar: Option<ProgressBar>,
    is_quiet: bool,
    updated: Instant,
    done_before: u64,
    rate: Option<f64>,
    /// That a server fails has been told.
    has_told: bool,
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
            updated,
            done_before: 0,
            rate: None,
            has_told: false,
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
        (self.updated, self.done_before, self.rate) = (Instant::now(), 0, None);
        if let Some(bar) = &self.bar {
            bar.reset();
            bar.set_style(style(false));
        }
    }

    /// Brings the bar up to date, and tells when a server fails and when it is back.
    pub(crate) fn tick(&mut self, scene: &Scene) {
        if scene.is_troubled != self.has_told {
            self.has_told = scene.is_troubled;
            let key = if scene.is_troubled { "check.run.away" } else { "check.run.back" };
            self.line(&self.lang.say(key, &[]));
        }
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
        bar.set_message(counts_text(scene, rate, self.lang));
        bar.tick();
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

/// What matters most comes first: a narrow terminal shows the beginning.
fn counts_text(scene: &Scene, rate: f64, lang: Lang) -> String {
    let number = |n: u64| lang.number(n);
    let left = time_left(scene, rate).map(|left| say(lang, "check.show.left", &clock(left)));
    let counts = lang.say(
        "check.show.counts",
        &[
            ("rate", &number(rate as u64)),
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
        Scene { counts, all, in_flight: 9, limit: 1_000, waiting: 0, is_troubled: false }
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
        let text = counts_text(&scene(Some(1_010), 8), 10.0, Lang::English);
        assert_eq!(
            text,
            "1:40 left · 10/s · 8 found · 2 not found · 0 unknown · 9 of 1,000 in flight"
        );
        let waiting = Scene { waiting: 3, ..scene(None, 8) };
        let text = counts_text(&waiting, 10.0, Lang::Indonesian);
        assert!(text.ends_with("3 menunggu"), "{text}");
    }

    #[test]
    fn clocks_are_read_at_a_glance() {
        for (seconds, text) in [(7, "0:07"), (725, "12:05"), (3_600, "1:00:00")] {
            assert_eq!(clock(Duration::from_secs(seconds)), text);
        }
    }
}
