//! Random numbers whose seed is printed, so that a failure can be repeated.

use std::io::Write;
use std::time::{Duration, SystemTime};

/// A small generator (xorshift64*), good enough to pick moments.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// Seeds from `CKPT_TEST_SEED` or the clock, and prints the seed.
    ///
    /// # Panics
    /// If `CKPT_TEST_SEED` is not a number.
    #[must_use]
    pub fn new(what: &str) -> Self {
        let seed = match std::env::var("CKPT_TEST_SEED") {
            Ok(text) => text.parse().expect("CKPT_TEST_SEED is a number"),
            Err(_) => SystemTime::UNIX_EPOCH
                .elapsed()
                .map_or(1, |now| u64::from(now.subsec_nanos())),
        };
        // Not println!: it would be shown of failed tests only.
        let _ = writeln!(std::io::stderr(), "{what}: CKPT_TEST_SEED={seed}");
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) % limit.max(1)
    }

    /// A time shorter than `limit`.
    pub fn shorter_than(&mut self, limit: Duration) -> Duration {
        let micros = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.below(micros))
    }
}
