//! Moves huge pages from a mapping of our own to the program's memory.
//!
//! A page fault makes a huge page where the mapping has the flag `MADV_HUGEPAGE`, which the program's has not and must not get.
//! Pages are moved by userfaultfd(2), with all that it takes to do that without a privilege: nobody touches a page that is missing.

use ckpt_image::PAGE;
use ckpt_image::segments::Span;
use ckpt_sys::userfaultfd::Userfaultfd;
use ckpt_sys::{Errno, Fd, MapVec, calls, pagemap};
use linux_raw_sys::general as n;
use restart::plan::{HUGE_PAGE, MOST_ENLARGED};

/// Room in which pages come into being, and the way out of it.
pub struct Mover {
    userfaultfd: Userfaultfd,
    pagemap: Fd,
    /// For each who fills, [`MOST_ENLARGED`] bytes from the first huge page on.
    room: MapVec<u8>,
}

impl Mover {
    /// One for as many processes as `fill`. It must be gone before the program's memory is used.
    ///
    /// # Errors
    /// Those of the system calls: this kernel does not do it, or somebody has forbidden it.
    pub fn new(fill: usize) -> Result<Self, Errno> {
        let new = Self {
            userfaultfd: Userfaultfd::open()?,
            pagemap: calls::open(c"/proc/thread-self/pagemap", n::O_RDONLY)?,
            room: MapVec::zeroed(fill * MOST_ENLARGED as usize + HUGE_PAGE as usize)?,
        };
        let span = new.room.span();
        // SAFETY: the memory is ours, and empty.
        unsafe { calls::advise(span.start as usize, span.len() as usize, n::MADV_HUGEPAGE)? };
        Ok(new)
    }

    /// Whether pages can be moved to `span`, which is part of a `region`. Nobody may touch what is missing there any more, as long as
    /// this exists.
    ///
    /// # Safety
    /// The region is anonymous memory in which there is nothing yet, and nobody uses it.
    pub unsafe fn register(&self, span: Span, region: Span) -> bool {
        // Registering divides the mapping, and its parts become one again only if they had a page in common before: they have the
        // same `anon_vma` then (`is_mergeable_anon_vma` in mm/vma.c).
        let beside = if span.start > region.start {
            Some(span.start - PAGE)
        } else {
            Some(span.end).filter(|&end| end < region.end)
        };
        if let Some(page) = beside {
            // It may have come as a huge one.
            let around = page - page % HUGE_PAGE;
            let around = Span::new(
                around.max(region.start),
                (around + HUGE_PAGE).min(region.end),
            );
            // SAFETY: the memory is in the region, and empty before and after.
            let touched = unsafe {
                calls::advise(page as usize, PAGE as usize, n::MADV_POPULATE_WRITE).and_then(|()| {
                    let (start, length) = (around.start as usize, around.len() as usize);
                    calls::advise(start, length, n::MADV_DONTNEED)
                })
            };
            if touched.is_err() {
                return false;
            }
        }
        self.userfaultfd.register(span).is_ok()
    }

    /// Where the process number `number` of those who fill fills what is to be moved.
    pub fn room_of(&self, number: usize) -> u64 {
        let first = self.room.span().start.next_multiple_of(HUGE_PAGE);
        first + number as u64 * MOST_ENLARGED
    }

    /// Brings to `span`, which was registered, what was filled at `room`. Whether all of it came as huge pages; if not, the
    /// kernel has none.
    ///
    /// # Safety
    /// Nobody uses the memory at either place.
    ///
    /// # Errors
    /// `ENOMEM` if there is no memory for small ones either.
    pub unsafe fn bring(&self, room: u64, span: Span) -> Result<bool, Errno> {
        // Small ones would be moved one by one, each with work on all processors.
        let are_huge = pagemap::are_huge(&self.pagemap, Span::new(room, room + span.len()));
        let moved = if are_huge {
            // SAFETY: the caller answers for the memory.
            unsafe { self.userfaultfd.move_pages(span, room) }
        } else {
            0
        };
        let rest = Span::new(span.start + moved, span.end);
        self.userfaultfd.copy_pages(rest, room + moved)?;
        Ok(rest.is_empty())
    }
}
