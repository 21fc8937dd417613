//! The `syscall` instruction (System V ABI, AMD64 supplement, A.2.1; syscall(2)).

use core::arch::asm;

use crate::Errno;

/// Makes system call `number` with six arguments and returns what the kernel returned; -4095 to -1 are errors.
///
/// # Safety
/// The call must be one that cannot break the memory safety of this process with these arguments.
#[inline]
pub unsafe fn raw(number: u32, arguments: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the kernel changes rax, rcx and r11 only, and what the caller has answered for.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") arguments[0],
            in("rsi") arguments[1],
            in("rdx") arguments[2],
            in("r10") arguments[3],
            in("r8") arguments[4],
            in("r9") arguments[5],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// Makes system call `number` with up to six arguments; those not given are zero.
///
/// # Safety
/// As for [`raw`].
///
/// # Errors
/// The [`Errno`] that the kernel returned.
#[inline]
pub unsafe fn call<const N: usize>(number: u32, arguments: [usize; N]) -> Result<usize, Errno> {
    let mut six = [0; 6];
    six[..N].copy_from_slice(&arguments);
    // SAFETY: the caller answers for the call.
    Errno::check(unsafe { raw(number, six) })
}
