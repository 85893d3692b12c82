//! Why a data directory can't be used, in the reader's language.

use crate::lang::{Lang, say};
use kilat_engine::DirectoryError as Why;

/// One sentence: what is wrong with the directory and what to do.
pub(crate) fn refused(why: &Why, lang: Lang) -> String {
    match why {
        Why::InUse { path, pid: Some(pid) } => {
            say!(lang, "directory.in_use_by", path = path.display(), pid = pid)
        }
        Why::InUse { path, pid: None } => say!(lang, "directory.in_use", path = path.display()),
        Why::Foreign { path } => say!(lang, "directory.foreign", path = path.display()),
        Why::Part { path, whole } => {
            say!(lang, "directory.part", path = path.display(), whole = whole.display())
        }
        Why::NotEmpty { path } => say!(lang, "directory.not_empty", path = path.display()),
        Why::Unfinished { path } => say!(lang, "directory.unfinished", path = path.display()),
        Why::Backup { path } => say!(lang, "directory.backup", path = path.display()),
        Why::NewerFormat { path, found, supported } => say!(
            lang,
            "directory.newer",
            path = path.display(),
            found = found,
            supported = supported
        ),
        Why::Missing { path } => say!(lang, "directory.missing", path = path.display()),
        Why::Unreadable { path } => say!(lang, "directory.unreadable", path = path.display()),
        Why::Io { path, source } => {
            say!(lang, "directory.io", path = path.display(), error = source)
        }
    }
}
