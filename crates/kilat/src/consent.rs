//! Asking somebody at a terminal before something is done that can't be undone.

use crate::failure::Failure;
use crate::lang::{Lang, say};
use std::io::IsTerminal as _;

/// Whether somebody is there who can answer.
pub(crate) fn can_ask() -> bool {
    std::io::stdin().is_terminal()
}

/// Explains, asks `question` on stderr, and reads the answer.
///
/// # Errors
/// [`Failure`] when no answer can be read.
pub(crate) fn agrees(explained: &str, question: &str) -> Result<bool, Failure> {
    eprint!("{explained}\n{question} ");
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .map_err(|e| Failure::failed(format!("the answer can't be read ({e})")))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes" | "ya"))
}

/// What is asked before a command touches a real sale.
#[derive(Clone, Copy)]
pub(crate) enum Touch {
    /// `kilat attack` buys from it.
    Attack,
    /// `kilat sale close` ends it.
    Close,
}

/// Asks before `sale` is touched, unless it is a rehearsal or nobody is there: scripts go on.
///
/// # Errors
/// [`Failure`] when the answer is no, or can't be read.
pub(crate) fn before(touch: Touch, sale: &str, yes: bool, lang: Lang) -> Result<(), Failure> {
    if yes || sale.starts_with(kilat_api::text::REHEARSAL_PREFIX) || !can_ask() {
        return Ok(());
    }
    let [explain, ask, no] = match touch {
        Touch::Attack => ["attack.explain", "attack.ask", "attack.not_agreed"],
        Touch::Close => ["sale.explain_close", "sale.ask_close", "sale.not_agreed"],
    };
    match agrees(&say!(lang, explain, sale = sale), &say!(lang, ask))? {
        true => Ok(()),
        false => Err(Failure::failed(say!(lang, no))),
    }
}
