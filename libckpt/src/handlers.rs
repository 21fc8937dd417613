//! Code in front of the program's signal handlers, from its first checkpoint on: a signal that comes in the moment in which a thread
//! leaves for the call that it was in ends that call, if it would have ended it (see [`ckpt_sys::in_progress::before_handler`]).
//!
//! Async-signal-safe: see `signal`.

use core::arch::global_asm;
use core::mem::offset_of;
use core::sync::atomic::{AtomicU64, Ordering};

use ckpt_image::context::Registers;
use ckpt_image::signals::SIGNALS;
use ckpt_sys::kernel::{SignalAction, SignalInfo, UserContext};
use ckpt_sys::{calls, in_progress};
use linux_raw_sys::general as n;

use crate::signal::checkpoint_signal;

/// How many handlers are stood in front of. A handler keeps its stand-in, since the program may have seen that by a system call of
/// its own. One that finds none left is called directly, and its signal does not end a call that it comes right before.
const COUNT: usize = 256;

/// Size of the code of one, in bytes.
const SIZE: u64 = 16;

/// The handlers, in the order of their stand-ins; 0 behind the last.
static HANDLERS: [AtomicU64; COUNT] = [const { AtomicU64::new(0) }; COUNT];

global_asm!(
    include_str!("../../asm/stand_in.S"),
    handlers = sym HANDLERS,
    before_handler = sym before_handler,
    COUNT = const COUNT,
    SIZE = const SIZE,
    RCX = const offset_of!(UserContext, registers) + offset_of!(Registers, rcx),
    RIP = const offset_of!(UserContext, registers) + offset_of!(Registers, rip),
);

unsafe extern "C" {
    fn ckpt_stand_ins();
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

/// What stands in front of `handler`, if there is room for one more.
fn in_front_of(handler: u64) -> Option<u64> {
    let index = HANDLERS.iter().position(|known| {
        let found = known.load(Ordering::Relaxed);
        if found == 0 {
            known.store(handler, Ordering::Relaxed);
        }
        found == 0 || found == handler
    })?;
    Some(first() + index as u64 * SIZE)
}

/// Puts code in front of all handlers of the program.
///
/// Threads that could not be stopped may change dispositions meanwhile, and what they have set last prevails.
///
/// # Safety
/// The caller owns libckpt's stack.
pub unsafe fn stand_in() {
    for signal in (1..=SIGNALS as i32).filter(|&signal| signal != checkpoint_signal()) {
        // SAFETY: the disposition is only read.
        let Ok(mut there) = (unsafe { calls::signal_action(signal, None) }) else {
            continue;
        };
        let mut new = with_stand_in(there);
        while new != there {
            // SAFETY: it ends in the handler that the program has installed.
            let Ok(replaced) = (unsafe { calls::signal_action(signal, Some(&new)) }) else {
                break;
            };
            if replaced == there {
                break;
            }
            // The program has just set that, and ours is in its place.
            (there, new) = (new, with_stand_in(replaced));
        }
    }
}

/// The same disposition with code in front of its handler, if it has one.
fn with_stand_in(mut action: SignalAction) -> SignalAction {
    let handler = action.handler;
    let has_none = [libc::SIG_IGN as u64, libc::SIG_DFL as u64].contains(&handler);
    if !has_none && behind(handler) == handler {
        action.handler = in_front_of(handler).unwrap_or(handler);
    }
    action
}

/// Entered from asm/stand_in.S, before the program's handler.
///
/// # Safety
/// The frame is the one that the kernel made for the caller.
unsafe extern "C" fn before_handler(signal: i32, _: &SignalInfo, frame: *mut UserContext) {
    let restarts = || {
        // SAFETY: the disposition is only read.
        let action = unsafe { calls::signal_action(signal, None) };
        action.is_ok_and(|action| action.flags & u64::from(n::SA_RESTART) != 0)
    };
    // SAFETY: the caller answers for the frame.
    in_progress::before_handler(unsafe { &mut (*frame).registers }, restarts);
}
