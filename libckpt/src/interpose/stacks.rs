//! Alternate signal stacks: where the program has none that a signal frame fits on, ours is in its place.

use core::ffi::c_void;
use core::sync::atomic::{AtomicUsize, Ordering};

use ckpt_sys::calls;
use ckpt_sys::kernel::SignalStack;
use libc::{c_int, stack_t};
use linux_raw_sys::general as n;

use super::peek;
use crate::{alternate, own_stack, thread_local};

/// `AT_MINSIGSTKSZ` (include/uapi/linux/auxvec.h).
const AT_MINSIGSTKSZ: u64 = 51;

/// What a thread needs on its signal stack while another one takes a checkpoint, and when it is restored, in bytes: up to 5 KiB, and
/// more without optimisation. The program `signal_stack_sizes` finds out whether that is still so.
const PARKING: usize = if cfg!(debug_assertions) {
    16 << 10
} else {
    8 << 10
};

/// What a signal frame takes with all registers that there were when kernels began to say (those of AVX-512), in bytes.
const FORMER_FRAME: usize = 4 << 10;

/// What a signal frame of this processor takes, and what our handler needs below it, in bytes.
static FRAME_SIZE: AtomicUsize = AtomicUsize::new(0);

/// The flag that comes along with a mode: the stack is taken away while a handler runs on it.
const AUTODISARM: c_int = n::SS_AUTODISARM as c_int;

/// Finds out how large a signal frame is, and gives this thread `stack` if it has none.
pub fn take_over(stack: SignalStack) {
    // SAFETY: the kernel says how large a frame is, from Linux 5.14 on.
    let frame_size = match unsafe { libc::getauxval(AT_MINSIGSTKSZ) } {
        0 => FORMER_FRAME,
        size => size as usize,
    };
    FRAME_SIZE.store(frame_size + PARKING, Ordering::Relaxed);
    // SAFETY: (1) the constructor runs on a thread of libc's; (2) the stack is mapped for good, and nothing runs on an
    // alternate stack yet.
    unsafe {
        (*thread_local::current()).alternate = stack;
        alternate::set_main(stack.start);
        let has_none =
            calls::alternate_stack(None).is_ok_and(|old| old.flags as u32 & n::SS_DISABLE != 0);
        if has_none {
            let _ = calls::alternate_stack(Some(&stack));
        }
    }
}

interposed! {
    /// sigaltstack(2)
    fn sigaltstack(new: *const stack_t, old: *mut stack_t) -> c_int as next {
        let local = thread_local::current();
        let ours = (*local).alternate;
        if ours.size == 0 {
            return next()(new, old);
        }
        let asked = peek(new);
        let is_ours_instead = asked.is_some_and(|new| match new.ss_flags & !AUTODISARM {
            libc::SS_DISABLE => true,
            0 | libc::SS_ONSTACK => (libc::MINSIGSTKSZ..FRAME_SIZE.load(Ordering::Relaxed)).contains(&new.ss_size),
            // Refused by the kernel.
            _ => false,
        });
        let replacement = to_libc(ours);
        let new = if is_ours_instead { &raw const replacement } else { new };
        let shown = (*local).shown;
        // A handler that runs there: the kernel does not know (`own_stack`).
        let is_on_shown = shown.flags == 0 && own_stack::is_on(&shown, &raw const local as u64);
        if is_on_shown && !new.is_null() {
            *libc::__errno_location() = libc::EPERM;
            return -1;
        }
        let result = next()(new, old);
        if result != 0 {
            return result;
        }
        if let Some(old) = old.as_mut().filter(|old| old.ss_sp as u64 == ours.start) {
            // Whether the thread is on ours, the kernel says.
            let mode = match shown.size {
                0 => libc::SS_DISABLE,
                _ if is_on_shown => libc::SS_ONSTACK,
                _ => old.ss_flags,
            };
            *old = to_libc(SignalStack { flags: mode | shown.flags, ..shown });
        }
        if let Some(asked) = asked {
            (*local).shown = if is_ours_instead { as_shown(&asked) } else { SignalStack::default() };
        }
        0
    }
}

/// What the kernel shows of a stack that was asked for, but for whether a thread is on it.
fn as_shown(asked: &stack_t) -> SignalStack {
    let flags = asked.ss_flags & AUTODISARM;
    if asked.ss_flags & libc::SS_DISABLE != 0 {
        return SignalStack {
            flags,
            ..SignalStack::default()
        };
    }
    SignalStack {
        start: asked.ss_sp as u64,
        flags,
        padding: 0,
        size: asked.ss_size as u64,
    }
}

fn to_libc(stack: SignalStack) -> stack_t {
    stack_t {
        ss_sp: stack.start as *mut c_void,
        ss_flags: stack.flags,
        ss_size: stack.size as usize,
    }
}
