//! Lets the signal through to threads that block it by a system call of their own, past `interpose`: libc's own helper
//! threads do, and some run-time systems.
//!
//! Async-signal-safe: see `signal`. A thread's mask can only be changed by itself or by its tracer, and a tracer must be
//! another process. So one is made that shares our memory, traces one thread after the other for a moment, and ends.

use core::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};

use ckpt_sys::kernel::SignalSet;
use ckpt_sys::syscall::call;
use ckpt_sys::{Errno, MapVec, calls};
use linux_raw_sys::prctl::PR_SET_PTRACER;
use linux_raw_sys::{general as n, ptrace as p};

use crate::failure::{Doing, Failure};
use crate::signal;

/// The masks that threads had before the tracer changed them. They outlive the checkpoint: a thread that comes too late gets
/// its mask back all the same. Hashed by the thread id; 0 is a free place.
static MASKS: [Saved; PLACES] = [const {
    Saved {
        tid: AtomicI32::new(0),
        mask: AtomicU64::new(0),
    }
}; PLACES];
const PLACES: usize = 4096;

struct Saved {
    tid: AtomicI32,
    mask: AtomicU64,
}

fn places_for(tid: i32) -> impl Iterator<Item = &'static Saved> {
    let first = tid as usize % PLACES;
    MASKS[first..].iter().chain(&MASKS[..first])
}

/// The mask that thread `tid` had, if it was changed.
pub fn take_mask(tid: i32) -> Option<SignalSet> {
    // A place that was given up in the middle does not end the search; but the table is empty most of the time.
    if IN_USE.load(Ordering::Acquire) == 0 {
        return None;
    }
    let place = places_for(tid).find(|place| place.tid.load(Ordering::Acquire) == tid)?;
    let mask = place.mask.load(Ordering::Relaxed);
    place.tid.store(0, Ordering::Release);
    IN_USE.fetch_sub(1, Ordering::Relaxed);
    Some(mask)
}

/// Forgets all masks: the threads of a restored process have other ids.
pub fn forget() {
    if IN_USE.swap(0, Ordering::Relaxed) != 0 {
        for place in &MASKS {
            place.tid.store(0, Ordering::Relaxed);
        }
    }
}

/// Number of places that are taken.
static IN_USE: AtomicU32 = AtomicU32::new(0);

fn keep_mask(tid: i32, mask: SignalSet) -> bool {
    let known = places_for(tid).find(|place| place.tid.load(Ordering::Relaxed) == tid);
    if known.is_some() {
        // It was traced before and has not come yet: the first mask is the thread's own.
        return true;
    }
    let Some(place) = places_for(tid).find(|place| place.tid.load(Ordering::Relaxed) == 0) else {
        return false;
    };
    place.mask.store(mask, Ordering::Relaxed);
    place.tid.store(tid, Ordering::Release);
    IN_USE.fetch_add(1, Ordering::Release);
    true
}

/// What the tracer is to do, and what came of it.
#[repr(C)]
struct Job<'t> {
    tids: &'t [i32],
    ours: SignalSet,
    denied: AtomicU32,
    done: AtomicU32,
}

/// Stack of the tracer, in bytes: plenty for the debug build.
const STACK: usize = 64 << 10;

/// Lets the signals in `ours` through to `tids`. Whether it was possible shows in who arrives.
///
/// # Errors
/// [`Failure`] if there is no memory, or no process can be made.
pub fn unblock(tids: &[i32], ours: SignalSet, deadline: u64) -> Result<(), Failure> {
    if trace(tids, ours, deadline)? {
        // Yama lets only an ancestor trace unless the traced process names its tracer. A program that has named one itself (for its
        // own crash reports) has to do so again.
        set_tracer(-1);
        let result = trace(tids, ours, deadline);
        set_tracer(0);
        result?;
    }
    Ok(())
}

fn set_tracer(pid: isize) {
    // SAFETY: the option takes a number; `PR_SET_PTRACER_ANY` is -1.
    let _ = unsafe { calls::prctl(PR_SET_PTRACER, [pid as usize, 0, 0, 0]) };
}

/// Makes the tracer and waits for it; whether it was denied a thread.
fn trace(tids: &[i32], ours: SignalSet, deadline: u64) -> Result<bool, Failure> {
    let stack = MapVec::zeroed(STACK).doing(format_args!("memory for a stack"))?;
    let job = Job {
        tids,
        ours,
        denied: AtomicU32::new(0),
        done: AtomicU32::new(0),
    };
    // No exit signal, and no tracer's business: the program must not hear of this child.
    let flags = n::CLONE_VM | n::CLONE_FILES | n::CLONE_FS | n::CLONE_UNTRACED;
    // SAFETY: (1) stack and job stay until the child has ended; (2) it uses nothing else that is not shared by design.
    let pid = unsafe { signal::clone_child(flags, stack.span().end, tracer, &job) };
    let pid = pid.doing(format_args!("a process that lets the signal through"))? as i32;
    while job.done.load(Ordering::Acquire) == 0 {
        let now = calls::clock(n::CLOCK_MONOTONIC);
        if now >= deadline {
            // A thread that cannot be interrupted cannot be traced either. The kernel lets go of what the tracer holds.
            let _ = calls::kill(pid, n::SIGKILL as i32);
            break;
        }
        calls::wait_while(&job.done, 0, Some(deadline - now));
    }
    while calls::wait_for(pid) == Err(Errno::EINTR) {}
    Ok(job.denied.load(Ordering::Relaxed) != 0)
}

extern "C" fn tracer(job: &Job<'_>) {
    for &tid in job.tids {
        if change_mask(tid, job.ours) == Err(Errno::EPERM) {
            job.denied.store(1, Ordering::Relaxed);
        }
    }
    job.done.store(1, Ordering::Release);
    calls::wake_all(&job.done);
}

/// ptrace(2)
fn ptrace(request: u32, tid: i32, address: usize, data: usize) -> Result<usize, Errno> {
    // SAFETY: the requests below read or write one number of ours, or none.
    unsafe {
        call(
            n::__NR_ptrace,
            [request as usize, tid as usize, address, data],
        )
    }
}

fn change_mask(tid: i32, ours: SignalSet) -> Result<(), Errno> {
    /// Size of a signal set, in bytes.
    const SIZE: usize = size_of::<SignalSet>();
    ptrace(p::PTRACE_SEIZE, tid, 0, 0)?;
    ptrace(p::PTRACE_INTERRUPT, tid, 0, 0)?;
    let status = calls::wait_for(tid)?;
    // Stopped (low byte 0x7f): by us, or because a signal came, which must not be lost.
    let event = status >> 16;
    let signal = if status & 0xff == 0x7f && event != p::PTRACE_EVENT_STOP {
        status >> 8 & 0xff
    } else {
        0
    };
    let mut mask: SignalSet = 0;
    let mask_at = &raw mut mask as usize;
    // Where a call such as ppoll has put another mask in place for its own time, this is the one that comes back.
    let changed = ptrace(p::PTRACE_GETSIGMASK, tid, SIZE, mask_at).and_then(|_| {
        if !keep_mask(tid, mask) {
            return Err(Errno::ENOMEM);
        }
        mask &= !ours;
        ptrace(p::PTRACE_SETSIGMASK, tid, SIZE, mask_at)
    });
    let _ = ptrace(p::PTRACE_DETACH, tid, 0, signal as usize);
    changed.map(drop)
}
