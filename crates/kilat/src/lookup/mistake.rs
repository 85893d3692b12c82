//! What is wrong with a data set, in the user's language.

use crate::lang::{Lang, say};
use kilat_server::lookup::{DatasetError, Mistake, Wanted};

/// The place in the data set, and what is wrong there.
pub(super) fn explain(error: &DatasetError, lang: Lang) -> String {
    let field = error.field().map(|field| format!("{}: ", field.escape_debug()));
    let (what, line, column) = (what(error.mistake(), lang), error.line(), error.column());
    let what = match error.mistake() {
        // The parser says itself where.
        Mistake::Syntax(_) => what,
        _ => say!(lang, "lookup.mistake.at", what = what, line = line, column = column),
    };
    field.unwrap_or_default() + &what
}

fn what(mistake: &Mistake, lang: Lang) -> String {
    // Names come from the file, and may hold what moves a cursor.
    let quoted = |name: &str| format!("{name:?}");
    let number = |most: usize| lang.number(most as u64);
    match mistake {
        Mistake::Syntax(said) => say!(lang, "lookup.mistake.syntax", why = said.escape_debug()),
        Mistake::UnknownProfile(name) => {
            say!(lang, "lookup.mistake.profile", name = quoted(name))
        }
        Mistake::Twice(name) => say!(lang, "lookup.mistake.twice", name = quoted(name)),
        Mistake::SameIds(first, second) => {
            let (first, second) = (quoted(first), quoted(second));
            say!(lang, "lookup.mistake.same_ids", first = first, second = second)
        }
        Mistake::IdLength(most) => say!(lang, "lookup.mistake.id", most = number(*most)),
        Mistake::TooManyRows(most) => say!(lang, "lookup.mistake.rows", most = number(*most)),
        Mistake::UnknownField { name, profile, known } => {
            let name = quoted(name);
            say!(lang, "lookup.mistake.field", name = name, profile = profile, known = known)
        }
        Mistake::MissingField(name) => say!(lang, "lookup.mistake.missing", name = quoted(name)),
        Mistake::Kind(wanted) => say!(lang, "lookup.mistake.kind", wanted = kind(wanted, lang)),
    }
}

fn kind(wanted: &Wanted, lang: Lang) -> String {
    match wanted {
        Wanted::Profiles => say!(lang, "lookup.wanted.profiles"),
        Wanted::Rows(parameter) => say!(lang, "lookup.wanted.rows", parameter = parameter),
        Wanted::Fields(known) => say!(lang, "lookup.wanted.fields", known = known),
        Wanted::Text(most) => say!(lang, "lookup.wanted.text", most = lang.number(*most as u64)),
        Wanted::Count => say!(lang, "lookup.wanted.count"),
        Wanted::Percent => say!(lang, "lookup.wanted.percent"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kilat_server::lookup::Dataset;

    #[test]
    fn a_mistake_is_said_in_both_languages() {
        for (json, id, en) in [
            ("", "terputus di tengah nilai, di kolom 0", "EOF while parsing a value at column 0"),
            (
                "[]",
                "seharusnya objek berisi profil: stock, flight, domain, package, player, di baris 1 kolom 0",
                "this must be an object of profiles: stock, flight, domain, package, player, at line 1 column 0",
            ),
            (
                "{\"a\\u001b[2J\":{}}",
                "\"a\\u{1b}[2J\" bukan profil: pakai stock, flight, domain, package, player, di baris 1 kolom 13",
                "\"a\\u{1b}[2J\" is no profile: use stock, flight, domain, package, player, at line 1 column 13",
            ),
            (
                "{\"player\":{\"a\":{\"username\":\"\",\"rank\":\"\",\"win_rate\":1},\"A\":{}}}",
                "player: id \"a\" dan \"A\" sama bagi lookup: hapus salah satu, di baris 1 kolom 57",
                "player: the ids \"a\" and \"A\" are the same to a lookup: remove one, at line 1 column 57",
            ),
            (
                "{\"stock\":{\n\"a\":{\"stock\":\"1\"}}}",
                "stock.a.stock: seharusnya bilangan bulat, 0 atau lebih, di baris 2 kolom 16",
                "stock.a.stock: this must be a whole number, 0 or more, at line 2 column 16",
            ),
            (
                "{\"stock\":{\n\"a\":{\"name\":\"\"}}}",
                "stock.a: field \"stock\" belum ada: tambahkan, di baris 2 kolom 15",
                "stock.a: the field \"stock\" is missing: add it, at line 2 column 15",
            ),
        ] {
            let error = Dataset::reference().replace(json).unwrap_err();
            assert_eq!(explain(&error, Lang::Indonesian), id);
            assert_eq!(explain(&error, Lang::English), en);
        }
    }
}
