//! The pages, in a real browser.
mod buy;
mod driver;
