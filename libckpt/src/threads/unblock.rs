//! Lets the signal through to threads that block it by a system call of their own, past `interpose`: libc's own helper
//! threads do, and some run-time systems.
//!
//! Async-signal-safe: see `signal`. A thread's mask can only be changed by itself or by its tracer, and a tracer must be
//! another process. So one is made that shares our memory, traces one thread after the other for a moment, and ends.

use core::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use ckpt_sys::kernel::SignalSet;
use ckpt_sys::syscall::call;
use ckpt_sys::{Errno, MapVec, calls, proc};
use linux_raw_sys::prctl::PR_SET_PTRACER;
use linux_raw_sys::{general as n, ptrace as p};

use crate::failure::{Doing, Failure, failure};
use crate::signal;

/// The threads that the tracer has let the signal through to: they are to block it again. The kernel hands each its mask, less
/// our signal, in the signal frame. This outlives the checkpoint, for a thread that comes too late. Hashed by the thread id; 0
/// is a free place.
static UNBLOCKED: [AtomicI32; PLACES] = [const { AtomicI32::new(0) }; PLACES];
const PLACES: usize = 4096;

/// Number of places that are taken.
static IN_USE: AtomicU32 = AtomicU32::new(0);

fn place_of(tid: i32, wanted: i32) -> Option<&'static AtomicI32> {
    let first = tid as usize % PLACES;
    let mut places = UNBLOCKED[first..].iter().chain(&UNBLOCKED[..first]);
    places.find(|place| place.load(Ordering::Acquire) == wanted)
}

/// Whether thread `tid` was let through, and forgets that.
pub fn take(tid: i32) -> bool {
    // A place that was given up in the middle does not end the search; but the table is empty most of the time.
    if IN_USE.load(Ordering::Acquire) == 0 {
        return false;
    }
    let Some(place) = place_of(tid, tid) else {
        return false;
    };
    place.store(0, Ordering::Release);
    IN_USE.fetch_sub(1, Ordering::Relaxed);
    true
}

/// Forgets all threads: those of a restored process have other ids.
pub fn forget() {
    if IN_USE.swap(0, Ordering::Relaxed) != 0 {
        for place in &UNBLOCKED {
            place.store(0, Ordering::Relaxed);
        }
    }
}

fn keep(tid: i32) -> bool {
    if place_of(tid, tid).is_some() {
        // It was traced before and has not come yet.
        return true;
    }
    let Some(place) = place_of(tid, 0) else {
        return false;
    };
    place.store(tid, Ordering::Release);
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
    if pid == Err(Errno::EINVAL) {
        return Err(failure!(
            "an emulator runs the program (qemu-user), and does not make the processes that a checkpoint takes; run it without"
        ));
    }
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
        if trace_one(tid, job.ours) == Err(Errno::EPERM) {
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

fn trace_one(tid: i32, ours: SignalSet) -> Result<(), Errno> {
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
    let changed = if waits_for(tid, ours) {
        let_through(tid, ours)
    } else {
        Ok(())
    };
    let _ = ptrace(p::PTRACE_DETACH, tid, 0, signal as usize);
    changed
}

/// Whether the signal is pending for the thread, which is stopped. A thread that is late in our handler, in which everything is
/// blocked, has taken it, or will take it behind the handler: whoever changed the mask then would change the handler's.
fn waits_for(tid: i32, ours: SignalSet) -> bool {
    proc::Status::of_other(tid).is_ok_and(|status| status.hex("SigPnd") & ours != 0)
}

/// Takes the signal out of the mask of the thread, which is stopped and takes it as soon as it goes on.
fn let_through(tid: i32, ours: SignalSet) -> Result<(), Errno> {
    /// Size of a signal set, in bytes.
    const SIZE: usize = size_of::<SignalSet>();
    let mut mask: SignalSet = 0;
    let mask_at = &raw mut mask as usize;
    // Where a call such as ppoll has put another mask in place for its own time, this is the one that comes back.
    ptrace(p::PTRACE_GETSIGMASK, tid, SIZE, mask_at)?;
    if mask & ours == 0 {
        return Ok(());
    }
    if !keep(tid) {
        return Err(Errno::ENOMEM);
    }
    let without = mask & !ours;
    let changed = ptrace(p::PTRACE_SETSIGMASK, tid, SIZE, &raw const without as usize);
    if changed.is_err() {
        take(tid);
    }
    changed.map(drop)
}
