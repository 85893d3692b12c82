//! Which requests are traced.

/// Which requests are traced: what OpenTelemetry calls a trace id ratio based sampler, if asked for
/// within a parent based one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    /// Whoever sends a `traceparent` decides for its request.
    pub follows_parent: bool,
    /// The share of all others, from 0 to 1.
    pub ratio: f64,
}

impl Sampler {
    /// Whether the trace is recorded. All who go by the same ratio take the same traces.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of all ids, to within one in 2^52; a cast of a float saturates"
    )]
    pub(super) fn takes(&self, trace_id: u128, parent: Option<bool>) -> bool {
        match parent {
            Some(sampled) if self.follows_parent => sampled,
            // The lowest 64 bits, of which the highest is left out: as the SDKs do it.
            _ => {
                (trace_id as u64 >> 1) < (self.ratio.clamp(0.0, 1.0) * (1_u64 << 63) as f64) as u64
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(sampler: Sampler, parent: Option<bool>) -> usize {
        // Odd multiples of the golden ratio spread evenly over all ids.
        let ids = (0..10_000_u128).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) & ((1 << 64) - 1));
        ids.filter(|id| sampler.takes(*id, parent)).count()
    }

    #[test]
    fn a_share_is_taken_and_a_parent_decides_if_it_may() {
        for (follows_parent, ratio, parent, least, most) in [
            (true, 0.0, None, 0, 0),
            (true, 1.0, None, 10_000, 10_000),
            (true, 0.01, None, 90, 110),
            (true, 0.01, Some(true), 10_000, 10_000),
            (true, 1.0, Some(false), 0, 0),
            (false, 0.25, Some(true), 2_450, 2_550),
            (false, 0.25, Some(false), 2_450, 2_550),
            (false, f64::NAN, None, 0, 0),
        ] {
            let taken = share(Sampler { follows_parent, ratio }, parent);
            assert!(
                (least..=most).contains(&taken),
                "{follows_parent} {ratio} {parent:?}: {taken}"
            );
        }
    }
}
