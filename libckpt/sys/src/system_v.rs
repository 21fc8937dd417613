//! System V shared memory.

use crate::calls::Done;
use crate::errno::Errno;
use crate::ipc::{IPC_CREAT, IPC_EXCL, IPC_RMID, IPC_SET, IPC_STAT};
use crate::syscall::call;
use linux_raw_sys::general as n;

/// `SHM_RDONLY` (include/uapi/linux/shm.h)
pub const READ_ONLY: u32 = 0o10000;
/// Bits of a mode: it goes when nobody has it attached any more, and it is locked in memory (include/linux/shm.h).
pub const REMOVED: u32 = 0o1000;
/// See [`REMOVED`].
pub const LOCKED: u32 = 0o2000;

/// Command of shmctl(2) alone (include/uapi/linux/shm.h).
const SHM_LOCK: usize = 11;

/// `struct shmid64_ds` (include/uapi/asm-generic/shmbuf.h), with the `struct ipc64_perm` at its beginning.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// Its key; 0 if it has none, or was removed.
    pub key: i32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Who has made it: user
    pub creator_uid: u32,
    /// and group.
    pub creator_gid: u32,
    /// Permissions, and the bits above.
    pub mode: u32,
    sequence: u16,
    padding: u16,
    unused: [u64; 2],
    /// Length in bytes.
    pub size: u64,
    /// When it was attached, detached and changed last, in seconds since 1970.
    pub times: [i64; 3],
    /// The process that has made it.
    pub creator: i32,
    /// The one that has used it last.
    pub last: i32,
    /// How often it is attached.
    pub attached: u64,
    unused_too: [u64; 2],
}

const _: () = assert!(size_of::<Segment>() == 112);

fn control(id: i32, command: usize, address: usize) -> Done {
    // SAFETY: the callers below hand over the address of a struct where the command takes one.
    unsafe { call(n::__NR_shmctl, [id as usize, command, address]).map(drop) }
}

/// shmctl(2) with `IPC_STAT`
///
/// # Errors
/// Those of the system call.
pub fn segment(id: i32) -> Result<Segment, Errno> {
    let mut segment = Segment::default();
    control(id, IPC_STAT, &raw mut segment as usize)?;
    Ok(segment)
}

/// shmctl(2) with `IPC_SET`: owner, group and permissions
///
/// # Errors
/// Those of the system call.
pub fn set(id: i32, segment: &Segment) -> Done {
    control(id, IPC_SET, &raw const *segment as usize)
}

/// shmctl(2) with `SHM_LOCK`
///
/// # Errors
/// Those of the system call.
pub fn lock(id: i32) -> Done {
    control(id, SHM_LOCK, 0)
}

/// shmctl(2) with `IPC_RMID`: it goes when nobody has it attached any more
///
/// # Errors
/// Those of the system call.
pub fn remove(id: i32) -> Done {
    control(id, IPC_RMID, 0)
}

/// shmget(2) of one that is not there yet; a key of 0 is none. Only its owner may use it. Returns its id.
///
/// # Errors
/// Those of the system call; `EEXIST` if the key is in use.
pub fn make(key: i32, size: u64) -> Result<i32, Errno> {
    let flags = IPC_CREAT | IPC_EXCL | 0o600;
    // SAFETY: the call takes numbers.
    unsafe { call(n::__NR_shmget, [key as usize, size as usize, flags]).map(|id| id as i32) }
}

/// shmat(2) where there is room; the address
///
/// # Errors
/// Those of the system call.
pub fn attach(id: i32, flags: u32) -> Result<usize, Errno> {
    // SAFETY: nothing that is mapped is changed.
    unsafe { call(n::__NR_shmat, [id as usize, 0, flags as usize]) }
}

/// shmdt(2)
///
/// # Safety
/// Nobody uses the memory.
///
/// # Errors
/// Those of the system call.
pub unsafe fn detach(address: usize) -> Done {
    // SAFETY: the caller answers for the memory.
    unsafe { call(n::__NR_shmdt, [address]).map(drop) }
}
