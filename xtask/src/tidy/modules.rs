//! Rules about a Rust file as a whole: its first line, its name, its length.

use super::{Finding, Tree};

/// Past this many lines a file is listed, so that it is split before it must be.
const LINES_WARN: usize = 500;
/// Past this many lines tidy fails, unless the file is in [`LONG_FILES`].
const LINES_MAX: usize = 700;

/// Files that may be longer, each with the reason why splitting it would not help a reader.
static LONG_FILES: &[(&str, &str)] = &[];

/// Names that say nothing about what is inside.
static EMPTY_NAMES: &[&str] = &["utils", "util", "helpers", "common", "impls", "types", "misc"];

/// Each module begins by saying what it is for.
pub(super) fn begin_with_documentation(tree: &Tree) -> Vec<Finding> {
    tree.rust()
        .filter(|file| !file.text.starts_with("//!"))
        .map(|file| {
            let message = "begin the module with `//!`: what it is for, what it must never know";
            Finding::error(&file.path, 1, message)
        })
        .collect()
}

/// No module or folder of modules has an empty name.
pub(super) fn have_telling_names(tree: &Tree) -> Vec<Finding> {
    tree.rust()
        .filter_map(|file| {
            let stem = file.path.strip_suffix(".rs")?;
            let empty = stem.split('/').find(|part| EMPTY_NAMES.contains(part))?;
            let message = format!("`{empty}` says nothing: name the module after its subject");
            Some(Finding::error(&file.path, None, message))
        })
        .collect()
}

/// No file became the system.
pub(super) fn have_one_subject(tree: &Tree) -> Vec<Finding> {
    check_lengths(tree, LONG_FILES)
}

fn check_lengths(tree: &Tree, excused: &[(&str, &str)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust() {
        let lines = file.text.lines().count();
        let is_excused = excused.iter().any(|(path, _)| *path == file.path);
        if is_excused && lines <= LINES_MAX {
            let message = "is short enough now: take it out of LONG_FILES";
            findings.push(Finding::error(&file.path, None, message));
        } else if lines > LINES_MAX && !is_excused {
            let message = format!("{lines} lines, at most {LINES_MAX}: split it by subject");
            findings.push(Finding::error(&file.path, None, message));
        } else if lines > LINES_WARN {
            let message = format!("{lines} lines: does it still have one subject?");
            findings.push(Finding::warning(&file.path, message));
        }
    }
    for (path, _) in excused.iter().filter(|(path, _)| !tree.paths.contains(*path)) {
        let message = "is gone: take it out of LONG_FILES";
        findings.push(Finding::error(path, None, message));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::super::samples::{check, tree};
    use super::*;

    #[test]
    fn documentation_comes_first() {
        let rule = begin_with_documentation;
        check(rule, &[("a.rs", "//! Why.\nuse b;\n"), ("a.sh", "#!")], &[]);
        check(rule, &[("a.rs", "use b;\n//! Late.\n")], &["a.rs:1"]);
        check(rule, &[("a.rs", "")], &["a.rs:1"]);
    }

    #[test]
    fn names_tell() {
        let rule = have_telling_names;
        check(rule, &[("src/frame.rs", ""), ("src/prototypes.rs", ""), ("misc/a.md", "")], &[]);
        check(rule, &[("src/utils.rs", "")], &["src/utils.rs"]);
        check(rule, &[("src/common/mod.rs", "")], &["src/common/mod.rs"]);
    }

    #[test]
    fn lengths_are_limited() {
        let levels = |lines: usize, excused: &[(&str, &str)]| -> Vec<Level> {
            let text = "\n".repeat(lines);
            let found = check_lengths(&tree(&[("a.rs", &text)]), excused);
            found.iter().map(|finding| finding.level).collect()
        };
        let listed = [("a.rs", "a table")];
        assert_eq!(levels(LINES_WARN, &[]), []);
        assert_eq!(levels(LINES_WARN + 1, &[]), [Level::Warning]);
        assert_eq!(levels(LINES_MAX, &[]), [Level::Warning]);
        assert_eq!(levels(LINES_MAX + 1, &[]), [Level::Error]);
        assert_eq!(levels(LINES_MAX + 1, &listed), [Level::Warning]);
        assert_eq!(levels(LINES_MAX, &listed), [Level::Error], "no longer needs its excuse");
        assert_eq!(levels(1, &[("gone.rs", "a table")]), [Level::Error]);
    }
}
