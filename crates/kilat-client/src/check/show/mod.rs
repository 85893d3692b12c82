//! What people and programs see of a check. Everything shown is on disk already.
//!
//! | module | holds |
//! |---|---|
//! | `board` | what is known so far, shared by a run's threads |
//! | `tally` | findings added up in bounded memory |
//! | `rows` | one finding a line, as JSON or CSV |
//! | `text`, `plain` | tables and sentences; text that no terminal obeys |
//! | `report` | the result as data |
//! | `page`, `page_file` | the result as an HTML page, and its file |
//! | `progress` | what moves while it runs |
//! | `change` | what is different from the round before |

mod board;
mod change;
mod page;
mod page_file;
mod plain;
mod progress;
mod report;
mod rows;
#[cfg(test)]
mod sample;
mod tally;
mod text;

pub use change::WATCHED_IDS_MAX;
pub use progress::Progress;
pub use report::{Report, Resumed, Traffic};

pub(crate) use board::Board;
pub(crate) use change::Change;
pub(crate) use page::PAGE_ROWS_MAX;
pub(crate) use page_file::PageFile;
pub(crate) use progress::{BAR_EVERY, Scene, clock};
pub(crate) use report::REPORT_VERSION;
pub(crate) use rows::Rows;
pub(crate) use tally::{Kind, LISTED_MAX, Tally};
pub(crate) use text::{Paint, listing};
