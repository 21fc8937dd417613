//! Processes that help the writer of an image: they share its memory and its descriptors, and it waits for them before it uses what
//! they have done. A thread would do as well but for its end, of which the kernel tells nobody, and for what libc thinks of it.
//!
//! Async-signal-safe: see `signal`.

use ckpt_sys::{Errno, calls};
use linux_raw_sys::general as n;
use linux_raw_sys::prctl as p;

use crate::signal;

/// A helper.
#[derive(Clone, Copy, Debug)]
pub struct Helper {
    pid: i32,
}

impl Helper {
    /// Has a new process run `entry` on a stack that ends at `stack`.
    ///
    /// # Safety
    /// Stack and argument stay, with all that `entry` uses, until [`Self::wait`] has returned.
    ///
    /// # Errors
    /// Those of clone(2).
    pub unsafe fn begin<T>(
        stack: u64,
        entry: extern "C" fn(&T),
        argument: &T,
    ) -> Result<Self, Errno> {
        let flags = n::CLONE_VM | n::CLONE_FS | n::CLONE_FILES | n::CLONE_UNTRACED;
        // SAFETY: the caller answers for it.
        let pid = unsafe { signal::clone_child(flags, stack, entry, argument)? };
        Ok(Self { pid: pid as i32 })
    }

    /// Waits until it has ended; whether nobody has killed it.
    pub fn wait(self) -> bool {
        loop {
            match calls::wait_for(self.pid) {
                Err(Errno::EINTR) => {}
                status => return status == Ok(0),
            }
        }
    }
}

/// Has the caller, which helps process `writer`, end with that: what it does is of no use then. Says whether that is still there.
pub fn end_with(writer: i32) -> bool {
    // SAFETY: the option takes a number.
    let _ = unsafe { calls::prctl(p::PR_SET_PDEATHSIG, [n::SIGKILL as usize, 0, 0, 0]) };
    calls::getppid().is_ok_and(|parent| parent as i32 == writer)
}
