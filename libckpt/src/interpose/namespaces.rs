//! Whether the program has gone into namespaces, which its threads may do one by one: looking at each thread takes long.

use core::sync::atomic::{AtomicBool, Ordering};

use libc::c_int;
use linux_raw_sys::general as n;

static HAS_CHANGED: AtomicBool = AtomicBool::new(false);

/// The flags of unshare(2) that make a namespace.
pub(super) const ANY: c_int = (n::CLONE_NEWNS
    | n::CLONE_NEWCGROUP
    | n::CLONE_NEWUTS
    | n::CLONE_NEWIPC
    | n::CLONE_NEWUSER
    | n::CLONE_NEWPID
    | n::CLONE_NEWNET
    | n::CLONE_NEWTIME) as c_int;

/// Whether it has, through libc.
pub fn have_changed() -> bool {
    HAS_CHANGED.load(Ordering::Relaxed)
}

/// Notes that a thread is about to go into the namespaces among `flags`.
pub(super) fn note(flags: c_int) {
    if flags & ANY != 0 {
        HAS_CHANGED.store(true, Ordering::Relaxed);
    }
}

interposed! {
    /// unshare(2)
    fn unshare(flags: c_int) -> c_int as next {
        note(flags);
        next()(flags)
    }

    /// setns(2)
    fn setns(fd: c_int, kind: c_int) -> c_int as next {
        note(ANY);
        next()(fd, kind)
    }
}
