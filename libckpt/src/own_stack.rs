//! Handlers that were installed with `SA_ONSTACK` run where they would without libckpt, although the kernel finds libckpt's alternate stack: on
//! the one that the program has asked for, which may have no room for a checkpoint besides; on the one that the signal has found, if the
//! program has asked for none, and for the claimed signal, which has the flag for libckpt's sake. The frame is moved there before the handler
//! begins, and the kernel reads it there when the handler returns.
//!
//! Async-signal-safe: see `signal`.

use core::ptr;

use ckpt_sys::kernel::{SignalInfo, SignalStack, UserContext};

use crate::{alternate, go, thread_local};

/// What the ABI has functions use below the stack pointer, in bytes (System V ABI, AMD64 supplement, 3.2.2).
const RED_ZONE: u64 = 128;

/// `struct rt_sigframe` (arch/x86/include/asm/sigframe.h).
#[repr(C)]
struct Frame {
    /// Where the handler returns to.
    restorer: u64,
    context: UserContext,
    info: SignalInfo,
}

/// Alignment of the XSAVE area, in bytes (Intel SDM vol. 1, 13.4).
const XSAVE_ALIGNMENT: u64 = 64;

/// Size of that area where the kernel says nothing of it, in bytes.
const LEGACY: u64 = 512;

/// What the functions take of the stack that libckpt stands in front of, in bytes: a handler may call them, on a stack that is just large enough without
/// libckpt.
const WRAPPERS: u64 = if cfg!(debug_assertions) {
    16 << 10
} else {
    4 << 10
};

/// Whether `address` is on the stack. So is its upper end, from which it grows (`__on_sig_stack` in include/linux/sched/signal.h).
pub fn is_on(stack: &SignalStack, address: u64) -> bool {
    address > stack.start && address - stack.start <= stack.size
}

/// Moves the frame of the handler that is about to run from the alternate stack, if it is there and does not belong there; where its ucontext is
/// then. `never` says that the handler runs on no alternate stack. Without a system call, which the program may have forbidden itself.
///
/// # Safety
/// The kernel has made the frame for the caller, which uses it no more if it was moved.
pub unsafe fn move_frame(context: *mut UserContext, never: bool) -> Option<*mut UserContext> {
    // SAFETY: (1) the caller answers for the frame; (2) threads that have one of our stacks have a thread pointer; (3) what is below
    // the red zone of the interrupted stack is free, and so is the program's alternate stack if it is not in use; if nothing is mapped
    // there, the thread could not have had its handler without libckpt either.
    unsafe {
        let stack = (*context).stack;
        let below = (*context).registers.rsp.wrapping_sub(RED_ZONE);
        if !is_on(&stack, context as u64) || is_on(&stack, below) {
            return None;
        }
        let note = || {
            let note = (*context).xsave_note();
            note.map_or(LEGACY, |note| u64::from(note.extended_size))
        };
        let xsave = (*context).xsave;
        let xsave_size = if xsave == 0 { 0 } else { note() };
        let start = if never {
            below
        } else if !alternate::is_one(stack.start) || go::is_there() {
            return None;
        } else {
            let asked = (*thread_local::current()).shown;
            let frame = xsave_size + XSAVE_ALIGNMENT + size_of::<Frame>() as u64 + 16;
            match asked.size {
                0 => below,
                _ if asked.flags != 0 => return None,
                _ if is_on(&asked, below) => below,
                // There is more room on ours.
                size if size < frame + WRAPPERS => return None,
                size => asked.start + size,
            }
        };
        let mut top = start;
        if xsave != 0 {
            top = (start - xsave_size) & !(XSAVE_ALIGNMENT - 1);
            ptr::copy_nonoverlapping(xsave as *const u8, top as *mut u8, xsave_size as usize);
            (*context).xsave = top;
        }
        // As at the entry of a function: the address to return to lies right below what is 16-byte aligned.
        let at = ((top - size_of::<Frame>() as u64) & !15) - 8;
        let from = context.byte_sub(core::mem::offset_of!(Frame, context));
        let to = at as *mut Frame;
        ptr::copy_nonoverlapping(from.cast::<Frame>(), to, 1);
        Some(&raw mut (*to).context)
    }
}
