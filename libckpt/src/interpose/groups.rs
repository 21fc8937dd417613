//! The process group of the program has another number in each restored process. A shell has asked for it at its start, and
//! gives the terminal back to it whenever a job has ended.

use core::sync::atomic::{AtomicI32, Ordering};

use ckpt_sys::calls;
use libc::{c_int, pid_t};

interposed! {
    /// tcsetpgrp(3)
    fn tcsetpgrp(fd: c_int, group: pid_t) -> c_int as next {
        let errno = *libc::__errno_location();
        let result = next()(fd, group);
        // It fails with a group that is none of the session's.
        if result == 0 || group <= 0 || !is_former(group) {
            return result;
        }
        *libc::__errno_location() = errno;
        next()(fd, calls::getpgid(0).map_or(group, |own| own as i32))
    }
}

/// Numbers that the program's group had before, as far as there is room; 0 if none.
static FORMER: [AtomicI32; 64] = [const { AtomicI32::new(0) }; 64];

/// Notes that the program's group had this number. Called in a restored process, while no thread of the program runs.
pub fn note_former(group: i32) {
    let known = |former: &&AtomicI32| [0, group].contains(&former.load(Ordering::Relaxed));
    if let Some(place) = FORMER.iter().find(known) {
        place.store(group, Ordering::Relaxed);
    }
}

fn is_former(group: i32) -> bool {
    FORMER
        .iter()
        .any(|former| former.load(Ordering::Relaxed) == group)
}
