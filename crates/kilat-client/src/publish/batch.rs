//! Events on their way: the body as it will be sent, and where each line came from.

use std::ops::Range;

/// Where a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Number of the input.
    pub input: u32,
    /// Line, from 1.
    pub line: u64,
    /// Where it begins, in bytes.
    pub offset: u64,
}

/// How far an input is dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Number of the input.
    pub input: u32,
    /// Bytes before this one are dealt with.
    pub offset: u64,
    /// Lines that these bytes make.
    pub lines: u64,
}

/// Events that go out together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Place in the order of reading.
    pub number: u64,
    /// `[event,event,…` without the closing bracket.
    text: Vec<u8>,
    /// End of each event in `text`.
    ends: Vec<usize>,
    origins: Vec<Origin>,
    /// How far each input is dealt with once this batch is; one for each
    /// input that it touches, in the order of reading.
    marks: Vec<Mark>,
}

impl Batch {
    pub(crate) fn push(&mut self, line: &[u8], origin: Origin) {
        self.text.push(if self.ends.is_empty() { b'[' } else { b',' });
        self.text.extend_from_slice(line);
        self.ends.push(self.text.len());
        self.origins.push(origin);
    }

    /// Everything before `mark` is in this batch or an earlier one.
    pub(crate) fn cover(&mut self, mark: Mark) {
        match self.marks.last_mut() {
            Some(last) if last.input == mark.input => *last = mark,
            _ => self.marks.push(mark),
        }
    }

    /// Whether an event of so many bytes more still fits a body.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.text.len() + 1 + bytes < crate::events::BODY_BYTES_MAX
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn is_bare(&self) -> bool {
        self.ends.is_empty() && self.marks.is_empty()
    }

    pub(crate) fn origin(&self, at: usize) -> Option<Origin> {
        self.origins.get(at).copied()
    }

    /// The body that carries the events of `range`.
    pub(crate) fn body(&self, range: &Range<usize>, into: &mut Vec<u8>) {
        into.clear();
        into.push(b'[');
        let start = if range.start == 0 { 0 } else { self.ends[range.start - 1] };
        let end = if range.is_empty() { start } else { self.ends[range.end - 1] };
        into.extend_from_slice(self.text.get(start + 1..end).unwrap_or_default());
        into.push(b']');
    }

    pub(crate) fn into_marks(self) -> Vec<Mark> {
        self.marks
    }

    /// How far the inputs are dealt with when everything before event `at` is.
    pub(crate) fn marks_before(&self, at: usize) -> Vec<Mark> {
        let Some(origin) = self.origin(at) else {
            return self.marks.clone();
        };
        let earlier = self.marks.iter().take_while(|mark| mark.input < origin.input);
        let here = Mark { input: origin.input, offset: origin.offset, lines: origin.line - 1 };
        earlier.copied().chain([here]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> Batch {
        let mut batch = Batch::default();
        for (at, line) in ["{1}", "{22}", "{333}"].iter().enumerate() {
            let (input, line_number) =
                (u32::from(at == 2), if at == 2 { 1 } else { at as u64 + 1 });
            let offset = [0, 4, 0][at];
            batch.push(line.as_bytes(), Origin { input, line: line_number, offset });
            batch.cover(Mark { input, offset: offset + line.len() as u64 + 1, lines: line_number });
        }
        batch
    }

    #[test]
    fn a_body_holds_any_part() {
        let batch = batch();
        for (range, body) in
            [(0..3, "[{1},{22},{333}]"), (0..1, "[{1}]"), (1..3, "[{22},{333}]"), (2..2, "[]")]
        {
            let mut found = Vec::new();
            batch.body(&range, &mut found);
            assert_eq!(String::from_utf8(found).unwrap(), body, "{range:?}");
        }
    }

    #[test]
    fn marks_end_before_the_event_that_was_not_published() {
        let batch = batch();
        let mark = |input, offset, lines| Mark { input, offset, lines };
        assert_eq!(batch.marks_before(1), [mark(0, 4, 1)]);
        assert_eq!(batch.marks_before(2), [mark(0, 9, 2), mark(1, 0, 0)]);
        assert_eq!(batch.into_marks(), [mark(0, 9, 2), mark(1, 6, 1)]);
    }
}
