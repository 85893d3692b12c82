//! Ctrl-C, and the system's request to end: commands that work for long end in good order.

use crate::failure::Failure;
use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Exit code after Ctrl-C.
pub(crate) const INTERRUPTED: u8 = 130;

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

/// A file that may not grow further (`ulimit -f`) fails a write, and no longer ends the process
/// without a word.
///
/// # Errors
/// [`Failure`] when the system gives no way to do so.
pub(crate) fn outlive_file_limit() -> Result<(), Failure> {
    let failed = |e: std::io::Error| Failure::failed(format!("SIGXFSZ can't be caught ({e})"));
    signal_hook::flag::register(SIGXFSZ, Arc::default()).map_err(failed)?;
    Ok(())
}

/// The first Ctrl-C ends the work in good order; the second one ends the process.
pub(crate) fn stop_on_interrupt(cancel: &Arc<AtomicBool>) -> Result<(), Failure> {
    let cancel = Arc::clone(cancel);
    on_interrupt(move |_| {
        if cancel.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(INTERRUPTED));
        }
    })
}
