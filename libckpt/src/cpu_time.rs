//! The CPU time that the program has used. The kernel counts that of a restored process from its beginning; for whoever asks libc it goes on where it
//! was (`interpose::cpu_time`).
//!
//! Async-signal-safe: see `signal`.

use core::sync::atomic::{AtomicI32, AtomicI64, Ordering};

use ckpt_sys::calls::{self, Usage};
use ckpt_sys::posix_timers::CpuClock;
use linux_raw_sys::general as n;

use crate::thread_local;

/// What a thread has used beyond what the kernel says.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beyond {
    usage: Usage,
    /// The thread, which was restored: a child of fork(2) begins at 0, as ever. 0 if it was not.
    owner: i32,
}

/// The same of the process, and of the children that it has waited for. 0 if it was not restored.
static OWNER: AtomicI32 = AtomicI32::new(0);
static BEYOND: [[AtomicI64; 2]; 2] = [const { [const { AtomicI64::new(0) }; 2] }; 2];

/// What the program sees as used, at the last checkpoint: itself, and the children that it has waited for.
static SAVED: [[AtomicI64; 2]; 2] = [const { [const { AtomicI64::new(0) }; 2] }; 2];

/// Whose, by their places in [`SAVED`] and [`BEYOND`].
const WHO: [i32; 2] = [n::RUSAGE_SELF as i32, n::RUSAGE_CHILDREN];

fn load(place: &[AtomicI64; 2]) -> Usage {
    let [user, system] = place.each_ref().map(|time| time.load(Ordering::Relaxed));
    Usage { user, system }
}

fn store(place: &[AtomicI64; 2], usage: Usage) {
    place[0].store(usage.user, Ordering::Relaxed);
    place[1].store(usage.system, Ordering::Relaxed);
}

/// Whether the process was restored.
pub fn has_begun_anew() -> bool {
    OWNER.load(Ordering::Relaxed) != 0
}

/// What `who` (`RUSAGE_*` in getrusage(2)) has used beyond what the kernel says. Zeros before the first restart, without a system call.
pub fn beyond(who: i32) -> Usage {
    if !has_begun_anew() {
        return Usage::default();
    }
    let (usage, is_owners) = if who == n::RUSAGE_THREAD as i32 {
        // SAFETY: whoever calls functions of libc has a thread pointer.
        let Beyond { usage, owner } = unsafe { (*thread_local::current()).cpu_time };
        (usage, owner == calls::tid())
    } else {
        let place = WHO.iter().position(|&known| known == who);
        let usage = place.map_or(Usage::default(), |place| load(&BEYOND[place]));
        (usage, OWNER.load(Ordering::Relaxed) == calls::pid())
    };
    if is_owners { usage } else { Usage::default() }
}

/// The same of a clock that counts CPU time (clock_getres(2)), in nanoseconds: of the process, or of the calling thread.
pub fn beyond_clock(clock: i32) -> i64 {
    if !has_begun_anew() {
        return 0;
    }
    let is_own = |named: &CpuClock| {
        let own = || {
            if named.of_thread {
                calls::tid()
            } else {
                calls::pid()
            }
        };
        named.counts_all() && (named.id == 0 || named.id == own())
    };
    let of_thread = match clock {
        libc::CLOCK_PROCESS_CPUTIME_ID => false,
        libc::CLOCK_THREAD_CPUTIME_ID => true,
        _ => match CpuClock::of(clock).filter(is_own) {
            Some(named) => named.of_thread,
            None => return 0,
        },
    };
    let who = if of_thread {
        n::RUSAGE_THREAD
    } else {
        n::RUSAGE_SELF
    };
    let Usage { user, system } = beyond(who as i32);
    (user + system) * 1000
}

/// What the calling thread has used, as the program sees it. `has_block` is whether it has a thread pointer.
pub fn of_thread(has_block: bool) -> Usage {
    let who = n::RUSAGE_THREAD as i32;
    let counted = calls::usage(who);
    if has_block {
        counted + beyond(who)
    } else {
        counted
    }
}

/// Notes what the process has used, for a restart. Called at a checkpoint.
pub fn save() {
    for (place, who) in SAVED.iter().zip(WHO) {
        store(place, calls::usage(who) + beyond(who));
    }
}

/// Called in a restored process, while no thread of the program runs.
pub fn settle_in() {
    for ((place, saved), who) in BEYOND.iter().zip(&SAVED).zip(WHO) {
        store(place, load(saved) - calls::usage(who));
    }
    OWNER.store(calls::pid(), Ordering::Relaxed);
}

/// The calling thread is one that had used `before` when it was saved.
///
/// # Safety
/// It has a thread pointer.
pub unsafe fn settle_in_thread(before: Usage) {
    let beyond = Beyond {
        usage: before - calls::usage(n::RUSAGE_THREAD as i32),
        owner: calls::tid(),
    };
    // SAFETY: the caller answers for the thread pointer.
    unsafe { (*thread_local::current()).cpu_time = beyond };
}
