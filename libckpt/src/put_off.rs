//! Places where no thread is stopped: inside of the vdso, and where locks are used. A thread that is met there goes on for a moment, and
//! a timer has the signal come again; one that does nothing else is met outside before long.
//!
//! Async-signal-safe: see `signal`.

use ckpt_sys::calls;
use ckpt_sys::kernel::{SignalInfo, UserContext};
use ckpt_sys::posix_timers::{self, Event};
use linux_raw_sys::general as n;

use crate::signal::checkpoint_signal;
use crate::threads::park;
use crate::{locks, thread_local, vdso};

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

/// Whether the calling thread, which the signal has found at `frame`, is to go on now: the signal comes again.
///
/// # Safety
/// The pointers are the arguments of a signal handler, and the thread has a thread pointer.
pub unsafe fn goes_on(info: &SignalInfo, frame: *const UserContext) -> bool {
    // SAFETY: (1) the caller answers for the frame; (2) the block is the thread's own.
    let (is_inside, put_off) = unsafe {
        let (registers, local) = (&(*frame).registers, thread_local::current());
        let is_inside = vdso::contains(registers.rip) || locks::is_using(registers, local);
        (is_inside, &mut (*local).put_off)
    };
    let before = *put_off;
    if !is_inside && before.times == 0 {
        return false;
    }
    let tid = calls::tid();
    *put_off = PutOff::NEVER;
    if before.times != 0 && before.tid == tid {
        let _ = posix_timers::delete(before.timer);
    }
    if !is_inside || before.times >= TRIES {
        return false;
    }
    let is_stop_request = park::is_stop_request(info);
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
    if posix_timers::set(timer, 0, [0, MOMENT]).is_err() {
        let _ = posix_timers::delete(timer);
        return false;
    }
    *put_off = PutOff {
        times: before.times + 1,
        tid,
        timer,
    };
    true
}
