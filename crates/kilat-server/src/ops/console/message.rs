//! What processes say to the console and what it answers: JSON, bounded by whoever writes it.
//!
//! Both ends are this program in one version, for the core's handshake refuses another.

use super::run::{RunView, Wanted};
use crate::ops::figures::Figures;
use crate::supervisor;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// What is asked of the console.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Question {
    /// A process says that it is there, and its figures while somebody looks.
    Beat(Box<Beat>),
    /// Somebody looks: what is new after sample `after` of the console called `console`?
    Look { console: String, after: u64 },
    /// Start a run, unless it is the one that there is.
    Start(Box<Wanted>),
    /// End the run with this id.
    Cancel(String),
    /// All rows of the last check.
    Rows,
}

/// What the console answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// To a beat.
    Heard {
        /// Somebody looks: beat with figures.
        watched: bool,
    },
    /// To a look.
    Seen(Box<Seen>),
    /// The run is there.
    Started,
    /// Another run is not over yet.
    Busy,
    /// Of the last check, in the order asked.
    Rows(Vec<Value>),
    /// The question makes no sense here.
    Refused(String),
}

/// How a process is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Beat {
    /// Name of its node.
    pub(crate) node: String,
    /// It takes no new work.
    pub(crate) leaving: bool,
    /// Whether it reaches the ledger.
    pub(crate) live: bool,
    /// Only while somebody looks.
    pub(crate) figures: Option<Figures>,
    /// Stock of the newest sales on its board; only while somebody looks.
    pub(crate) stock: Vec<Stock>,
}

/// Stock of a sale at an instant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stock {
    pub(crate) sale: String,
    /// A later state of the same sale has a larger one.
    pub(crate) sequence: u64,
    pub(crate) available: u64,
    pub(crate) held: u64,
    pub(crate) sold: u64,
}

/// What somebody who looks gets to see.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Tells this console from the one before a restart.
    pub(crate) console: String,
    /// Those that the asker does not have yet, oldest first.
    pub(crate) samples: Vec<Sample>,
    pub(crate) nodes: Vec<Node>,
    /// What `kilat up` keeps running; empty without one.
    pub(crate) processes: Vec<supervisor::Status>,
    pub(crate) log: LogCounters,
    /// The last rehearsal and the last check, of which one may be running.
    pub(crate) rehearsal: Option<RunView>,
    pub(crate) check: Option<RunView>,
    /// The newest first.
    pub(crate) orders: Vec<Happening>,
    /// The newest first.
    pub(crate) events: Vec<Happening>,
}

/// One second of the whole system.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// Counts the console's samples from 1.
    pub(crate) number: u64,
    /// Milliseconds since 1970.
    pub(crate) at: i64,
    /// Requests to buy a second, by what became of them.
    pub(crate) outcomes: BTreeMap<String, f64>,
    /// Milliseconds to a reply: half, 95 % and 99 % of all stay below; `None` without requests.
    pub(crate) latency: Option<[f64; 3]>,
    /// Commands that wait for a batch.
    pub(crate) queue: u64,
    pub(crate) event_queue: u64,
    /// Facts of a batch, on average.
    pub(crate) batch: Option<f64>,
    /// Milliseconds until the device had a batch: half and 99 % stay below.
    pub(crate) fsync: Option<[f64; 2]>,
    /// Publications a second, by what became of them.
    pub(crate) published: BTreeMap<String, f64>,
    pub(crate) connections: u64,
    pub(crate) stock: Vec<Stock>,
}

/// A process that beats.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) state: NodeState,
    /// Requests to buy a second.
    pub(crate) rate: f64,
    pub(crate) connections: u64,
    pub(crate) queue: u64,
    /// Bytes.
    pub(crate) memory: u64,
    /// Milliseconds since its last beat.
    pub(crate) heard: u64,
}

/// How a process is, by what it said last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NodeState {
    #[default]
    Ready,
    /// It takes no new work.
    Leaving,
    /// It does not reach the ledger.
    CutOff,
    /// It said nothing for a while.
    Silent,
}

/// What the event log counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LogCounters {
    pub(crate) received: u64,
    pub(crate) unique: u64,
    pub(crate) duplicates: u64,
    pub(crate) conflicts: u64,
    pub(crate) projected: u64,
}

/// Something in the event log, in few words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Happening {
    pub(crate) topic: String,
    pub(crate) id: String,
    /// Milliseconds since 1970.
    pub(crate) at: i64,
    /// Type of the payload, where it has one.
    pub(crate) kind: String,
    /// Order and customer of an order.
    pub(crate) order: String,
    pub(crate) customer: String,
    pub(crate) quantity: u64,
}
