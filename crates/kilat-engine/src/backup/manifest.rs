//! What a backup says of itself: when it was made, how far it goes, and the sum of each file.

use blake3::Hash;
use jiff::Timestamp;
use kilat_journal::Position;
use std::collections::BTreeSet;
use std::fmt::Write;

const FIRST_LINE: &str = "kilat backup, format 1";
/// No manifest is longer; that is 64 TiB of segments.
pub(super) const MANIFEST_BYTES_MAX: u64 = 128 << 20;

/// The manifest of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupManifest {
    /// Names the history that was copied, see `Identity::history`.
    pub history: [u8; 16],
    /// When the backup was begun: everything acknowledged until then is in it.
    pub begun: Timestamp,
    /// The program that made it, one line.
    pub by: String,
    /// How far the ledger's journal goes.
    pub journal: Position,
    /// How far the event log's journal goes.
    pub events: Position,
    /// Every file but the manifest.
    pub files: Vec<FileRecord>,
}

/// One file of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRecord {
    /// Where it is, relative to the backup: a name, or one in a directory of one of its own.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// The BLAKE3 of its content.
    pub sum: [u8; 32],
}

impl BackupManifest {
    /// The length of all files together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    pub(super) fn encode(&self) -> String {
        let history = u128::from_be_bytes(self.history);
        let mut text = format!("{FIRST_LINE}\nhistory {history:032x}\n");
        // Writing to a String cannot fail.
        let _ = writeln!(text, "begun {}\nby {}", self.begun, self.by);
        for (name, at) in [("journal", &self.journal), ("events", &self.events)] {
            let _ = writeln!(text, "{name} {} {}", at.frame, hex(&at.chain));
        }
        for FileRecord { path, bytes, sum } in &self.files {
            let _ = writeln!(text, "file {bytes} {} {path}", hex(sum));
        }
        let check = blake3::hash(text.as_bytes());
        let _ = writeln!(text, "check {check}");
        text
    }

    /// Why not, in a phrase that follows "the manifest".
    pub(super) fn decode(text: &str) -> Result<BackupManifest, &'static str> {
        if !text.starts_with("kilat backup, format ") {
            return Err("is not one of a backup");
        }
        if text.lines().next() != Some(FIRST_LINE) {
            return Err("has a format that this version does not know; use the one that wrote it");
        }
        let damaged = "is damaged";
        let end = text.rfind("check ").ok_or(damaged)?;
        let check = blake3::hash(&text.as_bytes()[..end]);
        if text[end..] != format!("check {check}\n") {
            return Err(damaged);
        }
        Self::read(&text[..end]).ok_or(damaged)
    }

    fn read(text: &str) -> Option<BackupManifest> {
        let mut lines = text.lines().skip(1);
        let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        let history = u128::from_str_radix(field("history")?, 16).ok()?.to_be_bytes();
        let (begun, by) = (field("begun")?.parse().ok()?, field("by")?.to_owned());
        let (journal, events) = (position(field("journal")?)?, position(field("events")?)?);
        let files = lines.map(file).collect::<Option<Vec<FileRecord>>>()?;
        let paths: BTreeSet<&str> = files.iter().map(|file| &*file.path).collect();
        let distinct = paths.len() == files.len();
        distinct.then_some(BackupManifest { history, begun, by, journal, events, files })
    }
}

fn position(text: &str) -> Option<Position> {
    let (frame, chain) = text.split_once(' ')?;
    Some(Position { frame: frame.parse().ok()?, chain: sum(chain)? })
}

fn file(line: &str) -> Option<FileRecord> {
    let (bytes, rest) = line.strip_prefix("file ")?.split_once(' ')?;
    let (digits, path) = rest.split_once(' ')?;
    let record =
        FileRecord { path: path.to_owned(), bytes: bytes.parse().ok()?, sum: sum(digits)? };
    is_plain(path).then_some(record)
}

fn sum(digits: &str) -> Option<[u8; 32]> {
    Hash::from_hex(digits).ok().map(|hash| *hash.as_bytes())
}

fn hex(sum: &[u8; 32]) -> String {
    Hash::from_bytes(*sum).to_string()
}

/// Nothing that leads out of the directory.
fn is_plain(path: &str) -> bool {
    let plain = |name: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        !name.is_empty() && !name.starts_with('.') && name.bytes().all(allowed)
    };
    path.split('/').count() <= 2 && path.split('/').all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> BackupManifest {
        let record = |path: &str| FileRecord {
            path: path.to_owned(),
            bytes: 512,
            sum: [path.len() as u8; 32],
        };
        BackupManifest {
            history: [7; 16],
            begun: "2026-11-21T12:00:00Z".parse().unwrap(),
            by: "kilat 0.1.0".to_owned(),
            journal: Position { frame: 3, chain: [4; 32] },
            events: Position { frame: 5, chain: [6; 32] },
            files: ["KILAT", "journal/00000000000000000001.seg"].map(record).to_vec(),
        }
    }

    /// Text with the check that belongs to it.
    fn checked(text: &str) -> String {
        format!("{text}check {}\n", blake3::hash(text.as_bytes()))
    }

    #[test]
    fn what_is_written_is_read() {
        let text = manifest().encode();
        assert_eq!(BackupManifest::decode(&text), Ok(manifest()), "{text}");
        assert_eq!(manifest().bytes(), 1_024);
    }

    #[test]
    fn any_changed_or_missing_byte_is_noticed() {
        let text = manifest().encode();
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let changed = String::from_utf8(bytes).unwrap();
            assert!(BackupManifest::decode(&changed).is_err(), "{at}");
            assert!(BackupManifest::decode(&text[..at]).is_err(), "{at}");
        }
    }

    #[test]
    fn no_path_leads_out_and_none_is_there_twice() {
        let text = manifest().encode();
        let body = &text[..text.rfind("check").unwrap()];
        for path in ["../KILAT", "/etc/passwd", "a/b/c", "a//b", "", "a b", ".x", "journal/.."] {
            let other = checked(&body.replace("KILAT", path));
            assert_eq!(BackupManifest::decode(&other), Err("is damaged"), "{path}");
        }
        let line = body.lines().last().unwrap();
        let twice = checked(&format!("{body}{line}\n"));
        assert_eq!(BackupManifest::decode(&twice), Err("is damaged"));
    }

    #[test]
    fn a_newer_format_is_told_from_damage() {
        let newer = manifest().encode().replacen("format 1", "format 2", 1);
        assert!(BackupManifest::decode(&newer).unwrap_err().contains("does not know"));
    }
}
