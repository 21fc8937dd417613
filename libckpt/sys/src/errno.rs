//! Error numbers.

use core::fmt;

use linux_raw_sys::errno as n;

/// The error number of a failed system call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub u16);

macro_rules! errnos {
    ($($name:ident $text:literal,)*) => {
        impl Errno {
            $(
                #[doc = $text]
                pub const $name: Self = Self(n::$name as u16);
            )*

            /// Name and meaning, as in errno(3), if it is one that is known here.
            fn described(self) -> Option<(&'static str, &'static str)> {
                match self {
                    $(Self::$name => Some((stringify!($name), $text)),)*
                    _ => None,
                }
            }
        }
    };
}

errnos! {
    EPERM "operation not permitted",
    ENOENT "no such file or directory",
    ESRCH "no such process",
    EINTR "interrupted",
    EIO "input/output error",
    ENXIO "no such device or address",
    E2BIG "argument list too long",
    EBADF "bad file descriptor",
    ECHILD "no child processes",
    EAGAIN "try again",
    ENOMEM "out of memory",
    EACCES "permission denied",
    EFAULT "bad address",
    EBUSY "busy",
    EEXIST "file exists",
    EXDEV "on another file system",
    ENODEV "no such device",
    ENOTDIR "not a directory",
    EISDIR "is a directory",
    EINVAL "invalid argument",
    ENFILE "too many open files in the system",
    EMFILE "too many open files",
    ENOTTY "not a terminal",
    ETXTBSY "text file busy",
    EFBIG "file too large",
    ENOSPC "no space left on device",
    ESPIPE "cannot seek",
    EROFS "read-only file system",
    EPIPE "broken pipe",
    ERANGE "result too large",
    EIDRM "removed",
    EDEADLK "deadlock avoided",
    ENAMETOOLONG "file name too long",
    ENOLCK "no locks available",
    ENOSYS "not known to this kernel",
    ELOOP "too many symbolic links",
    EOVERFLOW "value too large",
    EPROTOTYPE "wrong type of socket",
    ENOPROTOOPT "option not known",
    EPROTONOSUPPORT "protocol not supported",
    EOPNOTSUPP "not supported",
    EAFNOSUPPORT "address family not supported",
    EADDRINUSE "address in use",
    EADDRNOTAVAIL "address not available",
    ENETUNREACH "network is unreachable",
    ECONNRESET "connection reset",
    ENOBUFS "no buffer space",
    ENOTCONN "not connected",
    ECONNREFUSED "connection refused",
    EINPROGRESS "in progress",
    ETIMEDOUT "timed out",
    ESTALE "stale file handle",
    EDQUOT "disk quota exceeded",
}

impl Errno {
    /// Sorts a system call's result into value and error.
    ///
    /// # Errors
    /// The error, where `result` is one.
    pub fn check(result: isize) -> Result<usize, Self> {
        if (-4095..0).contains(&result) {
            Err(Self(-result as u16))
        } else {
            Ok(result as usize)
        }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.described() {
            Some((name, text)) => write!(f, "{text} ({name})"),
            None => write!(f, "error {}", self.0),
        }
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
