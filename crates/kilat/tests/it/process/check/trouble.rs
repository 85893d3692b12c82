//! Whatever goes wrong, in each profile: each id is unknown, and the seed's log says why in its words.

use super::seed_logs::{EXERCISES, Exercise, by_thread};
use super::{check, ends, lookup};
use crate::program::Server;
use std::path::Path;

/// What a worker says of an id, given its profile's label and the status that was due.
type Says = fn(label: &str, id: &str, due: u16) -> String;

/// What is rehearsed, and what is said of it.
const TROUBLES: [(&str, Says); 5] = [
    ("--fail=100%", |_, _, _| {
        "Menerima status error dari API: 500 - \
         {\"error\":\"internal_error\",\"message\":\"A failure that is rehearsed.\"}"
            .to_owned()
    }),
    ("--busy=100%", |_, _, _| {
        "Menerima status error dari API: 429 - \
         {\"error\":\"too_many_requests\",\"message\":\"Too many requests; try again in 1 s.\"}"
            .to_owned()
    }),
    ("--html=100%", |_, _, due| {
        format!(
            "Error permintaan: status {due} berisi halaman, bukan JSON, yang tidak dapat diterima \
             aturan mana pun - {}",
            // Escaped: a page has lines.
            "<!doctype html>\\n<html lang=en>\\n<title>Please wait</title>\\n<h1>Please wait</h1>\\n<p>This page stands w"
        )
    }),
    ("--stall=100%", |label, id, _| format!("Timeout: {label} {id} melewati 0.2 detik.")),
    ("--break=100%", |_, _, _| {
        "Error permintaan: koneksi berakhir sebelum jawaban utuh".to_owned()
    }),
];

impl Exercise {
    fn label(&self) -> &'static str {
        match self.profile {
            "stock" => "SKU",
            "flight" => "Penerbangan",
            "domain" => "Domain",
            "package" => "Nomor Resi",
            _ => "Player ID",
        }
    }

    /// Asks `url`, where all goes wrong, and reads the log.
    fn check_trouble(&self, folder: &Path, url: &str, says: Says) {
        let arguments =
            [self.profile, "--format=seed", "--overwrite", "--retries=0", "--timeout=200ms"];
        ends(&mut check(folder, url, &arguments), 1);
        let text = std::fs::read_to_string(folder.join(self.log)).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 23, "{text}");
        let said = by_thread(&lines[1..]);
        assert!(
            said["MainClient"][1].starts_with(&format!("Semua {} selesai", self.done)),
            "{text}"
        );
        for (at, (id, result)) in self.results.iter().enumerate() {
            let due = if result.starts_with("Error: ") { 404 } else { 200 };
            let said = &said[&format!("Worker-{at}")];
            assert_eq!(said[2], says(self.label(), id, due), "{}", self.profile);
        }
        assert!(!text.contains("TERSEDIA") && !text.contains("tidak ditemukan"), "{text}");
    }
}

#[test]
fn trouble_of_any_kind_leaves_each_id_of_each_profile_unknown() {
    let folder = tempfile::tempdir().unwrap();
    for (trouble, says) in TROUBLES {
        let server = lookup(&[trouble]);
        for exercise in &EXERCISES {
            exercise.check_trouble(folder.path(), &server.url, says);
        }
    }
}

#[test]
fn nobody_who_answers_leaves_each_id_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let server: Server = lookup(&[]);
    let url = server.url.clone();
    server.stop();
    for exercise in &EXERCISES {
        ends(
            &mut check(folder.path(), &url, &[exercise.profile, "--format=seed", "--retries=0"]),
            1,
        );
        let text = std::fs::read_to_string(folder.path().join(exercise.log)).unwrap();
        let told =
            text.matches("] Error permintaan: API tidak dapat dihubungi: 127.0.0.1:").count();
        assert_eq!(told, 5, "{text}");
    }
}
