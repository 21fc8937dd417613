//! System calls that the kernel dispatches to the program itself (Documentation/admin-guide/syscall-user-dispatch.rst). A thread for
//! which they are blocked at the moment must not be in our handler: the calls that it makes, and the one by which it
//! returns, would be dispatched, too, and end the process. So there are no checkpoints once a program has begun with that.

use core::ffi::c_ulong;

use ckpt_sys::calls;
use libc::c_int;
use linux_raw_sys::prctl as p;

use super::our_bit;
use crate::signal;

/// Notes that a thread is about to call prctl(2) with these arguments.
pub(super) fn note(option: c_int, mode: c_ulong) {
    let begins = option.cast_unsigned() == p::PR_SET_SYSCALL_USER_DISPATCH
        && mode != c_ulong::from(p::PR_SYS_DISPATCH_OFF);
    if begins && our_bit() != 0 && signal::ignore() {
        let line = b"libckpt: the program dispatches its own system calls (PR_SET_SYSCALL_USER_DISPATCH), which is not supported; \
                     from here on it takes no checkpoints\n";
        let _ = calls::write(2, line);
    }
}

interposed! {
    /// prctl(2)
    fn prctl(option: c_int, a: c_ulong, b: c_ulong, c: c_ulong, d: c_ulong) -> c_int as next {
        note(option, a);
        next()(option, a, b, c, d)
    }
}
