//! Replies that lack a field: what is told reads as in the seed, and an id alone tells nothing.

use super::replies::check;
use super::*;
use Outcome::{Found, Unknown};

#[test]
fn a_field_that_is_missing_reads_as_in_the_seed() {
    for (profile, body, message) in [
        ("stock", r#"{"sku":"X","stock":3}"#, "Berhasil! Stok 'N/A' adalah 3 unit di N/A."),
        (
            "stock",
            r#"{"name":"A","sku":"X","warehouse":"B"}"#,
            "Habis! Stok 'A' adalah 0 unit di B.",
        ),
        (
            "stock",
            r#"{"sku":"X","stock":null,"warehouse":"B"}"#,
            "Habis! Stok 'N/A' adalah 0 unit di B.",
        ),
        (
            "flight",
            r#"{"destination":"DPS","flight_number":"X"}"#,
            "Berhasil! Penerbangan X ke DPS status: N/A di Gate N/A.",
        ),
        (
            "flight",
            r#"{"flight_number":"X","gate":"A1"}"#,
            "Berhasil! Penerbangan X ke N/A status: N/A di Gate A1.",
        ),
        (
            "package",
            r#"{"courier":"JNE","tracking_number":"X"}"#,
            "Berhasil! Paket X (JNE) status: N/A di N/A.",
        ),
        (
            "package",
            r#"{"current_location":"Bandung","tracking_number":"X"}"#,
            "Berhasil! Paket X (N/A) status: N/A di Bandung.",
        ),
        (
            "player",
            r#"{"player_id":"X","username":"U"}"#,
            "Berhasil! Stats untuk U: Rank N/A, Win Rate 0%.",
        ),
        (
            "player",
            r#"{"player_id":"X","win_rate":50}"#,
            "Berhasil! Stats untuk N/A: Rank N/A, Win Rate 50%.",
        ),
    ] {
        check(profile, "x", 200, body, Found, message);
    }
    // An id and nothing else says nothing.
    for (profile, body) in [
        ("stock", r#"{"sku":"X"}"#),
        ("flight", r#"{"flight_number":"X","status":null}"#),
        ("package", r#"{"tracking_number":"X"}"#),
        ("player", r#"{"player_id":"X"}"#),
        ("domain", r#"{"domain":"x"}"#),
    ] {
        assert_eq!(
            judge(&built_in(profile), "x", 200, body, INDONESIAN).outcome,
            Unknown,
            "{body}"
        );
    }
}
