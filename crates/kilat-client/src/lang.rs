//! What people read, in their language. Machine output never passes through here.

use std::fmt::Display;

/// A language that people can read results in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lang {
    /// Bahasa Indonesia.
    Indonesian,
    /// English.
    English,
}

impl Lang {
    /// ISO 639-1 code, the name of the file under `locales/`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Lang::Indonesian => "id",
            Lang::English => "en",
        }
    }

    /// The language of a tag such as `id`, `en-GB` or `id_ID.UTF-8`, if it is one of ours.
    #[must_use]
    pub fn from_tag(tag: &str) -> Option<Lang> {
        match tag.split(['-', '_', '.']).next()? {
            "id" => Some(Lang::Indonesian),
            "en" => Some(Lang::English),
            _ => None,
        }
    }

    /// The text named `key`, with each `%{name}` replaced.
    pub(crate) fn say(self, key: &str, values: &[(&str, &dyn Display)]) -> String {
        let text = rust_i18n::t!(key, locale = self.code());
        let names: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
        let values: Vec<String> = values.iter().map(|(_, value)| value.to_string()).collect();
        rust_i18n::replace_patterns(&text, &names, &values)
    }

    /// A whole number with the language's mark between thousands.
    pub(crate) fn number(self, number: u64) -> String {
        let mark = match self {
            Lang::Indonesian => '.',
            Lang::English => ',',
        };
        let digits = number.to_string();
        let mut text = String::with_capacity(digits.len() * 4 / 3);
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                text.push(mark);
            }
            text.push(digit);
        }
        text
    }

    /// A duration given in microseconds, in the unit that reads best.
    pub(crate) fn micros(self, us: u64) -> String {
        let (value, unit) = match us {
            0..1_000 => return format!("{us} µs"),
            1_000..1_000_000 => (us as f64 / 1e3, "ms"),
            _ => (us as f64 / 1e6, self.seconds()),
        };
        format!("{} {unit}", self.decimal(value))
    }

    /// Two decimals, with the language's decimal mark.
    pub(crate) fn decimal(self, value: f64) -> String {
        let text = format!("{value:.2}");
        match self {
            Lang::Indonesian => text.replace('.', ","),
            Lang::English => text,
        }
    }

    const fn seconds(self) -> &'static str {
        match self {
            Lang::Indonesian => "dtk",
            Lang::English => "s",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_in_the_language() {
        for (number, id, en) in
            [(7, "7", "7"), (1_000, "1.000", "1,000"), (1_234_567, "1.234.567", "1,234,567")]
        {
            assert_eq!(Lang::Indonesian.number(number), id);
            assert_eq!(Lang::English.number(number), en);
        }
        assert_eq!(Lang::English.micros(999), "999 µs");
        assert_eq!(Lang::Indonesian.micros(1_500), "1,50 ms");
        assert_eq!(Lang::English.micros(2_000_000), "2.00 s");
    }

    #[test]
    fn tags_name_languages() {
        for (tag, lang) in [
            ("id_ID.UTF-8", Some(Lang::Indonesian)),
            ("en-GB", Some(Lang::English)),
            ("C.UTF-8", None),
            ("", None),
        ] {
            assert_eq!(Lang::from_tag(tag), lang, "{tag}");
        }
    }

    /// The texts by key, and the `%{names}` in each.
    fn texts(source: &str) -> std::collections::BTreeMap<String, Vec<String>> {
        let table: toml::Table = source.parse().unwrap();
        let mut found = std::collections::BTreeMap::new();
        collect("", &table, &mut found);
        found
    }

    fn collect(
        prefix: &str,
        table: &toml::Table,
        found: &mut std::collections::BTreeMap<String, Vec<String>>,
    ) {
        for (name, value) in table {
            let key = format!("{prefix}{name}");
            match value {
                toml::Value::Table(inner) => collect(&format!("{key}."), inner, found),
                toml::Value::String(text) => {
                    let mut names: Vec<String> = text
                        .split("%{")
                        .skip(1)
                        .map(|rest| rest.split('}').next().unwrap_or_default().to_owned())
                        .collect();
                    names.sort();
                    names.dedup();
                    found.insert(key, names);
                }
                _ => {}
            }
        }
    }

    #[test]
    fn both_languages_have_the_same_texts_and_figures() {
        let id = texts(include_str!("../locales/id.toml"));
        let en = texts(include_str!("../locales/en.toml"));
        assert!(id.len() > 50);
        assert_eq!(id, en);
    }
}
