//! Alternate signal stacks: where the program has none that a signal frame fits on, ours is in its place.

use core::ffi::c_void;
use core::sync::atomic::{AtomicUsize, Ordering};

use ckpt_sys::calls;
use ckpt_sys::kernel::SignalStack;
use libc::{c_int, stack_t};
use linux_raw_sys::general as n;

use crate::thread_local;

/// `AT_MINSIGSTKSZ` (include/uapi/linux/auxvec.h).
const AT_MINSIGSTKSZ: u64 = 51;

/// What a thread needs on its signal stack while another one takes a checkpoint, and when it is restored, in bytes.
const PARKING: usize = if cfg!(debug_assertions) {
    16 << 10
} else {
    4 << 10
};

/// What a signal frame of this processor takes, and what our handler needs below it, in bytes.
static FRAME_SIZE: AtomicUsize = AtomicUsize::new(0);

/// No alternate stack.
const NONE: SignalStack = SignalStack {
    start: 0,
    flags: libc::SS_DISABLE,
    padding: 0,
    size: 0,
};

/// Finds out how large a signal frame is, and gives this thread `stack` if it has none.
pub fn take_over(stack: SignalStack) {
    // SAFETY: the kernel says how large a frame is where it can be larger than MINSIGSTKSZ, from Linux 5.14 on.
    let frame_size = unsafe { libc::getauxval(AT_MINSIGSTKSZ) } as usize;
    FRAME_SIZE.store(frame_size + PARKING, Ordering::Relaxed);
    // SAFETY: (1) the constructor runs on a thread of libc's; (2) the stack is mapped for good, and nothing runs on an
    // alternate stack yet.
    unsafe {
        (*thread_local::current()).alternate = stack;
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
        let asked = new.as_ref().copied();
        let disables = asked.is_some_and(|new| new.ss_flags & libc::SS_DISABLE != 0);
        let too_small = asked.is_some_and(|new| {
            (libc::MINSIGSTKSZ..FRAME_SIZE.load(Ordering::Relaxed)).contains(&new.ss_size)
        });
        let replacement = to_libc(ours);
        let new = if disables || too_small { &raw const replacement } else { new };
        let shown = (*local).shown;
        let result = next()(new, old);
        if result != 0 {
            return result;
        }
        if let Some(old) = old.as_mut().filter(|old| old.ss_sp as u64 == ours.start) {
            *old = to_libc(if shown.size == 0 { NONE } else { shown });
        }
        if let Some(asked) = asked {
            let asked = SignalStack {
                start: asked.ss_sp as u64,
                flags: asked.ss_flags,
                padding: 0,
                size: asked.ss_size as u64,
            };
            (*local).shown = if too_small && !disables { asked } else { SignalStack::default() };
        }
        0
    }
}

fn to_libc(stack: SignalStack) -> stack_t {
    stack_t {
        ss_sp: stack.start as *mut c_void,
        ss_flags: stack.flags,
        ss_size: stack.size as usize,
    }
}
