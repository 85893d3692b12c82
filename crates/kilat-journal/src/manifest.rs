//! The list of what makes up one snapshot, as text with a checksum at its end.

use std::fmt::Write;

use crate::format::{JournalId, Position};
use crate::hex;

const FIRST_LINE: &str = "kilat snapshot, format 1";
const PREFIX: &str = "snapshot-";
const SUFFIX: &str = ".manifest";
/// The longest name of a part.
pub(crate) const PART_NAME_BYTES_MAX: usize = 64;

/// One part of a snapshot, as recorded in its manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartRecord {
    /// What the caller called it.
    pub name: String,
    /// The caller's version of its content.
    pub version: u64,
    /// Its length in bytes.
    pub bytes: u64,
    /// CRC-32 of its content.
    pub crc: u32,
}

impl PartRecord {
    /// The name of the file that holds it.
    pub(crate) fn file(&self) -> String {
        part_file(&self.name, self.version)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) journal: JournalId,
    pub(crate) position: Position,
    pub(crate) parts: Vec<PartRecord>,
}

pub(crate) fn part_file(name: &str, version: u64) -> String {
    format!("{name}-{version:016x}.part")
}

/// Names become file names, so they are plain.
pub(crate) fn is_part_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty() && name.len() <= PART_NAME_BYTES_MAX && name.bytes().all(plain)
}

pub(crate) fn manifest_file(frame: u64) -> String {
    format!("{PREFIX}{frame:020}{SUFFIX}")
}

/// The frame in a manifest's file name, or `None` for any other file.
pub(crate) fn frame_of(file: &str) -> Option<u64> {
    let digits = file.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    let frame = digits.parse().ok()?;
    (manifest_file(frame) == file).then_some(frame)
}

impl Manifest {
    pub(crate) fn file(&self) -> String {
        manifest_file(self.position.frame)
    }

    pub(crate) fn encode(&self) -> String {
        let mut text = format!(
            "{FIRST_LINE}\njournal {}\nframe {}\nchain {}\n",
            hex::encode(&self.journal.0),
            self.position.frame,
            hex::encode(&self.position.chain),
        );
        for PartRecord { name, version, bytes, crc } in &self.parts {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "part {name} {version} {bytes} {crc}");
        }
        let check = blake3::hash(text.as_bytes());
        let _ = writeln!(text, "check {}", check.to_hex());
        text
    }

    /// `None` unless the text is exactly what [`Manifest::encode`] makes.
    pub(crate) fn decode(text: &str) -> Option<Self> {
        let (body, check) = text.strip_suffix('\n')?.rsplit_once('\n')?;
        let body = &text[..=body.len()];
        if check.strip_prefix("check ")? != blake3::hash(body.as_bytes()).to_hex().as_str() {
            return None;
        }
        let mut lines = body.lines();
        if lines.next()? != FIRST_LINE {
            return None;
        }
        let journal = JournalId(hex::decode(lines.next()?.strip_prefix("journal ")?)?);
        let frame = lines.next()?.strip_prefix("frame ")?.parse().ok()?;
        let chain = hex::decode(lines.next()?.strip_prefix("chain ")?)?;
        let parts = lines.map(decode_part).collect::<Option<_>>()?;
        Some(Self { journal, position: Position { frame, chain }, parts })
    }
}

fn decode_part(line: &str) -> Option<PartRecord> {
    let mut fields = line.strip_prefix("part ")?.split(' ');
    let name = fields.next().filter(|name| is_part_name(name))?.to_owned();
    let version = fields.next()?.parse().ok()?;
    let bytes = fields.next()?.parse().ok()?;
    let crc = fields.next()?.parse().ok()?;
    fields.next().is_none().then_some(PartRecord { name, version, bytes, crc })
}
