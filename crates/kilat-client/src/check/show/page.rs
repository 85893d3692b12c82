//! The result as one HTML page that needs nothing else: no script, no font, no picture from elsewhere.

use super::plain::{MESSAGE_CHARS_MAX, plain};
use super::report::Report;
use super::tally::{Kind, Shown, Tally};
use super::text::{mark, word};
use crate::Lang;
use crate::chart::{Bar, CHART_WIDTH, latency_bars, latency_ends};
use crate::lang::utc;
use askama::Template;

/// Most findings of each kind on a page; the log has all.
pub(crate) const PAGE_ROWS_MAX: usize = 1_000;
/// In the head of every page: what made it.
pub(crate) const PAGE_MARK: &str = r#"name="generator" content="kilat check""#;
/// Characters of an id on a page.
const ID_CHARS_MAX: usize = 200;
/// Height of the bar of outcomes, in the chart's units.
const BAR_HEIGHT: &str = "36";

#[derive(Template)]
#[template(path = "check.html")]
struct Page<'a> {
    lang: Lang,
    report: &'a Report,
    verdict: String,
    /// To the second, in UTC.
    started_at: String,
    figures: Vec<(String, String)>,
    outcomes: Vec<Part>,
    latency: Vec<Bar>,
    latency_ends: (String, String),
    rows: Vec<Row>,
    left_out: Option<String>,
    /// Of earlier runs that this one goes on with.
    earlier: Option<String>,
}

/// One part of the bar of outcomes.
struct Part {
    class: &'static str,
    bar: Bar,
}

struct Row {
    class: &'static str,
    mark: &'static str,
    id: String,
    word: String,
    message: String,
    time: String,
}

impl Report {
    /// The report as a self-contained page; what to look at comes first.
    pub(crate) fn to_html(&self, tally: &Tally, lang: Lang) -> String {
        let rows: Vec<Row> = Kind::ALL
            .into_iter()
            .flat_map(|kind| tally.first(kind, PAGE_ROWS_MAX))
            .map(|shown| row(shown, lang))
            .collect();
        let left_out = self.ids.saturating_sub(rows.len() as u64);
        let earlier = self.resumed.all();
        let counted =
            |key, count: u64| (count > 0).then(|| lang.say(key, &[("count", &lang.number(count))]));
        let page = Page {
            lang,
            report: self,
            verdict: self.verdict(lang),
            started_at: utc(self.started_at),
            figures: figures(self, lang),
            outcomes: outcomes(self, lang),
            latency: latency_bars(&self.latency_buckets, lang),
            latency_ends: latency_ends(&self.latency_buckets, lang),
            rows,
            left_out: counted("check.page.left_out", left_out),
            earlier: counted("check.page.earlier", earlier),
        };
        // Rendering into a string fails for no input.
        page.render().unwrap_or_default()
    }

    fn verdict(&self, lang: Lang) -> String {
        let key = match self {
            _ if !self.complete => "check.page.incomplete",
            _ if self.unknown > 0 => "check.page.some_unknown",
            _ => "check.page.all_known",
        };
        lang.say(key, &[("ids", &lang.number(self.ids)), ("unknown", &lang.number(self.unknown))])
    }
}

impl Page<'_> {
    fn say(&self, key: &str) -> String {
        self.lang.say(key, &[])
    }
}

fn row(shown: &Shown, lang: Lang) -> Row {
    Row {
        class: class(shown.kind),
        mark: mark(shown.kind),
        id: plain(&shown.id, ID_CHARS_MAX).into_owned(),
        word: word(shown.outcome, lang),
        message: plain(&shown.message, MESSAGE_CHARS_MAX).into_owned(),
        time: lang.micros(shown.elapsed.as_micros().try_into().unwrap_or(u64::MAX)),
    }
}

const fn class(kind: Kind) -> &'static str {
    match kind {
        Kind::Notable => "notable",
        Kind::Unknown => "unknown",
        Kind::NotFound => "not-found",
        Kind::Found => "found",
    }
}

fn figures(report: &Report, lang: Lang) -> Vec<(String, String)> {
    let latency = report.latency_us;
    let micros = |pick: fn(crate::latency::Latency) -> u64| {
        latency.map_or("–".to_owned(), |latency| lang.micros(pick(latency)))
    };
    let seconds = |value: f64| lang.micros((value * 1e6) as u64);
    [
        ("check.show.notable", lang.number(report.notable)),
        ("check.show.found", lang.number(report.found)),
        ("check.show.not_found", lang.number(report.not_found)),
        ("check.show.unknown", lang.number(report.unknown)),
        ("check.page.seconds", seconds(report.seconds)),
        ("check.page.floor", seconds(report.floor_seconds)),
        ("page.p50", micros(|latency| latency.p50)),
        ("page.p99", micros(|latency| latency.p99)),
        ("page.max", micros(|latency| latency.max)),
        ("check.page.requests", lang.number(report.traffic.requests)),
    ]
    .map(|(key, value)| (lang.say(key, &[]), value))
    .into()
}

/// Found, not found and unknown side by side, as wide as the chart together.
fn outcomes(report: &Report, lang: Lang) -> Vec<Part> {
    let scale = CHART_WIDTH / report.ids.max(1) as f64;
    let mut x = 0.0;
    [
        (Kind::Found, report.found, "check.show.found"),
        (Kind::NotFound, report.not_found, "check.show.not_found"),
        (Kind::Unknown, report.unknown, "check.show.unknown"),
    ]
    .map(|(kind, count, key)| {
        let width = count as f64 * scale;
        let bar = Bar {
            x: format!("{x:.2}"),
            y: "0".to_owned(),
            width: format!("{width:.2}"),
            height: BAR_HEIGHT.to_owned(),
            title: format!("{}: {}", lang.say(key, &[]), lang.number(count)),
        };
        x += width;
        Part { class: class(kind), bar }
    })
    .into()
}

#[cfg(test)]
mod tests {
    use crate::Lang;
    use crate::check::Outcome;
    use crate::check::show::report::tests::report;
    use crate::check::show::sample::{finding, notable};
    use crate::check::show::tally::Tally;

    #[test]
    fn a_page_shows_what_to_look_at_first_and_escapes_what_it_quotes() {
        let mut tally = Tally::new(super::PAGE_ROWS_MAX);
        tally.add(&finding(0, "SKU-001", Outcome::Found, "150 units"));
        tally.add(&notable(1, "SKU-002", "Sold out!"));
        tally.add(&finding(2, "<script>", Outcome::Unknown, "a & \"b\""));
        for lang in [Lang::English, Lang::Indonesian] {
            let page = report(&tally).to_html(&tally, lang);
            let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text}: {page}"));
            assert!(
                at("SKU-002") < at("&#60;script&#62;") && at("&#60;script&#62;") < at("SKU-001")
            );
            assert!(
                !page.contains("<script")
                    && !page.contains("src=")
                    && !page.contains("http://127.0.0.1/<")
            );
            assert!(page.contains("default-src 'none'"));
            assert!(
                !page.contains(if lang == Lang::Indonesian { " s</dd>" } else { "dtk" }),
                "{page}"
            );
            assert!(page[..1_024].contains(super::PAGE_MARK));
            assert_eq!(page.matches("<rect").count(), 3 + report(&tally).latency_buckets.len());
        }
    }

    #[test]
    fn what_is_left_out_is_said() {
        let mut tally = Tally::new(super::PAGE_ROWS_MAX);
        for n in 0..1_234 {
            tally.add(&finding(n, "id", Outcome::Found, "m"));
        }
        let page = report(&tally).to_html(&tally, Lang::English);
        assert!(page.contains("234 further ids"), "{page}");
    }
}
