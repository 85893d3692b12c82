//! What people see while events are on their way, on stderr: a bar, plain lines, or nothing.

use super::courier::Meter;
use crate::Lang;
use crate::view::View;
use std::fmt::Display;
use std::time::Instant;

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
        Self::new(lang, View::stderr())
    }

    /// No progress at all.
    #[must_use]
    pub fn quiet(lang: Lang) -> Self {
        Self::new(lang, View::quiet())
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
        self.view.line(text);
    }

    /// A line made of the text named `key`.
    pub(crate) fn say(&self, key: &str, values: &[(&str, &dyn Display)]) {
        if self.view.every().is_some() {
            self.line(&self.lang.say(key, values));
        }
    }

    /// Brings the counts up to date, at most a few times a second.
    pub(crate) fn tick(&mut self, scene: &Scene<'_>) {
        let since = self.updated.elapsed();
        if self.view.every().is_none_or(|every| since < every) {
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
        self.view.update(text, scene.all.map(|all| (scene.done, all)));
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
        self.view.finish();
    }
}
