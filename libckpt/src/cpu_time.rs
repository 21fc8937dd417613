//! The CPU time that the program has used. The kernel counts that of a restored process from its beginning; for whoever asks libc it goes on where it
//! was (`interpose::cpu_time`).
//!
//! Async-signal-safe: see `signal`.

use core::sync::atomic::{AtomicI32, AtomicI64, Ordering};

use ckpt_sys::calls::{self, Usage};
use ckpt_sys::posix_timers::CpuClock;
use linux_raw_sys::general as n;

use crate::thread_local;

/// CPU time beyond what the kernel has counted.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beyond {
    /// Microseconds of the program's own, and of the kernel for it.
    pub usage: Usage,
    /// The process (or thread) that has been restored: its children begin at 0, as ever. 0 if none has.
    owner: i32,
}

impl Beyond {
    /// What the process or thread `owner`, which had used `before` when it was saved, has beyond what the kernel says now.
    fn new(before: Usage, now: Usage, owner: i32) -> Self {
        Self {
            usage: before - now,
            owner,
        }
    }

    /// Of the process or thread with the id that `asks` returns.
    fn of(self, asks: impl FnOnce() -> i32) -> Usage {
        if self.owner != 0 && self.owner == asks() {
            self.usage
        } else {
            Usage::default()
        }
    }
}

/// The same for the process, of itself and of the children that it has waited for.
struct Process {
    owner: AtomicI32,
    usages: [[AtomicI64; 2]; 2],
}

static PROCESS: Process = Process {
    owner: AtomicI32::new(0),
    usages: [const { [const { AtomicI64::new(0) }; 2] }; 2],
};

/// What the program sees as used, at the last checkpoint: itself, and the children that it has waited for.
static SAVED: [[AtomicI64; 2]; 2] = [const { [const { AtomicI64::new(0) }; 2] }; 2];

/// Whose, and their places in [`SAVED`].
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
    PROCESS.owner.load(Ordering::Relaxed) != 0
}

/// What `who` (`RUSAGE_*` in getrusage(2)) has used beyond what the kernel says. Zeros before the first restart, without a system call.
pub fn beyond(who: i32) -> Usage {
    let owner = PROCESS.owner.load(Ordering::Relaxed);
    if owner == 0 {
        return Usage::default();
    }
    if who == n::RUSAGE_THREAD as i32 {
        // SAFETY: whoever calls functions of libc has a thread pointer.
        let of_thread = unsafe { (*thread_local::current()).cpu_time };
        return of_thread.of(calls::tid);
    }
    let usage = WHO
        .iter()
        .position(|&known| known == who)
        .map_or(Usage::default(), |index| load(&PROCESS.usages[index]));
    Beyond { usage, owner }.of(calls::pid)
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
    for ((place, saved), who) in PROCESS.usages.iter().zip(&SAVED).zip(WHO) {
        store(place, load(saved) - calls::usage(who));
    }
    PROCESS.owner.store(calls::pid(), Ordering::Relaxed);
}

/// The calling thread is one that had used `before` when it was saved.
///
/// # Safety
/// It has a thread pointer.
pub unsafe fn settle_in_thread(before: Usage) {
    let beyond = Beyond::new(before, calls::usage(n::RUSAGE_THREAD as i32), calls::tid());
    // SAFETY: the caller answers for the thread pointer.
    unsafe { (*thread_local::current()).cpu_time = beyond };
}
