//! About how many ids there are, so that the time left can be told: files are counted by their
//! lines beside the check, which itself never knows what comes next.

use super::ids::{IdForm, IdInput};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 256 * 1024;
/// Not known, or not yet.
const UNKNOWN: u64 = u64::MAX;

/// A number that may become known while the check runs.
pub(super) struct Estimate {
    ids: AtomicU64,
    /// Of these: ended in earlier runs.
    done: u64,
    is_over: AtomicBool,
}

impl Estimate {
    /// Begins with what is known: how many there are, and how many of them ended in earlier runs.
    pub(super) fn new(ids: Option<u64>, done: u64) -> Estimate {
        let ids = AtomicU64::new(ids.unwrap_or(UNKNOWN));
        Estimate { ids, done, is_over: AtomicBool::new(false) }
    }

    /// How many are left to this run, if that is known by now. Ids that come twice count twice.
    pub(super) fn get(&self) -> Option<u64> {
        let ids = self.ids.load(Ordering::Relaxed);
        (ids != UNKNOWN).then(|| ids.saturating_sub(self.done))
    }

    /// Counts, unless that is known or can't be done, until [`Estimate::end`].
    pub(super) fn count(&self, inputs: &[IdInput]) {
        let all = || inputs.iter().map(|input| self.count_one(input)).sum::<Option<u64>>();
        if self.get().is_none()
            && let Some(ids) = all()
        {
            self.ids.store(ids, Ordering::Relaxed);
        }
    }

    /// Nobody waits for the number any more.
    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    fn count_one(&self, input: &IdInput) -> Option<u64> {
        match input {
            IdInput::Listed(ids) => Some(ids.len() as u64),
            IdInput::Stdin { .. } => None,
            IdInput::File { path, form } => {
                let header = u64::from(matches!(form, IdForm::Csv { .. }));
                // What can't be counted is no fault: reading says what is wrong.
                let lines = self.lines(path).ok().flatten()?;
                Some(lines.saturating_sub(header))
            }
        }
    }

    /// Lines of a file that can be read twice.
    fn lines(&self, path: &Path) -> io::Result<Option<u64>> {
        // Opening a pipe would wait for somebody who writes.
        if !path.metadata()?.is_file() {
            return Ok(None);
        }
        let mut file = File::open(path)?;
        let mut chunk = vec![0; CHUNK_BYTES];
        let (mut lines, mut last) = (0, b'\n');
        while !self.is_over.load(Ordering::Relaxed) {
            let read = file.read(&mut chunk)?;
            let Some(end) = chunk[..read].last() else {
                return Ok(Some(lines + u64::from(last != b'\n')));
            };
            lines += memchr::memchr_iter(b'\n', &chunk[..read]).count() as u64;
            last = *end;
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Id;

    #[test]
    fn files_are_counted_by_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ids");
        let csv = IdForm::Csv { column: "id".to_owned() };
        for (text, form, ids) in [
            ("", IdForm::Text, 0),
            ("a\nb\n", IdForm::Text, 2),
            ("a\nb", IdForm::Text, 2),
            ("id\na\nb", csv.clone(), 2),
            ("", csv, 0),
        ] {
            std::fs::write(&path, text).unwrap();
            let listed = IdInput::Listed(vec![Id::new("x").unwrap()]);
            let file = IdInput::File { path: path.clone(), form };
            let estimate = Estimate::new(None, 1);
            estimate.count(&[listed, file]);
            assert_eq!(estimate.get(), Some(ids), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_counted_stays_unknown() {
        let file = |path: &str| IdInput::File { path: path.into(), form: IdForm::Text };
        for input in [
            file("/nonexistent"),
            file("/dev/null"),
            file("/"),
            IdInput::Stdin { form: IdForm::Text },
        ] {
            let estimate = Estimate::new(None, 0);
            estimate.count(&[input]);
            assert_eq!(estimate.get(), None);
        }
        let estimate = Estimate::new(Some(7), 0);
        estimate.count(&[file("/nonexistent")]);
        assert_eq!(estimate.get(), Some(7));
    }
}
