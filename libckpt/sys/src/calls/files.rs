//! Files: opening, reading and writing them, their sizes, owners and locks, and what is known about them.

use core::ffi::CStr;

use linux_raw_sys::general as n;
pub use linux_raw_sys::general::stat as Stat;

use super::Done;
use crate::errno::Errno;
use crate::fd::Fd;
use crate::syscall::call;

/// The working directory, for the `*at` calls.
pub const AT_FDCWD: i32 = n::AT_FDCWD;

plain! {
    /// lseek(2)
    lseek = __NR_lseek(fd: i32, offset: i64, whence: u32);
    /// fsync(2)
    fsync = __NR_fsync(fd: i32);
    /// ftruncate(2)
    ftruncate = __NR_ftruncate(fd: i32, length: u64);
    /// fchmod(2)
    fchmod = __NR_fchmod(fd: i32, mode: u32);
    /// fchown(2)
    fchown = __NR_fchown(fd: i32, uid: u32, gid: u32);
    /// fallocate(2)
    fallocate = __NR_fallocate(fd: i32, mode: u32, offset: u64, length: u64);
    /// flock(2)
    flock = __NR_flock(fd: i32, operation: u32);
}

/// `major(3)`: which driver a device number means, 0 for file systems without a device.
#[must_use]
pub fn major(device: u64) -> u64 {
    (device >> 8 & 0xfff) | (device >> 32 & !0xfff)
}

/// `minor(3)`: which of the driver's devices.
#[must_use]
pub fn minor(device: u64) -> u64 {
    (device & 0xff) | (device >> 12 & !0xff & 0xffff_ffff)
}

/// openat(2), always with `O_CLOEXEC`.
///
/// # Errors
/// Those of the system call.
pub fn open_at(directory: i32, path: &CStr, flags: u32, mode: u32) -> Result<Fd, Errno> {
    let flags = flags | n::O_CLOEXEC;
    // SAFETY: the kernel reads a string that ends with NUL.
    let number = unsafe {
        call(
            n::__NR_openat,
            [
                directory as usize,
                path.as_ptr() as usize,
                flags as usize,
                mode as usize,
            ],
        )?
    };
    Ok(Fd::owning(number as i32))
}

/// openat(2) relative to the working directory, always with `O_CLOEXEC`, creating nothing.
///
/// # Errors
/// Those of the system call.
pub fn open(path: &CStr, flags: u32) -> Result<Fd, Errno> {
    open_at(AT_FDCWD, path, flags, 0)
}

/// read(2)
///
/// # Errors
/// Those of the system call.
pub fn read(fd: i32, buffer: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel writes into the buffer only.
    unsafe {
        call(
            n::__NR_read,
            [fd as usize, buffer.as_mut_ptr() as usize, buffer.len()],
        )
    }
}

/// pread64(2)
///
/// # Errors
/// Those of the system call.
pub fn pread(fd: i32, buffer: &mut [u8], offset: u64) -> Result<usize, Errno> {
    // SAFETY: the kernel writes into the buffer only.
    unsafe {
        call(
            n::__NR_pread64,
            [
                fd as usize,
                buffer.as_mut_ptr() as usize,
                buffer.len(),
                offset as usize,
            ],
        )
    }
}

/// write(2)
///
/// # Errors
/// Those of the system call.
pub fn write(fd: i32, bytes: &[u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel reads the bytes only.
    unsafe {
        call(
            n::__NR_write,
            [fd as usize, bytes.as_ptr() as usize, bytes.len()],
        )
    }
}

/// pwrite64(2)
///
/// # Errors
/// Those of the system call.
pub fn pwrite(fd: i32, bytes: &[u8], offset: u64) -> Result<usize, Errno> {
    // SAFETY: the kernel reads the bytes only.
    unsafe {
        call(
            n::__NR_pwrite64,
            [
                fd as usize,
                bytes.as_ptr() as usize,
                bytes.len(),
                offset as usize,
            ],
        )
    }
}

/// fstat(2)
///
/// # Errors
/// Those of the system call.
pub fn fstat(fd: i32) -> Result<Stat, Errno> {
    stat_at(fd, c"", n::AT_EMPTY_PATH)
}

/// fstatfs(2): the type of the file system, as `f_type` has it.
///
/// # Errors
/// Those of the system call.
pub fn file_system(fd: i32) -> Result<u32, Errno> {
    // SAFETY: zeros are a valid value of a struct of numbers.
    let mut about: n::statfs = unsafe { core::mem::zeroed() };
    // SAFETY: the kernel writes one struct.
    unsafe { call(n::__NR_fstatfs, [fd as usize, &raw mut about as usize])? };
    Ok(about.f_type as u32)
}

/// newfstatat(2)
///
/// # Errors
/// Those of the system call.
pub fn stat_at(directory: i32, path: &CStr, flags: u32) -> Result<Stat, Errno> {
    // SAFETY: zeros are a valid value of a struct of numbers.
    let mut stat: Stat = unsafe { core::mem::zeroed() };
    let arguments = [
        directory as usize,
        path.as_ptr() as usize,
        &raw mut stat as usize,
        flags as usize,
    ];
    // SAFETY: the kernel reads a string and writes one struct.
    unsafe { call(n::__NR_newfstatat, arguments)? };
    Ok(stat)
}

/// getdents64(2)
///
/// # Errors
/// Those of the system call.
pub fn read_directory(fd: i32, buffer: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel writes into the buffer only.
    unsafe {
        call(
            n::__NR_getdents64,
            [fd as usize, buffer.as_mut_ptr() as usize, buffer.len()],
        )
    }
}

/// fcntl(2) with a `struct flock`, which the kernel may change.
///
/// # Errors
/// Those of the system call.
pub fn fcntl_lock(fd: i32, command: u32, lock: &mut n::flock) -> Done {
    // SAFETY: the kernel reads and writes one struct.
    unsafe {
        call(
            n::__NR_fcntl,
            [fd as usize, command as usize, &raw mut *lock as usize],
        )
        .map(drop)
    }
}

/// utimensat(2) of an open file: last access and last change, in nanoseconds since 1970.
///
/// # Errors
/// Those of the system call.
pub fn set_times(fd: i32, times: [i64; 2]) -> Done {
    const SECOND: i64 = 1_000_000_000;
    let times = times.map(|time| [time.div_euclid(SECOND), time.rem_euclid(SECOND)]);
    // SAFETY: the kernel reads two struct timespec; without a path, it is the file itself.
    unsafe {
        call(
            n::__NR_utimensat,
            [fd as usize, 0, times.as_ptr() as usize, 0],
        )
        .map(drop)
    }
}

/// listxattr(2): the names of a file's extended attributes, each with a NUL behind it; their length. None are read into no room.
///
/// # Errors
/// Those of the system call.
pub fn attributes(path: &CStr, names: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel reads a string, and writes into the buffer only.
    unsafe {
        call(
            n::__NR_listxattr,
            [
                path.as_ptr() as usize,
                names.as_mut_ptr() as usize,
                names.len(),
            ],
        )
    }
}

/// getxattr(2): the value of an extended attribute; its length.
///
/// # Errors
/// Those of the system call.
pub fn attribute(path: &CStr, name: &CStr, value: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel reads two strings, and writes into the buffer only.
    unsafe {
        call(
            n::__NR_getxattr,
            [
                path.as_ptr() as usize,
                name.as_ptr() as usize,
                value.as_mut_ptr() as usize,
                value.len(),
            ],
        )
    }
}

/// fsetxattr(2)
///
/// # Errors
/// Those of the system call.
pub fn set_attribute(fd: i32, name: &CStr, value: &[u8]) -> Done {
    // SAFETY: the kernel reads a string and the value.
    unsafe {
        call(
            n::__NR_fsetxattr,
            [
                fd as usize,
                name.as_ptr() as usize,
                value.as_ptr() as usize,
                value.len(),
                0,
            ],
        )
        .map(drop)
    }
}
