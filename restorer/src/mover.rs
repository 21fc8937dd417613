//! Brings pages from a mapping of our own to the program's memory: huge ones are moved, and what belongs on small ones is copied, which
//! takes a third less time than having them made, cleared, and overwritten.
//!
//! A page fault makes a huge page where the mapping has the flag `MADV_HUGEPAGE`, which the program's has not and must not get.
//! Pages are brought by userfaultfd(2), with all that it takes to do that without a privilege: nobody touches a page that is missing.

use ckpt_image::segments::Span;
use ckpt_sys::userfaultfd::Userfaultfd;
use ckpt_sys::{Errno, Fd, MapVec, calls, pagemap};
use linux_raw_sys::general as n;
use restart::plan::{HUGE_PAGE, MOST_ENLARGED};

use crate::extents::LONGEST;

const _: () = assert!(LONGEST as u64 <= HUGE_PAGE);

/// What each has, in bytes: as much as is enlarged at one time, and a huge page for what is copied.
const EACH: u64 = MOST_ENLARGED + HUGE_PAGE;

/// Room in which pages come into being, and the way out of it.
pub struct Mover {
    userfaultfd: Userfaultfd,
    pagemap: Fd,
    /// For each who fills, [`EACH`] bytes from the first huge page on.
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
            room: MapVec::zeroed(fill * EACH as usize + HUGE_PAGE as usize)?,
        };
        let span = new.room.span();
        // SAFETY: the memory is ours, and empty.
        unsafe { calls::advise(span.start as usize, span.len() as usize, n::MADV_HUGEPAGE)? };
        Ok(new)
    }

    /// Whether pages can be brought to `region`. Nobody may touch what is missing there any more, as long as this exists.
    ///
    /// # Safety
    /// It is anonymous memory in which there is nothing yet, and nobody uses it.
    pub unsafe fn register(&self, region: Span) -> bool {
        self.userfaultfd.register(region).is_ok()
    }

    /// Where the process number `number` of those who fill fills what is to be moved.
    pub fn room_of(&self, number: usize) -> u64 {
        let first = self.room.span().start.next_multiple_of(HUGE_PAGE);
        first + number as u64 * EACH
    }

    /// Where it fills what is to be copied, of the size of a huge page.
    pub fn buffer_of(&self, number: usize) -> u64 {
        self.room_of(number) + MOST_ENLARGED
    }

    /// Copies to `span`, in what was registered, what was filled at `from`.
    ///
    /// # Errors
    /// `ENOMEM` if there is no memory for it.
    pub fn copy(&self, from: u64, span: Span) -> Result<(), Errno> {
        self.userfaultfd.copy_pages(span, from)
    }

    /// Brings to `span`, in what was registered, what was filled at `room`. Whether all of it came as huge pages; if not, the
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
