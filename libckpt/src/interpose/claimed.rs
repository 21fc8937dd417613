//! The checkpoint signal as the program's own. As soon as the program installs a handler for it, another signal that the program does not use
//! is libckpt's, and this one is blocked, waited for and sent as the kernel does it. What remains is code in front of the
//! handler: where the signal comes from somebody else than the program, it asks for a checkpoint as ever.

use core::hint;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};

use ckpt_image::context::Registers;
use ckpt_sys::kernel::{SignalAction, SignalInfo, SignalSet, UserContext, signal_bit};
use ckpt_sys::{calls, proc};
use libc::{c_int, sighandler_t};
use linux_raw_sys::general as n;

use super::dispositions::{self, Action};
use super::{SIGNAL, is_ours, masks, user_dispatch};
use crate::threads::{self, park};
use crate::{handlers, resume, signal};

/// The process in which the program began, or was restored. It is not that of its children.
static PROCESS: AtomicI32 = AtomicI32::new(0);

/// The ids that it had before it was restored, the last ones: a thread may be right before the handler of a signal that names it by one of
/// these, and may come no further before the next checkpoint.
static FORMER: [AtomicI32; 8] = [const { AtomicI32::new(0) }; 8];

/// Notes that the program is in this process from now on. Called at start, and when it was restored.
pub fn settle_in() {
    let pid = calls::pid();
    let before = PROCESS.swap(pid, Ordering::Relaxed);
    let place = resume::generation() as usize % FORMER.len();
    FORMER[place].store(before, Ordering::Relaxed);
}

/// Whether `signal` was libckpt's, and is the program's.
pub(super) fn is_claimed(signal: c_int) -> bool {
    signal != 0 && signal == signal::claimed()
}

/// Signals that may become libckpt's: of those that nobody has a use for by custom, without the highest, which emulators and debuggers
/// take for themselves.
const CANDIDATES: core::ops::RangeInclusive<i32> = 35..=60;

/// One of these that the program has no handler for, and that a thread with this `mask` does not block: it might wait for it. Whoever blocks
/// them all waits for none in particular.
fn unused(mask: SignalSet) -> Option<i32> {
    let is_unused = |&signal: &i32| {
        // SAFETY: the disposition is only read.
        let there = unsafe { calls::signal_action(signal, None) };
        !is_ours(signal) && there.is_ok_and(|there| there.handler == libc::SIG_DFL as u64)
    };
    let is_blocked = |signal: &i32| mask & signal_bit(*signal) != 0;
    let unused = || CANDIDATES.rev().filter(is_unused);
    unused()
        .find(|signal| !is_blocked(signal))
        .or_else(|| unused().next())
}

/// Whether this is a child of vfork(2), which only borrows the memory: what is kept there is about its parent.
pub(super) fn is_guest() -> bool {
    PROCESS.load(Ordering::Relaxed) != calls::pid() && proc::shares_memory_with_parent()
}

/// The process in which a thread exchanges signals, one at a time, with all of them blocked; or 0. A child that was forked meanwhile finds its
/// parent's id.
static EXCHANGES: AtomicI32 = AtomicI32::new(0);

/// Has another signal be libckpt's if the program is about to install `handler` for the one that is.
pub(super) fn make_way(signal: c_int, handler: sighandler_t) {
    let is_handler = !handlers::is_none(handler as u64);
    if !is_ours(signal) || !is_handler || user_dispatch::is_on() || is_guest() {
        return;
    }
    let Ok(mask) = calls::signal_mask(n::SIG_SETMASK, Some(SignalSet::MAX)) else {
        return;
    };
    let pid = calls::pid();
    while EXCHANGES.swap(pid, Ordering::Acquire) == pid {
        hint::spin_loop();
    }
    let mask = match unused(mask).filter(|_| is_ours(signal)) {
        Some(new) => exchange(signal, new, mask),
        None => mask,
    };
    EXCHANGES.store(0, Ordering::Release);
    let _ = calls::signal_mask(n::SIG_SETMASK, Some(mask));
}

/// Makes `new` libckpt's signal, and `old` the program's; the `mask` of this thread as it is to be then. Other threads have `old` blocked,
/// where they believe so, as soon as they do anything with their masks, or the signal comes ([`masks::catch_up`]).
fn exchange(old: i32, new: i32, mask: SignalSet) -> SignalSet {
    let was_blocked = masks::is_blocked();
    let threads = proc::ProcessStat::of_this_thread().map_or(u64::MAX, |stat| stat.threads());
    if threads > 1 {
        WERE_OTHERS.store(true, Ordering::Relaxed);
    }
    signal::exchange(new);
    SIGNAL.store(new, Ordering::Release);
    dispositions::exchange(old, new);
    masks::set_blocked(mask & signal_bit(new) != 0);
    let others = mask & !signal_bit(new);
    if was_blocked {
        others | signal_bit(old)
    } else {
        others
    }
}

/// Tells the kernel what the program has said about the claimed signal.
pub(super) fn install(action: Action) {
    let signal = signal::claimed();
    let none = handlers::is_none(action.handler as u64);
    let ours = signal::our_action();
    let action = if none {
        // Then it is like before the program had a handler.
        ours
    } else {
        let has_restorer = action.flags & n::SA_RESTORER as c_int != 0;
        SignalAction {
            handler: handlers::in_front_of(action.handler as u64),
            // The sender must be known; a checkpoint needs room; and what is installed for one time would be gone for that, too.
            flags: u64::from(
                action.flags.cast_unsigned() & !n::SA_RESETHAND
                    | n::SA_SIGINFO
                    | n::SA_ONSTACK
                    | n::SA_RESTORER,
            ),
            restorer: if has_restorer {
                action.restorer as u64
            } else {
                ours.restorer
            },
            mask: action.mask & !super::our_bit(),
        }
    };
    if none && user_dispatch::is_on() {
        return signal::ignore();
    }
    // SAFETY: the handler is ours, or the program's with code of ours in front of it.
    let _ = unsafe { calls::signal_action(signal, Some(&action)) };
}

/// Whether the claimed signal, which has found a thread with these `registers`, has come from somebody who wants a checkpoint, and not from the
/// program itself.
pub fn asks_for_checkpoint(info: &SignalInfo, registers: &Registers) -> bool {
    /// Offset of `si_pid` in a `siginfo_t` of a signal that a process has sent (include/uapi/asm-generic/siginfo.h).
    const SENDER_AT: usize = 16;
    let number = |at: usize| i32::from_le_bytes(core::array::from_fn(|index| info[at + index]));
    let is_sent = [SI_USER, park::SI_QUEUE, SI_TKILL].contains(&number(park::CODE_AT));
    !user_dispatch::is_on()
        && (park::is_marked(info) || is_sent && !is_of_program(number(SENDER_AT), registers))
}

/// `si_code` of signals sent by kill(2) and tgkill(2) (include/uapi/asm-generic/siginfo.h).
const SI_USER: i32 = 0;
const SI_TKILL: i32 = -6;

/// Whether the process `sender` is the program's: this one, the one that has forked it, its parent if it was forked, or a child, which may have
/// been waited for by now. On the stack of a handler, which may be small.
fn is_of_program(sender: i32, registers: &Registers) -> bool {
    let began = PROCESS.load(Ordering::Relaxed);
    let is_one_of = |ids: &[AtomicI32]| ids.iter().any(|id| id.load(Ordering::Relaxed) == sender);
    if sender == 0 {
        // It is in another namespace.
        return false;
    }
    // The thread is right behind the call by which it has waited for the child.
    let is_result = registers.rcx == registers.rip && registers.rax == sender as u64;
    sender == began || is_one_of(&FORMER) || is_one_of(&CHILDREN) || is_result || {
        let own = calls::pid();
        sender == own
            || calls::is_child(sender)
            || own != began && sender == calls::getppid().unwrap_or(0) as i32
    }
}

/// The children that were made or waited for last.
static CHILDREN: [AtomicI32; 64] = [const { AtomicI32::new(0) }; 64];

/// Which place is taken next.
static NEXT_PLACE: AtomicUsize = AtomicUsize::new(0);

/// Notes that the program has made a child, or waited for it, if `child` is one; it is returned.
pub(super) fn note_child(child: i32) -> i32 {
    if child > 0 && signal::claimed() != 0 {
        let place = NEXT_PLACE.fetch_add(1, Ordering::Relaxed) % CHILDREN.len();
        CHILDREN[place].store(child, Ordering::Relaxed);
    }
    child
}

/// Whether there were other threads when the signal was claimed, which may block it as far as the program knows.
static WERE_OTHERS: AtomicBool = AtomicBool::new(false);

/// To be called before the handler of the claimed signal runs, which the program has sent itself. Whether it is to run: not in a thread
/// that blocks the signal, as far as the program knows.
///
/// # Safety
/// The frame is the one that the kernel made for the caller.
pub unsafe fn before_handler(info: &SignalInfo, frame: *mut UserContext) -> bool {
    let signal = signal::claimed();
    let may_block = WERE_OTHERS.load(Ordering::Relaxed) && threads::bases().0 != 0;
    if may_block && masks::catch_up() {
        // SAFETY: the caller answers for the frame.
        unsafe { (*frame).mask |= signal_bit(signal) };
        // Whether it was sent to this thread alone cannot be told from all signals. Only the main thread may send as it came one that is for
        // the process.
        let is_for_thread = info[park::CODE_AT..][..4] == SI_TKILL.to_le_bytes();
        let receiver = if is_for_thread { calls::tid() } else { 0 };
        let sent = calls::queue_signal(receiver, signal, info)
            .or_else(|_| calls::kill(calls::pid(), signal).map(drop));
        return sent.is_err();
    }
    dispositions::let_handle_once();
    true
}
