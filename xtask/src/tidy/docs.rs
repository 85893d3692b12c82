//! Rules about documents: links lead somewhere, commands exist, the changelog is open.

use super::{File, Finding, Tree};

const CHANGELOG: &str = "CHANGELOG.md";
const UNRELEASED: &str = "## [Unreleased]";

/// Links to files in this repository lead to files that are there.
pub(super) fn links_lead_somewhere(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.markdown() {
        for (number, line) in prose(file) {
            for target in link_targets(&line) {
                if !exists(tree, &file.path, target) {
                    let message = format!("the link to `{target}` leads nowhere");
                    findings.push(Finding::error(&file.path, number, message));
                }
            }
        }
    }
    findings
}

/// `cargo xtask NAME`, and the names of benchmarks and soaks behind it, in documents are commands that exist.
pub(super) fn commands_exist(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.markdown() {
        for (number, line) in (1..).zip(file.text.lines()) {
            for command in unknown_commands(tree, line) {
                let message = format!("there is no `{command}`");
                findings.push(Finding::error(&file.path, number, message));
            }
        }
    }
    findings
}

/// The changelog has a section for what is not released yet.
pub(super) fn changelog_is_open(tree: &Tree) -> Vec<Finding> {
    let is_open = tree
        .markdown()
        .any(|file| file.path == CHANGELOG && file.text.lines().any(|line| line == UNRELEASED));
    if is_open {
        return Vec::new();
    }
    vec![Finding::error(CHANGELOG, None, format!("has no section `{UNRELEASED}`"))]
}

/// The lines outside code blocks, without what stands in backticks.
fn prose(file: &File) -> Vec<(usize, String)> {
    let mut in_code_block = false;
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(file.text.lines()) {
        let is_fence = line.trim_start().starts_with("```");
        if !is_fence && !in_code_block {
            lines.push((number, line.split('`').step_by(2).collect()));
        }
        in_code_block ^= is_fence;
    }
    lines
}

/// What `](…)`, `src="…"` and `href="…"` point at.
fn link_targets(line: &str) -> Vec<&str> {
    [("](", ')'), ("src=\"", '"'), ("href=\"", '"')]
        .into_iter()
        .flat_map(|(open, close)| {
            let after = line.split(open).skip(1);
            after.filter_map(move |rest| Some(rest.split_once(close)?.0))
        })
        // A title may follow: `](file.md "title")`.
        .filter_map(|target| target.split_whitespace().next())
        .collect()
}

fn exists(tree: &Tree, from: &str, target: &str) -> bool {
    let path = target.split(['#', '?']).next().unwrap_or_default();
    let is_elsewhere = path.contains("://") || path.starts_with("mailto:");
    if is_elsewhere || path.is_empty() {
        return true;
    }
    let Some(path) = resolve(from, path) else {
        return false;
    };
    let folder = format!("{path}/");
    path.is_empty()
        || tree.paths.contains(&path)
        || tree.paths.iter().any(|known| known.starts_with(&folder))
}

/// `None` when the path leaves the repository.
fn resolve(from: &str, target: &str) -> Option<String> {
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    let base = if target.starts_with('/') { "" } else { folder };
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(target.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

fn unknown_commands(tree: &Tree, line: &str) -> Vec<String> {
    line.split("cargo xtask ")
        .skip(1)
        .filter_map(|rest| {
            let mut words = rest.split(' ');
            let command = name(words.next())?;
            if !tree.commands.contains(&command) {
                return Some(format!("cargo xtask {command}"));
            }
            let known = match command.as_str() {
                "bench" => &tree.benches,
                "soak" => &tree.soaks,
                _ => return None,
            };
            let named = name(words.next())?;
            (!known.contains(&named)).then(|| format!("cargo xtask {command} {named}"))
        })
        .collect()
}

/// The leading `[a-z0-9-]` of a word that begins with a letter: neither a placeholder nor an option.
fn name(word: Option<&str>) -> Option<String> {
    let word = word?;
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !word.starts_with(|c: char| c.is_ascii_lowercase()) {
        return None;
    }
    let end = word.find(|c| !is_name(c)).unwrap_or(word.len());
    Some(word[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::samples::check;
    use super::*;

    #[test]
    fn links_are_followed() {
        let check = |text: &str, expected: &[&str]| {
            let files = [("docs/guide.md", text), ("docs/adr/one.md", ""), ("README.md", "")];
            check(links_lead_somewhere, &files, expected);
        };
        let nowhere = &["docs/guide.md:1"][..];
        check("[a](adr/one.md) [b](../README.md#top) [c](/README.md)", &[]);
        check("[d](adr) [e](adr/) [f](#here) [g](https://example.com/x) [h](..)", &[]);
        check("[i](adr/one.md \"title\") <img src=\"adr/one.md\">", &[]);
        check("`[code](gone.md)`\n```\n[block](gone.md)\n```\n", &[]);
        check("[a](gone.md)", nowhere);
        check("[a](README.md)", nowhere);
        check("[a](../../README.md)", nowhere);
        check("[ok](adr/one.md) <img src=\"gone.png\">", nowhere);
    }

    #[test]
    fn commands_are_known() {
        let check = |text: &str, expected: &[&str]| {
            check(commands_exist, &[("a.md", text)], expected);
        };
        check("`cargo xtask test --quick`, `cargo xtask bench`, `cargo xtask NAME`", &[]);
        check("`cargo xtask bench journal`, `cargo xtask bench --smoke`", &[]);
        check("`cargo xtask soak chaos`, `cargo xtask soak --for 5`", &[]);
        check("`cargo xtask` runs it", &[]);
        check("`cargo xtask fly`", &["a.md:1"]);
        check("```\ncargo xtask bench gone\n```", &["a.md:2"]);
        check("`cargo xtask soak journal`", &["a.md:1"]);
    }

    #[test]
    fn changelogs_are_open() {
        check(changelog_is_open, &[("CHANGELOG.md", "# C\n\n## [Unreleased]\n")], &[]);
        check(changelog_is_open, &[("CHANGELOG.md", "## 1.0\n")], &["CHANGELOG.md"]);
        check(changelog_is_open, &[], &["CHANGELOG.md"]);
    }
}
