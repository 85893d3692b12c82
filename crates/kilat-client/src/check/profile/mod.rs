//! Profiles: how an API is asked, and how its replies are understood. All of it is data.
//!
//! A profile is a TOML file. Those that come with the program are files too and are read
//! by the same code as a user's. Must never know how a request travels, when it is sent, or
//! where its result is written; reads no environment itself.
//!
//! | module | holds |
//! |---|---|
//! | `read` | a file becomes a profile, or a mistake with its place |
//! | `source` | TOML with places |
//! | `address` `headers` `batch` | what is sent |
//! | `bootstrap` | which server answers for a domain |
//! | `json` `pointer` | what came back |
//! | `rule` `same` `template` `judge` | what it means |
//! | `seed` | words of the text log |

mod address;
mod batch;
mod bootstrap;
mod headers;
mod json;
mod judge;
mod pointer;
mod read;
mod rule;
mod same;
mod seed;
mod single;
mod source;
mod template;
#[cfg(test)]
mod tests;

pub(crate) use judge::Verdict;
pub use seed::SeedTexts;

use super::Id;
use super::call::Request;
use crate::{ClientError, Lang};
use address::{Address, Place};
use batch::{Batch, Fold};
use bootstrap::{Bootstrap, NoServer};
use bytes::Bytes;
use hyper::{HeaderMap, Method};
use rule::{Rule, Texts};
use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// The profiles that come with the program.
const BUILT_IN: [(&str, &str); 6] = [
    ("stock", include_str!("../../../profiles/stock.toml")),
    ("flight", include_str!("../../../profiles/flight.toml")),
    ("domain", include_str!("../../../profiles/domain.toml")),
    ("package", include_str!("../../../profiles/package.toml")),
    ("player", include_str!("../../../profiles/player.toml")),
    ("rdap", include_str!("../../../profiles/rdap.toml")),
];

/// How one API is asked and understood. Cheap to clone.
#[derive(Clone)]
pub struct Profile {
    inner: Arc<Inner>,
}

/// No `Debug`: headers may hold secrets.
#[derive(Clone)]
struct Inner {
    name: String,
    label: Texts<String>,
    address: Address,
    /// Used when the address has no host of its own.
    bootstrap: Option<Bootstrap>,
    /// The address had none when the profile was read: its server depends on a domain.
    asks_for_domains: bool,
    method: Method,
    headers: HeaderMap,
    /// JSON with `{id}` or `{ids}`; empty for GET.
    body: String,
    fold: Fold,
    batch: Option<Batch>,
    rules: Vec<Rule>,
    ids: Vec<Id>,
    seed: Option<SeedTexts>,
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Profile({})", self.inner.name)
    }
}

impl Inner {
    /// An id without what makes no difference: a domain may end with the dot of the root, which
    /// registries leave out and some don't know (RFC 9083, section 3).
    fn bare<'a>(&self, id: &'a str) -> &'a str {
        let domain = self.asks_for_domains.then(|| id.strip_suffix('.')).flatten();
        domain.unwrap_or(id)
    }

    /// An id as the API reads it.
    fn sent<'a>(&self, id: &'a Id) -> Cow<'a, str> {
        self.fold.apply(self.bare(id.as_str()))
    }
}

impl Profile {
    /// Names of the profiles that come with the program.
    pub fn names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|(name, _)| *name)
    }

    /// The profile of that name that comes with the program.
    #[must_use]
    pub fn builtin(name: &str) -> Option<Profile> {
        let (name, text) = BUILT_IN.iter().find(|(known, _)| *known == name)?;
        let file = format!("{name}.toml");
        read::read(&file, text, &|_| None, Lang::English).ok()
    }

    /// The TOML of a profile that comes with the program, to begin an own one from.
    #[must_use]
    pub fn text(name: &str) -> Option<&'static str> {
        BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
    }

    /// Reads a profile from a file. `secret` looks up an environment variable.
    ///
    /// # Errors
    /// [`ClientError::Usage`] when the file can't be read or has a mistake, as
    /// `file:line:column: sentence`, and when a variable is not set.
    pub fn open(
        path: &Path,
        secret: &dyn Fn(&str) -> Option<String>,
        lang: Lang,
    ) -> Result<Profile, ClientError> {
        let file = path.display().to_string();
        let text = read::text(path, &file, lang)?;
        read::read(&file, &text, secret, lang)
    }

    /// For names of files: 1 to 32 characters of a-z, 0-9 and `-`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The address that is asked, with places for ids; without secrets.
    #[must_use]
    pub fn url(&self) -> &str {
        self.inner.address.text()
    }

    /// Ids that are checked when none are given.
    #[must_use]
    pub fn own_ids(&self) -> &[Id] {
        &self.inner.ids
    }

    /// The same API elsewhere: `base` is `http://host:port` with a path or without, and
    /// stands in the place of scheme, host and port.
    ///
    /// # Errors
    /// [`ClientError::Usage`] when it is no such address.
    pub fn at(mut self, base: &str, lang: Lang) -> Result<Profile, ClientError> {
        if !address::is_base(base) {
            return Err(ClientError::Usage(lang.say("profile.base", &[("url", &base)])));
        }
        let inner = Arc::make_mut(&mut self.inner);
        inner.address = inner.address.clone().at(base);
        Ok(self)
    }

    /// Whether the servers come from a bootstrap file that is not given yet.
    #[must_use]
    pub fn needs_bootstrap(&self) -> bool {
        self.inner.address.base().is_none() && self.inner.bootstrap.is_none()
    }

    /// Takes the servers from a bootstrap file (RFC 9224), such as IANA's `dns.json`.
    ///
    /// # Errors
    /// [`ClientError::Usage`] when the file is none, or the profile names its server itself.
    pub fn with_bootstrap(mut self, path: &Path, lang: Lang) -> Result<Profile, ClientError> {
        if self.inner.address.base().is_some() {
            let url: &dyn fmt::Display = &self.url();
            return Err(ClientError::Usage(lang.say("profile.bootstrap_unused", &[("url", url)])));
        }
        let bootstrap = Bootstrap::open(path, lang)?;
        Arc::make_mut(&mut self.inner).bootstrap = Some(bootstrap);
        Ok(self)
    }

    /// Most ids of a request; 1 without a batch endpoint.
    #[must_use]
    pub fn batch_size(&self) -> usize {
        self.inner.batch.as_ref().map_or(1, |batch| batch.size)
    }

    /// Words of the text log, when the profile has them.
    #[must_use]
    pub fn seed(&self) -> Option<&SeedTexts> {
        self.inner.seed.as_ref()
    }

    /// What an id is called.
    #[must_use]
    pub fn label(&self, lang: Lang) -> &str {
        self.inner.label.of(lang)
    }

    /// Whether an id can be asked for at all. One that can't spoils a request for several.
    ///
    /// # Errors
    /// Why not, in one sentence.
    pub(crate) fn sendable(&self, id: &Id, lang: Lang) -> Result<(), String> {
        let id = id.as_str();
        if id.len() > super::ID_SENT_BYTES_MAX {
            let limit = lang.number(super::ID_SENT_BYTES_MAX as u64);
            return Err(lang.say("profile.unsent.long", &[("limit", &limit)]));
        }
        if !self.inner.address.can_hold(id) {
            return Err(lang.say("profile.unsent.dots", &[("id", &id)]));
        }
        let batch = self.inner.batch.as_ref();
        if let Some(batch) = batch.filter(|_| self.inner.address.place() == Some(Place::Many))
            && batch.splits(&self.inner.fold.apply(id))
        {
            return Err(lang.say("profile.unsent.join", &[("join", &batch.join)]));
        }
        self.base(id, lang).map(|_| ())
    }

    /// The request for `ids`: at most [`Profile::batch_size`] of them.
    ///
    /// # Errors
    /// Why it can't be sent, in one sentence: these ids end as unknown.
    pub(crate) fn request(&self, ids: &[Id], lang: Lang) -> Result<Request, String> {
        let inner = &*self.inner;
        ids.iter().try_for_each(|id| self.sendable(id, lang))?;
        let base = self.base(ids.first().map_or("", Id::as_str), lang)?;
        let uri = inner.address.build(base, &self.encoded(ids)).map_err(|_| {
            lang.say(
                "profile.unsent.url",
                &[("limit", &lang.number(address::URL_BYTES_MAX as u64))],
            )
        })?;
        Ok(Request {
            method: inner.method.clone(),
            uri,
            headers: inner.headers.clone(),
            body: self.body(ids),
            guarded: inner.address.base().is_none(),
        })
    }

    fn base(&self, id: &str, lang: Lang) -> Result<&str, String> {
        if let Some(base) = self.inner.address.base() {
            return Ok(base);
        }
        let Some(bootstrap) = &self.inner.bootstrap else {
            return Err(lang.say("profile.unsent.no_bootstrap", &[]));
        };
        bootstrap.base(id).map_err(|why| {
            let key = match why {
                NoServer::Foreign => "profile.unsent.not_ascii",
                NoServer::Malformed => "profile.unsent.not_domain",
                NoServer::Unlisted => "profile.unsent.not_listed",
            };
            lang.say(key, &[("id", &id)])
        })
    }

    fn encoded(&self, ids: &[Id]) -> String {
        let join = self.inner.batch.as_ref().map_or("", |batch| &batch.join);
        let mut encoded = String::with_capacity(64);
        for (at, id) in ids.iter().enumerate() {
            if at > 0 {
                encoded.push_str(join);
            }
            address::push_encoded(&mut encoded, &self.inner.sent(id));
        }
        encoded
    }

    fn body(&self, ids: &[Id]) -> Bytes {
        if self.inner.body.is_empty() {
            return Bytes::new();
        }
        let ids: Vec<_> = ids.iter().map(|id| self.inner.sent(id)).collect();
        Bytes::from(read::fill_body(&self.inner.body, &ids))
    }
}
