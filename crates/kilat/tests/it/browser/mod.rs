//! The pages, in a real browser.
mod buy;
mod docs;
mod driver;
mod live;
