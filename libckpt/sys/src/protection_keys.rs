//! Protection keys (pkeys(7)): each page has one of sixteen, and a register of each thread says what it may do with the pages of
//! each key.

use core::arch::asm;

use linux_raw_sys::general as n;

use crate::calls::Done;
use crate::errno::Errno;
use crate::syscall::call;

/// Lets the calling thread, and those that it makes, read and write memory with any key.
///
/// # Safety
/// The kernel has enabled protection keys ([`ckpt_image::cpu::Cpu::has_protection_keys`]).
pub unsafe fn open_all() {
    // SAFETY: the instruction exists where keys are enabled, takes these registers (Intel SDM vol. 2, WRPKRU), and what it allows was
    // forbidden to no code of ours.
    unsafe { asm!("wrpkru", in("eax") 0, in("ecx") 0, in("edx") 0, options(nostack)) };
}

/// pkey_alloc(2): the lowest key that is free. The calling thread may do everything with its pages.
///
/// # Errors
/// `ENOSPC` if none is free, or there are none at all.
pub fn allocate() -> Result<u32, Errno> {
    // SAFETY: the call takes numbers.
    unsafe { call(n::__NR_pkey_alloc, [0, 0]).map(|key| key as u32) }
}

/// pkey_free(2)
///
/// # Errors
/// `EINVAL` if it is not allocated.
pub fn free(key: u32) -> Done {
    // SAFETY: the call takes a number.
    unsafe { call(n::__NR_pkey_free, [key as usize]).map(drop) }
}

/// Whether the process has allocated `key`. The key that the kernel has given to memory that may only be executed counts as free.
#[must_use]
pub fn is_allocated(key: u32) -> bool {
    /// No address of a program's (arch/x86/include/asm/page_64_types.h).
    const NOWHERE: usize = 1 << 63;
    // The kernel looks at the key first, and only then for memory (`do_mprotect_pkey` in mm/mprotect.c).
    // SAFETY: nothing is mapped there.
    unsafe { protect(NOWHERE, 1, n::PROT_NONE, key) == Err(Errno::ENOMEM) }
}

/// pkey_mprotect(2)
///
/// # Safety
/// Nobody uses the memory in a way that the new protection or the key forbids.
///
/// # Errors
/// Those of the system call.
pub unsafe fn protect(address: usize, length: usize, protection: u32, key: u32) -> Done {
    // SAFETY: the caller answers for the addresses.
    unsafe {
        call(
            n::__NR_pkey_mprotect,
            [address, length, protection as usize, key as usize],
        )
        .map(drop)
    }
}
