//! The rules of a flash sale: a pure, deterministic state machine that never oversells.
//!
//! [`Ledger::decide`] says what a command comes to, [`Ledger::evolve`] applies the resulting
//! fact, and a [`Batch`] collects facts as bytes for a journal. Recovery is
//! [`Ledger::replay`], from the beginning or on top of a snapshot ([`Ledger::freeze`],
//! [`Ledger::thaw`]).
//!
//! It knows no files, sockets, clocks, randomness, threads, async, JSON or logging: time, ids
//! and keys enter as data, and durability is its owner's business.
//!
//! # Layout
//!
//! | module | subject |
//! |---|---|
//! | `time`, `order_id`, `fingerprint` | the words |
//! | `command`, `outcome`, `fact`, `corrupt` | what goes in and what comes out |
//! | `ledger`, `decide`, `evolve`, `query` | the state machine |
//! | `sale`, `sales`, `orders`, `customers` | its state |
//! | `log`, `column`, `table` | how the state lies in memory |
//! | `batch`, `frozen`, `piece`, `thaw`, `sale_code`, `wire` | its bytes |

mod batch;
mod column;
mod command;
mod corrupt;
mod customers;
mod decide;
mod evolve;
mod fact;
mod fingerprint;
mod frozen;
mod ledger;
mod log;
mod order_id;
mod orders;
mod outcome;
mod piece;
mod query;
mod sale;
mod sale_code;
mod sales;
mod table;
mod thaw;
mod time;
mod wire;

pub use batch::{BATCH_HEADER_BYTES, Batch, Facts, STATUS_FACT_BYTES_MAX, fact_bytes_max};
pub use command::{
    CUSTOMER_BYTES_MAX, Command, KEY_BYTES_MAX, PlaceOrder, SUPPLY_MAX, SaleChange, SaleSwitch,
    SaleTerms, TERMS_TEXT_BYTES_MAX,
};
pub use corrupt::Corrupt;
pub use fact::{Decision, Fact, FactKind};
pub use fingerprint::{Fingerprint, Fingerprinter, Prints};
pub use frozen::{Frozen, Part, PartKind, PartName};
pub use ledger::Ledger;
pub use log::RECORDS_MAX;
pub use order_id::{OrderId, OrderIdError};
pub use outcome::{Order, OrderStatus, Outcome, Refusal};
pub use piece::Piece;
pub use query::ORDERS_PAGE_MAX;
pub use sale::{CHANGES_MAX, Counters, SALES_MAX, SaleState, SaleView};
pub use thaw::{Index, IndexKind, Pieces};
pub use time::Time;
