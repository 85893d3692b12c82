//! Profiles from the outside: what they send, and what they make of replies.

mod batches;
mod missing;
mod mistakes;
mod random;
mod replies;
mod requests;

use super::*;
use crate::check::Outcome;
use crate::check::call::Reply;

const INDONESIAN: Lang = Lang::Indonesian;
const ENGLISH: Lang = Lang::English;

fn built_in(name: &str) -> Profile {
    Profile::builtin(name).unwrap()
}

/// A user's profile; it may use the secrets of [`secret`].
fn custom(text: &str) -> Result<Profile, ClientError> {
    read::read("mine.toml", text, &secret, ENGLISH)
}

const SECRET: &str = "s3cret-Value";

fn secret(name: &str) -> Option<String> {
    match name {
        "SHOP_TOKEN" => Some(SECRET.to_owned()),
        "EMPTY" => Some(String::new()),
        "BROKEN" => Some("s3cret\nValue".to_owned()),
        _ => None,
    }
}

fn id(text: &str) -> Id {
    Id::new(text).unwrap()
}

fn reply(status: u16, body: impl Into<Bytes>) -> Reply {
    Reply { status, headers: HeaderMap::new(), body: body.into() }
}

fn judge(profile: &Profile, asked: &str, status: u16, body: &str, lang: Lang) -> Verdict {
    let mut verdicts = profile.judge(&[id(asked)], &reply(status, body.to_owned()), lang);
    assert_eq!(verdicts.len(), 1);
    verdicts.remove(0)
}

#[test]
fn each_built_in_profile_is_read_without_a_mistake() {
    for (name, text) in BUILT_IN {
        for lang in [INDONESIAN, ENGLISH] {
            let profile = read::read(&format!("{name}.toml"), text, &|_| None, lang);
            assert_eq!(profile.unwrap().name(), name);
        }
    }
    assert!(Profile::builtin("stok").is_none());
    let five = Profile::names().filter(|name| built_in(name).seed().is_some()).count();
    assert_eq!((five, Profile::names().count()), (5, 6));
}
