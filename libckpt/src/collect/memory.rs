//! Copies memory without touching it.

use ckpt_image::PAGE;
use ckpt_sys::{Errno, Fd, calls, files};
use linux_raw_sys::general as n;

use super::content::Run;
use crate::failure::{Doing, Failure, failure};

/// The memory of the process. A page that cannot be read (without read permission, a guard, behind the end of a file that
/// has become shorter) must not cost the program its life, so it is the kernel that reads.
#[derive(Debug)]
pub struct Memory {
    file: Fd,
}

impl Memory {
    /// Opens `/proc/thread-self/mem`.
    ///
    /// # Errors
    /// [`Failure`] if that is not possible.
    pub fn open() -> Result<Self, Failure> {
        let file = calls::open(c"/proc/thread-self/mem", n::O_RDONLY)
            .doing(format_args!("/proc/thread-self/mem"))?;
        Ok(Self { file })
    }

    /// Copies a run into `to`, which is as long. The number of bytes that were there, in whole pages.
    ///
    /// # Errors
    /// [`Failure`] if some of it cannot be read.
    pub fn copy(&self, run: Run, to: &mut [u8]) -> Result<usize, Failure> {
        if calls::copy_memory(run.span.start, to) == Ok(to.len()) {
            return Ok(to.len());
        }
        // This way is slower, and minds no protection.
        match files::read_at(&self.file, to, run.span.start) {
            Ok(count) if count == to.len() => Ok(count),
            // Behind the end of a file there is nothing.
            Ok(count) if run.same_as_file => Ok(count & !(PAGE as usize - 1)),
            Err(Errno::EIO | Errno::EFAULT) if run.same_as_file => Ok(0),
            Ok(_) | Err(Errno::EIO | Errno::EFAULT) => Err(failure!(
                "memory at {:#x}: some of it cannot be read: guard pages (MADV_GUARD_INSTALL) are not supported yet; remove \
                 them first",
                run.span.start
            )),
            Err(errno) => Err(errno).doing(format_args!("memory at {:#x}", run.span.start)),
        }
    }
}
