//! Where the checkpoint signal comes in, and the little that is global.
//!
//! Async-signal-safe: everything from here down the calls makes raw system calls only, takes no lock, allocates only
//! mappings of its own, and touches no thread-local storage, so `errno` stays as it was.

use core::arch::global_asm;
use core::cell::UnsafeCell;
use core::ffi::c_void;

use ckpt_image::context::Registers;
use ckpt_image::segments::Span;
use ckpt_sys::calls;
use ckpt_sys::kernel::{SignalAction, SignalInfo, UserContext};
use linux_raw_sys::general as n;

use crate::{checkpoint, resume};

global_asm!(
    include_str!("../../asm/handler.S"),
    on_signal = sym on_signal,
    restored = sym resume::restored,
    rt_sigreturn = const n::__NR_rt_sigreturn,
);
global_asm!(include_str!("../../asm/thread_local.S"));
// Not libc's: the program, or a sanitizer, may stand in front of those with functions that are not for handlers.
global_asm!(include_str!("../../asm/memory.S"));

unsafe extern "C" {
    fn ckpt_handler();
    fn ckpt_signal_trampoline();
    fn ckpt_capture(context: *mut c_void);
    fn ckpt_return_from_signal(context: *const UserContext) -> !;
    static mut ckpt_stack_top: u64;
    static mut ckpt_again: u32;
}

/// A value that only the constructor, and afterwards only the owner of libckpt's stack, reads and writes.
#[derive(Debug)]
#[repr(transparent)]
pub struct Owned<T>(UnsafeCell<T>);

// SAFETY: `ckpt_busy` lets one thread at a time into the code that uses these values (asm/handler.S).
unsafe impl<T> Sync for Owned<T> {}

impl<T> Owned<T> {
    /// A value before anybody uses it.
    pub const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// The value.
    ///
    /// # Safety
    /// The caller is the constructor or runs on libckpt's stack, and holds no other reference to it.
    #[expect(clippy::mut_from_ref, reason = "this is what the type is for")]
    pub unsafe fn get(&self) -> &mut T {
        // SAFETY: the caller is alone with the value.
        unsafe { &mut *self.0.get() }
    }
}

/// The program as the signal found it.
#[derive(Clone, Copy, Debug)]
pub struct Interrupted<'f> {
    /// The signal frame.
    pub frame: &'f UserContext,
    /// What is known about the signal.
    pub info: &'f SignalInfo,
    /// The signal.
    pub signal: i32,
}

/// Entered from asm/handler.S, on libckpt's own stack, with all signals blocked.
extern "C" fn on_signal(signal: i32, info: &SignalInfo, frame: &UserContext) {
    loop {
        checkpoint::take(&Interrupted {
            frame,
            info,
            signal,
        });
        // SAFETY: only threads that find the stack taken write here, and always 1.
        let again = unsafe { core::ptr::replace(&raw mut ckpt_again, 0) };
        if again == 0 {
            return;
        }
    }
}

/// Where libckpt's stack is.
static STACK: Owned<Span> = Owned::new(Span::new(0, 0));

/// Makes `span` libckpt's stack.
pub fn set_stack(span: Span) {
    // SAFETY: the constructor runs before the handler is installed.
    unsafe {
        *STACK.get() = span;
        ckpt_stack_top = span.end;
    }
}

/// libckpt's stack, whose content is worth nothing in an image: the restored process begins on it anew.
pub fn stack() -> Span {
    // SAFETY: the caller runs on that stack.
    unsafe { *STACK.get() }
}

/// The disposition that belongs to the checkpoint signal: all signals blocked, on the alternate stack.
pub fn our_action() -> SignalAction {
    SignalAction {
        handler: ckpt_handler as *const () as u64,
        flags: u64::from(n::SA_SIGINFO | n::SA_ONSTACK | n::SA_RESTART | n::SA_RESTORER),
        restorer: ckpt_signal_trampoline as *const () as u64,
        mask: u64::MAX,
    }
}

/// Puts our handler in place.
pub fn install(signal: i32) {
    // SAFETY: the handler may run from now on: its stack and the settings are ready.
    let _ = unsafe { calls::signal_action(signal, Some(&our_action())) };
}

/// Size of glibc's `ucontext_t` with room to spare: 968 bytes in glibc 2.36.
type ContextBuffer = [u64; 256];
static CONTEXT: Owned<ContextBuffer> = Owned::new([0; 256]);

/// Saves where a restored process begins. In that process this function does not return; `resume` goes on.
pub fn capture() -> Registers {
    // SAFETY: (1) the caller runs on libckpt's stack; (2) the buffer is larger than a ucontext_t, and aligned.
    unsafe {
        let buffer = CONTEXT.get();
        ckpt_capture(buffer.as_mut_ptr().cast());
        (*buffer.as_ptr().cast::<UserContext>()).registers
    }
}

/// Goes back to where the signal came in.
pub fn leave(frame: *const UserContext) -> ! {
    // SAFETY: the frame is the one that the kernel made for the signal that is being handled.
    unsafe { ckpt_return_from_signal(frame) }
}
