//! Which server a call goes to: what is learned of one says nothing of another.

use super::PaceOptions;
use super::origin::Origin;
use hyper::Uri;
use hyper::http::uri::Authority;
use std::collections::HashMap;
use std::ops::{Index, IndexMut};

/// Servers that are told apart; all beyond share what is known of the last one.
const ORIGINS_MAX: usize = 1_024;

/// Which server, from 0 in the order in which they were first seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OriginNumber(usize);

impl OriginNumber {
    /// From 0, without gaps.
    pub(crate) const fn index(self) -> usize {
        self.0
    }
}

/// What is known of each server.
pub(crate) struct Origins {
    options: PaceOptions,
    numbers: HashMap<Option<Authority>, OriginNumber>,
    origins: Vec<Origin>,
}

impl Origins {
    pub(crate) fn new(options: &PaceOptions) -> Self {
        Origins { options: options.clone(), numbers: HashMap::new(), origins: Vec::new() }
    }

    /// The server of an address.
    pub(crate) fn of(&mut self, uri: &Uri) -> OriginNumber {
        let authority = uri.authority().cloned();
        if let Some(number) = self.numbers.get(&authority) {
            return *number;
        }
        if self.origins.len() == ORIGINS_MAX {
            return OriginNumber(ORIGINS_MAX - 1);
        }
        let number = OriginNumber(self.origins.len());
        self.origins.push(Origin::new(&self.options));
        self.numbers.insert(authority, number);
        number
    }

    /// Servers seen so far.
    pub(crate) const fn count(&self) -> usize {
        self.origins.len()
    }

    /// Host and port of a server, for people.
    pub(crate) fn host(&self, number: OriginNumber) -> String {
        let mut names = self.numbers.iter().filter(|(_, known)| **known == number);
        let authority = names.next().and_then(|(authority, _)| authority.as_ref());
        authority.map_or_else(String::new, Authority::to_string)
    }

    /// Each server seen so far, with its number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (OriginNumber, &Origin)> {
        self.origins.iter().enumerate().map(|(at, origin)| (OriginNumber(at), origin))
    }
}

impl Index<OriginNumber> for Origins {
    type Output = Origin;

    fn index(&self, number: OriginNumber) -> &Origin {
        &self.origins[number.0]
    }
}

impl IndexMut<OriginNumber> for Origins {
    fn index_mut(&mut self, number: OriginNumber) -> &mut Origin {
        &mut self.origins[number.0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        text.parse().unwrap()
    }

    #[test]
    fn a_server_is_known_by_host_and_port() {
        let mut origins = Origins::new(&PaceOptions::default());
        for (url, number) in [
            ("http://a.example/x?id=1", 0),
            ("http://b.example/x?id=1", 1),
            ("http://A.example/y", 0),
            ("http://a.example:81/x", 2),
        ] {
            assert_eq!(origins.of(&uri(url)), OriginNumber(number), "{url}");
        }
        assert_eq!(origins.iter().count(), 3);
    }

    #[test]
    fn names_without_end_take_no_memory_without_end() {
        let mut origins = Origins::new(&PaceOptions::default());
        for n in 0..10 * ORIGINS_MAX {
            let number = origins.of(&uri(&format!("http://{n}.example/")));
            assert_eq!(number.0, n.min(ORIGINS_MAX - 1));
        }
        assert_eq!((origins.iter().count(), origins.numbers.len()), (ORIGINS_MAX, ORIGINS_MAX));
    }
}
