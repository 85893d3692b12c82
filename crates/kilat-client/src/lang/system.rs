//! What the operating system and the JSON parser say of a failure, for people and in Indonesian.
//! It knows no text of ours.

/// What the system says, and what it means to a reader of Indonesian. Rust writes it in English
/// whatever the locale is.
const WORDS: [(&str, &str); 25] = [
    ("No such file or directory", "tidak ada berkas atau direktori itu"),
    ("entity not found", "tidak ada berkas atau direktori itu"),
    ("Permission denied", "tidak ada izin"),
    ("Operation not permitted", "tidak ada izin"),
    ("Is a directory", "itu direktori"),
    ("is a directory", "itu direktori"),
    ("Not a directory", "bukan direktori"),
    ("File exists", "sudah ada"),
    ("File name too long", "namanya terlalu panjang"),
    ("Read-only file system", "sistem berkas hanya dapat dibaca"),
    ("No space left on device", "disk penuh"),
    ("Input/output error", "perangkat gagal membaca atau menulis"),
    ("Too many open files", "terlalu banyak berkas terbuka"),
    ("Broken pipe", "pembacanya sudah pergi"),
    ("Connection refused", "koneksi ditolak"),
    ("Connection reset by peer", "koneksi diputus oleh server"),
    ("Network is unreachable", "jaringan tidak terjangkau"),
    ("No route to host", "tidak ada rute ke host"),
    ("Cannot assign requested address", "alamat itu bukan milik mesin ini"),
    ("Address already in use", "alamat itu sudah dipakai"),
    ("stream did not contain valid UTF-8", "bukan UTF-8 yang sah"),
    ("Connection timed out", "koneksi tidak tersambung pada waktunya"),
    ("timed out", "waktunya habis"),
    ("Name or service not known", "nama host tidak dikenal"),
    ("Temporary failure in name resolution", "nama host sedang tidak dapat dicari"),
];
/// What the JSON parser says before it names a place, and what it means.
const JSON: [(&str, &str); 7] = [
    ("EOF while parsing a value", "terputus di tengah nilai"),
    ("EOF while parsing an object", "terputus di tengah objek"),
    ("EOF while parsing a list", "terputus di tengah daftar"),
    ("EOF while parsing a string", "terputus di tengah teks"),
    ("expected value", "di sini seharusnya ada nilai"),
    ("trailing characters", "ada karakter setelah akhirnya"),
    ("key must be a string", "kunci harus berupa teks"),
];
/// Where the JSON parser stopped.
const LINE: &str = " at line ";
/// As [`LINE`], in the first or only line.
const COLUMN: &str = " at column ";
/// The JSON parser counts lines from what it was given, which may be one line of a file.
const FIRST_LINE: &str = " at line 1 column ";
/// What stands before the reason when a host is not found.
const RESOLVING: &str = "failed to lookup address information: ";
/// What only a programmer reads.
const NUMBER: &str = " (os error ";

/// `said` without what only a programmer reads, and without a line that may not be the file's.
pub(super) fn plain(said: &str) -> String {
    without_numbers(said).replace(FIRST_LINE, COLUMN)
}

/// What [`plain`] left, with what is known of it in Indonesian.
pub(super) fn indonesian(said: &str) -> String {
    let mut text = parsed(said).replace(RESOLVING, "");
    for (english, indonesian) in WORDS {
        if text.contains(english) {
            text = text.replace(english, indonesian);
        }
    }
    text
}

/// `said` with the place where a parser stopped in Indonesian, and what it missed there.
fn parsed(said: &str) -> String {
    let known = |said: &str| JSON.iter().find(|(english, _)| *english == said).map(|known| known.1);
    if let Some((what, column)) = said.rsplit_once(COLUMN) {
        return format!("{}, di kolom {column}", known(what).unwrap_or(what));
    }
    match said.rsplit_once(LINE) {
        Some((what, place)) if place.contains(" column ") => {
            let place = place.replace(" column ", " kolom ");
            format!("{}, di baris {place}", known(what).unwrap_or(what))
        }
        _ => said.to_owned(),
    }
}

fn without_numbers(said: &str) -> String {
    let mut parts = said.split(NUMBER);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| match part.split_once(')') {
        Some((number, rest)) if number.bytes().all(|byte| byte.is_ascii_digit()) => text + rest,
        _ => text + NUMBER + part,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn what_the_system_says_is_said_in_indonesian() {
        for (said, expected) in [
            (io::Error::from_raw_os_error(2).to_string(), "tidak ada berkas atau direktori itu"),
            (io::Error::from_raw_os_error(13).to_string(), "tidak ada izin"),
            (io::Error::from_raw_os_error(28).to_string(), "disk penuh"),
            (io::ErrorKind::IsADirectory.to_string(), "itu direktori"),
            (
                format!("127.0.0.1:1: {}", io::Error::from_raw_os_error(111)),
                "127.0.0.1:1: koneksi ditolak",
            ),
            (format!("{RESOLVING}Name or service not known"), "nama host tidak dikenal"),
            ("EOF at line 2 (os error x)".to_owned(), "EOF at line 2 (os error x)"),
            (
                "expected value at line 3 column 1".to_owned(),
                "di sini seharusnya ada nilai, di baris 3 kolom 1",
            ),
            (
                "EOF while parsing a value at line 1 column 7".to_owned(),
                "terputus di tengah nilai, di kolom 7",
            ),
        ] {
            assert_eq!(indonesian(&plain(&said)), expected);
        }
    }

    #[test]
    fn numbers_of_errors_and_the_only_line_are_noise() {
        for (said, expected) in [
            ("No such file (os error 2)", "No such file"),
            (
                "EOF while parsing a value at line 1 column 7",
                "EOF while parsing a value at column 7",
            ),
            ("expected value at line 3 column 1", "expected value at line 3 column 1"),
            ("at line 1 column", "at line 1 column"),
        ] {
            assert_eq!(plain(said), expected);
        }
    }
}
