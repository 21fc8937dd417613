//! Where the checkpoint signal comes in, and the little that is global.
//!
//! Async-signal-safe: everything from here down the calls makes raw system calls only, takes no lock, allocates only
//! mappings of its own, and touches no thread-local storage, so `errno` stays as it was.

use core::arch::global_asm;
use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::sync::atomic::{AtomicI32, Ordering};

use ckpt_image::context::Registers;
use ckpt_image::segments::Span;
use ckpt_sys::kernel::{SignalAction, SignalInfo, UserContext};
use ckpt_sys::{Errno, calls};
use linux_raw_sys::general as n;

use crate::threads::{Thread, role};
use crate::{checkpoint, resume};

/// How far below a signal frame's ucontext the stack may be used again: the return address of the handler stands in front
/// of it, in bytes.
const BELOW_FRAME: usize = 64;

global_asm!(
    include_str!("../../asm/handler.S"),
    enter = sym role::enter,
    on_signal = sym on_signal,
    finish = sym role::finish,
    restored = sym resume::restored,
    thread_restored = sym resume::thread_restored,
    rt_sigreturn = const n::__NR_rt_sigreturn,
    clone = const n::__NR_clone,
    exit = const n::__NR_exit,
    futex = const n::__NR_futex,
    FUTEX_WAKE_PRIVATE = const n::FUTEX_WAKE | n::FUTEX_PRIVATE_FLAG,
    BELOW_FRAME = const BELOW_FRAME,
);
// Not libc's: the program, or a sanitizer, may stand in front of those with functions that are not for handlers.
global_asm!(include_str!("../../asm/memory.S"));

unsafe extern "C" {
    fn ckpt_handler();
    fn ckpt_signal_trampoline();
    fn ckpt_capture(context: *mut c_void);
    fn ckpt_capture_thread(context: *mut c_void, thread: *mut c_void);
    fn ckpt_begin_thread();
    fn ckpt_return_from_signal(frame: *const UserContext) -> !;
    fn ckpt_finish_and_return(frame: *const UserContext) -> !;
    fn ckpt_release_and_end(word: *mut u32, value: u32) -> !;
    fn ckpt_clone(flags: usize, stack: u64, entry: usize, argument: usize) -> isize;
    static mut ckpt_stack_top: u64;
}

/// A value that only the constructor, and afterwards only the owner of libckpt's stack, reads and writes.
#[derive(Debug)]
#[repr(transparent)]
pub struct Owned<T>(UnsafeCell<T>);

// SAFETY: `threads::role` lets one thread at a time into the code that uses these values.
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
    /// The signal frame of the thread that takes the checkpoint.
    pub frame: *mut UserContext,
    /// What is known about the signal.
    pub info: &'f SignalInfo,
    /// The signal.
    pub signal: i32,
}

/// Entered from asm/handler.S, on libckpt's own stack, with all signals blocked.
extern "C" fn on_signal(signal: i32, info: &SignalInfo, frame: *mut UserContext) {
    checkpoint::take(&Interrupted {
        frame,
        info,
        signal,
    });
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

/// More than all of libckpt's variables take up, in bytes.
const VARIABLES: u64 = 256 << 10;

/// Where libckpt's variables are, and what lies around them.
pub fn around_variables() -> Span {
    let one_of_them = (&raw const STACK) as u64;
    Span::new(
        one_of_them.saturating_sub(VARIABLES),
        one_of_them + VARIABLES,
    )
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
    SIGNAL.store(signal, Ordering::Relaxed);
    // SAFETY: the handler may run from now on: its stack and the settings are ready.
    let _ = unsafe { calls::signal_action(signal, Some(&our_action())) };
}

/// Makes `new` the checkpoint signal. The first one from which it changes is the one that asks for checkpoints.
pub fn exchange(new: i32) {
    let old = checkpoint_signal();
    install(new);
    let _ = CLAIMED.compare_exchange(0, old, Ordering::Relaxed, Ordering::Relaxed);
}

/// Has what asks for checkpoints do nothing.
pub fn ignore() {
    replace(&our_action(), &nothing());
}

/// Takes that back.
pub fn heed() {
    replace(&nothing(), &our_action());
}

/// The disposition of a signal that is ignored.
fn nothing() -> SignalAction {
    SignalAction {
        handler: libc::SIG_IGN as u64,
        ..SignalAction::default()
    }
}

/// Puts `new` in the place of `old` where a signal that asks for checkpoints has that: not where the program has a handler of its own.
fn replace(old: &SignalAction, new: &SignalAction) {
    for signal in [checkpoint_signal(), claimed()] {
        // SAFETY: our handler is ready, and nothing depends on it.
        unsafe {
            let there = calls::signal_action(signal, None);
            if there.is_ok_and(|there| there.handler == old.handler) {
                let _ = calls::signal_action(signal, Some(new));
            }
        }
    }
}

/// Size of glibc's `ucontext_t` with room to spare: 968 bytes in glibc 2.36.
type ContextBuffer = [u64; 128];
static CONTEXT: Owned<ContextBuffer> = Owned::new([0; 128]);

/// Saves where a restored process begins. In that process this function does not return; `resume` goes on.
pub fn capture() -> Registers {
    // SAFETY: (1) the caller runs on libckpt's stack; (2) the buffer is larger than a ucontext_t, and aligned.
    unsafe {
        let buffer = CONTEXT.get();
        ckpt_capture(buffer.as_mut_ptr().cast());
        (*buffer.as_ptr().cast::<UserContext>()).registers
    }
}

/// Saves where `thread`, the caller, begins in a restored process. In that process this function does not return.
pub fn capture_thread(thread: &mut Thread) -> Registers {
    if !thread.has_thread_pointer() {
        let record = &raw mut *thread as u64;
        return Registers {
            rbx: record,
            rip: ckpt_begin_thread as *const () as u64,
            // Whatever lies there belongs to functions that do not go on in the restored process.
            rsp: (record - BELOW_FRAME as u64) & !15,
            rflags: INITIAL_FLAGS,
            ..Registers::ZERO
        };
    }
    let mut buffer: ContextBuffer = [0; 128];
    // SAFETY: the buffer is larger than a ucontext_t, and aligned.
    unsafe {
        ckpt_capture_thread(buffer.as_mut_ptr().cast(), (&raw mut *thread).cast());
        (*buffer.as_ptr().cast::<UserContext>()).registers
    }
}

/// `rflags` of a thread that begins: bit 1, which is always set, and the one that lets interrupts through.
const INITIAL_FLAGS: u64 = 0x202;

/// Where a thread whose signal frame is `frame` may have its stack once it leaves through that frame.
pub fn stack_below(frame: *const UserContext) -> u64 {
    frame as u64 - BELOW_FRAME as u64
}

/// Goes back to where the signal came in.
pub fn leave(frame: *const UserContext) -> ! {
    // SAFETY: the frame is the one that the kernel made for the signal that is being handled.
    unsafe { ckpt_return_from_signal(frame) }
}

/// Gives libckpt's stack back, and goes back to where the signal came in.
pub fn finish_and_leave(frame: *const UserContext) -> ! {
    // SAFETY: as for `leave`.
    unsafe { ckpt_finish_and_return(frame) }
}

/// Stores `value` to `word`, wakes those who wait for it, and ends the thread.
pub fn release_and_end(word: *mut u32, value: u32) -> ! {
    // SAFETY: the word is a static.
    unsafe { ckpt_release_and_end(word, value) }
}

/// Makes a process that shares our memory and runs `entry` on a stack that ends at `stack`; its id.
///
/// # Safety
/// Stack and argument stay until it has ended; `entry` and `flags` fit what it shares with us.
///
/// # Errors
/// Those of clone(2).
pub unsafe fn clone_child<T>(
    flags: u32,
    stack: u64,
    entry: extern "C" fn(&T),
    argument: &T,
) -> Result<usize, Errno> {
    let (entry, argument) = (entry as usize, &raw const *argument as usize);
    // SAFETY: the caller answers for everything.
    Errno::check(unsafe { ckpt_clone(flags as usize, stack, entry, argument) })
}

/// The signal that asks for checkpoints, and was the checkpoint signal before the program has claimed it; 0 as long as it has not.
pub static CLAIMED: AtomicI32 = AtomicI32::new(0);

/// See [`CLAIMED`].
pub fn claimed() -> i32 {
    CLAIMED.load(Ordering::Relaxed)
}

/// The checkpoint signal.
static SIGNAL: AtomicI32 = AtomicI32::new(0);

/// The checkpoint signal, 0 until the handler is installed.
pub fn checkpoint_signal() -> i32 {
    SIGNAL.load(Ordering::Relaxed)
}
