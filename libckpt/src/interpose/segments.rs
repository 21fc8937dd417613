//! Whether the program has made segments for itself (modify_ldt(2)): there may be one at any of many places, and looking at all of them takes
//! long.

use core::ffi::{c_int, c_ulong, c_void};
use core::sync::atomic::{AtomicBool, Ordering};

use ckpt_sys::local_segments::{self, ENTRIES};

static MAY_BE_ANYWHERE: AtomicBool = AtomicBool::new(false);

/// What is looked at in any case.
const FIRST: u16 = 64;

/// Whether it has some, as far as they were made through libc, or are among the first.
pub fn has_local() -> bool {
    let may_be_anywhere = MAY_BE_ANYWHERE.load(Ordering::Relaxed);
    local_segments::are_there(if may_be_anywhere { ENTRIES } else { FIRST })
}

/// Notes that the program is about to call modify_ldt(2).
pub(super) fn note() {
    MAY_BE_ANYWHERE.store(true, Ordering::Relaxed);
}

interposed! {
    /// modify_ldt(2)
    fn modify_ldt(what: c_int, at: *mut c_void, size: c_ulong) -> c_int as next {
        note();
        next()(what, at, size)
    }
}
