//! Counts of tests, read from the closing lines of the test runners.
//! Must never know how a runner is started.

use std::fmt;
use std::ops::Add;

/// How many tests ran, by result. A test that timed out or could not start has failed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Tests that passed, flaky and slow ones included.
    pub(crate) passed: u64,
    /// Tests that ran and did not pass.
    pub(crate) failed: u64,
}

impl Tally {
    /// Tests that ran.
    pub(crate) fn run(self) -> u64 {
        self.passed + self.failed
    }
}

impl Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { passed: self.passed + other.passed, failed: self.failed + other.failed }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// Whether this is the closing line of `cargo nextest run`.
pub(crate) fn is_nextest_summary(line: &str) -> bool {
    nextest_summary(line).is_some()
}

/// Reads `Summary [   1.234s] 12 tests run: 11 passed (1 slow), 1 failed, 0 skipped`.
///
/// Whatever ran and is not counted as passed has failed: the runner has several words
/// for that (failed, timed out, exec failed).
pub(crate) fn nextest_summary(line: &str) -> Option<Tally> {
    let after_time = line.trim_start().strip_prefix("Summary [")?;
    let (_, counts) = after_time.split_once("] ")?;
    let (head, results) =
        counts.split_once(" tests run: ").or_else(|| counts.split_once(" test run: "))?;
    // `7/12 tests run` when the run was cut short: 7 ran.
    let ran: u64 = head.split('/').next()?.parse().ok()?;
    let passed = results
        .split(", ")
        .find_map(|part| part.split_once(" passed"))
        .map_or(Some(0), |(number, _)| number.parse().ok())?;
    let failed = ran.checked_sub(passed)?;
    Some(Tally { passed, failed })
}

/// Whether this is the closing line of one doc test binary.
pub(crate) fn is_libtest_summary(line: &str) -> bool {
    libtest_summary(line).is_some()
}

/// Reads `test result: ok. 3 passed; 0 failed; 0 ignored; …`.
pub(crate) fn libtest_summary(line: &str) -> Option<Tally> {
    let (_, results) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut numbers = results.split("; ");
    let passed = numbers.next()?.strip_suffix(" passed")?.parse().ok()?;
    let failed = numbers.next()?.strip_suffix(" failed")?.parse().ok()?;
    Some(Tally { passed, failed })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(parse: fn(&str) -> Option<Tally>, line: &str, expected: Option<(u64, u64)>) {
        let expected = expected.map(|(passed, failed)| Tally { passed, failed });
        assert_eq!(parse(line), expected, "{line}");
    }

    #[test]
    fn nextest_summaries() {
        let table = [
            ("     Summary [   0.004s] 12 tests run: 12 passed, 0 skipped", Some((12, 0))),
            ("     Summary [   0.004s] 1 test run: 1 passed, 3 skipped", Some((1, 0))),
            (
                "Summary [   9.1s] 9 tests run: 6 passed (2 slow, 1 flaky), 2 failed, 1 timed out, 0 skipped",
                Some((6, 3)),
            ),
            ("Summary [   9.1s] 7/12 tests run: 5 passed, 2 failed, 0 skipped", Some((5, 2))),
            ("Summary [   9.1s] 2 tests run: 2 failed, 4 skipped", Some((0, 2))),
            ("Summary [   9.1s] 2 tests run: 1 exec failed, 1 passed, 4 skipped", Some((1, 1))),
            ("Summary [   0.000s] 0 tests run: 0 passed, 31 skipped", Some((0, 0))),
            ("Starting 12 tests across 3 binaries", None),
            ("Summary of changes", None),
        ];
        for (line, expected) in table {
            check(nextest_summary, line, expected);
        }
    }

    #[test]
    fn libtest_summaries() {
        let table = [
            (
                "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s",
                Some((3, 0)),
            ),
            (
                "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s",
                Some((1, 2)),
            ),
            ("running 3 tests", None),
        ];
        for (line, expected) in table {
            check(libtest_summary, line, expected);
        }
    }
}
