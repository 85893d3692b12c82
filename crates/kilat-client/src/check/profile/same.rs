//! The place where a reply repeats the id that it is about.

use super::batch::Fold;
use super::json::{Document, Seen};
use super::pointer::Pointer;
use std::borrow::Cow;

/// Where the id stands in a reply, and how.
#[derive(Clone, Debug)]
pub(super) struct Same {
    pub(super) pointer: Pointer,
    /// It stands within a sentence, and is not the whole value.
    pub(super) is_within: bool,
    /// The case in which it is compared; that of the profile unless given.
    pub(super) fold: Option<Fold>,
}

/// Whom a reply is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// The id that was asked for.
    Asked,
    Another,
    /// It does not say.
    Untold,
}

impl Same {
    /// `bare` takes from an id and from what the reply says what makes no difference.
    pub(super) fn about(
        &self,
        id: &str,
        document: &Document<'_>,
        fold: Fold,
        bare: impl Fn(&str) -> &str,
    ) -> About {
        let seen = document.find(&self.pointer).and_then(|json| json.see());
        let said = match &seen {
            Some(Seen::Text(text)) => text.as_ref(),
            Some(Seen::Number(text)) => text,
            _ => return About::Untold,
        };
        let fold = self.fold.unwrap_or(fold);
        let (said, id): (Cow<'_, str>, Cow<'_, str>) =
            (fold.apply(bare(said)), fold.apply(bare(id)));
        let is_same = if self.is_within { holds(&said, &id) } else { said == id };
        if is_same { About::Asked } else { About::Another }
    }
}

/// Whether `id` stands in a sentence, and not only as a part of a longer one.
fn holds(sentence: &str, id: &str) -> bool {
    let is_inner = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    sentence.match_indices(id).any(|(at, found)| {
        let before = sentence[..at].chars().next_back();
        let after = sentence[at + found.len()..].chars().next();
        !before.is_some_and(is_inner) && !after.is_some_and(is_inner)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_about_the_id_that_it_repeats() {
        for (is_within, body, about) in [
            (false, r#"{"a":"A-1"}"#, About::Asked),
            (false, r#"{"a":"a-1"}"#, About::Asked),
            (false, r#"{"a":"A-10"}"#, About::Another),
            (false, r#"{"a":""}"#, About::Another),
            (false, r#"{"a":7}"#, About::Another),
            (false, r#"{"a":null}"#, About::Untold),
            (false, r#"{"a":["A-1"]}"#, About::Untold),
            (false, "{}", About::Untold),
            (true, r#"{"a":"No 'A-1' here"}"#, About::Asked),
            (true, r#"{"a":"A-10, xA-1 and A-1."}"#, About::Asked),
            (true, r#"{"a":"A-10"}"#, About::Another),
            (true, r#"{"a":"xA-1 A-1-2 _A-1"}"#, About::Another),
            (true, r#"{"a":"Not found"}"#, About::Another),
            (true, "{}", About::Untold),
        ] {
            let pointer = Pointer::parse("/a").unwrap();
            let same = Same { pointer, is_within, fold: Some(Fold::Upper) };
            let document = Document::read(body.as_bytes()).unwrap();
            assert_eq!(same.about("A-1", &document, Fold::Exact, |id| id), about, "{body}");
        }
        let same = Same { pointer: Pointer::parse("/a").unwrap(), is_within: false, fold: None };
        let document = Document::read(b"{\"a\":7}").unwrap();
        assert_eq!(same.about("7", &document, Fold::Exact, |id| id), About::Asked);
    }
}
