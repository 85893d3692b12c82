//! Whether this user may read a directory at all: what is kept from them says nothing of what is
//! in it, neither that it is damaged nor that nothing runs there.

use crate::failure::Failure;
use crate::lang::{Lang, say};
use std::io::{self, ErrorKind};
use std::path::Path;

/// Lists the directory, as every look into it begins.
///
/// # Errors
/// [`Failure`] with exit code 2 when it is kept from this user.
pub(crate) fn expect_readable(path: &Path, lang: Lang) -> Result<(), Failure> {
    match std::fs::read_dir(path) {
        Err(error) if is_kept(&error) => Err(kept(path, lang)),
        _ => Ok(()),
    }
}

/// Whether rights are what is lacking.
pub(crate) fn is_kept(error: &io::Error) -> bool {
    error.kind() == ErrorKind::PermissionDenied
}

/// Says that rights are lacking.
pub(crate) fn kept(path: &Path, lang: Lang) -> Failure {
    Failure::usage(say!(lang, "readable.kept", path = path.display()))
}
