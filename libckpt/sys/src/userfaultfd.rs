//! userfaultfd(2), for what nothing else does: moving pages from one mapping to another.

use ckpt_image::segments::Span;
use linux_raw_sys::general as n;

use crate::calls::{self, Done};
use crate::errno::Errno;
use crate::fd::Fd;
use crate::syscall::call;

/// `_IOC` (include/uapi/asm-generic/ioctl.h) of a request of this family: `reads` and `writes` as the program does.
const fn request(reads: bool, writes: bool, number: u32, size: usize) -> u32 {
    (reads as u32) << 31 | (writes as u32) << 30 | (size as u32) << 16 | n::UFFDIO << 8 | number
}

const API: u32 = request(true, true, n::_UFFDIO_API, size_of::<n::uffdio_api>());
const REGISTER: u32 = request(
    true,
    true,
    n::_UFFDIO_REGISTER,
    size_of::<n::uffdio_register>(),
);
const MOVE: u32 = request(true, true, n::_UFFDIO_MOVE, size_of::<n::uffdio_move>());
const COPY: u32 = request(true, true, n::_UFFDIO_COPY, size_of::<n::uffdio_copy>());

/// `UFFDIO_MOVE_MODE_DONTWAKE`, `UFFDIO_COPY_MODE_DONTWAKE` (include/uapi/linux/userfaultfd.h): nobody waits for the pages.
const DO_NOT_WAKE: u64 = 1;

/// Memory of the process to which pages can be moved.
#[derive(Debug)]
pub struct Userfaultfd(Fd);

impl Userfaultfd {
    /// Asks the kernel for one. That takes no privilege, since no page that is missing is ever to be waited for.
    ///
    /// # Errors
    /// Those of the system calls; `EINVAL` from a kernel that moves no pages (before Linux 6.8).
    pub fn open() -> Result<Self, Errno> {
        let flags = (n::O_CLOEXEC | n::UFFD_USER_MODE_ONLY) as usize;
        // SAFETY: the call takes a number.
        let fd = unsafe { call(n::__NR_userfaultfd, [flags])? };
        let new = Self(Fd::owning(fd as i32));
        let mut api = n::uffdio_api {
            api: n::UFFD_API.into(),
            features: n::UFFD_FEATURE_MOVE.into(),
            ioctls: 0,
        };
        // SAFETY: the kernel reads and writes the struct.
        unsafe { calls::ioctl(new.0.number(), API, &raw mut api as usize)? };
        Ok(new)
    }

    /// Lets pages be moved and copied to `span`, until the end of this. Whoever touches a page there that is missing
    /// gets `EFAULT` (in a system call), or waits for good.
    ///
    /// # Errors
    /// Those of the system call; `EINVAL` if some of it is not mapped, or is no memory of this kind.
    pub fn register(&self, span: Span) -> Done {
        let mut register = n::uffdio_register {
            range: n::uffdio_range {
                start: span.start,
                len: span.len(),
            },
            mode: n::UFFDIO_REGISTER_MODE_MISSING.into(),
            ioctls: 0,
        };
        // SAFETY: the kernel reads and writes the struct.
        unsafe { calls::ioctl(self.0.number(), REGISTER, &raw mut register as usize).map(drop) }
    }

    /// Moves the pages that lie at `from` on to `to`, which was registered and has none; how many bytes were moved. Those are
    /// missing at `from` then. Huge pages stay what they are if both addresses are multiples of their size.
    ///
    /// # Safety
    /// Nobody uses the memory at either place.
    pub unsafe fn move_pages(&self, to: Span, from: u64) -> u64 {
        let (moved, _) = piece_by_piece(to.len(), |done| {
            let mut pages = n::uffdio_move {
                dst: to.start + done,
                src: from + done,
                len: to.len() - done,
                mode: DO_NOT_WAKE,
                move_: 0,
            };
            // SAFETY: the kernel reads and writes the struct; the caller answers for the memory.
            let result = unsafe { calls::ioctl(self.0.number(), MOVE, &raw mut pages as usize) };
            (pages.move_, result)
        });
        moved
    }

    /// Copies what lies at `from` on to small pages at `to`, which was registered and has none.
    ///
    /// # Errors
    /// Those of the system call; `ENOMEM` if there is no more memory.
    pub fn copy_pages(&self, to: Span, from: u64) -> Done {
        let (_, result) = piece_by_piece(to.len(), |done| {
            let mut pages = n::uffdio_copy {
                dst: to.start + done,
                src: from + done,
                len: to.len() - done,
                mode: DO_NOT_WAKE,
                copy: 0,
            };
            // SAFETY: the kernel reads and writes the struct, reads what is there, and writes to pages that nobody has.
            let result = unsafe { calls::ioctl(self.0.number(), COPY, &raw mut pages as usize) };
            (pages.copy, result)
        });
        result
    }
}

/// Asks for what is left of `length` bytes until all is done, or the kernel refuses: it comes back half way (`EAGAIN`) when something
/// else goes on in the address space. How much was done, and the error.
fn piece_by_piece(
    length: u64,
    mut ask: impl FnMut(u64) -> (i64, Result<usize, Errno>),
) -> (u64, Done) {
    let mut done = 0;
    while done < length {
        let (count, result) = ask(done);
        // A negative error number if it was nothing.
        done += u64::try_from(count).unwrap_or(0);
        match result {
            Ok(_) | Err(Errno::EAGAIN) => {}
            Err(errno) => return (done, Err(errno)),
        }
    }
    (done, Ok(()))
}
