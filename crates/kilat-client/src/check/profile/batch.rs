//! Several ids in one request, and one item for each in the reply.

use super::json::{Document, Json, Kind, Seen};
use super::pointer::Pointer;
use crate::check::{Id, Outcome};
use std::borrow::Cow;
use std::collections::HashMap;

/// How ids are asked together.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    /// Most ids of a request.
    pub(super) size: usize,
    /// Between two ids in the address.
    pub(super) join: String,
    /// Statuses under which a reply has items.
    pub(super) statuses: Vec<u16>,
    /// Where the items stand.
    pub(super) items: Pointer,
    /// Where an item of a list holds its id.
    pub(super) key: Option<Pointer>,
    /// What an id without an item is.
    pub(super) missing: Outcome,
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
    by_id: HashMap<String, Json<'a>>,
    fold: Fold,
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
        let (count, by_id) = match whole.kind() {
            Kind::Object => {
                let by_id = members(whole, fold);
                (by_id.len(), by_id)
            }
            Kind::Array => {
                let items = whole.elements()?;
                (items.len(), by_key(&items, batch.key.as_ref()?, fold)?)
            }
            Kind::Scalar | Kind::Empty => return None,
        };
        let items = Items { by_id, fold };
        let is_item = |id: &Id| items.get(id.as_str()).is_some_and(|item| is_item(item, kinds));
        let are_asked = count == 0 || ids.iter().any(is_item);
        are_asked.then_some(items)
    }

    /// The item of an id; null is none.
    pub(super) fn find(&self, id: &str) -> Option<Document<'a>> {
        let json = self.get(id)?;
        if matches!(json.see(), Some(Seen::Null)) {
            return None;
        }
        Document::of(json)
    }

    fn get(&self, id: &str) -> Option<Json<'a>> {
        self.by_id.get(self.fold.apply(id).as_ref()).copied()
    }
}

fn is_item(item: Json<'_>, kinds: &[Kind]) -> bool {
    let is_null = matches!(item.see(), Some(Seen::Null));
    is_null || Document::of(item).is_some_and(|item| kinds.contains(&item.kind()))
}

fn members<'a>(whole: Document<'a>, fold: Fold) -> HashMap<String, Json<'a>> {
    let members = whole.into_members().into_iter();
    members.map(|(id, item)| (fold.apply(&id).into_owned(), item)).collect()
}

fn by_key<'a>(items: &[Json<'a>], key: &Pointer, fold: Fold) -> Option<HashMap<String, Json<'a>>> {
    let mut by_id = HashMap::with_capacity(items.len());
    for item in items {
        let id = Document::of(*item)?.find(key).and_then(Json::see);
        let id = match &id {
            Some(Seen::Text(text)) => text.as_ref(),
            Some(Seen::Number(text)) => text,
            // An item that names no id is about none of ours.
            _ => continue,
        };
        by_id.insert(fold.apply(id).into_owned(), *item);
    }
    Some(by_id)
}
