//! Sets of descriptors, and of other small numbers, that are read in signal handlers which may have interrupted a change.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// A set of small numbers. Larger ones are not in it: the kernel gives out the lowest that are free.
pub struct Numbers {
    words: [AtomicU64; 512],
    /// Behind the last word that was ever used: memory that nobody has touched stays untouched.
    end: AtomicUsize,
}

impl Numbers {
    /// None of them.
    pub const fn none() -> Self {
        Self {
            words: [const { AtomicU64::new(0) }; 512],
            end: AtomicUsize::new(0),
        }
    }

    /// Puts `number` in, or takes it out.
    pub fn set(&self, number: u64, value: bool) {
        let (index, bit) = ((number / 64) as usize, 1 << (number % 64));
        let Some(word) = self.words.get(index) else {
            return;
        };
        if value {
            self.end.fetch_max(index + 1, Ordering::Relaxed);
            word.fetch_or(bit, Ordering::Relaxed);
        } else if index < self.end.load(Ordering::Relaxed) {
            word.fetch_and(!bit, Ordering::Relaxed);
        }
    }

    /// Whether `number` is in it.
    pub fn has(&self, number: u64) -> bool {
        let word = self.used().get((number / 64) as usize);
        word.is_some_and(|word| word.load(Ordering::Relaxed) >> (number % 64) & 1 != 0)
    }

    /// Takes all numbers out, and hands them to `each`.
    pub fn drain(&self, mut each: impl FnMut(u64)) {
        for (first, word) in (0..).step_by(64).zip(self.used()) {
            let bits = word.swap(0, Ordering::Relaxed);
            (0..64)
                .filter(|bit| bits >> bit & 1 != 0)
                .for_each(|bit| each(first + bit));
        }
    }

    fn used(&self) -> &[AtomicU64] {
        &self.words[..self.end.load(Ordering::Relaxed)]
    }
}
