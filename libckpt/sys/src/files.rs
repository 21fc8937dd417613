//! Reading and writing whole files, and what stat says about them.

use core::ffi::CStr;

use ckpt_image::regions::FileIdentity;
use linux_raw_sys::general as n;

use crate::calls::{self, Stat};
use crate::{Errno, Fd, Line, MapVec};

/// Kinds of files, as in the type bits of `st_mode` (inode(7)).
#[must_use]
pub fn is_kind(stat: &Stat, kind: u32) -> bool {
    stat.st_mode & n::S_IFMT == kind
}

fn nanoseconds(seconds: u64, rest: u64) -> i64 {
    (seconds as i64)
        .saturating_mul(1_000_000_000)
        .saturating_add(rest as i64)
}

/// When the file was read last, in nanoseconds since 1970.
#[must_use]
pub fn accessed(stat: &Stat) -> i64 {
    nanoseconds(stat.st_atime, stat.st_atime_nsec)
}

/// When its content was changed last, in nanoseconds since 1970.
#[must_use]
pub fn modified(stat: &Stat) -> i64 {
    nanoseconds(stat.st_mtime, stat.st_mtime_nsec)
}

/// What an image keeps of a file.
#[must_use]
pub fn identity(stat: &Stat) -> FileIdentity {
    FileIdentity {
        device: stat.st_dev,
        inode: stat.st_ino,
        size: stat.st_size as u64,
        modified: modified(stat),
        changed: nanoseconds(stat.st_ctime, stat.st_ctime_nsec),
    }
}

/// Reads on until the buffer is full or the file ends; the number of bytes read.
///
/// # Errors
/// Those of read(2).
pub fn read_up_to(fd: &Fd, buffer: &mut [u8]) -> Result<usize, Errno> {
    let mut done = 0;
    while done < buffer.len() {
        match calls::read(fd.number(), &mut buffer[done..]) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(done)
}

/// Reads `buffer` full from `offset`; the number of bytes read is smaller only at the end of the file.
///
/// # Errors
/// Those of pread(2).
pub fn read_at(fd: &Fd, buffer: &mut [u8], offset: u64) -> Result<usize, Errno> {
    let mut done = 0;
    while done < buffer.len() {
        match calls::pread(fd.number(), &mut buffer[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(done)
}

/// Writes all of `bytes` at `offset`.
///
/// # Errors
/// Those of pwrite(2).
pub fn write_at(fd: &Fd, bytes: &[u8], offset: u64) -> Result<(), Errno> {
    let mut done = 0;
    while done < bytes.len() {
        match calls::pwrite(fd.number(), &bytes[done..], offset + done as u64) {
            Ok(0) => return Err(Errno::EIO),
            Ok(count) => done += count,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// The content of a small file, such as one under `/proc`; what does not fit is cut off.
///
/// # Errors
/// Those of open(2) and read(2).
pub fn read_small<const N: usize>(path: &CStr) -> Result<Line<N>, Errno> {
    let fd = calls::open(path, n::O_RDONLY)?;
    Line::fill(|buffer| read_up_to(&fd, buffer))
}

/// Reads all of a file behind what `into` has already, growing it as needed.
///
/// # Errors
/// Those of open(2), read(2), and `ENOMEM`.
pub fn read_whole(path: &CStr, into: &mut MapVec<u8>) -> Result<(), Errno> {
    let fd = calls::open(path, n::O_RDONLY)?;
    let mut chunk = [0; 4096];
    loop {
        let count = read_up_to(&fd, &mut chunk)?;
        into.extend(&chunk[..count])?;
        if count < chunk.len() {
            return Ok(());
        }
    }
}

/// The target of a symbolic link.
///
/// # Errors
/// Those of readlink(2); `ENAMETOOLONG` if it is longer than a path can be.
pub fn read_link<const N: usize>(path: &CStr) -> Result<Line<N>, Errno> {
    let line = Line::fill(|buffer| calls::read_link_at(calls::AT_FDCWD, path, buffer))?;
    if line.is_cut() {
        Err(Errno::ENAMETOOLONG)
    } else {
        Ok(line)
    }
}

/// The entries of a directory, by name; `each` ends the walk by returning `false`.
///
/// # Errors
/// Those of getdents64(2).
pub fn for_each_entry(directory: &Fd, mut each: impl FnMut(&CStr) -> bool) -> Result<(), Errno> {
    for_each_inode(directory, |name, _| each(name))
}

/// Likewise, by name and inode.
///
/// # Errors
/// Those of getdents64(2).
pub fn for_each_inode(
    directory: &Fd,
    mut each: impl FnMut(&CStr, u64) -> bool,
) -> Result<(), Errno> {
    // Of `struct linux_dirent64`, which begins with the inode: where the length of the record and the name stand.
    const LENGTH_AT: usize = 16;
    const NAME_AT: usize = 19;
    let mut buffer = [0; 4096];
    loop {
        let count = calls::read_directory(directory.number(), &mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        let mut rest = &buffer[..count];
        while let Some(&[low, high]) = rest.get(LENGTH_AT..LENGTH_AT + 2) {
            let length = usize::from(u16::from_le_bytes([low, high]));
            let (Some(raw), Some(behind)) = (rest.get(NAME_AT..length), rest.get(length..)) else {
                break;
            };
            let name = CStr::from_bytes_until_nul(raw).unwrap_or_default();
            let inode = rest
                .first_chunk()
                .map_or(0, |inode| u64::from_le_bytes(*inode));
            if name != c"." && name != c".." && !each(name, inode) {
                return Ok(());
            }
            rest = behind;
        }
    }
}
