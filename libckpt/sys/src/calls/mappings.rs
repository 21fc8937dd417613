//! Mappings: making, moving and removing them, and what they permit.

use linux_raw_sys::general as n;

use super::Done;
use crate::errno::Errno;
use crate::syscall::call;

plain! {
    /// mseal(2)
    seal_memory = __NR_mseal(address: usize, length: usize, flags: u32);
}

/// The end of the heap: what brk(2) answers to an address that it cannot have.
///
/// # Errors
/// None that is known.
pub fn heap_end() -> Result<u64, Errno> {
    // SAFETY: brk(0) changes nothing.
    unsafe { call(n::__NR_brk, [0]) }.map(|end| end as u64)
}

/// mmap(2) of fresh private memory, readable and writable, not reserved, at an address that the kernel chooses.
///
/// # Errors
/// Those of the system call.
pub fn map_anonymous(length: usize) -> Result<usize, Errno> {
    let flags = n::MAP_PRIVATE | n::MAP_ANONYMOUS | n::MAP_NORESERVE;
    // SAFETY: nothing that exists is changed.
    unsafe { map(0, length, n::PROT_READ | n::PROT_WRITE, flags, -1, 0) }
}

/// mmap(2)
///
/// # Safety
/// With `MAP_FIXED`, nobody uses what was mapped there.
///
/// # Errors
/// Those of the system call.
pub unsafe fn map(
    address: usize,
    length: usize,
    protection: u32,
    flags: u32,
    fd: i32,
    offset: u64,
) -> Result<usize, Errno> {
    let arguments = [
        address,
        length,
        protection as usize,
        flags as usize,
        fd as usize,
        offset as usize,
    ];
    // SAFETY: the caller answers for the addresses.
    unsafe { call(n::__NR_mmap, arguments) }
}

/// munmap(2)
///
/// # Safety
/// Nobody uses the memory.
///
/// # Errors
/// Those of the system call.
pub unsafe fn unmap(address: usize, length: usize) -> Done {
    // SAFETY: the caller answers for the addresses.
    unsafe { call(n::__NR_munmap, [address, length]).map(drop) }
}

/// mremap(2) to a size, wherever there is room.
///
/// # Safety
/// Nobody uses the memory at its old addresses.
///
/// # Errors
/// Those of the system call.
pub unsafe fn remap_anywhere(
    address: usize,
    old_length: usize,
    new_length: usize,
) -> Result<usize, Errno> {
    // SAFETY: the caller answers for the addresses.
    unsafe {
        call(
            n::__NR_mremap,
            [address, old_length, new_length, n::MREMAP_MAYMOVE as usize],
        )
    }
}

/// mprotect(2)
///
/// # Safety
/// Nobody uses the memory in a way that the new protection forbids.
///
/// # Errors
/// Those of the system call.
pub unsafe fn protect(address: usize, length: usize, protection: u32) -> Done {
    // SAFETY: the caller answers for the addresses.
    unsafe { call(n::__NR_mprotect, [address, length, protection as usize]).map(drop) }
}

/// madvise(2)
///
/// # Safety
/// Nobody uses the memory in a way that the advice changes.
///
/// # Errors
/// Those of the system call.
pub unsafe fn advise(address: usize, length: usize, advice: u32) -> Done {
    // SAFETY: the caller answers for the addresses.
    unsafe { call(n::__NR_madvise, [address, length, advice as usize]).map(drop) }
}

/// mremap(2) without changing the size, to an address where nothing is mapped that anybody uses.
///
/// # Safety
/// Nobody uses the memory at its old addresses, nor what is mapped at the new ones.
///
/// # Errors
/// Those of the system call.
pub unsafe fn remap_to(address: usize, length: usize, new: usize) -> Done {
    let flags = n::MREMAP_MAYMOVE | n::MREMAP_FIXED;
    // SAFETY: the caller answers for the addresses.
    unsafe {
        call(
            n::__NR_mremap,
            [address, length, length, flags as usize, new],
        )
        .map(drop)
    }
}

/// mremap(2) with an old size of 0: maps `length` bytes of the shared memory at `address` a second time, at `new`.
///
/// # Safety
/// Nobody uses what is mapped at the new addresses.
///
/// # Errors
/// Those of the system call; `EINVAL` if the memory is not shared.
pub unsafe fn duplicate_mapping(address: usize, length: usize, new: usize) -> Done {
    let flags = n::MREMAP_MAYMOVE | n::MREMAP_FIXED;
    // SAFETY: the caller answers for the addresses.
    unsafe { call(n::__NR_mremap, [address, 0, length, flags as usize, new]).map(drop) }
}
