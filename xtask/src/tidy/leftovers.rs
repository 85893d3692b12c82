//! The rule about what must not stay in the tree: unfinished work, tests that are switched
//! off, and names of places that no reader can reach.

use super::{File, Finding, Tree};

/// Text that must not appear.
struct Leftover {
    text: &'static str,
    kind: Kind,
    message: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// In Rust files.
    Code,
    /// In any file, as a word of its own.
    Word,
    /// In any file, anywhere.
    Text,
}

const UNFINISHED: &str = "finish it, or take it out";
const SWITCHED_OFF: &str = "slow tests are scaled by an environment variable, never switched off";
const PRIVATE: &str = "name nothing that a reader of this repository can't reach";
const REGISTRY: &str = "name the package, not the host of its registry";

/// Split by `concat!`, so that this file does not break its own rule.
static LEFTOVERS: &[Leftover] = &[
    code(concat!("todo", "!("), UNFINISHED),
    code(concat!("unimplemented", "!("), UNFINISHED),
    code(concat!("dbg", "!("), UNFINISHED),
    code(concat!("#[", "ignore"), SWITCHED_OFF),
    word(concat!("FIX", "ME"), UNFINISHED),
    word(concat!("XX", "X"), UNFINISHED),
    text(concat!("..", "/shared"), PRIVATE),
    text(concat!("/wo", "rk/"), PRIVATE),
    text(concat!(".lib", "rary/"), PRIVATE),
    text(concat!("crates", ".io"), REGISTRY),
    text(concat!("pypi", ".org"), REGISTRY),
    text(concat!("pythonhosted", ".org"), REGISTRY),
    text(concat!("npmjs", ".org"), REGISTRY),
    text(concat!("npmjs", ".com"), REGISTRY),
    text(concat!("deb.debian", ".org"), REGISTRY),
    text(concat!("proxy.golang", ".org"), REGISTRY),
];

/// Written by tools, which name where each package comes from.
static GENERATED: &[&str] = &["Cargo.lock", "bench/peers/fjall/Cargo.lock"];

/// None of the leftovers is in the tree.
pub(super) fn are_absent(tree: &Tree) -> Vec<Finding> {
    tree.files
        .iter()
        .filter(|file| !GENERATED.contains(&file.path.as_str()))
        .flat_map(find)
        .collect()
}

const fn code(text: &'static str, message: &'static str) -> Leftover {
    let kind = Kind::Code;
    Leftover { text, kind, message }
}

const fn word(text: &'static str, message: &'static str) -> Leftover {
    let kind = Kind::Word;
    Leftover { text, kind, message }
}

const fn text(text: &'static str, message: &'static str) -> Leftover {
    let kind = Kind::Text;
    Leftover { text, kind, message }
}

fn find(file: &File) -> Vec<Finding> {
    let is_rust = file.path.ends_with(".rs");
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(file.text.lines()) {
        for leftover in LEFTOVERS {
            if (is_rust || leftover.kind != Kind::Code) && leftover.is_in(line) {
                let message = format!("`{}`: {}", leftover.text, leftover.message);
                findings.push(Finding::error(&file.path, number, message));
            }
        }
    }
    findings
}

impl Leftover {
    fn is_in(&self, line: &str) -> bool {
        match self.kind {
            Kind::Code | Kind::Text => line.contains(self.text),
            Kind::Word => {
                line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == self.text)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::check;
    use super::*;

    #[test]
    fn each_leftover_is_found() {
        for leftover in LEFTOVERS {
            let sample = format!("fine\nsee {} there\n", leftover.text);
            check(are_absent, &[("a.rs", &sample)], &["a.rs:2"]);
        }
    }

    #[test]
    fn what_only_looks_alike_is_not() {
        let words = format!("mktemp a.{x}{x} pre{x}\n", x = concat!("XX", "X"));
        check(are_absent, &[("a.sh", &words)], &[]);
        let prose = format!("never `{}…)`\n", concat!("todo", "!("));
        check(are_absent, &[("STYLE.md", &prose)], &[]);
        let locked = format!("source = \"registry of {}\"\n", concat!("crates", ".io"));
        check(are_absent, &[("Cargo.lock", &locked)], &[]);
        check(are_absent, &[("a.md", "homework/ and shared/\n")], &[]);
    }
}
