//! The result as text.

use super::report::StressReport;
use crate::Lang;
use crate::attack::{CheckResult, mark};

impl StressReport {
    /// The report for people, with a newline at its end.
    #[must_use]
    pub fn to_text(&self, lang: Lang) -> String {
        let mut lines = self.load_lines(lang);
        lines.push(String::new());
        for check in &self.checks {
            lines.push(format!("  {} {}", mark(check.result), check.sentence(lang)));
            for evidence in &check.evidence {
                lines.push(format!("      {}", evidence.sentence(lang)));
            }
        }
        lines.push(String::new());
        lines.push(self.verdict(lang));
        lines.join("\n") + "\n"
    }

    /// The result in one line.
    #[must_use]
    pub fn verdict(&self, lang: Lang) -> String {
        if !self.verified {
            let failed = self.checks.iter().filter(|check| check.result != CheckResult::Passed);
            let names: Vec<String> = failed.map(|check| check.title(lang)).collect();
            return lang.say("stress.failed", &[("checks", &names.join(", "))]);
        }
        let key = if self.cancelled { "stress.passed_cancelled" } else { "stress.passed" };
        lang.say(
            key,
            &[
                ("deliveries", &lang.number(self.deliveries.acknowledged)),
                ("stored", &lang.number(self.events_found)),
            ],
        )
    }

    fn load_lines(&self, lang: Lang) -> Vec<String> {
        let number = |n: u64| lang.number(n);
        let (setup, deliveries) = (&self.setup, &self.deliveries);
        let headline = lang.say(
            "stress.headline",
            &[("url", &setup.url), ("topic", &setup.topic), ("seed", &setup.seed)],
        );
        let load = lang.say(
            "stress.load",
            &[
                ("events", &number(deliveries.acknowledged)),
                ("batch", &number(setup.batch)),
                ("connections", &number(u64::from(setup.connections))),
                ("seconds", &lang.decimal(self.seconds)),
                ("rate", &number(self.events_per_second as u64)),
            ],
        );
        let told = lang.say(
            "stress.told",
            &[
                ("stored", &number(deliveries.stored)),
                ("duplicates", &number(deliveries.duplicates)),
                ("conflicts", &number(deliveries.conflicts)),
            ],
        );
        let latency = &self.latency_us;
        let time = |us| lang.micros(us);
        let latency = lang.say(
            "stress.latency",
            &[
                ("p50", &time(latency.p50)),
                ("p99", &time(latency.p99)),
                ("max", &time(latency.max)),
            ],
        );
        let mut lines = vec![headline, load, told, latency];
        if self.traffic.retries > 0 || deliveries.lost > 0 {
            let values: [(&str, &dyn std::fmt::Display); 4] = [
                ("retries", &number(self.traffic.retries)),
                ("silences", &number(self.traffic.silences)),
                ("not_now", &number(self.traffic.not_now)),
                ("lost", &number(deliveries.lost)),
            ];
            lines.push(lang.say("stress.troubles", &values));
        }
        lines
    }
}
