//! Who takes a checkpoint, and what everybody else does whom the signal reaches meanwhile.
//!
//! Async-signal-safe: see `signal`. What a thread does follows from the shared words here, not from the siginfo: the signal
//! coalesces, and the siginfo of a queued signal gets lost where the limit of queued signals is reached.

use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};

use ckpt_sys::kernel::{SignalInfo, UserContext, signal_bit};
use ckpt_sys::{calls, proc};

use super::{Thread, park, unblock};
use crate::signal::checkpoint_signal;
use crate::{put_off, thread_local};

/// The process that takes a checkpoint in the upper half, [`BUSY`] in the lower; 0 while there is none. The process is
/// part of it because a child that was forked meanwhile finds a word that is not about it.
static OWNER: AtomicU64 = AtomicU64::new(0);
const BUSY: u64 = 1;

/// That the signal came again while a checkpoint was taken.
static AGAIN: AtomicBool = AtomicBool::new(false);

/// The process that libckpt has worked in so far.
static PROCESS: AtomicI32 = AtomicI32::new(0);

/// Notes that libckpt works in this process from now on. Called at start, and when a process was restored.
pub fn settle_in() {
    PROCESS.store(calls::pid(), Ordering::Relaxed);
}

/// Entered from asm/handler.S on the stack that the signal found, with all signals blocked. Whether the caller is to take
/// a checkpoint; if not, the caller goes on: another thread's is over when this returns, or the signal comes again.
///
/// # Safety
/// The pointers are the arguments of a signal handler.
pub unsafe extern "C" fn enter(signal: i32, info: &SignalInfo, frame: *mut UserContext) -> bool {
    // SAFETY: the caller answers for the pointers.
    if super::bases().0 != 0 && unsafe { put_off::goes_on(info, frame) } {
        return false;
    }
    let stop_request = park::is_stop_request(info);
    if !stop_request {
        match try_to_own() {
            Role::Owner => return true,
            Role::Guest => return false,
            Role::Other => {}
        }
    }
    // SAFETY: the frame is the caller's own.
    unsafe { wait_in_handler(signal, frame, !stop_request) };
    false
}

/// What a thread does that does not take the checkpoint itself. A function of its own, since the thread that does has no
/// use for so large a stack frame.
///
/// # Safety
/// The frame is the one that the kernel made for the caller.
#[inline(never)]
unsafe fn wait_in_handler(signal: i32, frame: *mut UserContext, signal_came: bool) {
    if unblock::take(calls::tid()) {
        // SAFETY: the caller answers for the frame.
        unsafe { (*frame).mask |= signal_bit(checkpoint_signal()) };
    }
    if !waits_already() {
        // SAFETY: as above.
        let mut thread = unsafe { Thread::of_caller(signal, frame) };
        park::capture(&mut thread, None);
        park::park(&mut thread);
        thread.go_on();
    }
    if signal_came {
        ask_again();
    }
}

/// Whether the caller is in [`wait_in_handler`] already, further up its stack, and notes that it is. A thread that is long on its way
/// through the handler is asked a second time, and looks like one that blocks the signal, so it is let through to it.
fn waits_already() -> bool {
    // SAFETY: the thread has a thread pointer.
    super::bases().0 != 0
        && unsafe { core::mem::replace(&mut (*thread_local::current()).waits, 1) != 0 }
}

enum Role {
    /// Takes the checkpoint.
    Owner,
    /// A child of vfork(2), which only borrows the memory: there is nothing of its own to save.
    Guest,
    /// Another thread takes one.
    Other,
}

fn try_to_own() -> Role {
    let pid = calls::pid();
    let mine = (pid as u32 as u64) << 32 | BUSY;
    let found = OWNER.load(Ordering::Acquire);
    if found == mine {
        return Role::Other;
    }
    if PROCESS.load(Ordering::Relaxed) != pid {
        if proc::shares_memory_with_parent() {
            return Role::Guest;
        }
        settle_in();
    }
    let owns = OWNER
        .compare_exchange(found, mine, Ordering::AcqRel, Ordering::Relaxed)
        .is_ok();
    if !owns {
        return Role::Other;
    }
    if found != 0 {
        // The parent was busy when it forked; its threads are not here.
        AGAIN.store(false, Ordering::Relaxed);
        park::close();
    }
    Role::Owner
}

/// Remembers that the signal came.
pub fn ask_again() {
    AGAIN.store(true, Ordering::SeqCst);
    if OWNER.load(Ordering::SeqCst) == 0 {
        serve_again();
    }
}

/// Sends the caller the signal that was remembered. It is blocked until the caller has left the handler, and then finds
/// the program as it is by then.
fn serve_again() {
    if AGAIN.swap(false, Ordering::SeqCst) {
        let _ = calls::tgkill(calls::pid(), calls::tid(), checkpoint_signal());
    }
}

/// Entered from asm/handler.S, and by restored threads: gives libckpt's stack and the role back. The caller has left that stack.
pub extern "C" fn finish() {
    OWNER.store(0, Ordering::SeqCst);
    serve_again();
}

/// Makes a restored process busy under its new id, until [`finish`].
pub fn stay_owner() {
    OWNER.store((calls::pid() as u32 as u64) << 32 | BUSY, Ordering::SeqCst);
}
