//! What people see while events are on their way, on stderr: a bar, plain lines, or nothing.

use super::courier::Meter;
use crate::Lang;
use crate::stderr::tell;
use indicatif::{ProgressBar, ProgressStyle};
use std::fmt::Display;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Time between two updates of the bar.
const BAR_EVERY: Duration = Duration::from_millis(100);
/// Time between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// Where progress goes.
pub struct Progress {
    lang: Lang,
    view: View,
    updated: Instant,
    events_before: u64,
    silences_before: u64,
    replies_before: u64,
    is_away: bool,
}

enum View {
    Quiet,
    Lines,
    Bar(ProgressBar),
}

/// How far a run is.
pub(crate) struct Scene<'a> {
    /// Acknowledged events.
    pub events: u64,
    /// Done and all, in whatever unit; without `all` nobody knows how much there is.
    pub done: u64,
    pub all: Option<u64>,
    pub meter: &'a Meter,
}

impl Progress {
    /// Progress on stderr: a bar on a terminal, plain lines elsewhere.
    #[must_use]
    pub fn stderr(lang: Lang) -> Self {
        let view = if std::io::stderr().is_terminal() {
            let bar = ProgressBar::new(0);
            View::Bar(bar.with_style(style("{spinner} {msg}")))
        } else {
            View::Lines
        };
        Self::new(lang, view)
    }

    /// No progress at all.
    #[must_use]
    pub fn quiet(lang: Lang) -> Self {
        Self::new(lang, View::Quiet)
    }

    fn new(lang: Lang, view: View) -> Self {
        Progress {
            lang,
            view,
            updated: Instant::now(),
            events_before: 0,
            silences_before: 0,
            replies_before: 0,
            is_away: false,
        }
    }

    /// A line that stays.
    pub(crate) fn line(&self, text: &str) {
        match &self.view {
            View::Quiet => {}
            View::Lines => tell(text),
            View::Bar(bar) => bar.println(text),
        }
    }

    /// A line made of the text named `key`.
    pub(crate) fn say(&self, key: &str, values: &[(&str, &dyn Display)]) {
        if !matches!(self.view, View::Quiet) {
            self.line(&self.lang.say(key, values));
        }
    }

    /// Brings the counts up to date, at most a few times a second.
    pub(crate) fn tick(&mut self, scene: &Scene<'_>) {
        let every = match self.view {
            View::Quiet => return,
            View::Bar(_) => BAR_EVERY,
            View::Lines => LINE_EVERY,
        };
        let since = self.updated.elapsed();
        if since < every {
            return;
        }
        self.updated = Instant::now();
        self.tell_outage(scene.meter);
        let rate = scene.events.saturating_sub(self.events_before) as f64 / since.as_secs_f64();
        self.events_before = scene.events;
        let text = self.lang.say(
            "events.counts",
            &[
                ("events", &self.lang.number(scene.events)),
                ("rate", &self.lang.number(rate as u64)),
                ("retries", &self.lang.number(Meter::read(&scene.meter.retries))),
            ],
        );
        match &self.view {
            View::Bar(bar) => show(bar, scene, text),
            _ => self.line(&text),
        }
    }

    /// Says once that the server is away, and once that it is back.
    fn tell_outage(&mut self, meter: &Meter) {
        let (silences, replies) = (Meter::read(&meter.silences), Meter::read(&meter.replies));
        let is_answering = replies > self.replies_before;
        let is_silent = silences > self.silences_before && !is_answering;
        if is_silent && !self.is_away {
            self.say("events.away", &[]);
            self.is_away = true;
        } else if is_answering && self.is_away {
            self.say("progress.back", &[]);
            self.is_away = false;
        }
        (self.silences_before, self.replies_before) = (silences, replies);
    }

    /// The run is over: takes the bar away.
    pub(crate) fn finish(&self) {
        if let View::Bar(bar) = &self.view {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn show(bar: &ProgressBar, scene: &Scene<'_>, text: String) {
    if let Some(all) = scene.all {
        if bar.length() != Some(all) {
            bar.set_length(all);
            bar.set_style(style("{bar:24} {percent:>3}% {msg}"));
        }
        bar.set_position(scene.done.min(all));
    }
    bar.set_message(text);
    bar.tick();
}
