//! System V semaphores and message queues.

use crate::calls::Done;
use crate::errno::Errno;
use crate::syscall::call;
use linux_raw_sys::general as n;

/// Commands and flags of semctl(2), msgctl(2) and shmctl(2), of semget(2), msgget(2) and shmget(2) (include/uapi/linux/ipc.h).
pub(crate) const IPC_RMID: usize = 0;
pub(crate) const IPC_SET: usize = 1;
pub(crate) const IPC_STAT: usize = 2;
pub(crate) const IPC_CREAT: usize = 0o1000;
pub(crate) const IPC_EXCL: usize = 0o2000;
pub(crate) const IPC_NOWAIT: usize = 0o4000;
/// Those of semctl(2) alone (include/uapi/linux/sem.h).
const GETVAL: usize = 12;
const GETALL: usize = 13;
const SETALL: usize = 17;
/// A message stays where it is, and is named by its place (include/uapi/linux/msg.h).
const MSG_COPY: usize = 0o40000;

/// Bytes of a type, which stand before the text of each message.
pub const TYPE_SIZE: usize = size_of::<i64>();

/// `struct ipc64_perm` (include/uapi/asm-generic/ipcbuf.h)
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    /// Key; 0 if there is none.
    pub key: i32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Who has made it: user
    pub creator_uid: u32,
    /// and group.
    pub creator_gid: u32,
    /// Permissions.
    pub mode: u32,
    sequence: u16,
    padding: u16,
    unused: [u64; 2],
}

/// `struct semid64_ds` (arch/x86/include/uapi/asm/sembuf.h)
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Set {
    /// Whose it is.
    pub permissions: Permissions,
    /// When an operation on it succeeded last, in seconds since 1970; 0 if none has.
    pub used: i64,
    unused: i64,
    /// When it was changed last, with an unused word behind it.
    changed: [i64; 2],
    /// How many semaphores are in it.
    pub count: u64,
    unused_too: [u64; 2],
}

/// `struct msqid64_ds` (include/uapi/asm-generic/msgbuf.h)
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// Whose it is.
    pub permissions: Permissions,
    /// When something was sent, received and changed last.
    times: [i64; 3],
    /// Bytes that are in it.
    pub bytes: u64,
    /// Messages that are in it.
    pub messages: u64,
    /// Bytes that it takes (`msg_qbytes`).
    pub capacity: u64,
    /// Who has sent and received last.
    last: [i32; 2],
    unused: [u64; 2],
}

const _: () = assert!(size_of::<Permissions>() == 48);
const _: () = assert!(size_of::<Set>() == 104);
const _: () = assert!(size_of::<Queue>() == 120);

fn control_set(id: i32, command: usize, address: usize) -> Done {
    // SAFETY: the callers below hand over the address of what the command takes.
    unsafe { call(n::__NR_semctl, [id as usize, 0, command, address]).map(drop) }
}

fn control_queue(id: i32, command: usize, address: usize) -> Done {
    // SAFETY: as above.
    unsafe { call(n::__NR_msgctl, [id as usize, command, address]).map(drop) }
}

/// semctl(2) with `IPC_STAT`
///
/// # Errors
/// Those of the system call.
pub fn set(id: i32) -> Result<Set, Errno> {
    let mut set = Set::default();
    control_set(id, IPC_STAT, &raw mut set as usize)?;
    Ok(set)
}

/// semctl(2) with `GETVAL`
///
/// # Errors
/// Those of the system call.
pub fn value(id: i32, semaphore: u16) -> Result<i16, Errno> {
    let arguments = [id as usize, semaphore.into(), GETVAL];
    // SAFETY: the command takes no address.
    unsafe { call(n::__NR_semctl, arguments).map(|value| value as i16) }
}

/// semctl(2) with `GETALL`, into as many bytes as twice the set has semaphores
///
/// # Errors
/// Those of the system call; `EINVAL` if there is too little room.
pub fn values(id: i32, values: &mut [u8]) -> Done {
    let count = set(id)?.count;
    if values.len() as u64 != 2 * count {
        return Err(Errno::EINVAL);
    }
    // The number of semaphores of a set never changes.
    control_set(id, GETALL, values.as_mut_ptr() as usize)
}

/// semctl(2) with `SETALL`: two bytes for each semaphore
///
/// # Errors
/// Those of the system call; `EINVAL` if there are too few.
pub fn set_values(id: i32, values: &[u8]) -> Done {
    if values.len() as u64 != 2 * set(id)?.count {
        return Err(Errno::EINVAL);
    }
    control_set(id, SETALL, values.as_ptr() as usize)
}

/// semctl(2) with `IPC_SET`: owner, group and permissions
///
/// # Errors
/// Those of the system call.
pub fn change_set(id: i32, set: &Set) -> Done {
    control_set(id, IPC_SET, &raw const *set as usize)
}

/// semctl(2) with `IPC_RMID`
///
/// # Errors
/// Those of the system call.
pub fn remove_set(id: i32) -> Done {
    control_set(id, IPC_RMID, 0)
}

/// semget(2) of one that is not there yet; a key of 0 is none. Only its owner may use it. Returns its id.
///
/// # Errors
/// Those of the system call; `EEXIST` if the key is in use.
pub fn make_set(key: i32, count: usize) -> Result<i32, Errno> {
    let flags = IPC_CREAT | IPC_EXCL | 0o600;
    // SAFETY: the call takes numbers.
    unsafe { call(n::__NR_semget, [key as usize, count, flags]).map(|id| id as i32) }
}

/// msgctl(2) with `IPC_STAT`
///
/// # Errors
/// Those of the system call.
pub fn queue(id: i32) -> Result<Queue, Errno> {
    let mut queue = Queue::default();
    control_queue(id, IPC_STAT, &raw mut queue as usize)?;
    Ok(queue)
}

/// msgctl(2) with `IPC_SET`: owner, group, permissions, and how many bytes it takes
///
/// # Errors
/// Those of the system call.
pub fn change_queue(id: i32, queue: &Queue) -> Done {
    control_queue(id, IPC_SET, &raw const *queue as usize)
}

/// msgctl(2) with `IPC_RMID`
///
/// # Errors
/// Those of the system call.
pub fn remove_queue(id: i32) -> Done {
    control_queue(id, IPC_RMID, 0)
}

/// msgget(2) of one that is not there yet, as [`make_set`].
///
/// # Errors
/// Those of the system call; `EEXIST` if the key is in use.
pub fn make_queue(key: i32) -> Result<i32, Errno> {
    let flags = IPC_CREAT | IPC_EXCL | 0o600;
    // SAFETY: the call takes numbers.
    unsafe { call(n::__NR_msgget, [key as usize, flags]).map(|id| id as i32) }
}

/// msgrcv(2) of the message number `index`, which stays in the queue: its type and then its text. The length of the text.
///
/// # Errors
/// Those of the system call; `ENOSYS` if the kernel does not let anybody look at messages.
pub fn look_at_message(id: i32, index: usize, message: &mut [u8]) -> Result<usize, Errno> {
    let room = message.len().checked_sub(TYPE_SIZE).ok_or(Errno::EINVAL)?;
    let (address, flags) = (message.as_mut_ptr() as usize, MSG_COPY | IPC_NOWAIT);
    // SAFETY: the kernel writes the type and as much text as there is room for.
    unsafe { call(n::__NR_msgrcv, [id as usize, address, room, index, flags]) }
}

/// msgsnd(2) of a message, its type and then its text, if that does not block
///
/// # Errors
/// Those of the system call.
pub fn send(id: i32, message: &[u8]) -> Done {
    let length = message.len().checked_sub(TYPE_SIZE).ok_or(Errno::EINVAL)?;
    let address = message.as_ptr() as usize;
    // SAFETY: the kernel reads the type and so much text.
    unsafe { call(n::__NR_msgsnd, [id as usize, address, length, IPC_NOWAIT]).map(drop) }
}
