//! Whether the documentation comments hold examples in Rust. To find none, rustdoc would compile the
//! workspace once more. Must never miss one: what is in doubt counts as an example.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::process;

/// What rustdoc takes for Rust behind the opening of a code block, beside nothing at all.
const RUST_WORDS: [&str; 8] = [
    "rust",
    "should_panic",
    "no_run",
    "ignore",
    "compile_fail",
    "test_harness",
    "standalone_crate",
    "custom",
];
/// Documentation that is not read here, line by line.
const OTHER_FORMS: [&str; 4] = ["/**", "/*!", "doc = \"", "doc = concat!"];

/// Whether a documentation comment of a crate, or a document taken into one, may hold an example.
pub(crate) fn may_exist() -> Result<bool> {
    let listing = process::program("git", ["ls-files", "-z", "--", "crates/*/src/*.rs"])?.read()?;
    for path in listing.split('\0').map(Path::new).filter(|path| path.is_file()) {
        let text = fs::read_to_string(path)?;
        if is_example_in(&text) || is_example_taken_in(path, &text)? {
            println!("{} may hold an example", path.display());
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the comments of this source file may hold one.
fn is_example_in(text: &str) -> bool {
    let mut comment: Vec<&str> = Vec::new();
    for line in text.lines().map(str::trim_start).chain([""]) {
        let is_code = !line.starts_with("//");
        if is_code && OTHER_FORMS.iter().any(|form| line.contains(form)) {
            return true;
        }
        let told = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"));
        match told.filter(|told| !told.starts_with('/')) {
            Some(told) => comment.push(told.strip_prefix(' ').unwrap_or(told)),
            None if is_example_among(&comment) => return true,
            None => comment.clear(),
        }
    }
    false
}

/// Whether a document that this file takes into its documentation may hold one.
fn is_example_taken_in(path: &Path, text: &str) -> Result<bool> {
    for line in text.lines().filter(|line| line.contains("doc = include_str!")) {
        let Some(name) = line.split('"').nth(1) else {
            return Ok(true);
        };
        let document = path.parent().unwrap_or(Path::new("")).join(name);
        let told = fs::read_to_string(&document)
            .with_context(|| format!("{} takes {name} in", path.display()))?;
        if is_example_among(&told.lines().collect::<Vec<_>>()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether there is a code block of Rust among these lines of Markdown.
fn is_example_among(lines: &[&str]) -> bool {
    let (mut in_block, mut after_blank) = (false, true);
    for line in lines {
        let text = line.trim_start();
        let fence = ["```", "~~~"].iter().find_map(|fence| text.strip_prefix(fence));
        if let Some(info) = fence {
            if !in_block && is_rust(info) {
                return true;
            }
            in_block = !in_block;
        } else if !in_block && after_blank && line.starts_with("    ") && !text.is_empty() {
            return true;
        }
        after_blank = text.is_empty();
    }
    false
}

fn is_rust(info: &str) -> bool {
    let mut words = info.split([',', ' ', '\t']).filter(|word| !word.is_empty());
    words.all(|word| {
        RUST_WORDS.contains(&word)
            || ["edition", "ignore-", "E0"].iter().any(|start| word.starts_with(start))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_are_found_and_other_blocks_are_not() {
        for (text, expected) in [
            ("", false),
            ("/// Says.\nfn f() {}", false),
            ("/// Says:\n/// ```text\n/// a\n/// ```\nfn f() {}", false),
            ("//! ```json\n//! {}\n//! ```", false),
            ("//! ```\n//! let a = 1;\n//! ```", true),
            ("    /// ```rust,no_run\n    /// a();\n    /// ```", true),
            ("/// ~~~ should_panic\n/// a();\n/// ~~~", true),
            ("/// ```compile_fail,E0308\n/// ```", true),
            ("/// ```text\n/// ```\n/// ```\n/// a();\n/// ```", true),
            ("/// Says:\n///\n///     a();\nfn f() {}", true),
            ("/// * a point\n///     that goes on\nfn f() {}", false),
            ("// ```\n// a();\n// ```", false),
            ("//// ```\nfn f() {}", false),
            ("/** Says. */\nfn f() {}", true),
            ("#[doc = \"```\"]\nfn f() {}", true),
        ] {
            assert_eq!(is_example_in(text), expected, "{text}");
        }
    }
}
