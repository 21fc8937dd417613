//! Handlers that were installed with `SA_ONSTACK`, in a thread that has no alternate stack as far as the program knows, and that of the claimed
//! signal, which has the flag for libckpt's sake: they run on the stack that the signal has found, as without libckpt. The frame is moved there before the
//! handler begins, and the kernel reads it there when the handler returns.
//!
//! Async-signal-safe: see `signal`.

use core::ptr;

use ckpt_sys::kernel::{SignalInfo, UserContext};

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

/// Moves the frame of the handler that is about to run from the alternate stack, if it is there and that is libckpt's, or if it `never` runs on
/// one; where its ucontext is then. Without a system call, which the program may have forbidden itself.
///
/// # Safety
/// The kernel has made the frame for the caller, which uses it no more if it was moved.
pub unsafe fn move_frame(context: *mut UserContext, never: bool) -> Option<*mut UserContext> {
    // SAFETY: (1) the caller answers for the frame; (2) threads that have one of our stacks have a thread pointer; (3) what is below
    // the red zone of the interrupted stack is free; if nothing is mapped there, the thread could not have had its handler
    // without libckpt either.
    unsafe {
        let stack = (*context).stack;
        let is_on_it = |address: u64| address.wrapping_sub(stack.start) < stack.size;
        let below = (*context).registers.rsp.wrapping_sub(RED_ZONE);
        if !is_on_it(context as u64) || is_on_it(below) {
            return None;
        }
        let is_ours = || {
            alternate::is_one(stack.start)
                && (*thread_local::current()).shown.size == 0
                && !go::is_there()
        };
        if !never && !is_ours() {
            return None;
        }
        let mut top = below;
        let xsave = (*context).xsave;
        if xsave != 0 {
            let note = (*context).xsave_note();
            let size = note.map_or(LEGACY, |note| u64::from(note.extended_size));
            top = (below - size) & !(XSAVE_ALIGNMENT - 1);
            ptr::copy_nonoverlapping(xsave as *const u8, top as *mut u8, size as usize);
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
