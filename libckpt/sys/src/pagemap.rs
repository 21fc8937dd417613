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

/// Whether all pages that `span` has are huge ones. `false` from kernels that do not tell.
#[must_use]
pub fn are_huge(pagemap: &Fd, span: Span) -> bool {
    let (huge, present) = (n::PAGE_IS_HUGE, n::PAGE_IS_PRESENT);
    has_none(pagemap, span, huge | present, huge)
}

/// Whether `span` is in memory, without a page that is missing, swapped out, or a guard page. `false` from kernels that do not
/// tell.
#[must_use]
pub fn are_present(pagemap: &Fd, span: Span) -> bool {
    has_none(pagemap, span, n::PAGE_IS_PRESENT, n::PAGE_IS_PRESENT)
}

/// Whether there is no page of the categories in `mask`, or without them where they are `inverted`.
fn has_none(pagemap: &Fd, span: Span, mask: u32, inverted: u32) -> bool {
    let mut found = n::page_region {
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
        vec: &raw mut found as u64,
        vec_len: 1,
        max_pages: 1,
        category_inverted: inverted.into(),
        category_mask: mask.into(),
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
    fn small_pages_are_not_huge_and_missing_ones_not_present() {
        let pagemap = calls::open(c"/proc/thread-self/pagemap", n::O_RDONLY).unwrap();
        let page = ckpt_image::PAGE as usize;
        let memory = calls::map_anonymous(3 * page).unwrap();
        let part = |from: usize, to: usize| {
            Span::new((memory + from * page) as u64, (memory + to * page) as u64)
        };
        assert!(are_huge(&pagemap, part(0, 3)), "there are none");
        assert!(!are_present(&pagemap, part(0, 3)));
        // SAFETY: the memory is nobody else's.
        unsafe { (memory as *mut u8).write(1) };
        assert!(!are_huge(&pagemap, part(0, 3)));
        assert!(are_present(&pagemap, part(0, 1)) && !are_present(&pagemap, part(0, 2)));
        // SAFETY: likewise.
        unsafe { ((memory + 2 * page) as *mut u8).write(1) };
        assert!(!are_present(&pagemap, part(0, 3)) && are_present(&pagemap, part(2, 3)));
        // SAFETY: likewise.
        unsafe { calls::unmap(memory, 3 * page).unwrap() };
    }
}
