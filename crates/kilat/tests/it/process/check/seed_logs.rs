//! The five exercises' logs, line by line; only the order between workers is free.

use super::{check, ends, lookup};
use crate::program::stdout;
use std::collections::BTreeMap;
use std::path::Path;

/// One exercise: what its log must say, as the seed has it.
pub(super) struct Exercise {
    pub(super) profile: &'static str,
    pub(super) log: &'static str,
    header: &'static str,
    url: &'static str,
    all: &'static str,
    each: &'static str,
    pub(super) done: &'static str,
    /// Ids in their order, and how each ends.
    pub(super) results: [(&'static str, &'static str); 5],
}

pub(super) static EXERCISES: [Exercise; 5] = [
    Exercise {
        profile: "stock",
        log: "stock_checker_log.txt",
        header: "Stock Checker",
        url: "/get_stock?sku=",
        all: "pengecekan stok produk",
        each: "pengecekan untuk SKU",
        done: "pengecekan stok",
        results: [
            ("SKU-001", "Berhasil! Stok 'Wireless Mouse Pro' adalah 150 unit di Gudang A."),
            ("SKU-003", "Berhasil! Stok '4K Webcam' adalah 75 unit di Gudang A."),
            (
                "SKU-999",
                "Error: SKU SKU-999 tidak ditemukan. Pesan: Product with SKU 'SKU-999' not found in inventory.",
            ),
            ("SKU-002", "Habis! Stok 'Mechanical Keyboard RGB' adalah 0 unit di Gudang B."),
            ("SKU-004", "Berhasil! Stok 'USB-C Hub 8-in-1' adalah 210 unit di Gudang C."),
        ],
    },
    Exercise {
        profile: "flight",
        log: "flight_tracker_log.txt",
        header: "Flight Tracker",
        url: "/get_flight_status?flight_number=",
        all: "pelacakan status penerbangan",
        each: "pelacakan untuk Penerbangan",
        done: "pelacakan penerbangan",
        results: [
            ("GA202", "Berhasil! Penerbangan GA202 ke DPS status: On Time di Gate D5."),
            ("JT686", "Berhasil! Penerbangan JT686 ke UPG status: Boarding di Gate F1."),
            (
                "XX123",
                "Error: Penerbangan XX123 tidak ditemukan. Pesan: Flight number 'XX123' not found on the schedule.",
            ),
            ("QZ7510", "Berhasil! Penerbangan QZ7510 ke SIN status: Delayed di Gate E2."),
            ("ID7280", "Berhasil! Penerbangan ID7280 ke KNO status: On Time di Gate D8."),
        ],
    },
    Exercise {
        profile: "domain",
        log: "domain_checker_log.txt",
        header: "Domain Checker",
        url: "/check_domain?domain=",
        all: "pengecekan ketersediaan domain",
        each: "pengecekan untuk domain",
        done: "pengecekan domain",
        results: [
            ("google.com", "TERDAFTAR! Domain google.com sudah dimiliki."),
            ("idekerenbanget.com", "TERSEDIA! Domain idekerenbanget.com bisa didaftarkan."),
            ("tokopedia.com", "TERDAFTAR! Domain tokopedia.com sudah dimiliki."),
            ("startupimpianku.id", "TERSEDIA! Domain startupimpianku.id bisa didaftarkan."),
            ("github.com", "TERDAFTAR! Domain github.com sudah dimiliki."),
        ],
    },
    Exercise {
        profile: "package",
        log: "package_tracker_log.txt",
        header: "Package Tracker",
        url: "/track_package?tracking_number=",
        all: "pelacakan paket",
        each: "pelacakan untuk No. Resi",
        done: "pelacakan paket",
        results: [
            (
                "JNE001",
                "Berhasil! Paket JNE001 (JNE) status: In Transit di Sorting Center Jakarta.",
            ),
            ("TIKI002", "Berhasil! Paket TIKI002 (TIKI) status: Out for Delivery di Bandung Hub."),
            (
                "INVALID123",
                "Error: Nomor Resi INVALID123 tidak ditemukan. Pesan: Tracking number 'INVALID123' not found.",
            ),
            ("JNT004", "Berhasil! Paket JNT004 (J&T) status: In Transit di Warehouse Surabaya."),
            (
                "SICEPAT003",
                "Berhasil! Paket SICEPAT003 (Sicepat) status: Delivered di Recipient's Address.",
            ),
        ],
    },
    Exercise {
        profile: "player",
        log: "player_stats_fetch_log.txt",
        header: "Player Stats Fetch",
        url: "/get_player_stats?player_id=",
        all: "pengambilan statistik pemain",
        each: "pengambilan data untuk Player ID",
        done: "pengambilan statistik",
        results: [
            ("PLAYER01", "Berhasil! Stats untuk ProGamer123: Rank Mythic, Win Rate 65.5%."),
            ("PLAYER03", "Berhasil! Stats untuk ShadowBlade: Rank Legend, Win Rate 55.1%."),
            (
                "GHOSTPLAYER",
                "Error: Player ID GHOSTPLAYER tidak ditemukan. Pesan: Player with ID 'GHOSTPLAYER' does not exist.",
            ),
            ("PLAYER05", "Berhasil! Stats untuk QueenOfLag: Rank Mythical Glory, Win Rate 72.0%."),
            ("PLAYER02", "Berhasil! Stats untuk NoobMaster69: Rank Epic, Win Rate 48.2%."),
        ],
    },
];

/// `2026-11-21 09:00:00.123456`
fn is_stamp(text: &str) -> bool {
    let like = |(at, c): (usize, char)| match at {
        4 | 7 => c == '-',
        10 => c == ' ',
        13 | 16 => c == ':',
        19 => c == '.',
        _ => c.is_ascii_digit(),
    };
    text.len() == 26 && text.chars().enumerate().all(like)
}

/// What each thread of one run said, in its order, without times.
pub(super) fn by_thread(lines: &[&str]) -> BTreeMap<String, Vec<String>> {
    let mut said: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in lines {
        let parts = line.strip_prefix('[').and_then(|rest| rest.split_once("] ["));
        let (stamp, rest) = parts.unwrap_or_else(|| panic!("no record: {line}"));
        let (thread, message) = rest.split_once("] ").unwrap_or_else(|| panic!("{line}"));
        assert!(is_stamp(stamp), "{line}");
        said.entry(thread.to_owned()).or_default().push(message.to_owned());
    }
    said
}

fn is_seconds(text: &str) -> bool {
    let (whole, part) = text.split_once('.').unwrap_or_default();
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    !whole.is_empty() && part.len() == 2 && digits(whole) && digits(part)
}

impl Exercise {
    /// One run of the log is what the seed asks for.
    fn check_run(&self, lines: &[&str], url: &str) {
        let header = format!("--- {} Log Started: ", self.header);
        let stamp = lines[0].strip_prefix(&header).and_then(|rest| rest.strip_suffix(" ---"));
        assert!(stamp.is_some_and(is_stamp), "{}", lines[0]);
        let mut said = by_thread(&lines[1..]);
        let main = said.remove("MainClient").unwrap();
        assert_eq!(main.len(), 2, "{main:?}");
        assert!(lines[1].contains("MainClient") && lines.last().unwrap().contains("MainClient"));
        assert_eq!(main[0], format!("Memulai 5 {} secara concurrent.", self.all));
        let seconds = main[1]
            .strip_prefix(&format!("Semua {} selesai dalam ", self.done))
            .and_then(|rest| rest.strip_suffix(" detik."));
        assert!(seconds.is_some_and(is_seconds), "{}", main[1]);
        for (at, (id, result)) in self.results.iter().enumerate() {
            let expected = [
                format!("Memulai {}: {id}", self.each),
                format!("Mengirim permintaan ke {url}{}{id}", self.url),
                (*result).to_owned(),
                format!("Selesai {}: {id}", self.each),
            ];
            assert_eq!(said.remove(&format!("Worker-{at}")).unwrap(), expected, "{}", self.profile);
        }
        assert!(said.is_empty(), "{said:?}");
    }

    /// What the seed's client says at the end.
    fn check_stdout(&self, text: &str) {
        let mut lines = text.lines().rev();
        let time = lines.next().unwrap();
        let seconds = time.strip_prefix("Total waktu eksekusi: ");
        let seconds = seconds.and_then(|rest| rest.strip_suffix(" detik."));
        assert!(seconds.is_some_and(is_seconds), "{text}");
        let log = format!("Log aktivitas klien disimpan di: {}", self.log);
        assert_eq!(lines.next(), Some(log.as_str()), "{text}");
        assert_eq!(lines.next(), Some(""), "{text}");
    }

    fn check(&self, folder: &Path, url: &str) {
        let mut command = check(folder, url, &[self.profile, "--format=seed", "--quiet"]);
        let log = folder.join(self.log);
        for runs in 1..=2 {
            let output = ends(&mut command, 0);
            self.check_stdout(&stdout(&output));
            let text = std::fs::read_to_string(&log).unwrap();
            let lines: Vec<&str> = text.lines().collect();
            // 1 header, 2 of the main thread, 4 of each worker.
            assert_eq!(lines.len(), runs * 23, "an earlier run is never erased\n{text}");
            for run in lines.chunks(23) {
                self.check_run(run, url);
            }
        }
        ends(command.arg("--overwrite"), 0);
        let text = std::fs::read_to_string(&log).unwrap();
        assert_eq!(text.lines().count(), 23, "--overwrite begins anew\n{text}");
    }
}

#[test]
fn the_five_logs_are_the_seeds() {
    let server = lookup(&["--delay=0..0.05", "--seed=1"]);
    let folder = tempfile::tempdir().unwrap();
    for exercise in &EXERCISES {
        exercise.check(folder.path(), &server.url);
    }
    let files = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(files, EXERCISES.len(), "nothing but the logs is written");
}

/// Whatever an id or a reply holds, each worker has its four lines and no more.
#[test]
fn no_id_forges_a_line() {
    let server = lookup(&[]);
    let folder = tempfile::tempdir().unwrap();
    let long = "x".repeat(10_000);
    let ids = [
        "a\n[2026-01-01 00:00:00.000000] [MainClient] Semua pengecekan stok selesai dalam 0.00 detik.",
        "b\r\nc",
        "d\u{85}e\u{2028}f",
        "\"quoted\" 'too'",
        "&sku=SKU-001",
        "%0a%00",
        "🛒",
        &long,
        "--- Stock Checker Log Started: 2026-01-01 00:00:00.000000 ---",
    ];
    let mut command =
        check(folder.path(), &server.url, &["stock", "--format=seed", "--quiet", "--"]);
    ends(command.args(ids), 1);
    let text = std::fs::read_to_string(folder.path().join("stock_checker_log.txt")).unwrap();
    let is_line_end = |c: char| matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let lines: Vec<&str> = text.trim_end_matches('\n').split(is_line_end).collect();
    let said = by_thread(&lines[1..]);
    assert_eq!(said["MainClient"].len(), 2);
    for (at, id) in ids.iter().enumerate() {
        let lines = &said[&format!("Worker-{at}")];
        let is_sent = id.len() <= 2_048;
        assert_eq!(lines.len(), if is_sent { 4 } else { 3 }, "{:.200}", lines.concat());
        let result = &lines[lines.len() - 2];
        let expected = if is_sent { "Error: SKU " } else { "Tidak dikirim: " };
        assert!(result.starts_with(expected), "{result:.200}");
    }
}

/// What a reply holds forges no more than an id does.
#[test]
fn no_reply_forges_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let forged = "A\n[2026-01-01 00:00:00.000000] [MainClient] Semua pengecekan stok selesai";
    let row = serde_json::json!({"stock": {"X": {"name": forged, "stock": 1, "warehouse": "\u{2028}\r\u{1b}[2J"}}});
    std::fs::write(folder.path().join("mine.json"), row.to_string()).unwrap();
    let path = folder.path().join("mine.json");
    let server = lookup(&["--dataset", path.to_str().unwrap()]);
    ends(&mut check(folder.path(), &server.url, &["stock", "--format=seed", "X"]), 0);
    let text = std::fs::read_to_string(folder.path().join("stock_checker_log.txt")).unwrap();
    let is_line_end = |c: char| matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let lines: Vec<&str> = text.trim_end_matches('\n').split(is_line_end).collect();
    assert_eq!(lines.len(), 7, "{text:?}");
    assert!(!text.contains('\u{1b}'), "{text:?}");
    assert_eq!(by_thread(&lines[1..])["MainClient"].len(), 2);
}

#[test]
fn how_many_begin_is_left_out_when_nobody_knows() {
    let server = lookup(&[]);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ids.txt"), "SKU-001\nSKU-002\n").unwrap();
    let arguments = ["stock", "--format=seed", "--file=ids.txt"];
    ends(&mut check(folder.path(), &server.url, &arguments), 0);
    let text = std::fs::read_to_string(folder.path().join("stock_checker_log.txt")).unwrap();
    let first = text.lines().nth(1).unwrap();
    assert!(
        first.ends_with("] [MainClient] Memulai pengecekan stok produk secara concurrent."),
        "{first}"
    );
    assert_eq!(text.lines().count(), 11, "{text}");
}
