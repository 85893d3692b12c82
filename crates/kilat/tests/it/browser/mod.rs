//! The pages, in a real browser.
mod album;
mod axe;
mod buy;
mod docs;
mod driver;
mod film;
mod live;
mod ops;
mod pictures;
