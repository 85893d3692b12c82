//! Ctrl-C, and the system's request to end: commands that work for long end in good order.

use crate::failure::Failure;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Calls `press` with 1, 2, … at each of them, on a thread of its own. A closed terminal
/// (SIGHUP) is left to the system, so that `nohup` means what it says.
///
/// # Errors
/// [`Failure`] when the system gives no way to hear of them.
pub(crate) fn on_interrupt(mut press: impl FnMut(u32) + Send + 'static) -> Result<(), Failure> {
    let failed = |e: std::io::Error| Failure::failed(format!("Ctrl-C can't be caught ({e})"));
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(failed)?;
    let listen = move || signals.forever().zip(1..).for_each(|(_, times)| press(times));
    std::thread::Builder::new().name("signals".to_owned()).spawn(listen).map_err(failed)?;
    Ok(())
}
