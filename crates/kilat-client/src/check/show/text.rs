//! A result for people: which ids to look at, then what it came to.

use super::plain::{ID_CHARS_MAX, MESSAGE_CHARS_MAX, plain};
use super::report::Report;
use super::tally::{EXAMPLES_MAX, Kind, Shown, Tally};
use crate::Lang;
use crate::check::Outcome;
use comfy_table::Table;
use comfy_table::presets::NOTHING;

/// How text is painted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    /// Escape codes may be used.
    pub(crate) colour: bool,
}

impl Paint {
    /// `text` in the colour of its kind; what is as expected stays as it is.
    pub(crate) fn kind(self, kind: Kind, text: &str) -> String {
        let code = match kind {
            Kind::Notable => "1;33",
            Kind::Unknown => "31",
            Kind::NotFound => "2",
            Kind::Found => return text.to_owned(),
        };
        self.code(code, text)
    }

    fn code(self, code: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// The sign in front of an id.
pub(crate) const fn mark(kind: Kind) -> &'static str {
    match kind {
        Kind::Notable => "!",
        Kind::Unknown => "?",
        Kind::NotFound => "–",
        Kind::Found => "✓",
    }
}

/// The word for an outcome.
pub(crate) fn word(outcome: Outcome, lang: Lang) -> String {
    lang.say(&format!("check.show.{}", outcome.name()), &[])
}

/// Every id of a short run; of a longer one those to look at. With a newline at the end of
/// each line.
pub(crate) fn listing(tally: &Tally, paint: Paint, lang: Lang) -> String {
    if let Some(all) = tally.listed() {
        return table(&all, paint, lang);
    }
    let kinds = [Kind::Notable, Kind::Unknown];
    let examples: Vec<&Shown> =
        kinds.iter().flat_map(|kind| tally.first(*kind, EXAMPLES_MAX)).collect();
    let more = kinds.iter().filter_map(|kind| more(tally, *kind, lang).map(|text| (kind, text)));
    let more: String = more.map(|(kind, text)| paint.kind(*kind, &text) + "\n").collect();
    table(&examples, paint, lang) + &more
}

/// How many there are of a kind beyond the examples.
fn more(tally: &Tally, kind: Kind, lang: Lang) -> Option<String> {
    let counts = tally.counts();
    let (all, key) = match kind {
        Kind::Notable => (counts.notable, "check.show.more_notable"),
        _ => (counts.unknown, "check.show.more_unknown"),
    };
    let more = all.saturating_sub(EXAMPLES_MAX as u64);
    (more > 0).then(|| lang.say(key, &[("count", &lang.number(more))]))
}

fn table(rows: &[&Shown], paint: Paint, lang: Lang) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    for row in rows {
        table.add_row([
            mark(row.kind).to_owned(),
            plain(&row.id, ID_CHARS_MAX).into_owned(),
            word(row.outcome, lang),
            plain(&row.message, MESSAGE_CHARS_MAX).into_owned(),
        ]);
    }
    let painted = |(line, row): (String, &&Shown)| paint.kind(row.kind, line.trim_end()) + "\n";
    table.lines().zip(rows).map(painted).collect()
}

impl Report {
    /// What it came to, with a newline at its end.
    #[must_use]
    pub fn to_text(&self, lang: Lang) -> String {
        let lines = [
            Some(self.outcome_line(lang)),
            self.resumed_line(lang),
            Some(self.time_line(lang)),
            self.latency_line(lang),
            Some(self.log_line(lang)),
            self.reason.clone(),
            self.hint.clone(),
            self.next.clone(),
        ];
        lines.into_iter().flatten().map(|line| line + "\n").collect()
    }

    fn outcome_line(&self, lang: Lang) -> String {
        let key = match self.notable {
            0 => "check.show.outcomes",
            _ => "check.show.outcomes_notable",
        };
        lang.say(
            key,
            &[
                ("ids", &lang.number(self.ids)),
                ("found", &lang.number(self.found)),
                ("not_found", &lang.number(self.not_found)),
                ("unknown", &lang.number(self.unknown)),
                ("notable", &lang.number(self.notable)),
            ],
        )
    }

    fn resumed_line(&self, lang: Lang) -> Option<String> {
        let resumed = self.resumed;
        let text = || {
            lang.say(
                "check.show.resumed",
                &[
                    ("ids", &lang.number(resumed.all())),
                    ("found", &lang.number(resumed.found)),
                    ("not_found", &lang.number(resumed.not_found)),
                    ("unknown", &lang.number(resumed.unknown)),
                ],
            )
        };
        (resumed.all() > 0).then(text)
    }

    fn time_line(&self, lang: Lang) -> String {
        let count = |key, n| (n > 0).then(|| lang.say(key, &[("count", &lang.number(n))]));
        let duplicates = if self.resumed.all() == 0 { self.skipped } else { 0 };
        let more = [
            count("check.show.retries", self.traffic.retries),
            count("check.show.hedges", self.traffic.hedges),
            count("check.show.pushbacks", self.traffic.pushbacks),
            count("check.show.duplicates", duplicates),
        ];
        let more: String = more.into_iter().flatten().map(|text| format!(", {text}")).collect();
        lang.say(
            "check.show.time",
            &[
                ("seconds", &lang.decimal(self.seconds)),
                ("floor", &lang.decimal(self.floor_seconds)),
                ("requests", &lang.number(self.traffic.requests)),
                ("most", &lang.number(self.traffic.in_flight_most)),
                ("more", &more),
            ],
        )
    }

    fn latency_line(&self, lang: Lang) -> Option<String> {
        let latency = self.latency_us?;
        Some(lang.say(
            "check.show.latency",
            &[
                ("p50", &lang.micros(latency.p50)),
                ("p99", &lang.micros(latency.p99)),
                ("max", &lang.micros(latency.max)),
            ],
        ))
    }

    fn log_line(&self, lang: Lang) -> String {
        let log = plain(&self.log, MESSAGE_CHARS_MAX);
        match &self.seal {
            Some(seal) => lang.say("check.show.log", &[("log", &log), ("seal", seal)]),
            None => lang.say("check.show.log_unsealed", &[("log", &log)]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::show::sample::{finding, notable};

    const PLAIN: Paint = Paint { colour: false };

    fn five() -> Tally {
        let mut tally = Tally::new(0);
        tally.add(&notable(1, "SKU-002", "Sold out!"));
        tally.add(&finding(0, "SKU-1", Outcome::Found, "150 units"));
        tally.add(&finding(3, "🛒\n", Outcome::Unknown, "a\u{1b}[2Jb"));
        tally.add(&finding(2, "SKU-999", Outcome::NotFound, "no"));
        tally
    }

    #[test]
    fn a_short_run_lists_every_id_in_its_order() {
        let text = listing(&five(), PLAIN, Lang::English);
        let expected = [
            " ✓  SKU-1    found      150 units\n",
            " !  SKU-002  found      Sold out!\n",
            " –  SKU-999  not found  no\n",
            " ?  🛒\\n     unknown    a\\u{1b}[2Jb\n",
        ]
        .concat();
        assert_eq!(text, expected, "\n{text}");
    }

    #[test]
    fn colour_is_only_used_when_asked_for_and_never_inside_a_cell() {
        let text = listing(&five(), Paint { colour: true }, Lang::Indonesian);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].starts_with("\u{1b}[1;33m !") && lines[1].ends_with("\u{1b}[0m"));
        assert!(!lines[0].contains('\u{1b}'));
        assert!(!listing(&five(), PLAIN, Lang::English).contains('\u{1b}'));
    }

    #[test]
    fn a_long_run_shows_what_to_look_at_and_how_many_more() {
        let mut tally = Tally::new(0);
        for n in 0..50 {
            tally.add(&finding(n, "fine", Outcome::Found, "m"));
            tally.add(&finding(100 + n, "lost", Outcome::Unknown, "m"));
        }
        tally.add(&notable(200, "empty", "Sold out!"));
        let text = listing(&tally, PLAIN, Lang::English);
        assert!(!text.contains("fine"), "{text}");
        assert_eq!(text.matches("lost").count(), EXAMPLES_MAX, "{text}");
        assert!(text.contains("30 more") && text.starts_with(" !  empty"), "{text}");
    }
}
