//! Locks on files, taken again. Late, since closing any descriptor of a file gives up the process's locks on it.

use ckpt_image::descriptors::{Lock, LockKind};
use ckpt_image::reader::Image;
use ckpt_sys::{Errno, calls};
use linux_raw_sys::general as n;
use restart::report::{Cause, Error, Exit, Object};

use crate::Result;

/// Takes all locks of the image.
pub fn take(image: &Image<'static>) -> Result<()> {
    for lock in image.locks() {
        take_one(&lock).map_err(|errno| {
            let path = image
                .descriptors()
                .find(|descriptor| descriptor.number == lock.descriptor)
                .map_or(b"".as_slice(), |descriptor| descriptor.path);
            let (cause, remedy) = match errno {
                Errno::EAGAIN | Errno::EACCES => (
                    Cause::Because("another process holds the lock that the program had on it"),
                    "end that process first",
                ),
                errno => (
                    Cause::Failed("cannot take the lock that the program had on it", errno),
                    "check the file system",
                ),
            };
            Error::new(Exit::Resource, Object::Path(path), cause, remedy)
        })?;
    }
    Ok(())
}

fn take_one(lock: &Lock) -> core::result::Result<(), Errno> {
    let fd = lock.descriptor as i32;
    let exclusive = lock.exclusive != 0;
    let command = match lock.kind() {
        Some(LockKind::Flock) => {
            let operation = if exclusive { n::LOCK_EX } else { n::LOCK_SH };
            return calls::flock(fd, operation | n::LOCK_NB).map(drop);
        }
        Some(LockKind::Lease) => {
            let kind = if exclusive { n::F_WRLCK } else { n::F_RDLCK };
            return calls::fcntl(fd, n::F_SETLEASE, kind as usize).map(drop);
        }
        Some(LockKind::OpenFileDescription) => n::F_OFD_SETLK,
        Some(LockKind::Posix) | None => n::F_SETLK,
    };
    let kind = if exclusive { n::F_WRLCK } else { n::F_RDLCK };
    let mut range = n::flock {
        l_type: kind as i16,
        l_whence: n::SEEK_SET as i16,
        l_start: lock.start as i64,
        l_len: lock.length as i64,
        l_pid: 0,
    };
    calls::fcntl_lock(fd, command, &mut range)
}
