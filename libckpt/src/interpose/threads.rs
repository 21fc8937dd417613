//! Threads: each that the program creates gets an alternate signal stack, and begins with the program's view of its mask.

use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::ptr;
use core::sync::atomic::Ordering;

use libc::{c_int, c_ulong, pthread_attr_t, pthread_t, sigset_t};

use super::{Next, SIGNAL, bits, masks, our_bit};
use crate::alternate::{Reserved, SignalAtStart, Start, ckpt_thread_start};

interposed! {
    /// pthread_create(3)
    fn pthread_create(
        thread: *mut pthread_t,
        attributes: *const pthread_attr_t,
        routine: *const c_void,
        argument: *mut c_void
    ) -> c_int as next {
        let signal = signal_at_start(attributes);
        create(Start { routine, argument }, signal, |start| {
            next()(thread, attributes, start.routine, start.argument)
        })
    }

    /// thrd_create(3), whose start routine returns a number
    fn thrd_create(thread: *mut c_ulong, routine: *const c_void, argument: *mut c_void) -> c_int as next {
        let signal = signal_at_start(ptr::null());
        create(Start { routine, argument }, signal, |start| next()(thread, start.routine, start.argument))
    }
}

/// pthread_attr_getsigmask_np(3), which glibc has since 2.32. In use as all of them (see `interposed`).
#[used]
#[unsafe(link_section = "ckpt_next")]
static MASK_OF_ATTRIBUTES: Next = Next::new(c"pthread_attr_getsigmask_np", &[]);

type MaskOfAttributes = unsafe extern "C" fn(*const pthread_attr_t, *mut sigset_t) -> c_int;

/// What a thread with these attributes, if it has any, begins with: the mask that they say, or its creator's.
///
/// # Safety
/// As for pthread_create(3).
unsafe fn signal_at_start(attributes: *const pthread_attr_t) -> SignalAtStart {
    let mut mask = MaybeUninit::uninit();
    // SAFETY: (1) the caller answers for the attributes; (2) libc writes the mask if there is one.
    let mask = unsafe {
        let has_mask = !attributes.is_null()
            && MASK_OF_ATTRIBUTES.get::<MaskOfAttributes>()(attributes, mask.as_mut_ptr()) == 0;
        has_mask.then(|| mask.assume_init())
    };
    match mask {
        None => SignalAtStart {
            blocked: masks::noted(),
            unblock: 0,
        },
        Some(mask) => {
            let signal = SIGNAL.load(Ordering::Acquire);
            let unblock = bits(&mask) & our_bit();
            SignalAtStart {
                blocked: if unblock == 0 { 0 } else { signal },
                unblock,
            }
        }
    }
}

/// Creates a thread by libc's function, which returns 0 on success. It goes by way of ours if it can have a stack.
fn create(start: Start, signal: SignalAtStart, by_libc: impl FnOnce(Start) -> c_int) -> c_int {
    if our_bit() == 0 {
        return by_libc(start);
    }
    let Some(slot) = Reserved::new(start, signal) else {
        return by_libc(start);
    };
    let result = by_libc(Start {
        routine: ckpt_thread_start as *const c_void,
        argument: slot.argument(),
    });
    if result != 0 {
        slot.release();
    }
    result
}
