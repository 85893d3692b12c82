//! Stripes of a sale: their keys, and which one a customer belongs to. Knows nothing of Redis.
//!
//! A sale in one piece has stripe 0 only. A sale of N stripes has 1 to N, of which the first is the
//! leader, under the key that the whole sale would have.

/// Slots of a cluster.
const SLOTS: u32 = 16_384;

/// The numbers of a sale's stripes.
pub(super) fn numbers(stripes: u16) -> std::ops::RangeInclusive<u16> {
    if stripes <= 1 { 0..=0 } else { 1..=stripes }
}

/// The stripe that has a sale's terms, supply and changes.
pub(super) fn leader(stripes: u16) -> u16 {
    u16::from(stripes > 1)
}

/// The stripe that a customer's orders are in, for the life of the sale.
pub(super) fn of_customer(customer: &str, stripes: u16) -> u16 {
    if stripes <= 1 {
        return 0;
    }
    let hash = blake3::hash(customer.as_bytes());
    let first = hash.as_bytes().first_chunk::<4>().map_or(0, |bytes| u32::from_le_bytes(*bytes));
    // Below the number of stripes, so it fits.
    1 + u16::try_from(first % u32::from(stripes)).unwrap_or(0)
}

/// The names that the keys of each stripe begin with, in the order of [`numbers`]. What is in braces
/// decides the slot: stripes lie in slots that are spread evenly, whoever has them.
pub(super) fn keys(sale: &str, stripes: u16) -> Vec<Vec<u8>> {
    let first = format!("{{kilat:{sale}}}").into_bytes();
    let count = u32::from(stripes.max(1));
    let range_of = |slot: u16| u32::from(slot) * count / SLOTS;
    let start = range_of(slot(&first));
    let mut keys = vec![first];
    for stripe in 1..count {
        let range = (start + stripe) % count;
        // Ids of sales have no slash. Each try hits the range with odds of 1 to `count`.
        let tries = (0_u32..).map(|n| format!("{{kilat:{sale}/{}.{n}}}", stripe + 1).into_bytes());
        keys.extend(tries.filter(|key| range_of(slot(key)) == range).take(1));
    }
    keys
}

/// The slot of a key, as every cluster counts it: CRC-16/XMODEM of what is in the first braces.
pub(super) fn slot(key: &[u8]) -> u16 {
    let position = |bytes: &[u8], byte| bytes.iter().position(|found| *found == byte);
    let tag = position(key, b'{').and_then(|open| {
        let rest = &key[open + 1..];
        position(rest, b'}').filter(|length| *length > 0).map(|length| &rest[..length])
    });
    let mut crc = 0_u16;
    for byte in tag.unwrap_or(key) {
        crc ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            let carry = crc & 0x8000 != 0;
            crc = (crc << 1) ^ if carry { 0x1021 } else { 0 };
        }
    }
    crc % 16_384
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_that_clusters_count() {
        // What `CLUSTER KEYSLOT` says of them.
        for (key, expected) in
            [("123456789", 12_739), ("{a}b", 15_495), ("a", 15_495), ("{}a", 10_875)]
        {
            assert_eq!(slot(key.as_bytes()), expected, "{key}");
        }
    }

    #[test]
    fn stripes_are_spread_evenly() {
        for stripes in [2, 3, 6, 16, 256] {
            let keys = keys("sale", stripes);
            assert_eq!(keys[0], b"{kilat:sale}");
            let mut ranges: Vec<u32> =
                keys.iter().map(|key| u32::from(slot(key)) * u32::from(stripes) / SLOTS).collect();
            ranges.sort_unstable();
            assert!(ranges.into_iter().eq(0..u32::from(stripes)));
        }
        assert_eq!(keys("sale", 1), [b"{kilat:sale}"]);
    }

    #[test]
    fn customers_are_spread_and_stay() {
        let mut counts = [0_u32; 9];
        for n in 0..8_000 {
            let name = format!("customer-{n}");
            counts[usize::from(of_customer(&name, 8))] += 1;
            assert_eq!(of_customer(&name, 8), of_customer(&name, 8));
        }
        assert!(counts[0] == 0 && counts[1..].iter().all(|count| (850..1_150).contains(count)));
        assert_eq!(of_customer("customer-1", 1), 0);
        // Never another one: orders would be looked for in the wrong place.
        assert_eq!(of_customer("customer-1", 8), 8);
    }
}
