//! Calls that the kernel answers differently for memory that is mapped from the image than for the memory without a file
//! that the program has there (see `lazy`): what is dropped must read as zeros afterwards and not as the image again, and
//! what is made longer goes on with zeros, and not with what the image has there, or behind its end with SIGBUS.

use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};

use ckpt_image::segments::Span;
use ckpt_image::{PAGE, TASK_SIZE, page_up};
use ckpt_sys::Errno;
use libc::{c_int, size_t};

use crate::lazy;

/// The pages from `start` on that hold `length` bytes, as far as they are the program's.
fn pages(start: *mut c_void, length: size_t) -> Span {
    let start = start as u64;
    let end = start.saturating_add(length as u64).min(TASK_SIZE);
    Span::new(start, page_up(end))
}

/// Returns -1 from a function of libc.
fn refuse(errno: Errno) -> c_int {
    // SAFETY: whoever calls functions of libc has an errno.
    unsafe { *libc::__errno_location() = c_int::from(errno.0) };
    -1
}

/// Whether the program has kept memory from forked processes.
static HAS_KEPT_FROM_FORKS: AtomicBool = AtomicBool::new(false);

/// Whether the program has ever kept memory from forked processes, as far as it has told libc.
pub fn has_kept_from_forks() -> bool {
    HAS_KEPT_FROM_FORKS.load(Ordering::Relaxed)
}

interposed! {
    /// madvise(2)
    fn madvise(start: *mut c_void, length: size_t, advice: c_int) -> c_int as next {
        if matches!(advice, libc::MADV_DONTFORK | libc::MADV_WIPEONFORK) {
            HAS_KEPT_FROM_FORKS.store(true, Ordering::Relaxed);
        }
        let drops = matches!(advice, libc::MADV_DONTNEED | libc::MADV_FREE | MADV_DONTNEED_LOCKED | MADV_GUARD_INSTALL);
        if drops
            && lazy::is_in_use()
            && (start as u64).is_multiple_of(PAGE)
            && let Err(errno) = lazy::replace(pages(start, length))
        {
            return refuse(errno);
        }
        next()(start, length, advice)
    }

    /// mremap(2), whose last argument is there only with `MREMAP_FIXED`
    fn mremap(old: *mut c_void, old_length: size_t, length: size_t, flags: c_int, to: *mut c_void) -> *mut c_void as next {
        let pages = pages(old, old_length);
        let length_in_pages = page_up((length as u64).min(TASK_SIZE));
        let is_fixed = flags & libc::MREMAP_FIXED != 0;
        let is_ordinary = (old as u64).is_multiple_of(PAGE)
            && !pages.is_empty()
            && length != 0
            && flags & !(libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED) == 0
            && (!is_fixed || (to as u64).is_multiple_of(PAGE) && flags & libc::MREMAP_MAYMOVE != 0);
        let differs = is_fixed || length_in_pages > pages.len();
        if !lazy::is_in_use() || !is_ordinary || !differs {
            return next()(old, old_length, length, flags, to);
        }
        let resized = match lazy::is_in_image(pages) {
            Ok(false) => return next()(old, old_length, length, flags, to),
            Ok(true) => {
                let may_move = flags & libc::MREMAP_MAYMOVE != 0;
                let to = is_fixed.then_some(to as u64);
                lazy::resize(pages, length_in_pages, may_move, to)
            }
            Err(errno) => Err(errno),
        };
        match resized {
            Ok(new) => new as *mut c_void,
            Err(errno) => {
                refuse(errno);
                libc::MAP_FAILED
            }
        }
    }

    /// realloc(3), which makes a block that is a mapping of its own longer by a call that does not pass through here.
    fn realloc(old: *mut c_void, size: size_t) -> *mut c_void as next {
        if old.is_null() || !lazy::is_in_use() {
            return next()(old, size);
        }
        let usable = libc::malloc_usable_size(old);
        // Such a block ends where its mapping does, or since glibc 2.43 a word before that; few others of glibc's do.
        let end = old as u64 + usable as u64;
        let may_be_mapping = end.next_multiple_of(PAGE) - end <= 8;
        if size <= usable || !may_be_mapping || lazy::is_in_image(pages(old, usable)) == Ok(false) {
            return next()(old, size);
        }
        let new = libc::malloc(size);
        if !new.is_null() {
            ptr::copy_nonoverlapping(old.cast::<u8>(), new.cast::<u8>(), usable);
            libc::free(old);
        }
        new
    }
}

/// Linux 5.18 (include/uapi/asm-generic/mman-common.h)
const MADV_DONTNEED_LOCKED: c_int = 24;
/// Linux 6.13 (include/uapi/asm-generic/mman-common.h)
const MADV_GUARD_INSTALL: c_int = 102;
