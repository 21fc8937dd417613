//! Masks: the checkpoint signal is never blocked, and the program sees it blocked where it has blocked it.

use core::ptr;

use ckpt_sys::calls;
use ckpt_sys::kernel::signal_bit;
use libc::{c_int, sigset_t};
use linux_raw_sys::general as n;

use crate::thread_local;

use super::{bits, is_ours, our_bit, set_bits};

/// Notes whether the program was started with the checkpoint `signal` blocked.
pub fn take_over(signal: i32) {
    let bit = signal_bit(signal);
    if calls::signal_mask(n::SIG_BLOCK, None).is_ok_and(|mask| mask & bit != 0) {
        set_blocked(true);
    }
}

/// Whether this thread blocks the checkpoint signal, as far as the program knows.
pub fn is_blocked() -> bool {
    // SAFETY: a thread that calls functions of libc has a thread pointer.
    unsafe { (*thread_local::current()).blocked != 0 }
}

/// Notes whether this thread blocks the checkpoint signal, as far as the program knows.
pub fn set_blocked(blocked: bool) {
    // SAFETY: as in `is_blocked`.
    unsafe { (*thread_local::current()).blocked = u32::from(blocked) };
}

interposed! {
    /// sighold(3)
    fn sighold(signal: c_int) -> c_int as next {
        if is_ours(signal) { set_blocked(true); 0 } else { next()(signal) }
    }

    /// sigrelse(3)
    fn sigrelse(signal: c_int) -> c_int as next {
        if is_ours(signal) { set_blocked(false); 0 } else { next()(signal) }
    }

    /// sigprocmask(2)
    fn sigprocmask(how: c_int, set: *const sigset_t, old: *mut sigset_t) -> c_int as next {
        change_mask(next(), how, set, old)
    }

    /// pthread_sigmask(3)
    fn pthread_sigmask(how: c_int, set: *const sigset_t, old: *mut sigset_t) -> c_int as next {
        change_mask(next(), how, set, old)
    }

    /// sigblock(3)
    fn sigblock(mask: c_int) -> c_int as next {
        let ours = our_bit() as c_int;
        let was_blocked = is_blocked();
        set_blocked(was_blocked || mask & ours != 0);
        next()(mask & !ours) | if was_blocked { ours } else { 0 }
    }

    /// sigsetmask(3)
    fn sigsetmask(mask: c_int) -> c_int as next {
        let ours = our_bit() as c_int;
        let was_blocked = is_blocked();
        set_blocked(mask & ours != 0);
        next()(mask & !ours) | if was_blocked { ours } else { 0 }
    }

    /// siggetmask(3)
    fn siggetmask() -> c_int as next {
        next()() | if is_blocked() { our_bit() as c_int } else { 0 }
    }
}

type ChangeMask = unsafe extern "C" fn(c_int, *const sigset_t, *mut sigset_t) -> c_int;

/// Both calls that change a thread's mask.
///
/// # Safety
/// As for `next`.
unsafe fn change_mask(
    next: ChangeMask,
    how: c_int,
    set: *const sigset_t,
    old: *mut sigset_t,
) -> c_int {
    let bit = our_bit();
    // libc reads the set, too.
    // SAFETY: the caller answers for the pointers.
    let (names_ours, result) = unsafe {
        let mut copy = set.as_ref().copied();
        let names_ours = copy.as_ref().map(|set| bits(set) & bit != 0);
        let set = copy.as_mut().map_or(ptr::null(), |set| {
            let kept = bits(set) & !bit;
            set_bits(set, kept);
            ptr::from_ref(set)
        });
        (names_ours, next(how, set, old))
    };
    if result != 0 || bit == 0 {
        return result;
    }
    let was_blocked = is_blocked();
    match (how, names_ours) {
        (libc::SIG_BLOCK, Some(true)) => set_blocked(true),
        (libc::SIG_UNBLOCK, Some(true)) => set_blocked(false),
        (libc::SIG_SETMASK, Some(named)) => set_blocked(named),
        _ => {}
    }
    // SAFETY: the caller answers for the pointer.
    if let Some(old) = unsafe { old.as_mut() }.filter(|_| was_blocked) {
        let shown = bits(old) | bit;
        set_bits(old, shown);
    }
    result
}
