//! Where the vdso is: no thread is stopped inside of it (`put_off`). What it does there depends on this kernel, and after a restart on
//! another one, or in another boot, it could neither go on nor give the right time.
//!
//! Async-signal-safe: see `signal`.

use core::sync::atomic::{AtomicU64, Ordering};

/// Where the kernel's vdso is; both 0 if there is none.
static START: AtomicU64 = AtomicU64::new(0);
static END: AtomicU64 = AtomicU64::new(0);

/// Finds the vdso of a program that has just been started.
pub fn find() {
    // SAFETY: the kernel says where the ELF header of its vdso is, if there is one.
    unsafe { settle_in(libc::getauxval(libc::AT_SYSINFO_EHDR)) };
}

/// Notes that the kernel's vdso has its ELF header at `start`, or that there is none if that is 0.
///
/// # Safety
/// That is so.
pub unsafe fn settle_in(start: u64) {
    /// `p_memsz` of the first program header, behind a file header of 64 bytes: the vdso is one segment.
    const SIZE_AT: u64 = 64 + 40;
    let size = if start == 0 {
        0
    } else {
        // SAFETY: the caller answers for the header.
        unsafe { *((start + SIZE_AT) as *const u64) }
    };
    START.store(start, Ordering::Relaxed);
    END.store(start + size, Ordering::Relaxed);
}

/// Whether `address` lies in it.
pub fn contains(address: u64) -> bool {
    (START.load(Ordering::Relaxed)..END.load(Ordering::Relaxed)).contains(&address)
}
