//! Several ids in one request, and one item for each in the reply.

use super::json::{Document, Json, Kind, Seen};
use super::pointer::Pointer;
use crate::check::{Id, Outcome};
use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use std::collections::HashMap;

/// How ids are asked together.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    /// Most ids of a request.
    pub(super) size: usize,
    /// Between two ids in the address.
    pub(super) join: String,
    /// What would make several of one id: see [`splitting`].
    pub(super) splitting: Vec<String>,
    /// Statuses under which a reply has items.
    pub(super) statuses: Vec<u16>,
    /// Where the items stand.
    pub(super) items: Pointer,
    /// Where an item of a list holds its id.
    pub(super) key: Option<Pointer>,
    /// What an id without an item is.
    pub(super) missing: Outcome,
}

impl Batch {
    /// Whether this id would be taken for several.
    pub(super) fn splits(&self, id: &str) -> bool {
        self.splitting.iter().any(|mark| id.contains(mark))
    }
}

/// What stands between two ids, for a server that splits the address before it decodes it and for
/// one that does so after.
pub(super) fn splitting(join: &str) -> Vec<String> {
    // A mark such as `&id=` is told from the same characters in an id, which are encoded.
    if join.starts_with('&') {
        return Vec::new();
    }
    let plain = join.replace('+', " ");
    let decoded = percent_decode_str(&plain).decode_utf8_lossy().into_owned();
    vec![join.to_owned(), decoded]
}

/// The case in which an API compares ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fold {
    /// As they are.
    Exact,
    Lower,
    Upper,
}

impl Fold {
    /// The id as the API compares it.
    pub(super) fn apply(self, id: &str) -> Cow<'_, str> {
        match self {
            Fold::Exact => Cow::Borrowed(id),
            Fold::Lower => Cow::Owned(id.to_lowercase()),
            Fold::Upper => Cow::Owned(id.to_uppercase()),
        }
    }
}

/// The items of a reply by id.
pub(super) struct Items<'a> {
    /// `None` for an id with several items: nobody knows which of them counts.
    by_id: HashMap<String, Option<Json<'a>>>,
    fold: Fold,
}

/// What a reply says of one id.
pub(super) enum Item<'a> {
    One(Document<'a>),
    /// Nothing, or null.
    Missing,
    Several,
}

impl<'a> Items<'a> {
    /// The items of `document`, or `None` when they are not where they should be. Items that
    /// are about none of `ids` are no answer: an object with an error, for example, is no
    /// object of items, also when an id is called `message`. So an item counts when it is of
    /// one of `kinds`, of which the rules speak, or null.
    pub(super) fn of(
        batch: &Batch,
        document: &Document<'a>,
        fold: Fold,
        ids: &[Id],
        kinds: &[Kind],
    ) -> Option<Items<'a>> {
        let whole = Document::of(document.find(&batch.items)?)?;
        let mut items = Items { by_id: HashMap::new(), fold };
        let count = match whole.kind() {
            Kind::Object => items.add_members(whole),
            Kind::Array => items.add_by_key(&whole.elements()?, batch.key.as_ref()?)?,
            Kind::Scalar | Kind::Empty => return None,
        };
        let is_item = |id: &Id| {
            let item = items.get(id.as_str());
            item.is_some_and(|item| item.is_none_or(|item| is_item(item, kinds)))
        };
        let are_asked = count == 0 || ids.iter().any(is_item);
        are_asked.then_some(items)
    }

    /// The item of an id; null is none.
    pub(super) fn find(&self, id: &str) -> Item<'a> {
        match self.get(id) {
            Some(None) => Item::Several,
            Some(Some(json)) if !matches!(json.see(), Some(Seen::Null)) => {
                Document::of(json).map_or(Item::Missing, Item::One)
            }
            _ => Item::Missing,
        }
    }

    fn get(&self, id: &str) -> Option<Option<Json<'a>>> {
        self.by_id.get(self.fold.apply(id).as_ref()).copied()
    }

    fn add(&mut self, id: &str, item: Json<'a>) {
        let id = self.fold.apply(id).into_owned();
        self.by_id.entry(id).and_modify(|known| *known = None).or_insert(Some(item));
    }

    /// Returns how many there are.
    fn add_members(&mut self, whole: Document<'a>) -> usize {
        let members = whole.into_members();
        members.iter().for_each(|(id, item)| self.add(id, *item));
        members.len()
    }

    fn add_by_key(&mut self, items: &[Json<'a>], key: &Pointer) -> Option<usize> {
        for item in items {
            match Document::of(*item)?.find(key).and_then(Json::see) {
                Some(Seen::Text(id)) => self.add(&id, *item),
                Some(Seen::Number(id)) => self.add(id, *item),
                // An item that names no id is about none of ours.
                _ => {}
            }
        }
        Some(items.len())
    }
}

fn is_item(item: Json<'_>, kinds: &[Kind]) -> bool {
    let is_null = matches!(item.see(), Some(Seen::Null));
    is_null || Document::of(item).is_some_and(|item| kinds.contains(&item.kind()))
}
