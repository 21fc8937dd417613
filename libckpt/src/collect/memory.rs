//! Copies memory without touching it.

use ckpt_image::PAGE;
use ckpt_image::regions::Region;
use ckpt_image::segments::Span;
use ckpt_sys::{Errno, Fd, calls, files, pagemap, protection_keys};
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

/// What has to be known of memory that is read.
#[derive(Clone, Copy, Debug)]
pub enum Access {
    /// It is shared, and can be mapped a second time.
    Shared,
    /// It is private.
    Private {
        /// `PROT_*`.
        protection: u32,
        /// Its protection key, if the kernel has not chosen it.
        key: u32,
    },
}

impl Access {
    /// To the memory of `region`.
    pub fn of(region: &Region<'_>) -> Self {
        if region.is_shared() {
            Self::Shared
        } else {
            Self::Private {
                protection: region.protection,
                key: region.protection_key(),
            }
        }
    }
}

/// Private memory that can be read for the moment. A kernel may let nobody but a tracer read through `mem` what is not readable
/// (`proc_mem.force_override`, since Linux 6.12).
struct Opened {
    span: Span,
    protection: u32,
    key: u32,
}

impl Opened {
    /// Memory that has `protection` and `key`; nothing if it can be read as it is, or stays as it is. No other thread of the program
    /// runs in this address space.
    fn for_reading(span: Span, protection: u32, key: u32) -> Option<Self> {
        let (start, length) = (span.start as usize, span.len() as usize);
        let is_opened = protection & n::PROT_READ == 0
            // SAFETY: more is permitted than was.
            && unsafe { calls::protect(start, length, protection | n::PROT_READ).is_ok() };
        is_opened.then_some(Self {
            span,
            protection,
            key,
        })
    }

    fn close(self) -> Result<(), Failure> {
        let (start, length) = (self.span.start as usize, self.span.len() as usize);
        // Memory keeps its key, unless it may only be executed: then the kernel chooses one.
        // SAFETY: so it was.
        unsafe {
            if self.key != 0 && self.protection == n::PROT_EXEC {
                protection_keys::protect(start, length, self.protection, self.key)
            } else {
                calls::protect(start, length, self.protection)
            }
        }
        .doing(format_args!(
            "the protection of memory at {:#x}",
            self.span.start
        ))
    }
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

    /// Copies a run into `to`, which is as long. The number of bytes that were there, in whole pages.
    ///
    /// # Errors
    /// [`Failure`] if some of it cannot be read.
    pub fn copy(&self, run: Run, access: Access, to: &mut [u8]) -> Result<usize, Failure> {
        if calls::copy_memory(run.span.start, to) == Ok(to.len()) {
            return Ok(to.len());
        }
        // This way is slower, and mostly minds no protection.
        if files::read_at(&self.file, to, run.span.start) == Ok(to.len()) {
            return Ok(to.len());
        }
        let count = match access {
            Access::Shared => {
                let count = self.pages_at(run.span.start, to);
                count.max(self.pages_of_twin(run.span, to).unwrap_or(0))
            }
            Access::Private { protection, key } => {
                let opened = Opened::for_reading(run.span, protection, key);
                let count = match calls::copy_memory(run.span.start, to) {
                    Ok(count) if count == to.len() => count,
                    _ => self.pages_at(run.span.start, to),
                };
                opened.map_or(Ok(()), Opened::close)?;
                count
            }
        };
        // Behind the end of a file there is nothing.
        if count == to.len() || run.same_as_file {
            return Ok(count);
        }
        Err(failure!(
            "memory at {:#x}: it cannot be read, although there is something: it is damaged, or sealed without read permission where the \
             kernel shows that to tracers only (proc_mem.force_override), or a guard page (MADV_GUARD_INSTALL) of a kernel that does not \
             tell them from content; use Linux 6.16 or later, or remove them first",
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
        // SAFETY: the mapping is ours alone.
        let _ = unsafe { calls::protect(twin, length, n::PROT_READ) };
        let count = self.pages_at(twin as u64, to);
        // SAFETY: the mapping is ours alone.
        unsafe { calls::unmap(twin, length)? };
        Ok(count)
    }
}
