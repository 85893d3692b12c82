//! Reads a page as people do who can't see it, or not well: axe-core, a tool of npm.
//!
//! It is no part of Kilat: `cargo xtask setup` puts it where build products are.

use super::driver::Browser;
use std::path::Path;
use std::sync::LazyLock;

/// Under the folder of the project.
const FILE: &str = "target/tools/node_modules/axe-core/axe.min.js";
/// The rules of WCAG 2.2 up to level AA, and what axe-core's authors advise besides. It can't measure
/// contrast on a gradient, so each of the colours that ours are made of is laid under the page by itself.
const RUN: &str = "
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
    const told = [];
    const tell = found => {
        for (const rule of found.violations)
            for (const node of rule.nodes) told.push(rule.id + ': ' + node.html + ' ' + node.failureSummary);
    };
    tell(await axe.run(document, {runOnly: tags}));
    const laid = [[document.body, ['--ground', '--sky-1', '--sky-2']]];
    for (const button of document.querySelectorAll('.buy')) laid.push([button, ['--hot-1', '--hot-2']]);
    const root = getComputedStyle(document.documentElement);
    for (const [element, colours] of laid) {
        for (const colour of colours.filter(colour => root.getPropertyValue(colour))) {
            element.style.background = `var(${colour})`;
            tell(await axe.run(document, {runOnly: ['color-contrast']}));
        }
        element.style.background = '';
    }
    return told.join('\\n');";

static AXE: LazyLock<String> = LazyLock::new(|| {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(FILE);
    let advice = "axe-core is missing: `cargo xtask setup` installs it, with npm";
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{advice}: {FILE}: {error}"))
});

/// Nothing is in the way of anybody.
pub(super) fn check(browser: &Browser, what: &str) {
    if browser.script("return typeof axe") != "object" {
        browser.script(&AXE);
    }
    let told = browser.script(&format!("return (async () => {{ {RUN} }})()"));
    assert_eq!(told, "", "{what}: {}", told.as_str().unwrap_or_default());
}
