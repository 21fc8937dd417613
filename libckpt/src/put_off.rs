//! Places where no thread is stopped: inside of the vdso, and where locks are used. A thread that is met there goes on for a moment, and
//! a timer has the signal come again; one that does nothing else is met outside before long.
//!
//! Async-signal-safe: see `signal`.

use ckpt_sys::calls;
use ckpt_sys::kernel::{SignalInfo, SignalSet, UserContext, signal_bit};
use ckpt_sys::posix_timers::{self, Event};
use linux_raw_sys::general as n;

use crate::signal::checkpoint_signal;
use crate::threads::{park, role, unblock};
use crate::{alternate, locks, thread_local, vdso};

/// How long a thread goes on, in nanoseconds.
const MOMENT: u64 = 20_000;

/// How often at most: then it is stopped where it is.
const TRIES: u32 = 1000;

/// What a thread remembers of having gone on. All zeros is a thread that has not.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct PutOff {
    /// How often in a row.
    times: u32,
    /// The thread that has made the timer: a child of fork(2) has not.
    tid: i32,
    /// The timer.
    timer: i32,
}

impl PutOff {
    const NEVER: Self = Self {
        times: 0,
        tid: 0,
        timer: 0,
    };
}

/// Signals that nobody can block.
const NEVER_BLOCKED: SignalSet = signal_bit(n::SIGKILL as i32) | signal_bit(n::SIGSTOP as i32);

/// Whether the signal has found the thread in our handler, on its way in or out, and not in the program: there it is only let through to a thread
/// that looks as if it blocked it (`threads::unblock`). `outer` is the frame with which that handler has begun.
fn is_in_handler(frame: &UserContext, outer: *const UserContext) -> bool {
    let below = (outer as u64).wrapping_sub(frame.registers.rsp);
    let blocked = frame.mask | NEVER_BLOCKED | signal_bit(checkpoint_signal());
    !outer.is_null() && below < alternate::STACK as u64 && blocked == SignalSet::MAX
}

/// Whether the calling thread, which the signal has found at `frame`, is to go on now: the signal comes again.
///
/// # Safety
/// The pointers are the arguments of a signal handler, and the thread has a thread pointer.
pub unsafe fn goes_on(info: &SignalInfo, frame: *mut UserContext) -> bool {
    let is_stop_request = park::is_stop_request(info);
    // SAFETY: (1) the caller answers for the frame; (2) the block is the thread's own; (3) the outer frame is further up the stack.
    let (is_nested, is_inside, put_off) = unsafe {
        let local = thread_local::current();
        let is_nested = is_in_handler(&*frame, (*local).frame);
        if !is_nested {
            (*local).frame = frame;
        }
        let registers = &(*(*local).frame).registers;
        let is_inside = vdso::contains(registers.rip) || locks::is_using(registers, local);
        (is_nested, is_inside, &mut (*local).put_off)
    };
    let before = *put_off;
    if !is_inside && before.times == 0 {
        return false;
    }
    let tid = calls::tid();
    if is_nested && is_inside && before.times < TRIES {
        // The handler further up has the signal come again, or has already, and this may have been it.
        if before.times != 0 && before.tid == tid {
            let _ = posix_timers::set(before.timer, 0, [0, MOMENT]);
        }
        if unblock::take(tid) {
            // SAFETY: the caller answers for the frame.
            unsafe { (*frame).mask |= signal_bit(checkpoint_signal()) };
        }
        if !is_stop_request {
            role::ask_again();
        }
        return true;
    }
    *put_off = PutOff::NEVER;
    if before.times != 0 && before.tid == tid {
        let _ = posix_timers::delete(before.timer);
    }
    if !is_inside || before.times >= TRIES {
        return false;
    }
    let event = Event {
        notify: n::SIGEV_SIGNAL,
        signal: checkpoint_signal(),
        value: park::mark(is_stop_request),
        // The thread may end in that moment. Then it has not to be stopped, but a checkpoint is still wanted.
        thread: if is_stop_request { tid } else { 0 },
    };
    let Ok(timer) = posix_timers::create(n::CLOCK_MONOTONIC as i32, &event, None) else {
        return false;
    };
    // Before it is set: it may be taken for another's as soon as it is.
    *put_off = PutOff {
        times: before.times + 1,
        tid,
        timer,
    };
    if posix_timers::set(timer, 0, [0, MOMENT]).is_err() {
        *put_off = PutOff::NEVER;
        let _ = posix_timers::delete(timer);
        return false;
    }
    true
}
