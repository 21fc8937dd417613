//! What is done to names of files and directories, the working directory, and mounts.

use core::ffi::CStr;

use linux_raw_sys::general as n;

use super::Done;
use crate::errno::Errno;
use crate::syscall::call;

plain! {
    /// fchdir(2)
    fchdir = __NR_fchdir(fd: i32);
    /// umask(2)
    umask = __NR_umask(mask: u32);
}

/// readlinkat(2); returns the number of bytes, which is the buffer's length when the target may be longer.
///
/// # Errors
/// Those of the system call.
pub fn read_link_at(directory: i32, path: &CStr, buffer: &mut [u8]) -> Result<usize, Errno> {
    let arguments = [
        directory as usize,
        path.as_ptr() as usize,
        buffer.as_mut_ptr() as usize,
        buffer.len(),
    ];
    // SAFETY: the kernel reads a string and writes into the buffer only.
    unsafe { call(n::__NR_readlinkat, arguments) }
}

/// renameat(2) within one directory.
///
/// # Errors
/// Those of the system call.
pub fn rename_at(directory: i32, from: &CStr, to: &CStr) -> Done {
    let arguments = [
        directory as usize,
        from.as_ptr() as usize,
        directory as usize,
        to.as_ptr() as usize,
    ];
    // SAFETY: the kernel reads two strings.
    unsafe { call(n::__NR_renameat, arguments).map(drop) }
}

/// renameat2(2) within one directory, to a name that is not in use.
///
/// # Errors
/// Those of the system call: `EEXIST` if it is, `EINVAL` on file systems that cannot do this.
pub fn rename_to_new(directory: i32, from: &CStr, to: &CStr) -> Done {
    let arguments = [
        directory as usize,
        from.as_ptr() as usize,
        directory as usize,
        to.as_ptr() as usize,
        n::RENAME_NOREPLACE as usize,
    ];
    // SAFETY: the kernel reads two strings.
    unsafe { call(n::__NR_renameat2, arguments).map(drop) }
}

/// unlinkat(2) of something that is no directory.
///
/// # Errors
/// Those of the system call.
pub fn unlink_at(directory: i32, path: &CStr) -> Done {
    // SAFETY: the kernel reads a string.
    unsafe {
        call(
            n::__NR_unlinkat,
            [directory as usize, path.as_ptr() as usize, 0],
        )
        .map(drop)
    }
}

/// fchownat(2) of what a descriptor refers to, which may be open with `O_PATH` only.
///
/// # Errors
/// Those of the system call.
pub fn change_owner(fd: i32, uid: u32, gid: u32) -> Done {
    // SAFETY: the kernel reads the path only, which is empty.
    unsafe {
        call(
            n::__NR_fchownat,
            [
                fd as usize,
                c"".as_ptr() as usize,
                uid as usize,
                gid as usize,
                n::AT_EMPTY_PATH as usize,
            ],
        )
        .map(drop)
    }
}

/// chmod(2)
///
/// # Errors
/// Those of the system call.
pub fn change_mode(path: &CStr, mode: u32) -> Done {
    // SAFETY: the kernel reads a string.
    unsafe { call(n::__NR_chmod, [path.as_ptr() as usize, mode as usize]).map(drop) }
}

/// mkdir(2)
///
/// # Errors
/// Those of the system call.
pub fn make_directory(path: &CStr, mode: u32) -> Done {
    // SAFETY: the kernel reads a string.
    unsafe { call(n::__NR_mkdir, [path.as_ptr() as usize, mode as usize]).map(drop) }
}

/// rmdir(2)
///
/// # Errors
/// Those of the system call.
pub fn remove_directory(path: &CStr) -> Done {
    // SAFETY: the kernel reads a string.
    unsafe { call(n::__NR_rmdir, [path.as_ptr() as usize]).map(drop) }
}

/// chdir(2)
///
/// # Errors
/// Those of the system call.
pub fn chdir(path: &CStr) -> Done {
    // SAFETY: the kernel reads a string.
    unsafe { call(n::__NR_chdir, [path.as_ptr() as usize]).map(drop) }
}

/// mount(2) of a file system that has no device, by the name of its type.
///
/// # Errors
/// Those of the system call.
pub fn mount(kind: &CStr, at: &CStr, flags: u32) -> Done {
    let (kind, at) = (kind.as_ptr() as usize, at.as_ptr() as usize);
    // SAFETY: the kernel reads strings.
    unsafe { call(n::__NR_mount, [kind, at, kind, flags as usize, 0]) }.map(drop)
}
