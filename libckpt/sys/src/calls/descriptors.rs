//! Descriptors, whatever they stand for: copying and closing them, their flags, whom their signals go to, and ioctl.

use linux_raw_sys::general as n;

use super::Done;
use crate::errno::Errno;
use crate::syscall::call;

plain! {
    /// close(2)
    close = __NR_close(fd: i32);
    /// close_range(2)
    close_range = __NR_close_range(first: u32, last: u32, flags: u32);
    /// dup3(2)
    dup3 = __NR_dup3(from: i32, to: i32, flags: u32);
    /// fcntl(2) with a number as its argument
    fcntl = __NR_fcntl(fd: i32, command: u32, argument: usize);
}

/// fcntl(2) with `F_GETOWN_EX`
///
/// # Errors
/// Those of the system call.
pub fn signal_owner(fd: i32) -> Result<n::f_owner_ex, Errno> {
    let mut owner = n::f_owner_ex { type_: 0, pid: 0 };
    // SAFETY: the kernel writes one struct.
    unsafe {
        call(
            n::__NR_fcntl,
            [
                fd as usize,
                n::F_GETOWN_EX as usize,
                &raw mut owner as usize,
            ],
        )
        .map(|_| owner)
    }
}

/// fcntl(2) with `F_SETOWN_EX`
///
/// # Errors
/// Those of the system call.
pub fn set_signal_owner(fd: i32, owner: n::f_owner_ex) -> Done {
    // SAFETY: the kernel reads one struct.
    unsafe {
        call(
            n::__NR_fcntl,
            [
                fd as usize,
                n::F_SETOWN_EX as usize,
                &raw const owner as usize,
            ],
        )
        .map(drop)
    }
}

/// ioctl(2) with an address as its argument.
///
/// # Safety
/// `argument` points to what `request` wants, and the memory that the kernel writes to is the caller's.
///
/// # Errors
/// Those of the system call.
pub unsafe fn ioctl(fd: i32, request: u32, argument: usize) -> Result<usize, Errno> {
    // SAFETY: the caller answers for the argument.
    unsafe { call(n::__NR_ioctl, [fd as usize, request as usize, argument]) }
}
