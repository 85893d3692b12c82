//! The ids of a check, from arguments, files and standard input: each once, in their order,
//! as fast as they are wanted and never all in memory.
//!
//! Knows how ids are written down, and nothing of what they mean. A mistake in the input ends
//! the stream with its place: a check that passes over ids in silence proves nothing.
//!
//! | module | holds |
//! |---|---|
//! | `queue` | between the thread that reads and the check that asks |
//! | `source` | an opened input |
//! | `place` | what it is called, and what is said of a mistake in it |
//! | `lines`, `csv`, `json` | how ids are written down |

mod csv;
mod json;
mod lines;
mod place;
mod queue;
mod source;

use super::Id;
use super::audit::Seen;
use crate::{ClientError, Lang};
use queue::Queue;
use source::Source;
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Most inputs: each is opened before anything starts.
const INPUTS_MAX: usize = 256;

/// Where ids come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum IdInput {
    /// The command line, or a profile's own list.
    Listed(Vec<Id>),
    /// A file.
    File {
        /// Where it is.
        path: PathBuf,
        /// What it holds.
        form: IdForm,
    },
    /// Standard input.
    Stdin {
        /// What it holds.
        form: IdForm,
    },
}

/// How ids are written down. All are UTF-8; a byte order mark and CRLF are as good as none
/// and LF, and blank lines are passed over. White space (Unicode's White_Space) around an id is
/// not part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum IdForm {
    /// One a line. There are no comments: an id may begin with `#`.
    Text,
    /// As [`IdForm::Text`], because nothing says otherwise. What looks like JSON is refused: each of
    /// its lines would be an id that nobody meant.
    Guessed,
    /// A column of CSV (RFC 4180). Empty cells are passed over.
    Csv {
        /// The column's name, in the first row; white space around it does not count.
        column: String,
    },
    /// JSON Lines: strings and numbers, or objects with the id in a field; numbers count as
    /// they are written.
    JsonLines {
        /// The field's name.
        field: Option<String>,
    },
}

/// Most characters of a name that a message repeats.
const NAME_CHARS_MAX: usize = 60;

/// A name from an input as a message can repeat it: short, on its line, and no terminal obeys
/// it.
fn printable(name: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || c.is_ascii_graphic() || c == ' ';
    let shown = name.chars().take(NAME_CHARS_MAX);
    shown.map(|c| if is_plain(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

/// The stream of ids. Dropping it ends the reading.
pub(crate) struct Ids {
    queue: Arc<Queue>,
    /// Whether all inputs could be opened, when that is known.
    opened: oneshot::Receiver<Result<(), ClientError>>,
    lang: Lang,
    /// Fetched from the queue, not yet asked for.
    ready: VecDeque<(u64, Id)>,
}

impl Ids {
    /// Begins to open all inputs, then to read them, one after the other. Ids that `seen` has
    /// are passed over, and it learns those that come. Waits for nothing: see
    /// [`Ids::opened`].
    ///
    /// # Errors
    /// [`ClientError::Usage`] when there are too many inputs.
    pub(crate) fn start(inputs: Vec<IdInput>, seen: Seen, lang: Lang) -> Result<Ids, ClientError> {
        if inputs.len() > INPUTS_MAX {
            return Err(ClientError::Usage(lang.say("ids.inputs", &[("most", &INPUTS_MAX)])));
        }
        let queue = Arc::new(Queue::new());
        let reader = Reader { queue: Arc::clone(&queue), seen, next_index: 0, lang };
        let (tell, opened) = oneshot::channel();
        std::thread::Builder::new()
            .name("ids".to_owned())
            .spawn(move || reader.run(inputs, tell))
            .map_err(|e| ClientError::Fault(e.to_string()))?;
        Ok(Ids { queue, opened, lang, ready: VecDeque::new() })
    }

    /// Returns when all inputs are open, and of CSV the first row is read; before that the
    /// stream gives nothing. A pipe that nobody writes to never is. To be waited for once; may be
    /// dropped while it waits.
    ///
    /// # Errors
    /// [`ClientError::Usage`] when an input can't be read or a column is missing.
    pub(crate) async fn opened(&mut self) -> Result<(), ClientError> {
        let untold = |_| Err(ClientError::Fault(self.lang.say("ids.fault", &[])));
        (&mut self.opened).await.unwrap_or_else(untold)
    }

    /// Whether there is no id at all. Before the first [`Ids::next`]; waits for the input. May be
    /// dropped while it waits.
    ///
    /// # Errors
    /// What is wrong with the input, when that comes before any id.
    pub(crate) async fn is_blank(&self) -> Result<bool, ClientError> {
        loop {
            match self.queue.is_blank() {
                Some(is_blank) => return is_blank,
                None => self.queue.filled().await,
            }
        }
    }

    /// The next id and its index among those that this stream gives, from 0; `None` after the
    /// last. Waits for the input. May be dropped while it waits: nothing is lost.
    ///
    /// # Errors
    /// What is wrong with the input, with its place. It is the last that comes.
    pub(crate) async fn next(&mut self) -> Option<Result<(u64, Id), ClientError>> {
        loop {
            if let Some(next) = self.ready.pop_front() {
                return Some(Ok(next));
            }
            match self.queue.fetch(&mut self.ready) {
                queue::Fetched::Some => {}
                queue::Fetched::Nothing => self.queue.filled().await,
                queue::Fetched::End(end) => return end.map(Err),
            }
        }
    }

    /// How many ids were passed over so far because they had come before, in this input or
    /// in what `seen` began with.
    pub(crate) fn skipped(&self) -> u64 {
        self.queue.skipped()
    }
}

impl Drop for Ids {
    fn drop(&mut self) {
        self.queue.shut();
    }
}

/// The thread that reads.
struct Reader {
    queue: Arc<Queue>,
    seen: Seen,
    next_index: u64,
    lang: Lang,
}

impl Reader {
    fn run(mut self, inputs: Vec<IdInput>, opened: oneshot::Sender<Result<(), ClientError>>) {
        let open = |input| Source::open(input, self.lang);
        let sources: Vec<Source> = match inputs.into_iter().map(open).collect() {
            Ok(sources) => sources,
            Err(error) => {
                self.queue.end(Some(ClientError::clone(&error)));
                // Nobody waits when the check has ended meanwhile.
                let _ = opened.send(Err(error));
                return;
            }
        };
        let _ = opened.send(Ok(()));
        self.read(sources);
    }

    fn read(&mut self, sources: Vec<Source>) {
        let mut take = |id: &str| self.take(id);
        let result = sources.into_iter().try_for_each(|source| source.read(&mut take));
        let error = match result {
            Ok(()) | Err(Halt::Shut) => None,
            Err(Halt::Failed(error)) => Some(error),
        };
        self.queue.end(error);
    }

    /// Passes an id on, if it is new.
    fn take(&mut self, id: &str) -> Result<(), Halt> {
        let is_new = self.seen.insert(id.as_bytes()).map_err(|e| self.forgetful(&e))?;
        let is_wanted = match is_new.then(|| Id::new(id)).flatten() {
            None => self.queue.skip(),
            Some(id) => {
                let index = self.next_index;
                self.next_index += 1;
                self.queue.push(index, id)
            }
        };
        if is_wanted { Ok(()) } else { Err(Halt::Shut) }
    }

    fn forgetful(&self, error: &io::Error) -> Halt {
        Halt::Failed(ClientError::Fault(self.lang.say("ids.seen", &[("why", error)])))
    }
}

impl Drop for Reader {
    /// A stream that ends by a panic must not look as if the input had ended.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.queue.end(Some(ClientError::Fault(self.lang.say("ids.fault", &[]))));
        }
    }
}

/// Why reading ends before the end of the input.
enum Halt {
    /// Nobody wants more.
    Shut,
    /// The input is wrong.
    Failed(ClientError),
}

impl From<ClientError> for Halt {
    fn from(error: ClientError) -> Self {
        Halt::Failed(error)
    }
}

#[cfg(test)]
mod tests;
