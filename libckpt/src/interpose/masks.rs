//! Masks: the checkpoint signal is never blocked, and the program sees it blocked where it has blocked it.

use core::ptr;
use core::sync::atomic::Ordering;

use ckpt_sys::calls;
use ckpt_sys::kernel::signal_bit;
use libc::{c_int, sigset_t};
use linux_raw_sys::general as n;

use crate::thread_local;

use super::{SIGNAL, bits, is_ours, our_bit, set_bits};

/// Notes whether the program was started with the checkpoint `signal` blocked.
pub fn take_over(signal: i32) {
    let bit = signal_bit(signal);
    if calls::signal_mask(n::SIG_BLOCK, None).is_ok_and(|mask| mask & bit != 0) {
        set_noted(signal);
    }
}

/// The signal that this thread blocks as far as the program knows, and that was libckpt's when it was blocked; or 0.
pub fn noted() -> i32 {
    // SAFETY: a thread that calls functions of libc has a thread pointer.
    unsafe { (*thread_local::current()).blocked }
}

fn set_noted(signal: i32) {
    // SAFETY: as in `noted`.
    unsafe { (*thread_local::current()).blocked = signal };
}

/// Whether this thread blocks the checkpoint signal, as far as the program knows.
pub fn is_blocked() -> bool {
    is_ours(noted())
}

/// Notes whether this thread blocks the checkpoint signal, as far as the program knows.
pub fn set_blocked(blocked: bool) {
    let signal = SIGNAL.load(Ordering::Acquire);
    set_noted(if blocked { signal } else { 0 });
}

/// Blocks the signal in truth that was libckpt's when the thread has blocked it, and is the program's by now; whether there is one.
pub fn catch_up() -> bool {
    let noted = noted();
    if noted == 0 || is_ours(noted) {
        return false;
    }
    let mask = calls::signal_mask(n::SIG_BLOCK, Some(signal_bit(noted))).unwrap_or(0);
    set_blocked(mask & our_bit() != 0);
    let _ = calls::signal_mask(n::SIG_UNBLOCK, Some(our_bit()));
    true
}

/// Whether this thread blocks the signal, which is libckpt's or was claimed, as far as the program knows.
pub fn blocks(signal: i32) -> bool {
    if is_ours(signal) {
        return is_blocked();
    }
    catch_up();
    calls::signal_mask(n::SIG_BLOCK, None).is_ok_and(|mask| mask & signal_bit(signal) != 0)
}

/// Has this thread block the signal, which is libckpt's or was claimed, or not, as far as the program knows.
pub fn set_blocks(signal: i32, blocked: bool) {
    if is_ours(signal) {
        return set_blocked(blocked);
    }
    catch_up();
    let how = if blocked {
        n::SIG_BLOCK
    } else {
        n::SIG_UNBLOCK
    };
    let _ = calls::signal_mask(how, Some(signal_bit(signal)));
}

interposed! {
    /// sighold(3)
    fn sighold(signal: c_int) -> c_int as next {
        catch_up();
        if is_ours(signal) { set_blocked(true); 0 } else { next()(signal) }
    }

    /// sigrelse(3)
    fn sigrelse(signal: c_int) -> c_int as next {
        catch_up();
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
        catch_up();
        let ours = our_bit() as c_int;
        let was_blocked = is_blocked();
        set_blocked(was_blocked || mask & ours != 0);
        next()(mask & !ours) | if was_blocked { ours } else { 0 }
    }

    /// sigsetmask(3)
    fn sigsetmask(mask: c_int) -> c_int as next {
        catch_up();
        let ours = our_bit() as c_int;
        let was_blocked = is_blocked();
        set_blocked(mask & ours != 0);
        next()(mask & !ours) | if was_blocked { ours } else { 0 }
    }

    /// siggetmask(3)
    fn siggetmask() -> c_int as next {
        catch_up();
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
    catch_up();
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
