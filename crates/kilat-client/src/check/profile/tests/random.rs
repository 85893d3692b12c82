//! Whatever an id or a reply holds.
