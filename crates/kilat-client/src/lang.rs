//! What people read, in their language. Machine output never passes through here.

mod system;

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

    /// The text named `key`, filled as [`Lang::fill`] does.
    pub(crate) fn say(self, key: &str, values: &[(&str, &dyn Display)]) -> String {
        self.fill(&rust_i18n::t!(key, locale = self.code()), values)
    }

    /// `text` with each `%{name}` replaced by that value, and each `%{name:one|other}` by the first
    /// word where that value is 1, else by the second. `%{why}` is what the system said, without
    /// its numbers of errors, and put into the language as far as it is known.
    #[must_use]
    pub fn fill(self, text: &str, values: &[(&str, &dyn Display)]) -> String {
        let mut filled = String::with_capacity(text.len() * 2);
        let mut rest = text;
        while let Some((before, place, after)) = next_place(rest) {
            filled.push_str(before);
            let (name, forms) = place.split_once(':').unwrap_or((place, ""));
            match values.iter().find(|(known, _)| *known == name) {
                Some((_, value)) if name == "why" => filled.push_str(&self.why(value)),
                Some((_, value)) => filled.push_str(&form_of(&value.to_string(), forms)),
                // A text of ours that shows how a place is written.
                None => filled.push_str(&rest[before.len()..rest.len() - after.len()]),
            }
            rest = after;
        }
        filled + rest
    }

    fn why(self, said: &dyn Display) -> String {
        let said = system::plain(&said.to_string());
        match self {
            Lang::Indonesian => system::indonesian(&said),
            Lang::English => said,
        }
    }

    /// A whole number with the language's mark between thousands.
    #[must_use]
    pub fn number(self, number: u64) -> String {
        self.grouped(&number.to_string())
    }

    /// A decimal amount of a currency: `Rp24.999.000` or `IDR 24,999,000`.
    pub(crate) fn price(self, amount: &str, currency: &str) -> String {
        let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
        let sign = match (self, currency) {
            (Lang::Indonesian, "IDR") => "Rp".to_owned(),
            _ => format!("{currency} "),
        };
        let point = match self {
            _ if fraction.is_empty() => "",
            Lang::Indonesian => ",",
            Lang::English => ".",
        };
        format!("{sign}{}{point}{fraction}", self.grouped(whole))
    }

    /// Digits with the language's mark between thousands.
    fn grouped(self, digits: &str) -> String {
        let mark = match self {
            Lang::Indonesian => '.',
            Lang::English => ',',
        };
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
    #[must_use]
    pub fn decimal(self, value: f64) -> String {
        self.marked(format!("{value:.2}"))
    }

    /// A number that is written with a point, with the language's decimal mark.
    #[must_use]
    pub fn marked(self, number: String) -> String {
        match self {
            Lang::Indonesian => number.replace('.', ","),
            Lang::English => number,
        }
    }

    const fn seconds(self) -> &'static str {
        match self {
            Lang::Indonesian => "dtk",
            Lang::English => "s",
        }
    }
}

/// An instant to the second, as people of both languages read it.
pub(crate) fn utc(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// What stands before the first place in `text`, within it and behind it.
fn next_place(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("%{")?;
    let (place, after) = rest.split_once('}')?;
    Some((before, place, after))
}

/// The value itself, or the form of a word that goes with it.
fn form_of(value: &str, forms: &str) -> String {
    match forms.split_once('|') {
        None => value.to_owned(),
        Some((one, _)) if value == "1" => one.to_owned(),
        Some((_, other)) => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_written_as_the_pages_write_them() {
        for (amount, currency, indonesian, english) in [
            ("24999000", "IDR", "Rp24.999.000", "IDR 24,999,000"),
            ("1499.00", "USD", "USD 1.499,00", "USD 1,499.00"),
            ("0", "IDR", "Rp0", "IDR 0"),
        ] {
            assert_eq!(Lang::Indonesian.price(amount, currency), indonesian);
            assert_eq!(Lang::English.price(amount, currency), english);
        }
    }

    #[test]
    fn words_go_with_their_numbers() {
        let text = "%{ids} %{ids:id|ids}, %{lost} lost, %{unknown}";
        for (ids, expected) in [("1", "1 id"), ("0", "0 ids"), ("1,001", "1,001 ids")] {
            let said = Lang::English.fill(text, &[("ids", &ids), ("lost", &"%{ids}")]);
            assert_eq!(said, format!("{expected}, %{{ids}} lost, %{{unknown}}"));
        }
    }

    /// A number is followed by a word that may have to be singular.
    #[test]
    fn each_counted_word_has_a_singular() {
        for (_, en) in PROGRAM {
            assert_eq!(counted_words_without_a_singular(en), [""; 0]);
        }
        let wrong = counted_words_without_a_singular("a = \"%{n} whole frames in %{url} is\"");
        assert_eq!(wrong, ["frames"]);
    }

    /// Places where a number and a plural stand together.
    fn counted_words_without_a_singular(locale: &str) -> Vec<&str> {
        let verbs = [
            "is",
            "keeps",
            "was",
            "has",
            "answers",
            "takes",
            "chooses",
            "exists",
            "ends",
            "begins",
            "continues",
            "gives",
            "asks",
            "needs",
            "allows",
            "names",
            "holds",
            "counts",
            "calls",
            "does",
            "knows",
            "tells",
            "stands",
            "goes",
            "says",
            "this",
            "as",
            "its",
            "comes",
        ];
        let after_places = locale.split("%{").skip(1).filter_map(|rest| rest.split_once('}'));
        let counted = after_places.filter(|(place, _)| !place.contains(':'));
        let words = counted.filter_map(|(_, after)| {
            let mut words = after.strip_prefix(' ')?.split([' ', ',', ':', ';', '.', '"', '\n']);
            let first = words.next()?;
            let is_adjective = ["whole", "more", "further", "broken", "refused", "different"];
            if is_adjective.contains(&first) { words.next() } else { Some(first) }
        });
        let is_word = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase());
        words
            .filter(is_word)
            .filter(|w| w.len() > 2 && w.ends_with('s') && !verbs.contains(w))
            .collect()
    }

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
                        .map(|rest| rest.split(['}', ':']).next().unwrap_or_default().to_owned())
                        .collect();
                    names.sort();
                    names.dedup();
                    found.insert(key, names);
                }
                _ => {}
            }
        }
    }

    /// The texts of this library and of the program around it, Indonesian and English.
    const PROGRAM: [(&str, &str); 2] = [
        (include_str!("../locales/id.toml"), include_str!("../locales/en.toml")),
        (include_str!("../../kilat/locales/id.toml"), include_str!("../../kilat/locales/en.toml")),
    ];

    #[test]
    fn both_languages_have_the_same_texts_and_figures() {
        for (id, en) in PROGRAM {
            let (id, en) = (texts(id), texts(en));
            assert!(id.len() > 50);
            assert_eq!(id, en);
        }
    }
}
