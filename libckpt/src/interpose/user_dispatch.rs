//! System calls that the kernel dispatches to the program itself (Documentation/admin-guide/syscall-user-dispatch.rst). A thread for
//! which they are blocked at the moment must not be in our handler: the calls that it makes, and the one by which it
//! returns, would be dispatched, too, and end the process. So there are no checkpoints once a program has begun with that.

use core::ffi::{c_int, c_long};
use core::sync::atomic::{AtomicBool, Ordering};

use ckpt_image::TASK_SIZE;
use ckpt_sys::calls;
use linux_raw_sys::prctl as p;

use super::our_bit;
use crate::signal;

static IS_ON: AtomicBool = AtomicBool::new(false);

/// Whether a thread has begun with that.
pub fn is_on() -> bool {
    IS_ON.load(Ordering::Relaxed)
}

/// Whether prctl(2) with these arguments begins with that, on a kernel that knows it (`task_set_syscall_user_dispatch` in
/// kernel/entry/syscall_user_dispatch.c): a call that fails is to change nothing.
fn begins(option: c_int, [mode, start, length, selector]: [usize; 4]) -> bool {
    let is_range = start.checked_add(length).is_some_and(|end| end > start);
    let is_mode = match u32::try_from(mode) {
        Ok(p::PR_SYS_DISPATCH_EXCLUSIVE_ON) => start == 0 || is_range,
        Ok(p::PR_SYS_DISPATCH_INCLUSIVE_ON) => is_range,
        _ => false,
    };
    option.cast_unsigned() == p::PR_SET_SYSCALL_USER_DISPATCH
        && is_mode
        && (selector as u64) < TASK_SIZE
}

/// Has `call` make prctl(2) with these arguments.
pub(super) fn around(
    option: c_int,
    arguments: [usize; 4],
    call: impl FnOnce() -> c_long,
) -> c_long {
    if !begins(option, arguments) || our_bit() == 0 || is_on() {
        return call();
    }
    // From the call on, none of ours may be let through.
    IS_ON.store(true, Ordering::Relaxed);
    signal::ignore();
    say(b"libckpt: the program dispatches its own system calls (PR_SET_SYSCALL_USER_DISPATCH), which is not supported; \
          from here on it takes no checkpoints\n");
    let result = call();
    if result != 0 {
        IS_ON.store(false, Ordering::Relaxed);
        signal::heed();
        say(b"libckpt: this kernel does not do that, so the program takes checkpoints as before\n");
    }
    result
}

fn say(line: &[u8]) {
    let _ = calls::write(2, line);
}

interposed! {
    /// prctl(2)
    fn prctl(option: c_int, a: usize, b: usize, c: usize, d: usize) -> c_int as next {
        around(option, [a, b, c, d], || next()(option, a, b, c, d).into()) as c_int
    }
}
