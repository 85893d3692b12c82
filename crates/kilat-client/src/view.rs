//! Where progress is shown: a bar on a terminal, plain lines elsewhere, or nowhere. Knows nothing
//! of what is shown.

use crate::stderr::tell;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::Duration;

/// Time between two updates of a bar.
const BAR_EVERY: Duration = Duration::from_millis(100);
/// Time between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// Progress for people, on stderr.
pub struct View(Form);

enum Form {
    Quiet,
    Lines,
    Bar(ProgressBar),
}

impl View {
    /// A bar on a terminal, plain lines elsewhere.
    #[must_use]
    pub fn stderr() -> View {
        View(match std::io::stderr().is_terminal() {
            true => Form::Bar(ProgressBar::new(0).with_style(style("{spinner} {msg}"))),
            false => Form::Lines,
        })
    }

    /// Shows nothing.
    #[must_use]
    pub fn quiet() -> View {
        View(Form::Quiet)
    }

    /// Time between two updates; `None` where nobody looks.
    #[must_use]
    pub fn every(&self) -> Option<Duration> {
        match self.0 {
            Form::Quiet => None,
            Form::Lines => Some(LINE_EVERY),
            Form::Bar(_) => Some(BAR_EVERY),
        }
    }

    /// A line that stays.
    pub fn line(&self, text: &str) {
        match &self.0 {
            Form::Quiet => {}
            Form::Lines => tell(text),
            Form::Bar(bar) => bar.println(text),
        }
    }

    /// How far it is: a text, and what is done of all if that is known.
    pub fn update(&self, text: String, part: Option<(u64, u64)>) {
        let Form::Bar(bar) = &self.0 else {
            return self.line(&text);
        };
        if let Some((done, all)) = part {
            if bar.length() != Some(all) {
                bar.set_length(all);
                bar.set_style(style("{bar:24} {percent:>3}% {msg}"));
            }
            bar.set_position(done.min(all));
        }
        bar.set_message(text);
        bar.tick();
    }

    /// It is over: takes the bar away.
    pub fn finish(&self) {
        if let Form::Bar(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
