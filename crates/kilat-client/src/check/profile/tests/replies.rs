//! What the built-in profiles make of replies, to the letter of the seed's clients.

use super::*;
use Outcome::{Found, NotFound, Unknown};

/// In Indonesian, which is what the seed's logs are written in.
#[track_caller]
pub(super) fn check(
    profile: &str,
    asked: &str,
    status: u16,
    body: &str,
    outcome: Outcome,
    message: &str,
) {
    let verdict = judge(&built_in(profile), asked, status, body, INDONESIAN);
    assert_eq!((verdict.outcome, verdict.message.as_str()), (outcome, message), "{body}");
}

#[test]
fn the_seeds_lists_read_as_in_the_seeds() {
    for (profile, ids) in [
        ("stock", "SKU-001 SKU-003 SKU-999 SKU-002 SKU-004"),
        ("flight", "GA202 JT686 XX123 QZ7510 ID7280"),
        ("domain", "google.com idekerenbanget.com tokopedia.com startupimpianku.id github.com"),
        ("package", "JNE001 TIKI002 INVALID123 JNT004 SICEPAT003"),
        ("player", "PLAYER01 PLAYER03 GHOSTPLAYER PLAYER05 PLAYER02"),
    ] {
        let own: Vec<String> =
            built_in(profile).own_ids().iter().map(|id| id.as_str().to_owned()).collect();
        assert_eq!(own.join(" "), ids);
    }
}

#[test]
fn the_words_of_the_text_log_are_the_seeds() {
    for (profile, words) in [
        (
            "stock",
            "Stock Checker/stock_checker_log.txt/SKU/pengecekan stok produk/pengecekan untuk SKU/\
             pengecekan stok",
        ),
        (
            "flight",
            "Flight Tracker/flight_tracker_log.txt/Penerbangan/pelacakan status penerbangan/\
             pelacakan untuk Penerbangan/pelacakan penerbangan",
        ),
        (
            "domain",
            "Domain Checker/domain_checker_log.txt/Domain/pengecekan ketersediaan domain/\
             pengecekan untuk domain/pengecekan domain",
        ),
        (
            "package",
            "Package Tracker/package_tracker_log.txt/Nomor Resi/pelacakan paket/\
             pelacakan untuk No. Resi/pelacakan paket",
        ),
        (
            "player",
            "Player Stats Fetch/player_stats_fetch_log.txt/Player ID/pengambilan statistik pemain/\
             pengambilan data untuk Player ID/pengambilan statistik",
        ),
    ] {
        let profile = built_in(profile);
        let SeedTexts { header, log_file, label, all, each, done } = profile.seed().unwrap();
        assert_eq!([header, log_file, label, all, each, done].map(String::as_str).join("/"), words);
    }
}

#[test]
fn stock_reads_as_in_the_seed() {
    for (id, body, message) in [
        (
            "SKU-001",
            r#"{"name":"Wireless Mouse Pro","sku":"SKU-001","stock":150,"warehouse":"Gudang A"}"#,
            "Berhasil! Stok 'Wireless Mouse Pro' adalah 150 unit di Gudang A.",
        ),
        (
            "SKU-003",
            r#"{"name":"4K UHD Webcam","sku":"SKU-003","stock":0,"warehouse":"Gudang A"}"#,
            "Habis! Stok '4K UHD Webcam' adalah 0 unit di Gudang A.",
        ),
        (
            "SKU-002",
            r#"{"name":"Mechanical Keyboard RGB","sku":"SKU-002","stock":75,"warehouse":"Gudang B"}"#,
            "Berhasil! Stok 'Mechanical Keyboard RGB' adalah 75 unit di Gudang B.",
        ),
        (
            "SKU-004",
            r#"{"name":"USB-C Hub 7-in-1","sku":"SKU-004","stock":210,"warehouse":"Gudang C"}"#,
            "Berhasil! Stok 'USB-C Hub 7-in-1' adalah 210 unit di Gudang C.",
        ),
        (
            "x",
            r#"{"name":"Caf\u00e9","sku":"X","stock":1e2,"warehouse":null}"#,
            "Berhasil! Stok 'Café' adalah 1e2 unit di N/A.",
        ),
        ("x", r#"{"name":"A","sku":"X","stock":0.0}"#, "Habis! Stok 'A' adalah 0.0 unit di N/A."),
    ] {
        check("stock", id, 200, body, Found, message);
    }
    let missing = r#"{"error":"sku_not_found","message":"Product with SKU 'SKU-999' not found in inventory."}"#;
    let message = "Error: SKU SKU-999 tidak ditemukan. Pesan: Product with SKU 'SKU-999' not found in inventory.";
    check("stock", "SKU-999", 404, missing, NotFound, message);
}

#[test]
fn flights_read_as_in_the_seed() {
    for (id, body, message) in [
        (
            "GA202",
            r#"{"airline":"Garuda Indonesia","destination":"Denpasar (DPS)","flight_number":"GA202","gate":"5A","status":"On Time"}"#,
            "Berhasil! Penerbangan GA202 ke Denpasar (DPS) status: On Time di Gate 5A.",
        ),
        (
            "JT686",
            r#"{"airline":"Lion Air","destination":"Jakarta (CGK)","flight_number":"JT686","gate":"12B","status":"Delayed - 30 mins"}"#,
            "Berhasil! Penerbangan JT686 ke Jakarta (CGK) status: Delayed - 30 mins di Gate 12B.",
        ),
        (
            "ga9",
            r#"{"flight_number":"GA9","status":"On Time"}"#,
            "Berhasil! Penerbangan GA9 ke N/A status: On Time di Gate N/A.",
        ),
    ] {
        check("flight", id, 200, body, Found, message);
    }
    let missing = r#"{"error":"flight_not_found","message":"Flight number 'XX123' not found on the schedule."}"#;
    let message = "Error: Penerbangan XX123 tidak ditemukan. Pesan: Flight number 'XX123' not found on the schedule.";
    check("flight", "XX123", 404, missing, NotFound, message);
}

#[test]
fn domains_read_as_in_the_seed_and_are_never_available_by_mistake() {
    let registered =
        r#"{"domain":"google.com","registrar":"MarkMonitor Inc.","status":"Registered"}"#;
    check(
        "domain",
        "google.com",
        200,
        registered,
        Found,
        "TERDAFTAR! Domain google.com sudah dimiliki.",
    );
    let available = r#"{"domain":"idekerenbanget.com","message":"Domain 'idekerenbanget.com' appears to be available for registration.","status":"Available"}"#;
    let message = "TERSEDIA! Domain idekerenbanget.com bisa didaftarkan.";
    check("domain", "idekerenbanget.com", 200, available, NotFound, message);
    check(
        "domain",
        "a.id",
        200,
        r#"{"domain":"a.id","status":"Available"}"#,
        NotFound,
        "TERSEDIA! Domain a.id bisa didaftarkan.",
    );
    for (status, body) in [
        (200, "{}"),
        (200, r#"{"status":"available"}"#),
        (200, r#"{"status":["Available"]}"#),
        (200, r#"[{"status":"Available"}]"#),
        (200, "<html>Available</html>"),
        (200, "\"Available\""),
        (200, ""),
        (201, r#"{"status":"Available"}"#),
        (404, r#"{"status":"Available"}"#),
        (404, r#"{"error":"not_found"}"#),
        (500, r#"{"status":"Available"}"#),
    ] {
        let verdict = judge(&built_in("domain"), "a.id", status, body, INDONESIAN);
        assert_eq!(verdict.outcome, Unknown, "{status} {body}");
        assert!(!verdict.notable);
    }
    check(
        "domain",
        "a.id",
        404,
        "{\"a\":1}\n",
        Unknown,
        "Menerima status error dari API: 404 - {\"a\":1}",
    );
}

#[test]
fn parcels_read_as_in_the_seed() {
    let body = r#"{"courier":"JNE Express","current_location":"Jakarta Sorting Center","status":"In Transit","tracking_number":"JNE001"}"#;
    check(
        "package",
        "JNE001",
        200,
        body,
        Found,
        "Berhasil! Paket JNE001 (JNE Express) status: In Transit di Jakarta Sorting Center.",
    );
    let missing =
        r#"{"error":"tracking_not_found","message":"Tracking number 'INVALID123' not found."}"#;
    let message = "Error: Nomor Resi INVALID123 tidak ditemukan. Pesan: Tracking number 'INVALID123' not found.";
    check("package", "INVALID123", 404, missing, NotFound, message);
}

#[test]
fn players_read_as_in_the_seed() {
    let body = r#"{"player_id":"PLAYER05","rank":"Mythical Glory","username":"QueenOfLag","win_rate":72.0}"#;
    check(
        "player",
        "PLAYER05",
        200,
        body,
        Found,
        "Berhasil! Stats untuk QueenOfLag: Rank Mythical Glory, Win Rate 72.0%.",
    );
    let missing =
        r#"{"error":"player_not_found","message":"Player with ID 'GHOSTPLAYER' does not exist."}"#;
    let message = "Error: Player ID GHOSTPLAYER tidak ditemukan. Pesan: Player with ID 'GHOSTPLAYER' does not exist.";
    check("player", "GHOSTPLAYER", 404, missing, NotFound, message);
}

#[test]
fn english_says_the_same() {
    let missing = r#"{"error":"sku_not_found","message":"no X"}"#;
    for (profile, status, body, message) in [
        (
            "stock",
            200,
            r#"{"name":"A","sku":"X","stock":3,"warehouse":"B"}"#,
            "Success! Stock of 'A' is 3 units in B.",
        ),
        (
            "stock",
            200,
            r#"{"name":"A","sku":"X","stock":0,"warehouse":"B"}"#,
            "Sold out! Stock of 'A' is 0 units in B.",
        ),
        ("stock", 404, missing, "Error: SKU X not found. Message: no X"),
        (
            "flight",
            200,
            r#"{"flight_number":"X","status":"Late"}"#,
            "Success! Flight X to N/A status: Late at gate N/A.",
        ),
        (
            "flight",
            404,
            r#"{"error":"flight_not_found","message":"no X"}"#,
            "Error: Flight X not found. Message: no X",
        ),
        (
            "domain",
            200,
            r#"{"domain":"x","status":"Registered"}"#,
            "REGISTERED! Domain x is taken.",
        ),
        (
            "domain",
            200,
            r#"{"domain":"x","status":"Available"}"#,
            "AVAILABLE! Domain x can be registered.",
        ),
        (
            "package",
            200,
            r#"{"status":"Lost","tracking_number":"X"}"#,
            "Success! Parcel X (N/A) status: Lost in N/A.",
        ),
        (
            "package",
            404,
            r#"{"error":"tracking_not_found","message":"no X"}"#,
            "Error: Tracking number X not found. Message: no X",
        ),
        (
            "player",
            200,
            r#"{"player_id":"X","rank":"A","win_rate":65.5}"#,
            "Success! Stats of N/A: rank A, win rate 65.5%.",
        ),
        (
            "player",
            404,
            r#"{"error":"player_not_found","message":"no X"}"#,
            "Error: Player ID X not found. Message: no X",
        ),
        ("stock", 400, "no", "Received an error status from the API: 400 - no"),
        ("rdap", 404, "", "NOT REGISTERED! Domain X may be available."),
    ] {
        assert_eq!(judge(&built_in(profile), "X", status, body, ENGLISH).message, message);
    }
}

#[test]
fn sold_out_and_available_are_notable() {
    for (profile, status, body, notable) in [
        ("stock", 200, r#"{"sku":"x","stock":0}"#, true),
        ("stock", 200, r#"{"sku":"x","stock":1}"#, false),
        ("stock", 200, r#"{"sku":"x","name":"A"}"#, true),
        ("stock", 200, "{}", false),
        ("domain", 200, r#"{"domain":"x","status":"Available"}"#, true),
        ("domain", 200, r#"{"domain":"x","status":"Registered"}"#, false),
        ("rdap", 404, "", true),
    ] {
        assert_eq!(
            judge(&built_in(profile), "X", status, body, ENGLISH).notable,
            notable,
            "{body}"
        );
    }
}

/// Ids are told apart as the APIs do, whatever the case.
#[test]
fn a_reply_about_another_id_leaves_an_id_unknown() {
    for (profile, status, body, says, retry) in [
        ("stock", 200, r#"{"sku":"Y","stock":1}"#, "another id", true),
        ("stock", 200, r#"{"sku":"Y","stock":0}"#, "another id", true),
        ("stock", 200, r#"{"stock":1}"#, "does not name", false),
        ("stock", 404, r#"{"error":"sku_not_found","message":"no 'X-1'"}"#, "another id", true),
        ("stock", 404, r#"{"error":"sku_not_found"}"#, "does not name", false),
        ("flight", 200, r#"{"flight_number":"XY","status":"a"}"#, "another id", true),
        ("flight", 404, r#"{"error":"flight_not_found","message":"no"}"#, "another id", true),
        ("domain", 200, r#"{"domain":"y","status":"Registered"}"#, "another id", true),
        ("domain", 200, r#"{"domain":"y","status":"Available"}"#, "another id", true),
        ("package", 200, r#"{"tracking_number":"Y","status":"a"}"#, "another id", true),
        ("package", 404, r#"{"error":"tracking_not_found","message":"Y"}"#, "another id", true),
        ("player", 200, r#"{"player_id":"Y","rank":"a"}"#, "another id", true),
        ("player", 404, r#"{"error":"player_not_found","message":"Y"}"#, "another id", true),
    ] {
        let verdict = judge(&built_in(profile), "x", status, body, ENGLISH);
        assert_eq!((verdict.outcome, verdict.retry), (Unknown, retry), "{profile} {body}");
        assert!(verdict.message.contains(says), "{}", verdict.message);
    }
}

#[test]
fn an_object_that_says_nothing_of_the_id_is_no_answer() {
    for (status, body) in [
        (200, "{}"),
        (200, r#"{"message":"please wait"}"#),
        (404, "{}"),
        (404, r#"{"message":"no Route matched with those values"}"#),
        (404, r#"{"error":"not_found","message":"X"}"#),
    ] {
        let excerpt = format!("Menerima status error dari API: {status} - {body}");
        check_unknown(status, body, false, &excerpt);
    }
}

/// For all profiles that know 200 and 404.
#[track_caller]
fn check_unknown(status: u16, body: &str, retry: bool, message: &str) {
    for profile in ["stock", "flight", "package", "player"] {
        let verdict = judge(&built_in(profile), "X", status, body, INDONESIAN);
        let said = (verdict.outcome, verdict.retry, verdict.message.as_str());
        assert_eq!(said, (Unknown, retry, message), "{profile} {status}");
    }
}

const PAGE: &str = "<!doctype html>\n<title>Please wait</title>";

#[test]
fn a_reply_that_cannot_be_read_leaves_an_id_unknown_and_is_asked_again() {
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
    for (body, says) in [
        (
            PAGE,
            "berisi halaman, bukan JSON, yang tidak dapat diterima aturan mana pun - <!doctype html>\n<title>Please wait</title>",
        ),
        ("", "tidak berisi apa-apa"),
        (" \n", "tidak berisi apa-apa"),
        ("OK", "berisi sesuatu yang bukan JSON - OK"),
        ("{\"stock\":1", "berisi sesuatu yang bukan JSON - {\"stock\":1"),
        ("[]", "berisi JSON yang jenisnya tidak sesuai - []"),
        ("null", "berisi JSON yang jenisnya tidak sesuai - null"),
        (&deep, &format!("berisi JSON yang bersarang terlalu dalam - {deep:.100}")),
    ] {
        for status in [200, 404] {
            let retry = !(status == 404 && body == PAGE);
            check_unknown(
                status,
                body,
                retry,
                &format!("Error permintaan: status {status} {says}"),
            );
        }
    }
    let latin = reply(200, b"{\"name\":\"caf\xe9\"}".to_vec());
    let verdict = built_in("stock").judge(&[id("X")], &latin, INDONESIAN).remove(0);
    assert_eq!((verdict.outcome, verdict.retry), (Unknown, true));
    assert!(verdict.message.contains("bukan UTF-8"), "{}", verdict.message);
}

#[test]
fn another_status_leaves_an_id_unknown_and_says_whether_to_ask_again() {
    let (page, long) = (format!("{PAGE}\n"), "é".repeat(101));
    for (status, body, retry, excerpt) in [
        (200, r#"{"error":"x","stock":5}"#, false, r#"{"error":"x","stock":5}"#),
        (404, r#"{"error":"not_found"}"#, false, r#"{"error":"not_found"}"#),
        (400, r#"{"error":"bad_request"}"#, false, r#"{"error":"bad_request"}"#),
        (403, &page, false, PAGE),
        (410, "{}", false, "{}"),
        (204, "", false, ""),
        (302, "", false, ""),
        (408, "", true, ""),
        (425, "", true, ""),
        (429, "{}", true, "{}"),
        (500, &long, true, &long[..200]),
        (503, &page, true, PAGE),
    ] {
        let message = format!("Menerima status error dari API: {status} - {excerpt}");
        check_unknown(status, body, retry, &message);
    }
}

#[test]
fn the_registry_says_who_is_registered_and_nobody_else_does() {
    for (status, body, outcome) in [
        (200, r#"{"objectClassName":"domain","ldhName":"EXAMPLE.COM"}"#, Found),
        (200, r#"{"objectClassName":"domain","ldhName":"example.com."}"#, Found),
        (200, r#"{"objectClassName":"domain","ldhName":"example.org"}"#, Unknown),
        (200, r#"{"objectClassName":"domain"}"#, Unknown),
        (200, r#"{"objectClassName":"entity"}"#, Unknown),
        (200, "{}", Unknown),
        (200, "<html>", Unknown),
        (404, "", NotFound),
        (404, "\r\n", NotFound),
        (404, r#"{"errorCode":404,"title":"Not Found"}"#, NotFound),
        (404, r#"{"rdapConformance":["rdap_level_0"]}"#, NotFound),
        (404, r#"{"message":"no Route matched with those values"}"#, Unknown),
        (404, r#"{"errorCode":400}"#, Unknown),
        (404, "<html>not found</html>", Unknown),
        (404, "Not Found", Unknown),
        (400, r#"{"errorCode":404}"#, Unknown),
        (429, "", Unknown),
    ] {
        for id in ["example.com", "Example.COM."] {
            let verdict = judge(&built_in("rdap"), id, status, body, INDONESIAN);
            assert_eq!(verdict.outcome, outcome, "{id} {status} {body}");
        }
    }
}

#[test]
fn a_row_is_the_object_on_one_line_and_keeps_its_numbers() {
    let profile = built_in("player");
    let row = |body: &str, status| {
        let verdict = judge(&profile, "X", status, body, ENGLISH);
        verdict.row.map(|row| row.get().to_owned())
    };
    let spaced = "{ \"win_rate\" : 72.0,\n \"username\": \"a b\" }\n";
    assert_eq!(row(spaced, 200).unwrap(), r#"{"win_rate":72.0,"username":"a b"}"#);
    assert_eq!(row("{\"message\":\"no\"}", 404).unwrap(), "{\"message\":\"no\"}");
    assert_eq!(row("[]", 200), None);
    assert_eq!(row("{}", 500), None);
    assert_eq!(row(&format!("{{\"a\":\"{}\"}}", "x".repeat(5_000)), 200), None);
}
