//! The result as one HTML page that needs nothing else: no script, no font, no picture from elsewhere.

use super::proof::CheckResult;
use super::report::{AttackReport, TimelineStep};
use super::text::mark;
use crate::Lang;
use crate::chart::{Bar, CHART_WIDTH, bar, latency_bars, latency_ends};
use askama::Template;

#[derive(Template)]
#[template(path = "attack.html")]
struct Page<'a> {
    lang: Lang,
    report: &'a AttackReport,
    verdict: String,
    figures: Vec<Figure>,
    checks: Vec<CheckRow>,
    latency: Vec<Bar>,
    latency_ends: (String, String),
    timeline: Vec<Stack>,
    timeline_end: String,
    refusals: Vec<(String, String)>,
    nodes: Vec<(String, String)>,
}

struct Figure {
    name: String,
    value: String,
}

struct CheckRow {
    class: &'static str,
    mark: &'static str,
    sentence: String,
    evidence: Vec<String>,
}

/// The bars of one step of time, from the bottom up.
struct Stack {
    acknowledged: Bar,
    refused: Bar,
    setbacks: Bar,
}

impl AttackReport {
    /// The report as a self-contained page.
    #[must_use]
    pub fn to_html(&self, lang: Lang) -> String {
        let step_count = self.timeline.len() as u64;
        let page = Page {
            lang,
            report: self,
            verdict: self.verdict(lang),
            figures: figures(self, lang),
            checks: checks(self, lang),
            latency: latency_bars(&self.latency_buckets, lang),
            latency_ends: latency_ends(&self.latency_buckets, lang),
            timeline: timeline_stacks(&self.timeline, self.timeline_step_ms, lang),
            timeline_end: lang.micros(step_count * self.timeline_step_ms * 1_000),
            refusals: rows(self.orders.refusals.iter(), lang),
            nodes: rows(self.traffic.nodes.iter(), lang),
        };
        // Rendering into a string fails for no input.
        page.render().unwrap_or_default()
    }
}

impl Page<'_> {
    fn say(&self, key: &str) -> String {
        self.lang.say(key, &[])
    }
}

fn rows<'a>(
    counts: impl Iterator<Item = (&'a (impl ToString + 'a), &'a u64)>,
    lang: Lang,
) -> Vec<(String, String)> {
    counts.map(|(name, &count)| (name.to_string(), lang.number(count))).collect()
}

fn figures(report: &AttackReport, lang: Lang) -> Vec<Figure> {
    let latency = &report.latency_us;
    [
        ("page.acknowledged", lang.number(report.orders.acknowledged)),
        ("page.refused", lang.number(report.orders.refused)),
        ("page.unknown", lang.number(report.orders.unknown)),
        ("page.rate", lang.number(report.traffic.replies_per_second as u64)),
        ("page.p50", lang.micros(latency.p50)),
        ("page.p99", lang.micros(latency.p99)),
        ("page.max", lang.micros(latency.max)),
        ("page.retries", lang.number(report.traffic.retries)),
    ]
    .map(|(key, value)| Figure { name: lang.say(key, &[]), value })
    .into()
}

fn checks(report: &AttackReport, lang: Lang) -> Vec<CheckRow> {
    let class = |result| match result {
        CheckResult::Passed => "passed",
        CheckResult::Failed => "failed",
        CheckResult::Skipped => "skipped",
    };
    report
        .checks
        .iter()
        .map(|check| CheckRow {
            class: class(check.result),
            mark: mark(check.result),
            sentence: check.sentence(lang),
            evidence: check.evidence.iter().map(|evidence| evidence.sentence(lang)).collect(),
        })
        .collect()
}

fn timeline_stacks(steps: &[TimelineStep], step_ms: u64, lang: Lang) -> Vec<Stack> {
    let total = |step: &TimelineStep| step.acknowledged + step.refused + step.setbacks;
    let most = steps.iter().map(total).max().unwrap_or(0);
    let width = CHART_WIDTH / steps.len().max(1) as f64;
    let stack = |(at, step): (usize, &TimelineStep)| {
        let time = lang.micros(at as u64 * step_ms * 1_000);
        let part = |below, count, key| {
            let title = format!("{time}: {} {}", lang.say(key, &[]), lang.number(count));
            bar(at, width, below, count, most, title)
        };
        Stack {
            acknowledged: part(0, step.acknowledged, "page.acknowledged"),
            refused: part(step.acknowledged, step.refused, "page.refused"),
            setbacks: part(step.acknowledged + step.refused, step.setbacks, "page.setbacks"),
        }
    };
    steps.iter().enumerate().map(stack).collect()
}
