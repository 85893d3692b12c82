//! Which language people are spoken to in: flag, then `KILAT_LANG`, then `LANG`.

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
        None => of_the_system(std::env::var("LANG").ok().as_deref()),
    }
}

/// A system that names neither language is most likely a server: English.
fn of_the_system(tag: Option<&str>) -> Lang {
    tag.and_then(Lang::from_tag).unwrap_or(Lang::English)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_wins_over_the_system() {
        assert_eq!(choose(Some(LangArg::Id)), Lang::Indonesian);
        for (tag, lang) in [
            (Some("id_ID.UTF-8"), Lang::Indonesian),
            (Some("en_GB.UTF-8"), Lang::English),
            (Some("C"), Lang::English),
            (None, Lang::English),
        ] {
            assert_eq!(of_the_system(tag), lang, "{tag:?}");
        }
    }
}
