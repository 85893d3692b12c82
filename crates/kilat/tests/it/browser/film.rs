//! Pictures that follow each other, as one animated WebP file (RFC 9649, section 2.7).
//!
//! The browser has compressed each picture already; this only puts them into one file.

use std::time::Duration;

/// What a file may take.
pub(super) const BYTES_MAX: usize = 1 << 20;
/// A frame replaces what is there, and stays until the next.
const REPLACES: u8 = 2;
/// The file holds an animation.
const ANIMATION: u32 = 2;

/// A film; its first picture is as large as all of it.
pub(super) struct Film {
    size: (u32, u32),
    frames: Vec<u8>,
}

impl Film {
    pub(super) fn new(first: &[u8], shown: Duration) -> Film {
        let size = Still::of(first).size;
        let mut film = Film { size, frames: Vec::new() };
        film.add(first, (0, 0), shown);
        film
    }

    /// A picture of a part of what is shown, at a place whose numbers are even.
    pub(super) fn add(&mut self, picture: &[u8], (left, top): (u32, u32), shown: Duration) {
        let still = Still::of(picture);
        let millis = u32::try_from(shown.as_millis()).unwrap();
        let mut frame = Vec::new();
        for number in [left / 2, top / 2, still.size.0 - 1, still.size.1 - 1, millis] {
            frame.extend_from_slice(&three(number));
        }
        frame.push(REPLACES);
        put(&mut frame, b"VP8 ", still.data);
        put(&mut self.frames, b"ANMF", &frame);
    }

    /// The file; it plays again and again.
    pub(super) fn finish(self) -> Vec<u8> {
        let (width, height) = self.size;
        let mut canvas = ANIMATION.to_le_bytes().to_vec();
        canvas.extend_from_slice(&three(width - 1));
        canvas.extend_from_slice(&three(height - 1));
        let mut body = b"WEBP".to_vec();
        put(&mut body, b"VP8X", &canvas);
        // A black ground, and no end.
        put(&mut body, b"ANIM", &[0; 6]);
        body.extend_from_slice(&self.frames);
        let mut file = Vec::new();
        put(&mut file, b"RIFF", &body);
        file
    }
}

/// The one picture of a file.
struct Still<'a> {
    size: (u32, u32),
    data: &'a [u8],
}

impl Still<'_> {
    fn of(file: &[u8]) -> Still<'_> {
        assert_eq!((&file[..4], &file[8..12]), (&b"RIFF"[..], &b"WEBP"[..]));
        let mut rest = &file[12..];
        loop {
            let length = u32::from_le_bytes(rest[4..8].try_into().unwrap()) as usize;
            if &rest[..4] == b"VP8 " {
                let data = &rest[8..8 + length];
                // RFC 6386, section 9.1: three bytes, a mark of three bytes, then 14 bits each.
                let side =
                    |at: usize| u32::from(u16::from_le_bytes([data[at], data[at + 1]]) & 0x3fff);
                return Still { size: (side(6), side(8)), data };
            }
            rest = &rest[8 + length.next_multiple_of(2)..];
        }
    }
}

fn three(number: u32) -> [u8; 3] {
    let [low, middle, high, rest] = number.to_le_bytes();
    assert_eq!(rest, 0, "{number} takes more than 24 bits");
    [low, middle, high]
}

/// A chunk: its name, its length, its content to an even length.
fn put(out: &mut Vec<u8>, name: &[u8; 4], content: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(&u32::try_from(content.len()).unwrap().to_le_bytes());
    out.extend_from_slice(content);
    if content.len() % 2 == 1 {
        out.push(0);
    }
}
