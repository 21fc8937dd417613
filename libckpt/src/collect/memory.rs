//! Copies memory without touching it.

use ckpt_image::PAGE;
use ckpt_image::segments::Span;
use ckpt_sys::{Errno, Fd, calls, files, pagemap};
use linux_raw_sys::general as n;

use super::content::Run;
use crate::failure::{Doing, Failure, failure};

/// The memory of the process. A page that cannot be read (without read permission, a guard, behind the end of a file that
/// has become shorter) must not cost the program its life, so it is the kernel that reads.
#[derive(Debug)]
pub struct Memory {
    file: Fd,
    pagemap: Fd,
}

impl Memory {
    /// Opens `/proc/thread-self/mem` and `pagemap`.
    ///
    /// # Errors
    /// [`Failure`] if that is not possible.
    pub fn open() -> Result<Self, Failure> {
        let file = calls::open(c"/proc/thread-self/mem", n::O_RDONLY)
            .doing(format_args!("/proc/thread-self/mem"))?;
        let pagemap = calls::open(c"/proc/thread-self/pagemap", n::O_RDONLY)
            .doing(format_args!("/proc/thread-self/pagemap"))?;
        Ok(Self { file, pagemap })
    }

    /// Whether anonymous memory, which may be read, can be read without the kernel: it is there, or can be had.
    pub fn is_there(&self, span: Span) -> bool {
        let (start, length) = (span.start as usize, span.len() as usize);
        // Looking is several times faster than reading ahead, which changes nothing, but finds what cannot be read.
        // SAFETY: the content stays as it is.
        pagemap::are_present(&self.pagemap, span)
            || unsafe { calls::advise(start, length, n::MADV_POPULATE_READ).is_ok() }
    }

    /// Copies a run, which is one of shared memory or not, into `to`, which is as long. The number of bytes that were there, in
    /// whole pages.
    ///
    /// # Errors
    /// [`Failure`] if some of it cannot be read.
    pub fn copy(&self, run: Run, is_shared: bool, to: &mut [u8]) -> Result<usize, Failure> {
        if calls::copy_memory(run.span.start, to) == Ok(to.len()) {
            return Ok(to.len());
        }
        // This way is slower, and minds no protection.
        if files::read_at(&self.file, to, run.span.start) == Ok(to.len()) {
            return Ok(to.len());
        }
        let mut count = self.pages_at(run.span.start, to);
        if is_shared {
            count = count.max(self.pages_of_twin(run.span, to).unwrap_or(0));
        }
        // Behind the end of a file there is nothing.
        if count == to.len() || run.same_as_file {
            return Ok(count);
        }
        Err(failure!(
            "memory at {:#x}: it cannot be read, although there is something: it is damaged, or a guard page (MADV_GUARD_INSTALL) \
             of a kernel that does not tell them from content; use Linux 6.16 or later, or remove them first",
            run.span.start + count as u64
        ))
    }

    /// Reads the pages from `address` on up to the first one that cannot be read; their bytes.
    fn pages_at(&self, address: u64, to: &mut [u8]) -> usize {
        let mut count = 0;
        for page in to.chunks_mut(PAGE as usize) {
            match files::read_at(&self.file, page, address + count as u64) {
                Ok(length) if length == page.len() => count += length,
                _ => break,
            }
        }
        count
    }

    /// Likewise, at other addresses, where shared memory is mapped a second time for this: guard pages hide what is behind them,
    /// and are not mapped along.
    fn pages_of_twin(&self, span: Span, to: &mut [u8]) -> Result<usize, Errno> {
        let length = span.len() as usize;
        // SAFETY: with an old size of 0, nothing that exists is changed (mremap(2)).
        let twin = unsafe { calls::remap_anywhere(span.start as usize, 0, length)? };
        let count = self.pages_at(twin as u64, to);
        // SAFETY: the mapping is ours alone.
        unsafe { calls::unmap(twin, length)? };
        Ok(count)
    }
}
