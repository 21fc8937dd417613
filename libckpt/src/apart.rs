//! Work that the program must not do itself: a process that shares our memory does it, but has descriptors of its own.
//!
//! Async-signal-safe: see `signal`.

use core::cell::Cell;

use ckpt_sys::{Errno, MapVec, calls};
use linux_raw_sys::general as n;

use crate::signal;

/// Size of the stack of such a process, in bytes: as large as libckpt's own.
const STACK: usize = 1 << 20;

/// What the process does, and what came of it.
struct Order<W, T> {
    work: Cell<Option<W>>,
    result: Cell<Option<T>>,
}

/// Calls `work` in a process that has copies of the program's descriptors. What it opens is not open here, and what it closes
/// takes no lock (fcntl(2), `F_SETLK`) of the program's away, as closing any descriptor of the file here would.
///
/// # Errors
/// Those of clone(2), and `ENOMEM`; `EIO` if the process has ended before it was done.
pub fn call<T, W: FnOnce() -> T>(work: W) -> Result<T, Errno> {
    let stack = MapVec::<u8>::zeroed(STACK)?;
    let order = Order {
        work: Cell::new(Some(work)),
        result: Cell::new(None),
    };
    let flags = n::CLONE_VM | n::CLONE_VFORK | n::CLONE_UNTRACED;
    // SAFETY: (1) stack and order stay until the child has ended, since the kernel lets us go on only then; (2) it uses
    // nothing else of ours but what `work` does, which we could do as well.
    let child = unsafe { signal::clone_child(flags, stack.span().end, carry_out, &order)? };
    while calls::wait_for(child as i32) == Err(Errno::EINTR) {}
    order.result.into_inner().ok_or(Errno::EIO)
}

extern "C" fn carry_out<T, W: FnOnce() -> T>(order: &Order<W, T>) {
    if let Some(work) = order.work.take() {
        order.result.set(Some(work()));
    }
}
