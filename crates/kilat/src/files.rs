//! File descriptors: as many as connections need, as far as the system allows.

use crate::failure::Failure;
use crate::lang::{Lang, say};

/// File descriptors besides those of connections.
const BESIDES: u64 = 256;

/// The least that any command is started with: fewer are gone before it can say what it lacks.
const FILES_MIN: u64 = 48;

/// Makes sure that there are file descriptors to work with at all.
///
/// # Errors
/// [`Failure`] with exit code 2 when the system allows too few.
pub(crate) fn expect_some(lang: Lang) -> Result<(), Failure> {
    let files = rlimit::increase_nofile_limit(FILES_MIN).unwrap_or(u64::MAX);
    if files >= FILES_MIN {
        return Ok(());
    }
    Err(Failure::usage(say!(lang, "files.few", files = files, least = FILES_MIN)))
}

/// As many connections as there are file descriptors for, at most those asked for; each takes so
/// many. One more is then told so, where otherwise it would wait in vain.
pub(crate) fn connections(asked: usize, files_each: u64) -> usize {
    let wanted = u64::try_from(asked).unwrap_or(u64::MAX);
    let files = wanted.saturating_mul(files_each).saturating_add(BESIDES);
    // A soft limit is raised as far as the hard one. On a system that says nothing, nothing is
    // known to be lacking.
    let files = rlimit::increase_nofile_limit(files).unwrap_or(u64::MAX);
    let given = fitting(wanted, files_each, files);
    if given < wanted {
        tracing::warn!(
            asked,
            given,
            "the system allows file descriptors for fewer connections: raise the hard limit \
             (ulimit -Hn, LimitNOFILE= in systemd) or ask for fewer with --connections-max"
        );
    }
    usize::try_from(given).unwrap_or(usize::MAX)
}

fn fitting(wanted: u64, files_each: u64, files: u64) -> u64 {
    wanted.min(files.saturating_sub(BESIDES) / files_each.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_connections_than_files() {
        for (wanted, each, files, expected) in [
            (16_384, 1, u64::MAX, 16_384),
            (16_384, 1, 20_000, 16_384),
            (16_384, 2, 20_000, 9_872),
            (16_384, 1, 1_024, 768),
            (16_384, 2, 100, 1),
        ] {
            assert_eq!(fitting(wanted, each, files), expected, "{wanted} {each} {files}");
        }
    }
}
