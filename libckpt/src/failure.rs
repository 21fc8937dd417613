//! Why there is no checkpoint.

use core::fmt;

use ckpt_sys::{Errno, Line};

use crate::signal::Owned;

/// What the latest failure says. There is never more than one: the first ends the checkpoint.
static TEXT: Owned<Line<1024>> = Owned::new(Line::new());

/// That there is no checkpoint. The one line for the user (the object, what is wrong, what to do about it) is kept
/// elsewhere, so that results stay small.
#[derive(Clone, Copy, Debug)]
pub struct Failure(());

impl Failure {
    /// A failure with this text.
    pub fn new(text: fmt::Arguments<'_>) -> Self {
        let line = Line::format(text);
        // SAFETY: the caller runs on libckpt's stack.
        unsafe { *TEXT.get() = line };
        Self(())
    }
}

/// A [`Failure`] from a format string and its arguments.
macro_rules! failure {
    ($($argument:tt)*) => {
        $crate::failure::Failure::new(format_args!($($argument)*))
    };
}
pub(crate) use failure;

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: the caller runs on libckpt's stack.
        fmt::Display::fmt(unsafe { TEXT.get() }, f)
    }
}

/// Says what was being done when a system call failed.
pub trait Doing<T> {
    /// Turns the error into a [`Failure`] that begins with `what`.
    ///
    /// # Errors
    /// The failure.
    fn doing(self, what: fmt::Arguments<'_>) -> Result<T, Failure>;
}

impl<T> Doing<T> for Result<T, Errno> {
    fn doing(self, what: fmt::Arguments<'_>) -> Result<T, Failure> {
        self.map_err(|errno| failure!("{what}: {errno}; {}", remedy(errno)))
    }
}

/// What a user can do about an error that is not about one object.
fn remedy(errno: Errno) -> &'static str {
    match errno {
        Errno::ENOSPC | Errno::EDQUOT => "free some space, or set CKPT_FILE to a place with more",
        Errno::EROFS | Errno::EACCES | Errno::EPERM => {
            "set CKPT_FILE to a place that the program may write to"
        }
        Errno::ENOENT | Errno::ENOTDIR => "make the directory, or set CKPT_FILE to one that exists",
        Errno::EMFILE => "raise the limit of open files (ulimit -n) before the program starts",
        Errno::ENFILE => "close files elsewhere, or raise fs.file-max",
        Errno::ENOMEM => {
            "free some memory, or raise its limit (ulimit -v) before the program starts"
        }
        Errno::EFBIG => "raise the limit of file sizes (ulimit -f) before the program starts",
        Errno::ENAMETOOLONG => "set CKPT_FILE to a shorter name",
        Errno::ENOSYS => "it needs a kernel with this system call, and a sandbox that permits it",
        _ => "send the signal again",
    }
}
