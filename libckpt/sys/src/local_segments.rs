//! Segments that a program has made for itself in its local descriptor table (modify_ldt(2)).

use core::arch::asm;

/// `LDT_ENTRIES` (arch/x86/include/uapi/asm/ldt.h).
pub const ENTRIES: u16 = 8192;

/// Bits of a selector: the table is the local one, and its user is unprivileged (Intel SDM vol. 3, 3.4.2).
const LOCAL: u16 = 1 << 2;
const UNPRIVILEGED: u16 = 3;

/// Whether there is one among the first `entries`. No system call is made, which a filter could mind; all of them take some 0.3 ms.
#[must_use]
pub fn are_there(entries: u16) -> bool {
    (0..entries).any(|entry| is_there(entry << 3 | LOCAL | UNPRIVILEGED))
}

fn is_there(selector: u16) -> bool {
    let is_valid: u8;
    // SAFETY: the instruction says whether the selector leads to a descriptor, and changes nothing else.
    unsafe {
        asm!(
            "lar {rights:e}, {selector:e}",
            "setz {is_valid}",
            selector = in(reg) u32::from(selector),
            rights = out(reg) _,
            is_valid = out(reg_byte) is_valid,
            options(nomem, nostack),
        );
    }
    is_valid != 0
}
