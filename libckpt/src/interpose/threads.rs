//! Threads: each that the program creates gets an alternate signal stack, and begins with the program's view of the mask
//! that its creator has.

use core::ffi::c_void;

use libc::{c_int, c_ulong, pthread_attr_t, pthread_t};

use super::masks::is_blocked;
use super::our_bit;
use crate::alternate::{Reserved, Start, ckpt_thread_start};

interposed! {
    /// pthread_create(3)
    fn pthread_create(
        thread: *mut pthread_t,
        attributes: *const pthread_attr_t,
        routine: *const c_void,
        argument: *mut c_void
    ) -> c_int as next {
        create(Start { routine, argument }, |start| next()(thread, attributes, start.routine, start.argument))
    }

    /// thrd_create(3), whose start routine returns a number
    fn thrd_create(thread: *mut c_ulong, routine: *const c_void, argument: *mut c_void) -> c_int as next {
        create(Start { routine, argument }, |start| next()(thread, start.routine, start.argument))
    }
}

/// Creates a thread by libc's function, which returns 0 on success. It goes by way of ours if it can have a stack.
fn create(start: Start, by_libc: impl FnOnce(Start) -> c_int) -> c_int {
    if our_bit() == 0 {
        return by_libc(start);
    }
    let Some(slot) = Reserved::new(start, is_blocked()) else {
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
