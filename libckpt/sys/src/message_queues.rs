//! POSIX message queues.

use core::ffi::CStr;

use crate::calls::Done;
use crate::errno::Errno;
use crate::fd::Fd;
use crate::syscall::call;
use linux_raw_sys::general as n;

/// Type of their file system, as statfs(2) has it (`MQUEUE_MAGIC` in ipc/mqueue.c).
pub const MAGIC: u32 = 0x1980_0202;

/// `struct mq_attr` (include/uapi/linux/mqueue.h)
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Flags of the descriptor.
    pub flags: i64,
    /// How many messages the queue takes.
    pub capacity: i64,
    /// Length of the longest one in bytes.
    pub message_size: i64,
    /// How many messages are in it.
    pub messages: i64,
    reserved: [i64; 4],
}

const _: () = assert!(size_of::<Attributes>() == 64);

impl Attributes {
    /// Those of a new queue.
    #[must_use]
    pub fn new(capacity: i64, message_size: i64) -> Self {
        Self {
            capacity,
            message_size,
            ..Self::default()
        }
    }
}

/// mq_open(2) of the queue `name`, which is without a slash; with `new` it must not be there yet, and gets these permissions and
/// attributes.
///
/// # Errors
/// Those of the system call.
pub fn open(name: &CStr, flags: u32, new: Option<(u32, &Attributes)>) -> Result<Fd, Errno> {
    let (flags, mode, attributes) = match new {
        Some((mode, attributes)) => (
            flags | n::O_CREAT | n::O_EXCL,
            mode,
            &raw const *attributes as usize,
        ),
        None => (flags, 0, 0),
    };
    let arguments = [
        name.as_ptr() as usize,
        (flags | n::O_CLOEXEC) as usize,
        mode as usize,
        attributes,
    ];
    // SAFETY: the kernel reads a string and a struct.
    unsafe { call(n::__NR_mq_open, arguments).map(|fd| Fd::owning(fd as i32)) }
}

/// mq_unlink(2)
///
/// # Errors
/// Those of the system call.
pub fn unlink(name: &CStr) -> Done {
    // SAFETY: the kernel reads a string.
    unsafe { call(n::__NR_mq_unlink, [name.as_ptr() as usize]).map(drop) }
}

/// mq_getsetattr(2)
///
/// # Errors
/// Those of the system call.
pub fn attributes(fd: i32) -> Result<Attributes, Errno> {
    let mut attributes = Attributes::default();
    let arguments = [fd as usize, 0, &raw mut attributes as usize];
    // SAFETY: the kernel writes one struct.
    unsafe { call(n::__NR_mq_getsetattr, arguments)? };
    Ok(attributes)
}
