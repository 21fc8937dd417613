//! Which event counters are semaphores (`EFD_SEMAPHORE` in eventfd(2)). Kernels before Linux 6.5 do not tell, but since 5.2 they tell one
//! counter from another.
//!
//! What was noted is read in a signal handler that may have interrupted the noting, so each is one bit.

use core::ffi::{c_int, c_uint};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ckpt_sys::event_counters::{self, Shown};
use linux_raw_sys::general as n;

use super::our_bit;

interposed! {
    /// eventfd(2)
    fn eventfd(count: c_uint, flags: c_int) -> c_int as next {
        let fd = next()(count, flags);
        if fd >= 0 && our_bit() != 0 && !KERNEL_TELLS.load(Ordering::Relaxed) {
            note(fd as u32, flags as u32 & n::EFD_SEMAPHORE != 0);
        }
        fd
    }
}

/// Whether the kernel is known to tell.
static KERNEL_TELLS: AtomicBool = AtomicBool::new(false);

/// Ids of semaphores. An id is used again, so that of a counter of the other kind is taken out.
static SEMAPHORES: Bits = Bits::empty();

/// Descriptors that led to semaphores at the last checkpoint: after a restart they have other ids.
static NUMBERS: Bits = Bits::empty();

/// A set of small numbers. Larger ones are not in it: the kernel gives out the lowest that are free.
struct Bits([AtomicU64; 1024]);

impl Bits {
    const fn empty() -> Self {
        Self([const { AtomicU64::new(0) }; 1024])
    }

    fn set(&self, number: u64, value: bool) {
        let bit = 1 << (number % 64);
        match self.0.get((number / 64) as usize) {
            Some(word) if value => word.fetch_or(bit, Ordering::Relaxed),
            Some(word) => word.fetch_and(!bit, Ordering::Relaxed),
            None => 0,
        };
    }

    fn has(&self, number: u64) -> bool {
        let word = self.0.get((number / 64) as usize);
        word.is_some_and(|word| word.load(Ordering::Relaxed) >> (number % 64) & 1 != 0)
    }

    /// Takes all numbers out, and hands them to `each`.
    fn drain(&self, mut each: impl FnMut(u64)) {
        for (first, word) in (0..).step_by(64).zip(&self.0) {
            let bits = word.load(Ordering::Relaxed);
            if bits != 0 {
                word.store(0, Ordering::Relaxed);
                (0..64)
                    .filter(|bit| bits >> bit & 1 != 0)
                    .for_each(|bit| each(first + bit));
            }
        }
    }
}

fn note(number: u32, is_semaphore: bool) {
    match event_counters::look(number) {
        Ok(Shown {
            is_semaphore: Some(_),
            ..
        }) => KERNEL_TELLS.store(true, Ordering::Relaxed),
        Ok(Shown { id: Some(id), .. }) => SEMAPHORES.set(id, is_semaphore),
        _ => {}
    }
}

/// Whether the counter behind the descriptor `number`, of which the kernel shows this, is a semaphore, as far as it was made through libc.
/// Async-signal-safe.
pub fn is_semaphore(number: u32, shown: &Shown) -> bool {
    let noted = || shown.id.is_some_and(|id| SEMAPHORES.has(id));
    let is_semaphore = shown.is_semaphore.unwrap_or_else(noted);
    NUMBERS.set(number.into(), is_semaphore);
    is_semaphore
}

/// Called in a restored process, while no thread of the program runs: it may have another kernel, and its counters have other ids.
pub fn settle_in() {
    KERNEL_TELLS.store(false, Ordering::Relaxed);
    SEMAPHORES.drain(|_| {});
    NUMBERS.drain(|number| note(number as u32, true));
}
