//! What the operating system says of a failure, in Indonesian. It knows no text of ours.

/// What the system says, and what it means to a reader of Indonesian. Rust writes it in English
/// whatever the locale is.
const WORDS: [(&str, &str); 22] = [
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
    ("Connection timed out", "koneksi tidak tersambung pada waktunya"),
    ("timed out", "waktunya habis"),
    ("Name or service not known", "nama host tidak dikenal"),
    ("Temporary failure in name resolution", "nama host sedang tidak dapat dicari"),
];
/// What stands before the reason when a host is not found.
const RESOLVING: &str = "failed to lookup address information: ";
/// What only a programmer reads.
const NUMBER: &str = " (os error ";

/// `said` with what is known of it in Indonesian, and without the numbers of errors.
pub(super) fn indonesian(said: &str) -> String {
    let mut text = without_numbers(said).replace(RESOLVING, "");
    for (english, indonesian) in WORDS {
        if text.contains(english) {
            text = text.replace(english, indonesian);
        }
    }
    text
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
        ] {
            assert_eq!(indonesian(&said), expected);
        }
    }
}
