//! System calls that the kernel dispatches to the program itself (Documentation/admin-guide/syscall-user-dispatch.rst). A thread for
//! which they are blocked at the moment must not be in our handler: the calls that it makes, and the one by which it
//! returns, would be dispatched, too, and end the process. So there are no checkpoints once a program has begun with that.

use core::ffi::{c_int, c_long};

use ckpt_sys::calls;
use linux_raw_sys::prctl as p;

use super::our_bit;
use crate::signal::{self, checkpoint_signal};

/// The value of the selector that lets system calls through (`SYSCALL_DISPATCH_FILTER_ALLOW` in include/uapi/linux/prctl.h).
const ALLOW: u8 = 0;

/// Has `call` make prctl(2) with these arguments.
///
/// # Safety
/// As for that call.
pub(super) unsafe fn around(
    option: c_int,
    arguments: [usize; 4],
    call: impl FnOnce() -> c_long,
) -> c_long {
    let [mode, _, _, selector] = arguments;
    let begins = option.cast_unsigned() == p::PR_SET_SYSCALL_USER_DISPATCH
        && mode as u32 != p::PR_SYS_DISPATCH_OFF;
    let signal = checkpoint_signal();
    if !begins || our_bit() == 0 || signal == 0 {
        return call();
    }
    signal::ignore();
    let result = call();
    let selector = selector as *const u8;
    if result != 0 {
        signal::install(signal);
    // SAFETY: the kernel has found that it can be read.
    } else if selector.is_null() || unsafe { selector.read_volatile() } == ALLOW {
        let line = b"libckpt: the program dispatches its own system calls (PR_SET_SYSCALL_USER_DISPATCH), which is not supported; \
                     from here on it takes no checkpoints\n";
        let _ = calls::write(2, line);
    }
    result
}

interposed! {
    /// prctl(2)
    fn prctl(option: c_int, a: usize, b: usize, c: usize, d: usize) -> c_int as next {
        around(option, [a, b, c, d], || next()(option, a, b, c, d).into()) as c_int
    }
}
