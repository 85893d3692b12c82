//! Where the log stands after a frame, read from that frame alone.

use kilat_journal::FrameView;

use crate::frame::{Fixed, Malformed};

/// Where the log stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tip {
    /// Events stored so far.
    pub events: u64,
    /// When the last group was decided, in milliseconds since 1970; 0 before the first.
    pub received_ms: i64,
    /// The last frame of the ledger whose facts are all in the log.
    pub ledger_frame: u64,
}

impl Tip {
    /// After this frame.
    ///
    /// # Errors
    /// [`Malformed`] when it is no frame of an event log.
    pub fn after(frame: &FrameView<'_>) -> Result<Tip, Malformed> {
        let head_bytes = frame.head_bytes.ok_or(Malformed("it is not split"))? as usize;
        let fixed = Fixed::read(frame.payload, head_bytes)?;
        Ok(Tip {
            events: fixed.end(),
            received_ms: fixed.received_ms,
            ledger_frame: fixed.ledger_cursor,
        })
    }
}
