//! The list at the end of `cargo xtask test`: what ran, how long it took, what did not run
//! and why. Must never run anything.

use std::fmt::Write as _;
use std::time::Duration;

use crate::steps::Outcome;
use crate::tally::Tally;

/// One step that was due.
#[derive(Debug)]
pub(crate) struct Row {
    /// The step's name.
    pub(crate) step: &'static str,
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// Wall-clock time.
    pub(crate) elapsed: Duration,
}

/// Whether the run as a whole holds: nothing failed, something ran, and, unless
/// `allow_missing`, nothing was missing.
pub(crate) fn holds(rows: &[Row], allow_missing: bool) -> bool {
    let every_step = rows.iter().all(|row| match row.outcome {
        Outcome::Passed { .. } | Outcome::NotRun(_) => true,
        Outcome::Failed { .. } => false,
        Outcome::Missing(_) => allow_missing,
    });
    every_step && total(rows).run() > 0
}

/// The list, the runners' closing lines, and the sum alone on the last line.
///
/// `left_out` are the steps that the inner loop does without.
pub(crate) fn render(rows: &[Row], left_out: &[&str]) -> String {
    let width = rows.iter().map(|row| row.step.len()).max().unwrap_or(0);
    let mut text = format!("\n{:width$}  result      time  tests\n", "step");
    for row in rows {
        render_row(&mut text, row, width);
    }
    if !left_out.is_empty() {
        let names = left_out.join("; ");
        let _ = writeln!(text, "left out by --quick: {names}");
    }
    let whole: Duration = rows.iter().map(|row| row.elapsed).sum();
    let _ = writeln!(text, "{:width$}           {:>6}\n", "all", time(whole));
    let _ = writeln!(text, "the runners' closing lines (what one suite skips, another runs):");
    for line in rows.iter().flat_map(|row| closing(&row.outcome)) {
        let _ = writeln!(text, "{line}");
    }
    let _ = writeln!(text, "{}", total(rows));
    text
}

fn render_row(text: &mut String, row: &Row, width: usize) {
    let (result, note) = match &row.outcome {
        Outcome::Passed { .. } => ("passed", ""),
        Outcome::Failed { why, .. } => ("FAILED", why.as_str()),
        Outcome::NotRun(why) => ("not run", why.as_str()),
        Outcome::Missing(why) => ("NOT RUN", why.as_str()),
    };
    let tests = match tally(&row.outcome) {
        Tally { passed: 0, failed: 0 } => String::new(),
        tally => tally.to_string(),
    };
    let (step, time) = (row.step, time(row.elapsed));
    let separator = if tests.is_empty() || note.is_empty() { "" } else { "; " };
    let line = format!("{step:width$}  {result:7}  {time:>6}  {tests}{separator}{note}");
    let _ = writeln!(text, "{}", line.trim_end());
}

fn tally(outcome: &Outcome) -> Tally {
    match outcome {
        Outcome::Passed { tally, .. } | Outcome::Failed { tally, .. } => *tally,
        Outcome::NotRun(_) | Outcome::Missing(_) => Tally::default(),
    }
}

fn closing(outcome: &Outcome) -> &[String] {
    match outcome {
        Outcome::Passed { closing, .. } | Outcome::Failed { closing, .. } => closing,
        Outcome::NotRun(_) | Outcome::Missing(_) => &[],
    }
}

fn total(rows: &[Row]) -> Tally {
    rows.iter().map(|row| tally(&row.outcome)).fold(Tally::default(), |sum, tally| sum + tally)
}

fn time(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    if seconds < 100.0 {
        format!("{seconds:.1}s")
    } else {
        format!("{}m{:02}s", elapsed.as_secs() / 60, elapsed.as_secs() % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(step: &'static str, outcome: Outcome) -> Row {
        Row { step, outcome, elapsed: Duration::from_millis(1_250) }
    }

    fn passed(passed: u64) -> Outcome {
        Outcome::Passed {
            tally: Tally { passed, failed: 0 },
            closing: vec![format!("Summary: {passed}")],
        }
    }

    fn failed(failed: u64) -> Outcome {
        Outcome::Failed {
            tally: Tally { passed: 1, failed },
            closing: Vec::new(),
            why: "see above".to_owned(),
        }
    }

    #[test]
    fn the_last_line_is_the_plain_sum() {
        let rows = [row("a", passed(3)), row("b", failed(2)), row("c", passed(4))];
        let text = render(&rows, &[]);
        assert!(text.ends_with("\nSummary: 3\nSummary: 4\n8 passed, 2 failed\n"), "{text}");
    }

    #[test]
    fn every_step_is_listed_with_its_reason() {
        let rows = [
            row("format", passed(0)),
            row("advisories", Outcome::NotRun("no database".to_owned())),
            row("browser", Outcome::Missing("chromium is missing".to_owned())),
        ];
        let text = render(&rows, &["mount tests"]);
        for line in [
            "format      passed     1.2s",
            "advisories  not run    1.2s  no database",
            "browser     NOT RUN    1.2s  chromium is missing",
            "left out by --quick: mount tests",
        ] {
            assert!(text.lines().any(|found| found == line), "{line:?} not in\n{text}");
        }
    }

    #[test]
    fn what_makes_the_whole_run_fail() {
        let table = [
            ("all passed", vec![passed(1)], true, true),
            ("one failed", vec![passed(1), failed(1)], false, false),
            ("no test ran", vec![passed(0)], false, false),
            ("nothing due", vec![], false, false),
            ("not run", vec![passed(1), Outcome::NotRun(String::new())], true, true),
            ("missing", vec![passed(1), Outcome::Missing(String::new())], false, true),
        ];
        for (name, outcomes, strict, lenient) in table {
            let rows: Vec<Row> = outcomes.into_iter().map(|outcome| row("s", outcome)).collect();
            assert_eq!(holds(&rows, false), strict, "{name}");
            assert_eq!(holds(&rows, true), lenient, "{name}, with --allow-missing");
        }
    }

    #[test]
    fn times_are_short() {
        assert_eq!(time(Duration::from_millis(49)), "0.0s");
        assert_eq!(time(Duration::from_secs(99)), "99.0s");
        assert_eq!(time(Duration::from_secs(605)), "10m05s");
    }
}
