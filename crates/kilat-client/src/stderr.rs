//! Lines on stderr. `eprintln!` would panic where nobody takes them.

use std::io::Write as _;

/// A line for people. Where it can't be told, the work goes on.
pub(crate) fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
