//! The way to the console: in this process, or over the core's connection.

use super::console::Console;
use super::console::message::{Answer, Question};
use kilat_engine::{Asker, Unavailable};

/// See the module. Clones lead to the same console.
#[derive(Clone)]
pub enum ConsoleLink {
    /// This process has it.
    Here(Console),
    /// The core's process has it.
    Core(Asker),
}

impl ConsoleLink {
    /// # Errors
    /// [`Unavailable`] when the console can't be reached.
    pub(crate) async fn ask(&self, question: Question) -> Result<Answer, Unavailable> {
        match self {
            ConsoleLink::Here(console) => Ok(console.answer(question)),
            ConsoleLink::Core(asker) => {
                // Of strings and numbers: it can always be written.
                let question = serde_json::to_vec(&question).unwrap_or_default();
                let answer = asker.ask(question).await?;
                serde_json::from_slice(&answer).map_err(|_| Unavailable::Unknown)
            }
        }
    }
}
