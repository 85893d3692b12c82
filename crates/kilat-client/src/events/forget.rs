//! Dropping the bodies of old events. Ids and counters stay for ever, so that
//! dedup stays exact.

use crate::http::{Access, Api, CallError, decode};
use crate::{ClientError, Lang};
use kilat_api::event::{ForgetReply, ForgetRequest};
use std::time::Duration;
use ureq::http::Method;

/// Longest age that can be asked for: a hundred years.
const AGE_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

/// What to forget.
#[derive(Clone, Debug)]
pub struct ForgetOptions {
    /// Where the server is; needs the admin token.
    pub access: Access,
    /// Only this topic; `None` for all.
    pub topic: Option<String>,
    /// Only events received longer ago than this; `None` for all that there are now.
    pub older_than: Option<Duration>,
    /// JSON in place of a sentence.
    pub json: bool,
    /// Language of the sentence and of errors.
    pub lang: Lang,
}

impl ForgetOptions {
    /// Whether it says what to forget.
    ///
    /// # Errors
    /// [`ClientError::Usage`] without a topic and an age.
    pub fn check(&self) -> Result<(), ClientError> {
        if self.topic.is_none() && self.older_than.is_none() {
            return Err(ClientError::Usage(self.lang.say("events.forget_what", &[])));
        }
        Ok(())
    }

    /// What will be done, as a sentence to agree to.
    #[must_use]
    pub fn explain(&self) -> String {
        let lang = self.lang;
        let topic = self.topic_text();
        let age = match self.older_than {
            Some(age) => lang.say("events.forget_older", &[("age", &age_text(age))]),
            None => lang.say("events.forget_any_age", &[]),
        };
        lang.say("events.forget_explain", &[("topic", &topic), ("age", &age)])
    }

    fn topic_text(&self) -> String {
        match &self.topic {
            Some(topic) => self.lang.say("events.forget_topic", &[("topic", topic)]),
            None => self.lang.say("events.forget_all_topics", &[]),
        }
    }
}

/// What the server did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forgot {
    /// What belongs on stdout, with a newline at its end.
    pub text: String,
    /// Whether there was an event that the order could concern.
    pub something: bool,
}

/// Forgets, and returns what to tell.
///
/// # Errors
/// [`ClientError::Usage`] without a topic and an age, or a wrong token;
/// [`ClientError::NoAdminToken`] without one;
/// [`ClientError::Refused`] with the server's reason.
pub fn forget(options: &ForgetOptions) -> Result<Forgot, ClientError> {
    let lang = options.lang;
    options.check()?;
    let api = Api::new(&options.access, lang)?;
    if !api.has_token() {
        return Err(ClientError::NoAdminToken(lang.say("error.no_admin_token", &[])));
    }
    let request = ForgetRequest {
        topic: options.topic.clone(),
        older_than_seconds: options.older_than.map(|age| age.as_secs()),
    };
    // Strings and numbers only: nothing in it can fail to be written.
    let body = serde_json::to_vec(&request).unwrap_or_default();
    let answer = api.send(Method::POST, "/events/forget", None, body);
    let (_, body) = answer.map_err(|error| match error {
        CallError::Refused { status: 401 | 403, .. } => {
            ClientError::Usage(lang.say("error.admin_token", &[]))
        }
        error => error.explain(&options.access.url, lang),
    })?;
    let reply: ForgetReply = decode(&body).map_err(|e| e.explain(&options.access.url, lang))?;
    let text = if options.json {
        serde_json::to_string_pretty(&reply).unwrap_or_default()
    } else {
        told(options.topic.as_deref(), &reply, lang)
    };
    Ok(Forgot { text: text + "\n", something: reply.topic_events != Some(0) })
}

/// What was forgotten. Offsets count the events of all topics, from 0.
fn told(topic: Option<&str>, reply: &ForgetReply, lang: Lang) -> String {
    let below = reply.below;
    match topic {
        Some(topic) if reply.topic_events == Some(0) => {
            lang.say("events.forgot_nothing", &[("topic", &topic)])
        }
        Some(topic) => lang.say("events.forgot", &[("topic", &topic), ("below", &below)]),
        None => lang.say("events.forgot_all", &[("count", &lang.number(below))]),
    }
}

/// An age such as `90s`, `15m`, `12h`, `30d` or `4w`.
#[must_use]
pub fn parse_age(text: &str) -> Option<Duration> {
    let unit = text.chars().next_back()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => return None,
    };
    let digits = text.strip_suffix(unit)?;
    let count: u64 = digits.parse().ok().filter(|_| !digits.starts_with('+'))?;
    let age = Duration::from_secs(count.checked_mul(seconds)?);
    (age <= AGE_MAX).then_some(age)
}

/// The age in the largest unit that divides it.
fn age_text(age: Duration) -> String {
    let seconds = age.as_secs();
    let units = [(86_400, 'd'), (3_600, 'h'), (60, 'm')];
    let fitting = units.into_iter().find(|(size, _)| seconds > 0 && seconds.is_multiple_of(*size));
    fitting
        .map_or_else(|| format!("{seconds}s"), |(size, unit)| format!("{}{unit}", seconds / size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_what_was_forgotten_or_that_nothing_was() {
        for (topic, below, topic_events, says) in [
            (None, 0, None, "Forgotten: what the first 0 events say"),
            (None, 1, None, "Forgotten: what the first 1 event says"),
            (None, 12_345, None, "Forgotten: what the first 12,345 events say"),
            (Some("t"), 7, Some(2), "Forgotten: what the events of topic t below offset 7 say"),
            // A server that does not count them.
            (Some("t"), 7, None, "Forgotten: what the events of topic t below offset 7 say"),
            (Some("t"), 7, Some(0), "Nothing was forgotten: no event is in topic t;"),
        ] {
            let told = told(topic, &ForgetReply { below, topic_events }, Lang::English);
            assert!(told.starts_with(says), "{told}");
        }
    }

    #[test]
    fn ages() {
        for (text, seconds) in
            [("30d", Some(2_592_000)), ("0s", Some(0)), ("15m", Some(900)), ("2w", Some(1_209_600))]
        {
            assert_eq!(parse_age(text).map(|age| age.as_secs()), seconds, "{text}");
        }
        for text in
            ["", "d", "30", "-1d", "1.5h", "9999999999999999w", "36501d", "30 d", "+1d", "1é"]
        {
            assert_eq!(parse_age(text), None, "{text}");
        }
        for text in ["30d", "90s", "15m", "12h"] {
            assert_eq!(parse_age(text).map(age_text).as_deref(), Some(text));
        }
    }
}
