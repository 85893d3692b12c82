//! Several ids in one request, and one item for each in the reply.

use super::json::{Document, Json, Kind, Seen};
use super::pointer::Pointer;
use crate::check::Outcome;
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
    /// The items of `document`, or `None` when they are not where they should be.
    pub(super) fn of(batch: &Batch, document: &Document<'a>, fold: Fold) -> Option<Items<'a>> {
        let whole = Document::of(document.find(&batch.items)?)?;
        let by_id = match whole.kind() {
            Kind::Object => members(whole, fold),
            Kind::Array => elements(&whole, batch.key.as_ref()?, fold)?,
            Kind::Scalar | Kind::Empty => return None,
        };
        Some(Items { by_id, fold })
    }

    /// The item of an id; null is none.
    pub(super) fn find(&self, id: &str) -> Option<Document<'a>> {
        let json = *self.by_id.get(self.fold.apply(id).as_ref())?;
        if matches!(json.see(), Some(Seen::Null)) {
            return None;
        }
        Document::of(json)
    }
}

fn members<'a>(whole: Document<'a>, fold: Fold) -> HashMap<String, Json<'a>> {
    let members = whole.into_members().into_iter();
    members.map(|(id, item)| (fold.apply(&id).into_owned(), item)).collect()
}

fn elements<'a>(
    whole: &Document<'a>,
    key: &Pointer,
    fold: Fold,
) -> Option<HashMap<String, Json<'a>>> {
    let mut by_id = HashMap::new();
    for item in whole.elements()? {
        let id = Document::of(item)?.find(key).and_then(Json::see);
        let id = match &id {
            Some(Seen::Text(text)) => text.as_ref(),
            Some(Seen::Number(text)) => text,
            // An item that names no id is about none of ours.
            _ => continue,
        };
        by_id.insert(fold.apply(id).into_owned(), item);
    }
    Some(by_id)
}
