//! Code in front of the program's signal handlers: a signal that comes in the moment in which a thread leaves for the call that it
//! was in ends that call, if it would have ended it, and a call that a handler has ended is known as such
//! (see [`ckpt_sys::in_progress::before_handler`]). It also tells who has sent a signal that the program has claimed
//! (`interpose::claimed`), and sees to it that handlers run on the stack on which they would without libckpt (`own_stack`).
//!
//! It is there from the moment on in which libc's functions install a handler. One that is installed by a `syscall` instruction of the program's
//! own gets it at the next checkpoint.
//!
//! Async-signal-safe: see `signal`.

use core::arch::global_asm;
use core::mem::offset_of;
use core::sync::atomic::{AtomicU64, Ordering};

use ckpt_image::context::Registers;
use ckpt_image::signals::SIGNALS;
use ckpt_sys::kernel::{SignalAction, SignalInfo, SignalSet, SignalStack, UserContext};
use ckpt_sys::{calls, in_progress};
use linux_raw_sys::general as n;

use crate::signal::{CLAIMED, checkpoint_signal, claimed};
use crate::{go, interpose, own_stack};

/// How many handlers are stood in front of: more than a program has functions for it. A handler keeps its stand-in, since the program
/// may have seen that by a system call of its own. One that finds none left is called directly, and its signal does not end a call
/// that it comes right before.
const COUNT: usize = 4096;

/// What sigset(3) takes for a signal that is to be blocked (signal.h).
pub const SIG_HOLD: usize = 2;

/// Size of the code of one, in bytes.
const SIZE: u64 = 16;

/// Signals that libc has for itself, to cancel threads and to change the ids of all of them (`SIGCANCEL` and `SIGSETXID` in
/// sysdeps/unix/sysv/linux/internal-signals.h): it installs their handlers by its own system calls.
const CANCEL: i32 = 32;
const CHANGE_IDS: i32 = 33;

/// The handlers, in the order of their stand-ins; 0 behind the last.
static HANDLERS: [AtomicU64; COUNT] = [const { AtomicU64::new(0) }; COUNT];

global_asm!(
    include_str!("../../asm/stand_in.S"),
    handlers = sym HANDLERS,
    claimed = sym CLAIMED,
    checkpoint = sym ckpt_handler,
    before_handler = sym before_handler,
    COUNT = const COUNT,
    SIZE = const SIZE,
    RCX = const offset_of!(UserContext, registers) + offset_of!(Registers, rcx),
    RIP = const offset_of!(UserContext, registers) + offset_of!(Registers, rip),
    STACK_START = const offset_of!(UserContext, stack) + offset_of!(SignalStack, start),
    STACK_SIZE = const offset_of!(UserContext, stack) + offset_of!(SignalStack, size),
    CHECKPOINT = const CHECKPOINT,
    RETURNS = const RETURNS,
);

unsafe extern "C" {
    fn ckpt_stand_ins();
    fn ckpt_handler();
}

/// Address of the first stand-in.
fn first() -> u64 {
    ckpt_stand_ins as *const () as u64
}

/// The program's handler, where `handler` is what stands in front of it; else `handler`.
pub fn behind(handler: u64) -> u64 {
    let distance = handler.wrapping_sub(first());
    match HANDLERS.get((distance / SIZE) as usize) {
        Some(known) if distance.is_multiple_of(SIZE) => known.load(Ordering::Relaxed),
        _ => handler,
    }
}

/// Whether it is no handler of the program's.
pub fn is_none(handler: u64) -> bool {
    handler == ckpt_handler as *const () as u64
        || [libc::SIG_DFL, libc::SIG_IGN, libc::SIG_ERR, SIG_HOLD].contains(&(handler as usize))
}

/// What stands in front of `handler`: itself, if it is none, or if there is no room for one more. May be called by any thread, and in a
/// handler.
pub fn in_front_of(handler: u64) -> u64 {
    if is_none(handler) || behind(handler) != handler {
        return handler;
    }
    let is_for_it = |known: &AtomicU64| {
        let added = known.compare_exchange(0, handler, Ordering::Relaxed, Ordering::Relaxed);
        if added.is_ok() {
            go::look_at_code(handler);
        }
        added.map_or_else(|known| known == handler, |_| true)
    };
    HANDLERS
        .iter()
        .position(is_for_it)
        .map_or(handler, |index| first() + index as u64 * SIZE)
}

/// Signals that end no call of the program's: those of libc's, and those that the processor raises, for which crash handlers are installed.
const ENDS_NO_CALL: [i32; 7] = [
    CANCEL,
    CHANGE_IDS,
    n::SIGILL as i32,
    n::SIGTRAP as i32,
    n::SIGBUS as i32,
    n::SIGFPE as i32,
    n::SIGSEGV as i32,
];

/// Puts code in front of all handlers of the program. The first signal whose handler had none, and may have ended a call: it was installed
/// without libc.
pub fn stand_in() -> Option<i32> {
    let mut first = None;
    for signal in (1..=SIGNALS as i32).filter(|&signal| signal != checkpoint_signal()) {
        if stand_in_for(signal) && !ENDS_NO_CALL.contains(&signal) {
            first = first.or(Some(signal));
        }
    }
    first
}

/// Puts code in front of the handler of `signal`. Whether it had none.
///
/// Threads that run may change dispositions meanwhile, and what they have set last prevails.
fn stand_in_for(signal: i32) -> bool {
    // SAFETY: the disposition is only read.
    let Ok(mut there) = (unsafe { calls::signal_action(signal, None) }) else {
        return false;
    };
    let with_stand_in = |action: SignalAction| SignalAction {
        handler: in_front_of(action.handler),
        ..action
    };
    let mut new = with_stand_in(there);
    while new != there {
        // SAFETY: it ends in the handler that the program has installed.
        let Ok(replaced) = (unsafe { calls::signal_action(signal, Some(&new)) }) else {
            return false;
        };
        if replaced == there {
            return true;
        }
        // The program has just set that, and ours is in its place.
        (there, new) = (new, with_stand_in(replaced));
    }
    false
}

/// Has a thread that was just cancelled, and whose id may be `tid`, notice that in the rest of a transfer, too. Since glibc 2.41, the handler
/// looks where the signal has found the thread, and does nothing there: the transfer has to end, as it would have without the
/// checkpoint. The handler is installed by the first `pthread_cancel`, and its signal may have come before anything stood in front.
pub fn cancel_rest(tid: impl FnOnce() -> Option<i32>) {
    if in_progress::has_cut_transfers()
        && stand_in_for(CANCEL)
        && let Some(tid) = tid()
    {
        let _ = calls::tgkill(calls::pid(), tid, CANCEL);
    }
}

/// What becomes of a signal for which the program has a handler: it runs.
const RUNS: u64 = 0;
/// It asks for a checkpoint.
const CHECKPOINT: u64 = 1;
/// Nothing. Anything higher is where the ucontext of the handler's frame is now.
const RETURNS: u64 = 2;

/// Entered from asm/stand_in.S, before the program's handler.
///
/// # Safety
/// The frame is the one that the kernel made for the caller.
unsafe extern "C" fn before_handler(
    signal: i32,
    info: &SignalInfo,
    frame: *mut UserContext,
) -> u64 {
    let is_claimed = signal == claimed();
    if is_claimed {
        // SAFETY: the caller answers for the frame.
        if interpose::asks_for_checkpoint(info, unsafe { &(*frame).registers }) {
            // As the kernel does for the checkpoint signal.
            let _ = calls::signal_mask(n::SIG_SETMASK, Some(SignalSet::MAX));
            return CHECKPOINT;
        }
        // SAFETY: the caller answers for the frame.
        if !unsafe { interpose::before_claimed_handler(info, frame) } {
            return RETURNS;
        }
    }
    let restarts = || {
        // SAFETY: the disposition is only read.
        let action = unsafe { calls::signal_action(signal, None) };
        action.is_ok_and(|action| action.flags & u64::from(n::SA_RESTART) != 0)
    };
    // SAFETY: the caller answers for the frame.
    unsafe {
        in_progress::before_handler(&mut (*frame).registers, restarts);
        let never = is_claimed && !interpose::is_claimed_on_stack();
        own_stack::move_frame(frame, never).map_or(RUNS, |moved| moved as u64)
    }
}
