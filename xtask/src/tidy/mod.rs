//! The rules of the house as a test over every file that git knows or would add.
//! Must never change a file, and never build the project.

mod arrows;
mod docs;
mod functions;
mod leftovers;
mod modules;

use std::collections::BTreeSet;
use std::fmt;
use std::fs;

use anyhow::{Result, ensure};

use crate::{bench, process, soak};

/// The project's files, read once for all rules.
#[derive(Debug, Default)]
struct Tree {
    /// Files that hold text, by path.
    files: Vec<File>,
    /// Every path, files that hold no text included.
    paths: BTreeSet<String>,
    /// What may follow `cargo xtask` in a document.
    commands: Vec<String>,
    /// What may follow `cargo xtask bench` in a document.
    benches: Vec<String>,
    /// What may follow `cargo xtask soak` in a document.
    soaks: Vec<String>,
}

#[derive(Debug)]
struct File {
    /// Relative to the project's folder, with `/`.
    path: String,
    text: String,
}

/// One place where a rule does not hold.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    /// From 1; none when the file as a whole is meant.
    line: Option<usize>,
    /// What is wrong and what to do.
    message: String,
    level: Level,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    /// Printed only.
    Warning,
    /// Tidy fails.
    Error,
}

/// Adding a rule: one entry here and one function with a violating and a passing sample.
static RULES: &[fn(&Tree) -> Vec<Finding>] = &[
    modules::begin_with_documentation,
    modules::have_telling_names,
    modules::have_one_subject,
    functions::fit_a_screen,
    leftovers::are_absent,
    docs::links_lead_somewhere,
    docs::commands_exist,
    docs::changelog_is_open,
];

/// Checks all rules and prints what does not hold; `commands` are this program's own.
pub(crate) fn run(commands: &[String]) -> Result<bool> {
    let tree = Tree::read(commands)?;
    let mut findings: Vec<Finding> = RULES.iter().flat_map(|rule| rule(&tree)).collect();
    findings.extend(arrows::check(&arrows::read()?));
    findings.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    for finding in &findings {
        println!("{finding}");
    }
    println!("{}", functions::statistics(&tree));
    let count = |level| findings.iter().filter(|found| found.level == level).count();
    let (errors, warnings) = (count(Level::Error), count(Level::Warning));
    let files = tree.files.len();
    println!("tidy: {files} files, {errors} errors, {warnings} warnings");
    Ok(errors == 0)
}

impl Tree {
    fn read(commands: &[String]) -> Result<Self> {
        let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        let listing = process::program("git", arguments)?.read()?;
        let paths = listing.split('\0').filter(|path| !path.is_empty());
        // What is deleted but not yet committed is listed too.
        let paths: BTreeSet<String> = paths
            .filter(|path| fs::symlink_metadata(path).is_ok_and(|found| found.is_file()))
            .map(str::to_owned)
            .collect();
        ensure!(!paths.is_empty(), "git lists no files: run this inside the repository");
        // A file that is not UTF-8 holds no text, so no rule applies to its content.
        let files = paths.iter().filter_map(|path| {
            let text = fs::read_to_string(path).ok()?;
            Some(File { path: path.clone(), text })
        });
        Ok(Self {
            files: files.collect(),
            commands: commands.to_vec(),
            benches: bench::names().into_iter().map(str::to_owned).collect(),
            soaks: soak::names().into_iter().map(str::to_owned).collect(),
            paths,
        })
    }

    fn with_extension(&self, extension: &str) -> impl Iterator<Item = &File> {
        self.files.iter().filter(move |file| {
            let (_, found) = file.path.rsplit_once('.').unwrap_or_default();
            found == extension
        })
    }

    fn rust(&self) -> impl Iterator<Item = &File> {
        self.with_extension("rs")
    }

    fn markdown(&self) -> impl Iterator<Item = &File> {
        self.with_extension("md")
    }
}

impl Finding {
    fn error(path: &str, line: impl Into<Option<usize>>, message: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line: line.into(),
            message: message.into(),
            level: Level::Error,
        }
    }

    fn warning(path: &str, message: impl Into<String>) -> Self {
        Self { level: Level::Warning, ..Self::error(path, None, message) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Warning => "warning",
            Level::Error => "error",
        };
        write!(formatter, "{level}: {}", self.path)?;
        if let Some(line) = self.line {
            write!(formatter, ":{line}")?;
        }
        write!(formatter, ": {}", self.message)
    }
}

#[cfg(test)]
mod samples {
    //! Small trees for the rules' tests.

    use super::{File, Finding, Tree};

    pub(super) fn tree(files: &[(&str, &str)]) -> Tree {
        Tree {
            files: files
                .iter()
                .map(|&(path, text)| File { path: path.to_owned(), text: text.to_owned() })
                .collect(),
            paths: files.iter().map(|&(path, _)| path.to_owned()).collect(),
            commands: ["test", "bench", "soak"].map(str::to_owned).into(),
            benches: vec!["journal".to_owned()],
            soaks: vec!["chaos".to_owned()],
        }
    }

    /// The rule finds exactly these places (`path` or `path:line`) in the files.
    #[track_caller]
    pub(super) fn check(
        rule: fn(&Tree) -> Vec<Finding>,
        files: &[(&str, &str)],
        expected: &[&str],
    ) {
        let found: Vec<String> = rule(&tree(files))
            .into_iter()
            .map(|finding| match finding.line {
                Some(line) => format!("{}:{line}", finding.path),
                None => finding.path,
            })
            .collect();
        assert_eq!(found, expected, "in {files:?}");
    }
}
