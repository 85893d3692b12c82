//! How far each file is published, in a small file of its own.
//!
//! Everything before the position is acknowledged. The file may be older than
//! the truth after a crash; then some events are sent once more, which the log
//! takes as duplicates. It is never ahead.

use super::batch::Mark;
use super::input::Input;
use crate::{ClientError, Lang};
use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::hash::Hasher;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Version of the file's form.
const VERSION: u32 = 1;
/// Bytes at the beginning, and before the position, by which a file is known again.
const PRINT_BYTES: u64 = 4_096;

/// A place in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// Bytes before it.
    pub offset: u64,
    /// Lines before it.
    pub lines: u64,
}

/// The file's form.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    version: u32,
    /// The server that acknowledged.
    url: String,
    files: BTreeMap<String, Entry>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    /// Everything before this byte is acknowledged.
    offset: u64,
    /// Lines before it.
    lines: u64,
    /// Of the first bytes before `offset`.
    head: String,
    /// Of the last bytes before `offset`.
    tail: String,
}

/// The state of one run.
pub(crate) struct Resume {
    path: PathBuf,
    state: State,
    inputs: Vec<PathBuf>,
    lang: Lang,
}

impl Resume {
    /// Reads the state, or begins one where there is none.
    ///
    /// # Errors
    /// [`ClientError::Usage`] when it can't be read, belongs to another server,
    /// or a file is not the one that it was made for.
    pub(crate) fn open(
        path: &Path,
        url: &str,
        inputs: &[Input],
        lang: Lang,
    ) -> Result<Resume, ClientError> {
        let usage = |key, why: &dyn std::fmt::Display| {
            ClientError::Usage(lang.say(key, &[("file", &path.display()), ("why", why)]))
        };
        let mut files = Vec::new();
        for input in inputs {
            match input {
                // What can't be read twice can't be resumed.
                Input::File(file) if file.metadata().is_ok_and(|m| !m.is_file()) => {
                    return Err(usage("publish.resume_stdin", &""));
                }
                Input::File(file) => files.push(file.clone()),
                Input::Stdin => return Err(usage("publish.resume_stdin", &"")),
            }
        }
        let url = url.trim_end_matches('/').to_owned();
        let state = match fs::read(path) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map_err(|e| usage("publish.resume_damaged", &e))?
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                State { version: VERSION, url: url.clone(), files: BTreeMap::new() }
            }
            Err(e) => return Err(usage("error.file_unreadable", &e)),
        };
        if state.version != VERSION {
            return Err(usage("publish.resume_damaged", &format!("version {}", state.version)));
        }
        if state.url != url {
            return Err(usage("publish.resume_url", &state.url));
        }
        Ok(Resume { path: path.to_owned(), state, inputs: files, lang })
    }

    /// Where to begin in an input.
    ///
    /// # Errors
    /// [`ClientError::Usage`] when it is not the file that the state was made for.
    pub(crate) fn position(&self, input: usize) -> Result<Position, ClientError> {
        let file = &self.inputs[input];
        let Some(entry) = self.state.files.get(&name(file)) else {
            return Ok(Position::default());
        };
        let found = prints(file, entry.offset).map_err(|e| {
            let values: [(&str, &dyn std::fmt::Display); 2] =
                [("file", &file.display()), ("why", &e)];
            ClientError::Usage(self.lang.say("error.file_unreadable", &values))
        })?;
        if found.as_ref() != Some(&(entry.head.clone(), entry.tail.clone())) {
            let values: [(&str, &dyn std::fmt::Display); 2] =
                [("file", &file.display()), ("state", &self.path.display())];
            return Err(ClientError::Usage(self.lang.say("publish.resume_other_file", &values)));
        }
        Ok(Position { offset: entry.offset, lines: entry.lines })
    }

    /// Writes down that everything before `marks` is acknowledged.
    ///
    /// # Errors
    /// [`ClientError::Usage`] when the state can't be written.
    pub(crate) fn save(&mut self, marks: &[Mark]) -> Result<(), ClientError> {
        if marks.is_empty() {
            return Ok(());
        }
        self.write(marks).map_err(|e| {
            let values: [(&str, &dyn std::fmt::Display); 2] =
                [("file", &self.path.display()), ("why", &e)];
            ClientError::Usage(self.lang.say("publish.resume_unwritable", &values))
        })
    }

    fn write(&mut self, marks: &[Mark]) -> io::Result<()> {
        for mark in marks {
            let file = &self.inputs[mark.input as usize];
            let shrunk = || io::Error::other(format!("{} has shrunk", file.display()));
            let (head, tail) = prints(file, mark.offset)?.ok_or_else(shrunk)?;
            let entry = Entry { offset: mark.offset, lines: mark.lines, head, tail };
            self.state.files.insert(name(file), entry);
        }
        let text = serde_json::to_string_pretty(&self.state)? + "\n";
        replace(&self.path, text.as_bytes())
    }
}

/// A file's name in the state: absolute, so that it means the same from everywhere.
fn name(file: &Path) -> String {
    let full = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    full.display().to_string()
}

/// Prints of the bytes by which a file is known up to `offset`; `None` when it is shorter.
fn prints(file: &Path, offset: u64) -> io::Result<Option<(String, String)>> {
    let mut file = File::open(file)?;
    if file.metadata()?.len() < offset {
        return Ok(None);
    }
    let bytes = offset.min(PRINT_BYTES);
    let head = print(&mut file, 0, bytes)?;
    let tail = print(&mut file, offset - bytes, bytes)?;
    Ok(Some((head, tail)))
}

fn print(file: &mut File, from: u64, bytes: u64) -> io::Result<String> {
    file.seek(SeekFrom::Start(from))?;
    let mut part = Vec::new();
    file.take(bytes).read_to_end(&mut part)?;
    let mut hasher = SipHasher13::new();
    hasher.write(&part);
    Ok(format!("{:016x}", hasher.finish()))
}

/// Puts `bytes` in place of the file at once and for good: a crash leaves the old or the new.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "http://127.0.0.1:1";

    fn open(state: &Path, file: &Path, url: &str) -> Result<Resume, ClientError> {
        Resume::open(state, url, &[Input::File(file.to_owned())], Lang::English)
    }

    #[test]
    fn a_position_is_kept_for_the_same_file_only() {
        let directory = tempfile::tempdir().unwrap();
        let (state, file) = (directory.path().join("state"), directory.path().join("f"));
        let text = "0123456789".repeat(2_000);
        fs::write(&file, &text).unwrap();
        let mut resume = open(&state, &file, URL).unwrap();
        assert_eq!(resume.position(0), Ok(Position::default()));
        resume.save(&[Mark { input: 0, offset: 15_000, lines: 3 }]).unwrap();

        let again = || open(&state, &file, &format!("{URL}/")).unwrap().position(0);
        assert_eq!(again(), Ok(Position { offset: 15_000, lines: 3 }));
        fs::write(&file, format!("{text}more")).unwrap();
        assert_eq!(again(), Ok(Position { offset: 15_000, lines: 3 }), "a file may grow");
        for other in [text.replacen('0', "x", 1), text[..14_000].to_owned(), {
            let mut text = text.clone();
            text.replace_range(14_999..15_000, "x");
            text
        }] {
            fs::write(&file, other).unwrap();
            assert!(again().is_err());
        }
    }

    #[test]
    fn a_state_for_another_server_or_none_at_all_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let (state, file) = (directory.path().join("state"), directory.path().join("f"));
        fs::write(&file, "abc").unwrap();
        open(&state, &file, URL).unwrap().save(&[Mark { input: 0, offset: 1, lines: 1 }]).unwrap();
        assert!(
            matches!(open(&state, &file, "http://other"), Err(ClientError::Usage(t)) if t.contains(URL))
        );
        fs::write(&state, "{").unwrap();
        assert!(open(&state, &file, URL).is_err());
        assert!(Resume::open(&state, URL, &[Input::Stdin], Lang::English).is_err());
    }
}
