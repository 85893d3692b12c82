//! The result as text, and each check as a sentence.

use super::proof::{Check, CheckResult};
use super::report::AttackReport;
use super::witness::Evidence;
use crate::Lang;
use std::fmt::Display;

impl AttackReport {
    /// The report for people, with a newline at its end.
    #[must_use]
    pub fn to_text(&self, lang: Lang) -> String {
        let mut lines = vec![self.headline(lang)];
        lines.extend(self.outcome_lines(lang));
        lines.push(self.latency_line(lang));
        lines.extend(self.trouble_line(lang));
        lines.push(String::new());
        for check in &self.checks {
            lines.push(format!("  {} {}", mark(check.result), check.sentence(lang)));
            for evidence in &check.evidence {
                lines.push(format!("      {}", evidence.sentence(lang)));
            }
        }
        lines.push(String::new());
        lines.push(self.verdict(lang));
        if self.rehearsal_closed == Some(false) {
            lines.push(lang.say("report.left_open", &[("sale", &self.setup.sale)]));
        }
        lines.join("\n") + "\n"
    }

    /// The result in one line.
    #[must_use]
    pub fn verdict(&self, lang: Lang) -> String {
        let Some(after) = self.after.as_ref().filter(|_| self.proven) else {
            let failed = self.checks.iter().filter(|check| check.result == CheckResult::Failed);
            let names: Vec<String> = failed.map(|check| check.title(lang)).collect();
            return match names.is_empty() {
                true => self.nothing_accepted(lang),
                false => lang.say("report.not_proven", &[("checks", &names.join(", "))]),
            };
        };
        let key = if self.cancelled { "report.proven_cancelled" } else { "report.proven" };
        let sold = after.sold.saturating_sub(self.before.sold);
        lang.say(
            key,
            &[
                ("sold", &lang.number(sold)),
                ("supply", &lang.number(after.supply)),
                ("available", &lang.number(after.available)),
            ],
        )
    }

    /// The verdict when nothing failed because nothing was sold, with what was said instead.
    fn nothing_accepted(&self, lang: Lang) -> String {
        let refusals = self.orders.refusals.iter();
        let list: Vec<String> =
            refusals.map(|(code, &count)| format!("{} × {code}", lang.number(count))).collect();
        match list.is_empty() {
            true => lang.say("report.nothing_asked", &[]),
            false => lang.say("report.nothing_accepted", &[("list", &list.join(", "))]),
        }
    }

    fn headline(&self, lang: Lang) -> String {
        lang.say(
            "report.headline",
            &[
                ("sale", &self.setup.sale),
                ("url", &self.setup.url),
                ("run", &self.setup.run),
                ("seed", &self.setup.seed),
            ],
        )
    }

    fn outcome_lines(&self, lang: Lang) -> Vec<String> {
        let number = |n: u64| lang.number(n);
        let mut lines = vec![
            lang.say(
                "report.load",
                &[
                    ("orders", &number(self.orders.intended)),
                    ("buyers", &number(u64::from(self.setup.buyers))),
                    ("connections", &number(u64::from(self.setup.connections))),
                    ("seconds", &lang.decimal(self.seconds)),
                    ("rate", &number(self.traffic.replies_per_second as u64)),
                ],
            ),
            lang.say(
                "report.orders",
                &[
                    ("acknowledged", &number(self.orders.acknowledged)),
                    ("refused", &number(self.orders.refused)),
                    ("unknown", &number(self.orders.unknown)),
                ],
            ),
        ];
        lines.extend(named(lang, "report.refusals", self.orders.refusals.iter()));
        lines.extend(named(lang, "report.nodes", self.traffic.nodes.iter()));
        lines
    }

    fn latency_line(&self, lang: Lang) -> String {
        let latency = &self.latency_us;
        let time = |us| lang.micros(us);
        lang.say(
            "report.latency",
            &[
                ("p50", &time(latency.p50)),
                ("p90", &time(latency.p90)),
                ("p99", &time(latency.p99)),
                ("p999", &time(latency.p999)),
                ("max", &time(latency.max)),
            ],
        )
    }

    /// What went wrong on the way, if anything did.
    fn trouble_line(&self, lang: Lang) -> Option<String> {
        let traffic = &self.traffic;
        let troubles = [
            ("retries", traffic.retries),
            ("timeouts", traffic.timeouts),
            ("resets", traffic.resets),
            ("connections_refused", traffic.connections_refused),
            ("throttled", traffic.throttled),
            ("unavailable", traffic.unavailable),
            ("server_faults", traffic.server_faults),
        ];
        let told: Vec<String> = troubles
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(name, count)| {
                lang.say(&format!("trouble.{name}"), &[("count", &lang.number(count))])
            })
            .collect();
        (!told.is_empty()).then(|| lang.say("report.troubles", &[("list", &told.join(", "))]))
    }
}

/// `name 12, name 3` after the text named `key`, unless there is none.
fn named<'a>(
    lang: Lang,
    key: &str,
    counts: impl Iterator<Item = (&'a (impl Display + 'a), &'a u64)>,
) -> Option<String> {
    let list: Vec<String> =
        counts.map(|(name, &count)| format!("{name} {}", lang.number(count))).collect();
    (!list.is_empty()).then(|| lang.say(key, &[("list", &list.join(", "))]))
}

impl Check {
    /// The statement in a few words.
    #[must_use]
    pub fn title(&self, lang: Lang) -> String {
        lang.say(&format!("check.{}.title", self.name), &[])
    }

    /// The statement with its figures.
    #[must_use]
    pub fn sentence(&self, lang: Lang) -> String {
        let title = self.title(lang);
        if self.figures.is_empty() || self.result == CheckResult::Skipped {
            return title;
        }
        let texts: Vec<(&str, String)> =
            self.figures.iter().map(|(name, figure)| (*name, lang.number(*figure))).collect();
        let values: Vec<(&str, &dyn Display)> =
            texts.iter().map(|(name, text)| (*name, text as &dyn Display)).collect();
        let figures = lang.say(&format!("check.{}.figures", self.name), &values);
        format!("{title}: {figures}")
    }
}

impl Evidence {
    /// The fault in words, with its subject.
    #[must_use]
    pub fn sentence(&self, lang: Lang) -> String {
        let fault = lang.say(&format!("evidence.{}", self.fault), &[]);
        if self.subject.is_empty() { fault } else { format!("{fault}: {}", self.subject) }
    }
}

/// The sign in front of a check.
pub(crate) const fn mark(result: CheckResult) -> &'static str {
    match result {
        CheckResult::Passed => "✓",
        CheckResult::Failed => "✗",
        CheckResult::Skipped => "–",
    }
}
