//! No thread is stopped inside of the vdso. What it does there depends on this kernel, and after a restart on another one, or in
//! another boot, it could neither go on nor give the right time. So it goes on for a moment, and a timer has the signal come
//! again; a thread that does nothing but read clocks is met outside before long.
//!
//! Async-signal-safe: see `signal`.

use core::sync::atomic::{AtomicU64, Ordering};

use ckpt_sys::calls;
use ckpt_sys::kernel::{SignalInfo, UserContext};
use ckpt_sys::posix_timers::{self, Event};
use linux_raw_sys::general as n;

use crate::signal::checkpoint_signal;
use crate::thread_local::{self, ThreadLocal};
use crate::threads::park;

/// Where the kernel's vdso is; both 0 if there is none.
static START: AtomicU64 = AtomicU64::new(0);
static END: AtomicU64 = AtomicU64::new(0);

/// How long a thread goes on, in nanoseconds.
const MOMENT: u64 = 20_000;

/// How often at most: then it is stopped where it is.
const TRIES: u32 = 1000;

/// Finds the vdso of a program that has just been started.
pub fn find() {
    // SAFETY: the kernel says where the ELF header of its vdso is, if there is one.
    unsafe { settle_in(libc::getauxval(libc::AT_SYSINFO_EHDR)) };
}

/// Notes that the kernel's vdso has its ELF header at `start`, or that there is none if that is 0.
///
/// # Safety
/// That is so.
pub unsafe fn settle_in(start: u64) {
    /// `p_memsz` of the first program header, behind a file header of 64 bytes: the vdso is one segment.
    const SIZE_AT: u64 = 64 + 40;
    let size = if start == 0 {
        0
    } else {
        // SAFETY: the caller answers for the header.
        unsafe { *((start + SIZE_AT) as *const u64) }
    };
    START.store(start, Ordering::Relaxed);
    END.store(start + size, Ordering::Relaxed);
}

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
    let (rip, put_off) = unsafe {
        let local: *mut ThreadLocal = thread_local::current();
        ((*frame).registers.rip, &mut (*local).put_off)
    };
    let code = START.load(Ordering::Relaxed)..END.load(Ordering::Relaxed);
    let (is_inside, before) = (code.contains(&rip), *put_off);
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
    let value = park::mark(park::is_stop_request(info));
    let event = Event {
        notify: n::SIGEV_SIGNAL,
        signal: checkpoint_signal(),
        value,
        thread: tid,
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
