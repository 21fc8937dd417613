//! How a signal's handler ends the call that the thread is about to make again, as it would have ended the call itself.
//!
//! A signal may come after a thread has been set on its way into its call and before it has arrived there. No look at what
//! is pending can exclude that, so what is to happen then stands in the registers of the thread: the `syscall` instruction
//! leaves its own values in rcx and r11 (except with FRED), which nothing in front of it can rely on, so until it is executed they
//! are free to carry a mark.

use ckpt_image::context::Registers;

use super::{INTERRUPTED, SYSCALL, transfer};

/// Any handler that runs now ends the call.
const BY_ANY: u64 = u64::from_be_bytes(*b"ckptends");
/// Any handler that was installed without `SA_RESTART` does.
const UNLESS_RESTARTED: u64 = u64::from_be_bytes(*b"ckptrest");
/// The call has ended, and is not made again for a checkpoint that comes right behind it.
const IT_HAS: u64 = u64::from_be_bytes(*b"ckptdone");

/// What a handler does to a call that its signal comes right before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// Any handler ends it.
    ByAny,
    /// Any that was installed without `SA_RESTART`.
    UnlessRestarted,
}

/// Marks a thread whose next instruction is the `syscall` of a call that it has been in. A mark that is there stays.
pub fn mark(ends: Ends, registers: &mut Registers) {
    let behind = registers.rip.wrapping_add(SYSCALL.len() as u64);
    let is_marked = registers.rcx == behind && matches!(registers.r11, BY_ANY | UNLESS_RESTARTED);
    if !is_marked {
        registers.rcx = behind;
        registers.r11 = match ends {
            Ends::ByAny => BY_ANY,
            Ends::UnlessRestarted => UNLESS_RESTARTED,
        };
    }
}

/// Whether a handler has ended the call that the thread is right behind.
pub fn has_ended(registers: &Registers) -> bool {
    registers.rcx == registers.rip && registers.r11 == IT_HAS
}

/// To be called before the handler of a signal runs that has found a thread with these registers: ends the call that it
/// was about to make again. `restarts` is whether the handler was installed with `SA_RESTART`.
///
/// Also notes that a call has ended where the kernel has seen to that itself.
pub fn before_handler(registers: &mut Registers, restarts: impl FnOnce() -> bool) {
    let behind = registers.rip.wrapping_add(SYSCALL.len() as u64);
    let ends = registers.rcx == behind
        && match registers.r11 {
            BY_ANY => true,
            UNLESS_RESTARTED => !restarts(),
            // The kernel makes what is left of a transfer again, and not a call that has transferred something (signal(7)).
            _ => transfer::is_at_rest(registers),
        };
    if ends {
        registers.rip = behind;
        registers.rax = INTERRUPTED;
    }
    if ends || is_behind_ended_call(registers) {
        registers.r11 = IT_HAS;
    }
}

/// r11 must stay in all other cases. The instruction has left the address behind itself in rcx and the flags in r11; nothing
/// else does both.
fn is_behind_ended_call(registers: &Registers) -> bool {
    registers.rcx == registers.rip
        && registers.r11 == registers.rflags
        && registers.rax == INTERRUPTED
}
