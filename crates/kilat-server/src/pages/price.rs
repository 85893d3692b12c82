//! Prices as people write them.

use super::language::Language;

/// `24999000 IDR` as `Rp24.999.000` in Indonesian, `IDR 24,999,000` in English.
pub(crate) fn format(amount: &str, currency: &str, language: Language) -> String {
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    let (group, point) = match language {
        Language::Indonesian => ('.', ","),
        Language::English => (',', "."),
    };
    let sign = match (language, currency) {
        (Language::Indonesian, "IDR") => "Rp".to_owned(),
        _ => format!("{currency}\u{a0}"),
    };
    let point = if fraction.is_empty() { "" } else { point };
    format!("{sign}{}{point}{fraction}", grouped(whole, group))
}

/// A count as people write it: `1.234` in Indonesian, `1,234` in English.
pub(crate) fn count(count: u64, language: Language) -> String {
    let separator = if language == Language::Indonesian { '.' } else { ',' };
    grouped(&count.to_string(), separator)
}

/// A whole number in groups of three.
fn grouped(digits: &str, separator: char) -> String {
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(separator);
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts() {
        for (number, indonesian, english) in [
            (0, "0", "0"),
            (999, "999", "999"),
            (1_234, "1.234", "1,234"),
            (1_000_000, "1.000.000", "1,000,000"),
        ] {
            assert_eq!(count(number, Language::Indonesian), indonesian);
            assert_eq!(count(number, Language::English), english);
        }
    }

    #[test]
    fn prices() {
        let check = |amount, currency, indonesian: &str, english: &str| {
            assert_eq!(format(amount, currency, Language::Indonesian), indonesian);
            assert_eq!(format(amount, currency, Language::English), english);
        };
        check("24999000", "IDR", "Rp24.999.000", "IDR\u{a0}24,999,000");
        check("1499.00", "USD", "USD\u{a0}1.499,00", "USD\u{a0}1,499.00");
        check("0", "IDR", "Rp0", "IDR\u{a0}0");
        check("999", "IDR", "Rp999", "IDR\u{a0}999");
    }
}
