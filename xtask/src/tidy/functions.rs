//! The rule about functions: they fit a screen. Also how long they are on the whole.

use syn::visit::{self, Visit};
use syn::{Block, Ident, ImplItemFn, ItemFn, TraitItemFn};

use super::{File, Finding, Tree};

/// Lines between the braces of a function's body.
const BODY_LINES_MAX: usize = 70;

struct Function {
    path: String,
    name: String,
    line: usize,
    body_lines: usize,
}

/// No function is longer than a screen.
pub(super) fn fit_a_screen(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust() {
        match functions(file) {
            Ok(functions) => findings.extend(functions.iter().filter_map(too_long)),
            Err(error) => {
                let message = format!("is not valid Rust: {error}");
                findings.push(Finding::error(&file.path, error.span().start().line, message));
            }
        }
    }
    findings
}

/// How long functions are: the half and nine tenths that are shortest, and the longest.
pub(super) fn statistics(tree: &Tree) -> String {
    let mut all: Vec<Function> =
        tree.rust().flat_map(|file| functions(file).unwrap_or_default()).collect();
    all.sort_by_key(|function| function.body_lines);
    let Some(longest) = all.last() else {
        return "functions: none".to_owned();
    };
    let percentile = |percent: usize| all[(all.len() - 1) * percent / 100].body_lines;
    format!(
        "functions: {}, median {} lines, 90 % up to {}, longest {} ({} in {})",
        all.len(),
        percentile(50),
        percentile(90),
        longest.body_lines,
        longest.name,
        longest.path,
    )
}

fn too_long(function: &Function) -> Option<Finding> {
    let Function { path, name, line, body_lines } = function;
    let message = format!("`{name}` has {body_lines} lines, at most {BODY_LINES_MAX}: split it");
    (*body_lines > BODY_LINES_MAX).then(|| Finding::error(path, *line, message))
}

fn functions(file: &File) -> syn::Result<Vec<Function>> {
    let mut collector = Collector { path: &file.path, found: Vec::new() };
    collector.visit_file(&syn::parse_file(&file.text)?);
    Ok(collector.found)
}

struct Collector<'a> {
    path: &'a str,
    found: Vec<Function>,
}

impl Collector<'_> {
    fn add(&mut self, name: &Ident, body: &Block) {
        let braces = body.brace_token.span;
        let (open, close) = (braces.open().start().line, braces.close().end().line);
        self.found.push(Function {
            path: self.path.to_owned(),
            name: name.to_string(),
            line: name.span().start().line,
            body_lines: close.saturating_sub(open + 1).max(1),
        });
    }
}

impl<'ast> Visit<'ast> for Collector<'_> {
    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.add(&function.sig.ident, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        self.add(&function.sig.ident, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast TraitItemFn) {
        if let Some(body) = &function.default {
            self.add(&function.sig.ident, body);
        }
        visit::visit_trait_item_fn(self, function);
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{check, tree};
    use super::*;

    fn function(name: &str, body_lines: usize) -> String {
        format!("fn {name}() {{\n{}}}\n", "    ();\n".repeat(body_lines))
    }

    #[test]
    fn length_is_limited_wherever_a_function_stands() {
        let (short, long) = (function("f", BODY_LINES_MAX), function("f", BODY_LINES_MAX + 1));
        let rule = fit_a_screen;
        check(rule, &[("a.rs", &short)], &[]);
        check(rule, &[("a.rs", &long)], &["a.rs:1"]);
        check(rule, &[("a.rs", &format!("impl A {{\n{long}}}"))], &["a.rs:2"]);
        check(rule, &[("a.rs", &format!("trait A {{\n{long}}}"))], &["a.rs:2"]);
        check(rule, &[("a.rs", &format!("mod m {{\n\n{long}}}"))], &["a.rs:3"]);
        check(rule, &[("a.rs", "fn f( {\n")], &["a.rs:1"]);
    }

    #[test]
    fn statistics_name_the_longest() {
        let source: String = (1..=10).map(|n| function(&format!("f{n}"), n)).collect();
        assert_eq!(
            statistics(&tree(&[("a.rs", &source)])),
            "functions: 10, median 5 lines, 90 % up to 9, longest 10 (f10 in a.rs)"
        );
        assert_eq!(statistics(&tree(&[])), "functions: none");
    }
}
