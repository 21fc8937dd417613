//! What page tables say (`/proc/PID/pagemap`, Documentation/admin-guide/mm/pagemap.rst).

use ckpt_image::segments::Span;
use linux_raw_sys::general as n;

use crate::calls;
use crate::errno::Errno;
use crate::fd::Fd;

/// `PAGEMAP_SCAN`: `_IOWR('f', 16, struct pm_scan_arg)` (include/uapi/linux/fs.h).
const SCAN: u32 = 3 << 30 | (size_of::<n::pm_scan_arg>() as u32) << 16 | (b'f' as u32) << 8 | 16;

/// Looks for pages of some kind; the number of stretches that were found.
///
/// # Safety
/// `vec` is null, or `vec_len` structs at `vec` are nobody else's.
///
/// # Errors
/// Those of the system call; `ENOTTY` from kernels before 6.7.
pub unsafe fn scan(pagemap: &Fd, wanted: &mut n::pm_scan_arg) -> Result<usize, Errno> {
    wanted.size = size_of::<n::pm_scan_arg>() as u64;
    // SAFETY: the kernel reads and writes the struct; the caller answers for the array.
    unsafe { calls::ioctl(pagemap.number(), SCAN, &raw mut *wanted as usize) }
}

/// Whether all pages that `span` has are huge ones.
#[must_use]
pub fn are_huge(pagemap: &Fd, span: Span) -> bool {
    let mut small = n::page_region {
        start: 0,
        end: 0,
        categories: 0,
    };
    let mut wanted = n::pm_scan_arg {
        size: 0,
        flags: 0,
        start: span.start,
        end: span.end,
        walk_end: 0,
        vec: &raw mut small as u64,
        vec_len: 1,
        max_pages: 1,
        category_inverted: n::PAGE_IS_HUGE.into(),
        category_mask: (n::PAGE_IS_HUGE | n::PAGE_IS_PRESENT).into(),
        category_anyof_mask: 0,
        return_mask: n::PAGE_IS_PRESENT.into(),
    };
    // SAFETY: there is room for one.
    unsafe { scan(pagemap, &mut wanted) == Ok(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_pages_are_not_huge() {
        let pagemap = calls::open(c"/proc/thread-self/pagemap", n::O_RDONLY).unwrap();
        let page = ckpt_image::PAGE as usize;
        let memory = calls::map_anonymous(2 * page).unwrap();
        let span = Span::new(memory as u64, (memory + 2 * page) as u64);
        assert!(are_huge(&pagemap, span), "there are none");
        // SAFETY: the memory is nobody else's.
        unsafe { (memory as *mut u8).write(1) };
        assert!(!are_huge(&pagemap, span));
    }
}
