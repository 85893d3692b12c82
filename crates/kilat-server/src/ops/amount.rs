//! What an operator is told of a price that is none.

use super::text::Text;
use kilat_api::sale::Price;

/// How the amount has to be written.
pub(super) fn advice(amount: &str, currency: &str, text: &Text) -> String {
    if let Some(plain) = without_separators(amount) {
        return text.field_amount_plain.replace("{}", &plain);
    }
    let currency = currency.to_uppercase();
    let is_decimal = amount.split_once('.').is_some_and(|(whole, decimals)| {
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        digits(whole) && digits(decimals)
    });
    let said = match Price::decimals_max(&currency).filter(|_| is_decimal) {
        Some(0) => text.field_amount_whole.to_owned(),
        Some(most) => text.field_amount_decimals.replace("{}", &most.to_string()),
        None => return text.field_amount.to_owned(),
    };
    said.replace("{currency}", &currency)
}

/// The digits of a whole number that was written in groups of three.
fn without_separators(amount: &str) -> Option<String> {
    let mut groups = amount.split(['.', ',', ' ']);
    let first = groups.next()?;
    let is_group = |group: &&str| group.bytes().all(|byte| byte.is_ascii_digit());
    let rest: Vec<&str> = groups.collect();
    let is_grouped = (1..=3).contains(&first.len())
        && is_group(&first)
        && !rest.is_empty()
        && rest.iter().all(|group| group.len() == 3 && is_group(group));
    is_grouped.then(|| format!("{first}{}", rest.concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_three_are_thousands() {
        let table = [
            ("1.500", Some("1500")),
            ("24,999,000", Some("24999000")),
            ("1 500", Some("1500")),
            ("1500", None),
            ("1500.000", None),
            ("1.50", None),
            (".500", None),
            ("1.500.", None),
            ("a.500", None),
            ("", None),
        ];
        for (amount, plain) in table {
            assert_eq!(without_separators(amount).as_deref(), plain, "{amount}");
        }
    }
}
