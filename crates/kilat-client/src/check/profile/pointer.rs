//! JSON Pointers (RFC 6901): where in a reply a value stands.

/// A parsed pointer; the empty one is the whole value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pointer {
    tokens: Vec<String>,
}

/// Why a text is not a pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PointerFault {
    /// It does not begin with `/`.
    NoSlash,
    /// A `~` that is neither `~0` nor `~1`, at this byte.
    Tilde(usize),
}

impl Pointer {
    /// The whole value.
    pub(super) const WHOLE: Pointer = Pointer { tokens: Vec::new() };

    /// # Errors
    /// [`PointerFault`] when it breaks RFC 6901, section 3.
    pub(super) fn parse(text: &str) -> Result<Pointer, PointerFault> {
        if text.is_empty() {
            return Ok(Pointer::WHOLE);
        }
        let Some(rest) = text.strip_prefix('/') else { return Err(PointerFault::NoSlash) };
        for (at, _) in text.match_indices('~') {
            if !matches!(text.as_bytes().get(at + 1), Some(b'0' | b'1')) {
                return Err(PointerFault::Tilde(at));
            }
        }
        // In this order, so that `~01` becomes `~1` and not `/`.
        let decode = |token: &str| token.replace("~1", "/").replace("~0", "~");
        Ok(Pointer { tokens: rest.split('/').map(decode).collect() })
    }

    /// The member of an object with this name, as it is written there.
    pub(super) fn member(name: &str) -> Pointer {
        Pointer { tokens: vec![name.to_owned()] }
    }

    /// Names and places, from the outside in.
    pub(super) fn tokens(&self) -> &[String] {
        &self.tokens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_read_as_in_rfc_6901() {
        for (text, tokens) in [
            ("", &[][..]),
            ("/", &[""]),
            ("/foo", &["foo"]),
            ("/foo/0", &["foo", "0"]),
            ("/a~1b", &["a/b"]),
            ("/m~0n", &["m~n"]),
            ("/~01", &["~1"]),
            ("/c%d//e^f", &["c%d", "", "e^f"]),
        ] {
            assert_eq!(Pointer::parse(text).unwrap().tokens(), tokens, "{text}");
        }
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        for (text, fault) in [
            ("foo", PointerFault::NoSlash),
            ("#/foo", PointerFault::NoSlash),
            ("/a~", PointerFault::Tilde(2)),
            ("/a/~2", PointerFault::Tilde(3)),
        ] {
            assert_eq!(Pointer::parse(text), Err(fault), "{text}");
        }
    }
}
