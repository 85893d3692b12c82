//! One figure of a benchmark: its samples, what it should reach, and how it is printed.
//! Must never measure anything.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// What was measured, a sample for each round.
#[derive(Debug)]
pub(super) struct Figure {
    /// The target's name, or the peer's.
    id: &'static str,
    /// What the samples are.
    what: String,
    unit: &'static str,
    samples: Vec<f64>,
    target: Option<Target>,
    note: String,
}

/// What the median of a figure should reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Target {
    /// The larger the better.
    AtLeast(f64),
    /// The smaller the better.
    AtMost(f64),
}

/// The smallest, the middle and the largest sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    pub(super) min: f64,
    pub(super) median: f64,
    pub(super) max: f64,
}

impl Figure {
    /// A figure for orientation: without a target or a note.
    pub(super) fn new(
        id: &'static str,
        what: impl Into<String>,
        unit: &'static str,
        samples: Vec<f64>,
    ) -> Self {
        Self { id, what: what.into(), unit, samples, target: None, note: String::new() }
    }

    /// A figure that should reach something.
    pub(super) fn aims(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    /// What a reader must know beside the figure.
    pub(super) fn noted(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// Whether the median reaches the target; `None` without a target or a sample.
    fn reached(&self) -> Option<bool> {
        let median = Spread::of(&self.samples)?.median;
        self.target.map(|target| target.holds(median))
    }

    fn to_json(&self, is_smoke: bool) -> Value {
        let spread = Spread::of(&self.samples);
        json!({
            "id": self.id,
            "what": self.what,
            "unit": self.unit,
            "min": spread.map(|spread| spread.min),
            "median": spread.map(|spread| spread.median),
            "max": spread.map(|spread| spread.max),
            "samples": self.samples,
            "target": self.target.map(Target::text),
            "reached": self.reached().filter(|_| !is_smoke),
            "note": self.note,
        })
    }
}

impl Target {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(bound) => format!("≥ {}", short(bound)),
            Self::AtMost(bound) => format!("≤ {}", short(bound)),
        }
    }
}

impl Spread {
    /// `None` without samples.
    pub(super) fn of(samples: &[f64]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = match sorted.len() % 2 {
            0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
            _ => sorted[middle],
        };
        Some(Self { min, median, max })
    }

    /// `0.12 / 0.14 / 0.31`
    pub(super) fn text(self) -> String {
        let Self { min, median, max } = self;
        format!("{} / {} / {}", short(min), short(median), short(max))
    }
}

/// The figures as a table. At smoke size nothing is judged: figures of that size mean nothing.
pub(super) fn table(figures: &[Figure], is_smoke: bool) -> String {
    let longest = |of: fn(&Figure) -> usize| figures.iter().map(of).max().unwrap_or(0);
    let ids = longest(|figure| figure.id.chars().count()).max(6);
    let width = longest(|figure| figure.what.chars().count()).max(4);
    let mut text = format!(
        "{:ids$} {:width$}  {:>10} {:>10} {:>10} {:10} {:>11}  {:7}  note\n",
        "id", "what", "min", "median", "max", "unit", "target", "reached",
    );
    for figure in figures {
        let _ = writeln!(text, "{}", line(figure, (ids, width), is_smoke).trim_end());
    }
    text
}

/// The figures for a program.
pub(super) fn to_json(figures: &[Figure], is_smoke: bool) -> Value {
    figures.iter().map(|figure| figure.to_json(is_smoke)).collect()
}

fn line(figure: &Figure, (ids, width): (usize, usize), is_smoke: bool) -> String {
    let spread = Spread::of(&figure.samples);
    let cell = |of: fn(Spread) -> f64| spread.map_or("–".to_owned(), |spread| short(of(spread)));
    let reached = match figure.reached() {
        Some(_) if is_smoke => "–",
        Some(true) => "yes",
        Some(false) => "no",
        None => "",
    };
    format!(
        "{:ids$} {:width$}  {:>10} {:>10} {:>10} {:10} {:>11}  {:7}  {}",
        figure.id,
        figure.what,
        cell(|spread| spread.min),
        cell(|spread| spread.median),
        cell(|spread| spread.max),
        figure.unit,
        figure.target.map_or_else(String::new, Target::text),
        reached,
        figure.note,
    )
}

/// Three digits that count; whole numbers from a hundred on, with `,` between thousands.
fn short(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 99.95 => return with_thousands(value),
        size if size >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.decimals$}")
}

/// A whole number with `,` between thousands.
pub(super) fn with_thousands(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let sign = if value < 0.0 { "-" } else { "" };
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| str::from_utf8(group).ok()).collect();
    format!("{sign}{}", groups.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_have_a_middle() {
        let spread = |samples: &[f64]| Spread::of(samples).map(|s| (s.min, s.median, s.max));
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[3.0]), Some((3.0, 3.0, 3.0)));
        assert_eq!(spread(&[3.0, 1.0, 2.5]), Some((1.0, 2.5, 3.0)));
        assert_eq!(spread(&[4.0, 1.0, 2.0, 3.0]), Some((1.0, 2.5, 4.0)));
    }

    #[test]
    fn the_median_is_judged() {
        let reached = |samples: &[f64], target| {
            Figure::new("T", "", "", samples.to_vec()).aims(target).reached()
        };
        assert_eq!(reached(&[0.5, 0.9, 1.5], Target::AtLeast(0.9)), Some(true));
        assert_eq!(reached(&[0.5, 0.8, 1.5], Target::AtLeast(0.9)), Some(false));
        assert_eq!(reached(&[1.0, 1.25, 9.0], Target::AtMost(1.25)), Some(true));
        assert_eq!(reached(&[1.0, 1.3, 1.4], Target::AtMost(1.25)), Some(false));
        assert_eq!(reached(&[], Target::AtMost(1.0)), None);
        assert_eq!(Figure::new("T", "", "", vec![1.0]).reached(), None);
    }

    #[test]
    fn figures_are_short() {
        let table = [
            (0.0, "0.00"),
            (0.904, "0.90"),
            (9.996, "10.0"),
            (12.34, "12.3"),
            (99.96, "100"),
            (1_234.5, "1,234"),
            (-1_234_567.0, "-1,234,567"),
        ];
        for (value, expected) in table {
            assert_eq!(short(value), expected);
        }
    }

    #[test]
    fn a_smoke_run_judges_nothing() {
        let figure = || Figure::new("T9", "ratio", "×", vec![0.1]).aims(Target::AtLeast(0.9));
        assert!(table(&[figure()], false).contains("≥ 0.90  no"));
        assert!(table(&[figure()], true).contains("≥ 0.90  –"));
        assert_eq!(to_json(&[figure()], true)[0]["reached"], Value::Null);
        assert_eq!(to_json(&[figure()], false)[0]["reached"], false);
    }

    #[test]
    fn a_figure_without_samples_is_still_listed() {
        let absent = Figure::new("T3", "in process", "orders/s", Vec::new()).noted("why not");
        let text = table(&[absent], false);
        assert!(text.contains("in process") && text.contains("why not"), "{text}");
    }
}
