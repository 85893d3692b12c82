//! The file of a page: claimed before anything starts, so that a name that can't be used costs
//! no check, and never a file of somebody else's.

use super::page::PAGE_MARK;
use crate::{ClientError, Lang};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// How much of a file is read to see whether it is a page of Kilat's.
const HEAD_BYTES: u64 = 1_024;

/// A file that will hold a page.
pub(crate) struct PageFile {
    file: File,
    path: PathBuf,
    /// It did not exist before and holds nothing yet.
    is_empty_of_ours: bool,
}

impl PageFile {
    /// Claims `path`: a new file, or with `overwrite` an earlier page. Nothing in it changes yet.
    ///
    /// # Errors
    /// [`ClientError::Usage`] when it can't be written, or something else is there.
    pub(crate) fn claim(path: &Path, overwrite: bool, lang: Lang) -> Result<PageFile, ClientError> {
        let unwritable = |error: io::Error| unwritable(path, &error, lang);
        match OpenOptions::new().write(true).create_new(true).open(path) {
            Ok(file) => Ok(PageFile { file, path: path.to_owned(), is_empty_of_ours: true }),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && overwrite => {
                let mut file =
                    OpenOptions::new().read(true).write(true).open(path).map_err(unwritable)?;
                let refuse = || ClientError::Usage(say(path, "check.page_file.foreign", lang));
                if !is_page(&mut file).map_err(unwritable)? {
                    return Err(refuse());
                }
                Ok(PageFile { file, path: path.to_owned(), is_empty_of_ours: false })
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(ClientError::Usage(say(path, "check.page_file.exists", lang)))
            }
            Err(error) => Err(unwritable(error)),
        }
    }

    /// Writes the page in the place of what is there.
    ///
    /// # Errors
    /// [`ClientError::Usage`] when it can't be written.
    pub(crate) fn write(&mut self, page: &str, lang: Lang) -> Result<(), ClientError> {
        self.is_empty_of_ours = false;
        let written = self
            .file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .and_then(|()| self.file.write_all(page.as_bytes()));
        written.map_err(|error| unwritable(&self.path, &error, lang))
    }
}

impl Drop for PageFile {
    fn drop(&mut self) {
        if self.is_empty_of_ours {
            // Nothing was started: nothing is left behind. If that fails, an empty file is.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Whether a file is empty or begins like a page of Kilat's.
fn is_page(file: &mut File) -> io::Result<bool> {
    if !file.metadata()?.is_file() {
        return Ok(false);
    }
    let mut head = Vec::new();
    (&*file).take(HEAD_BYTES).read_to_end(&mut head)?;
    Ok(head.is_empty() || String::from_utf8_lossy(&head).contains(PAGE_MARK))
}

fn unwritable(path: &Path, error: &io::Error, lang: Lang) -> ClientError {
    let values: [(&str, &dyn std::fmt::Display); 2] = [("file", &path.display()), ("why", error)];
    ClientError::Usage(lang.say("check.page_file.unwritable", &values))
}

fn say(path: &Path, key: &str, lang: Lang) -> String {
    lang.say(key, &[("file", &path.display())])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// Claims with and without `overwrite`; whether each may.
    fn check(path: &Path, plainly: bool, overwriting: bool) {
        for (overwrite, expected) in [(false, plainly), (true, overwriting)] {
            let claimed = PageFile::claim(path, overwrite, Lang::English);
            assert_eq!(claimed.is_ok(), expected, "{} {overwrite}", path.display());
        }
    }

    #[test]
    fn only_what_is_ours_is_overwritten_and_only_when_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.html");
        check(&path, true, true);
        assert!(!path.exists(), "a claim that was not used leaves nothing");
        let page = format!("<!doctype html><meta {PAGE_MARK}>");
        PageFile::claim(&path, false, Lang::English).unwrap().write(&page, Lang::English).unwrap();
        check(&path, false, true);
        assert_eq!(fs::read_to_string(&path).unwrap(), page, "a claim changes nothing");
        let mut again = PageFile::claim(&path, true, Lang::English).unwrap();
        again.write(PAGE_MARK, Lang::English).unwrap();
        again.write(PAGE_MARK, Lang::English).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), PAGE_MARK, "each round replaces it");
        fs::write(&path, "years of work").unwrap();
        check(&path, false, false);
        assert_eq!(fs::read_to_string(&path).unwrap(), "years of work");
        check(&folder.path().join("no/such/folder.html"), false, false);
        check(folder.path(), false, false);
    }
}
