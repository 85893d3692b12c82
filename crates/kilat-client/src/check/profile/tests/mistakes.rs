//! Each mistake in a profile is named by its place, with what to do.

use super::*;

#[track_caller]
fn check(text: &str, place: &str, says: &str) {
    for lang in [INDONESIAN, ENGLISH] {
        let message = match read::read("mine.toml", text, &secret, lang) {
            Err(ClientError::Usage(message)) => message,
            other => panic!("{text}\n{other:?}"),
        };
        assert!(message.starts_with(&format!("mine.toml:{place}: ")), "{text}\n{message}");
        assert!(!message.contains("s3cret") && !message.contains("profile."), "{message}");
        assert!(!message.contains("%{"), "{message}");
        if lang == ENGLISH {
            assert!(message.contains(says), "{text}\n{message}\n{says}");
        }
    }
}

#[test]
fn todo() {
    check("", "1:1", "has no 'url'");
}
