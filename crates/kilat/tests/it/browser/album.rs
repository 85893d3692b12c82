//! Pictures of pages, in phone, tablet and desktop width, light and dark.
//!
//! `cargo xtask screenshots` keeps them: `KILAT_SCREENSHOTS` is the folder that they go to, and
//! `KILAT_SCREENSHOTS_LANG` the language of all of them instead of each page's usual one. Otherwise
//! they are taken in the narrowest width only, and thrown away. Each is also read by axe-core.

use super::axe;
use super::driver::Browser;
use std::path::PathBuf;

/// Widths in CSS pixels, with a height that people would have.
const SIZES: [(u32, u32); 3] = [(320, 568), (768, 1024), (1440, 900)];
const SCHEMES: [&str; 2] = ["light", "dark"];
/// Of WebP: no difference to be seen, at a tenth of what a PNG would take.
const QUALITY: u32 = 82;

/// Where pictures are kept, if they are.
pub(super) fn folder() -> Option<PathBuf> {
    std::env::var_os("KILAT_SCREENSHOTS").map(PathBuf::from)
}

/// The language that pages are shown in, if they are usually shown in `usual`.
pub(super) fn language(usual: &str) -> String {
    std::env::var("KILAT_SCREENSHOTS_LANG").unwrap_or_else(|_| usual.to_owned())
}

/// Takes the page as it is now, under the name of what it shows.
pub(super) fn take(browser: &Browser, name: &str) {
    let kept = folder();
    let sizes = if kept.is_some() { &SIZES[..] } else { &SIZES[..1] };
    for &(width, height) in sizes {
        for scheme in SCHEMES {
            browser.show_as(width, height, scheme);
            axe::check(browser, &format!("{name}, {width} px, {scheme}"));
            check_width(browser, name);
            let picture = browser.picture(QUALITY);
            if let Some(folder) = &kept {
                let file = format!("{name}-{width}-{scheme}.webp");
                std::fs::write(folder.join(file), picture).unwrap();
            }
        }
    }
}

/// Nothing sticks out, so that nobody has to scroll sideways.
fn check_width(browser: &Browser, name: &str) {
    let root = "document.documentElement";
    let fits = browser.script(&format!("return {root}.scrollWidth <= {root}.clientWidth"));
    assert_eq!(fits, true, "{name}");
}
