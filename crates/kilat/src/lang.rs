//! Which language people are spoken to in: flag, then `KILAT_LANG`, then the system's.

use crate::cli::LangArg;
use clap::ValueEnum as _;
pub(crate) use kilat_client::Lang;
use std::ffi::OsString;

/// The text that a key names in a language, with its places filled.
macro_rules! say {
    ($lang:expr, $key:expr $(, $name:ident = $value:expr)* $(,)?) => {
        $lang.fill(
            &rust_i18n::t!($key, locale = $lang.code()),
            &[$((stringify!($name), &$value as &dyn std::fmt::Display)),*],
        )
    };
}
pub(crate) use say;

/// The language before the command line is understood: help and mistakes need one too.
pub(crate) fn before_parsing(typed: &[OsString]) -> Lang {
    let typed = || typed.iter().map(|word| word.to_string_lossy()).take_while(|word| word != "--");
    let behind = typed().zip(typed().skip(1)).find(|(flag, _)| flag == "--lang");
    let within = typed().find_map(|word| word.strip_prefix("--lang=").map(str::to_owned));
    let asked = behind.map(|(_, value)| value.into_owned()).or(within);
    let asked = asked.or_else(|| std::env::var("KILAT_LANG").ok());
    choose(asked.and_then(|value| LangArg::from_str(&value, false).ok()))
}

/// The language to speak; the flag and `KILAT_LANG` arrive as one.
pub(crate) fn choose(asked: Option<LangArg>) -> Lang {
    match asked {
        Some(LangArg::Id) => Lang::Indonesian,
        Some(LangArg::En) => Lang::English,
        None => of_the_system(|name| std::env::var(name).ok()),
    }
}

/// What POSIX says messages are in: the first of these that is set and not empty. A system that
/// names neither language is most likely a server: English.
fn of_the_system(value_of: impl Fn(&str) -> Option<String>) -> Lang {
    let mut set = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().filter_map(value_of);
    let tag = set.find(|tag| !tag.is_empty());
    tag.as_deref().and_then(Lang::from_tag).unwrap_or(Lang::English)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_wins_over_the_system() {
        assert_eq!(choose(Some(LangArg::Id)), Lang::Indonesian);
        for (set, lang) in [
            (&[("LANG", "id_ID.UTF-8")][..], Lang::Indonesian),
            (&[("LANG", "en_GB.UTF-8")], Lang::English),
            (&[("LANG", "C")], Lang::English),
            (&[], Lang::English),
            (&[("LC_ALL", "id_ID.UTF-8"), ("LANG", "C")], Lang::Indonesian),
            (&[("LC_ALL", "C"), ("LC_MESSAGES", "id_ID"), ("LANG", "id_ID")], Lang::English),
            (&[("LC_MESSAGES", "id_ID"), ("LANG", "en_US")], Lang::Indonesian),
            (&[("LC_ALL", ""), ("LC_MESSAGES", ""), ("LANG", "id_ID")], Lang::Indonesian),
        ] {
            let value_of = |name: &str| {
                let found = set.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(of_the_system(value_of), lang, "{set:?}");
        }
    }
}
