//! Which event counters are semaphores (`EFD_SEMAPHORE` in eventfd(2)). Kernels before Linux 6.5 do not tell, but since 5.2 they tell one
//! counter from another.
//!
//! What was noted is read in a signal handler that may have interrupted the noting, so each is one bit.

use core::ffi::{c_int, c_uint};
use core::sync::atomic::{AtomicBool, Ordering};

use ckpt_sys::event_counters::{self, Shown};
use linux_raw_sys::general as n;

use super::numbers::Numbers;
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
static SEMAPHORES: Numbers = Numbers::none();

/// Descriptors that led to semaphores at the last checkpoint: after a restart they have other ids.
static NUMBERS: Numbers = Numbers::none();

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
