//! Memory that is mapped: copying what may not be there, what of it is in core, locking it, and on which nodes it lies.

use ckpt_image::memory_settings::NODE_WORDS;
use linux_raw_sys::general as n;
use linux_raw_sys::mempolicy::MPOL_F_ADDR;

use super::{Done, tid};
use crate::errno::Errno;
use crate::kernel::SignalSet;
use crate::syscall::call;

plain! {
    /// mlockall(2)
    lock_all_memory = __NR_mlockall(flags: u32);
}

/// process_vm_readv(2) of this process: copies memory that may not be readable after all. The number of bytes copied is
/// smaller than asked for where that is so.
///
/// # Errors
/// Those of the system call; `EFAULT` if not even the first byte can be read.
pub fn copy_memory(address: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
    let local = [buffer.as_mut_ptr() as usize, buffer.len()];
    let remote = [address as usize, buffer.len()];
    // Not the process id: a main thread that has ended has no memory any more.
    let (tid, local, remote) = (
        tid() as usize,
        local.as_ptr() as usize,
        remote.as_ptr() as usize,
    );
    // SAFETY: the kernel reads two structs, each an address and a length, and writes into the buffer only.
    unsafe { call(n::__NR_process_vm_readv, [tid, local, 1, remote, 1, 0]) }
}

/// Whether the eight bytes at `address` can be read: the kernel reads a mask there, and then finds that it was not told what to do
/// with it (`sigprocmask` in kernel/signal.c).
#[must_use]
pub fn can_be_read(address: u64) -> bool {
    const NOTHING: usize = usize::MAX;
    let arguments = [NOTHING, address as usize, 0, size_of::<SignalSet>()];
    // SAFETY: the kernel changes nothing.
    unsafe { call(n::__NR_rt_sigprocmask, arguments) == Err(Errno::EINVAL) }
}

/// process_vm_writev(2) of this process: writes to memory that may not be writable after all. The number of bytes written
/// is smaller than asked for where that is so.
///
/// # Safety
/// Nobody holds a reference to the memory.
///
/// # Errors
/// Those of the system call; `EFAULT` if not even the first byte can be written.
pub unsafe fn store_memory(address: u64, bytes: &[u8]) -> Result<usize, Errno> {
    let local = [bytes.as_ptr() as usize, bytes.len()];
    let remote = [address as usize, bytes.len()];
    let (tid, local, remote) = (
        tid() as usize,
        local.as_ptr() as usize,
        remote.as_ptr() as usize,
    );
    // SAFETY: the kernel reads two structs, each an address and a length, and the bytes; the caller answers for the rest.
    unsafe { call(n::__NR_process_vm_writev, [tid, local, 1, remote, 1, 0]) }
}

/// mincore(2): one byte per page of `length` bytes, of which bit 0 says whether it is in memory.
///
/// # Errors
/// Those of the system call.
pub fn in_core(address: usize, length: usize, pages: &mut [u8]) -> Done {
    if pages.len() < length.div_ceil(ckpt_image::PAGE as usize) {
        return Err(Errno::EINVAL);
    }
    // SAFETY: the kernel writes one byte per page, for which there is room.
    unsafe {
        call(
            n::__NR_mincore,
            [address, length, pages.as_mut_ptr() as usize],
        )
        .map(drop)
    }
}

/// mlock2(2) with `MLOCK_ONFAULT`
///
/// # Errors
/// Those of the system call.
pub fn lock_memory_on_fault(address: usize, length: usize) -> Done {
    let flags = n::MLOCK_ONFAULT as usize;
    // SAFETY: locking changes neither content nor protection.
    unsafe { call(n::__NR_mlock2, [address, length, flags]).map(drop) }
}

/// get_mempolicy(2) of the mapping at `address`: mode and nodes
///
/// # Errors
/// Those of the system call.
pub fn memory_policy_at(address: u64) -> Result<(u32, [u64; NODE_WORDS]), Errno> {
    let (mut mode, mut nodes) = (0u32, [0u64; NODE_WORDS]);
    let arguments = [
        &raw mut mode as usize,
        nodes.as_mut_ptr() as usize,
        size_of_val(&nodes) * 8,
        address as usize,
        MPOL_F_ADDR as usize,
    ];
    // SAFETY: the kernel writes one number and as many words as it is told.
    unsafe { call(n::__NR_get_mempolicy, arguments)? };
    Ok((mode, nodes))
}

/// mbind(2) of what comes into memory from now on
///
/// # Errors
/// Those of the system call.
pub fn set_memory_policy(
    address: usize,
    length: usize,
    mode: u32,
    nodes: &[u64; NODE_WORDS],
) -> Done {
    let arguments = [
        address,
        length,
        mode as usize,
        nodes.as_ptr() as usize,
        size_of_val(nodes) * 8,
        0,
    ];
    // SAFETY: the kernel reads the nodes; a policy changes neither content nor protection.
    unsafe { call(n::__NR_mbind, arguments).map(drop) }
}

/// mlock(2)
///
/// # Errors
/// Those of the system call.
pub fn lock_memory(address: usize, length: usize) -> Done {
    // SAFETY: locking changes neither content nor protection.
    unsafe { call(n::__NR_mlock, [address, length]).map(drop) }
}
