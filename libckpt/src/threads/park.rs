//! Where threads wait while another one takes a checkpoint.
//!
//! Async-signal-safe: see `signal`. A parked thread waits on its own signal stack, where its record lies, too; the records
//! are a list. So nothing has to be allocated for them, and a restored process finds them in its memory.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};

use ckpt_sys::calls;
use ckpt_sys::kernel::{SignalInfo, signal_bit};
use ckpt_sys::syscall::raw;

use super::Thread;
use crate::signal::{self, checkpoint_signal};

/// The newest record of the list, shifted left by 16 bits, and the epoch. An odd epoch means that the threads are to
/// park; the even one behind it that they are to go on. A thread that comes too late for an epoch cannot enter its list.
static LIST: AtomicU64 = AtomicU64::new(0);

/// The epoch in the upper half, the number of commands given in it in the lower. Parked threads sleep on this word.
static TURN: AtomicU32 = AtomicU32::new(0);

/// How many threads have entered the list, and how many somebody waits for. A thread can be late with the former, so only the list
/// says who is there.
static ARRIVED: AtomicU32 = AtomicU32::new(0);
static WANTED: AtomicU32 = AtomicU32::new(0);

/// A system call that one parked thread is to make.
struct Command {
    /// The thread, 0 when there is nothing to do.
    tid: AtomicI32,
    call: UnsafeCell<(u32, [usize; 6], isize)>,
    done: AtomicU32,
}

// SAFETY: the initiator writes `call` before it names a thread in `tid`, and reads it again after `done`.
unsafe impl Sync for Command {}

static COMMAND: Command = Command {
    tid: AtomicI32::new(0),
    call: UnsafeCell::new((0, [0; 6], 0)),
    done: AtomicU32::new(0),
};

/// Marks our own stop requests in `si_code` (`SI_QUEUE`, or `SI_TIMER` where one was put off) and `si_value`.
pub const SI_QUEUE: i32 = -1;
const SI_TIMER: i32 = -2;
const MARK: u64 = u64::from_be_bytes(*b"ckptstop");
/// Marks the checkpoint signal that was put off.
const MARK_AGAIN: u64 = u64::from_be_bytes(*b"ckptagai");
/// Offsets in a `siginfo_t` of a queued signal (include/uapi/asm-generic/siginfo.h): of `si_code`.
pub const CODE_AT: usize = 8;
/// Of `si_value`.
const VALUE_AT: usize = 24;

/// The siginfo with which a thread is asked to stop.
pub fn stop_request() -> SignalInfo {
    let mut info: SignalInfo = [0; 128];
    info[..4].copy_from_slice(&checkpoint_signal().to_le_bytes());
    info[CODE_AT..CODE_AT + 4].copy_from_slice(&SI_QUEUE.to_le_bytes());
    info[VALUE_AT..VALUE_AT + 8].copy_from_slice(&MARK.to_le_bytes());
    info
}

/// Whether the signal is one of our stop requests. When in doubt it is not: then there is one checkpoint more.
pub fn is_stop_request(info: &SignalInfo) -> bool {
    has_mark(info, MARK)
}

/// Whether it is that, or the checkpoint signal that was put off.
pub fn is_marked(info: &SignalInfo) -> bool {
    has_mark(info, MARK) || has_mark(info, MARK_AGAIN)
}

fn has_mark(info: &SignalInfo, mark: u64) -> bool {
    let code = &info[CODE_AT..CODE_AT + 4];
    (code == SI_QUEUE.to_le_bytes() || code == SI_TIMER.to_le_bytes())
        && info[VALUE_AT..VALUE_AT + 8] == mark.to_le_bytes()
}

/// What a timer has the signal bring along: whether it is a stop request that comes again.
pub fn mark(is_stop_request: bool) -> u64 {
    if is_stop_request { MARK } else { MARK_AGAIN }
}

/// The epoch; see [`LIST`].
pub fn epoch() -> u16 {
    LIST.load(Ordering::Acquire) as u16
}

/// From here on threads park.
pub fn open() {
    let epoch = epoch().wrapping_add(1);
    ARRIVED.store(0, Ordering::Relaxed);
    WANTED.store(u32::MAX, Ordering::Relaxed);
    // First the word that says how long a thread stays, then the list that it enters.
    TURN.store(u32::from(epoch) << 16, Ordering::Release);
    LIST.store(u64::from(epoch), Ordering::Release);
}

/// The parked threads go on. Their records are gone with that.
pub fn close() {
    if let Some(turn) = close_list() {
        TURN.store(turn, Ordering::Release);
    }
    calls::wake_all(&TURN);
}

/// Closes the list; the value of [`turn_word`] that lets the threads go on, unless they do already.
pub fn close_list() -> Option<u32> {
    let epoch = epoch();
    if epoch.is_multiple_of(2) {
        return None;
    }
    let next = epoch.wrapping_add(1);
    LIST.store(u64::from(next), Ordering::Release);
    Some(u32::from(next) << 16)
}

/// The word on which parked threads sleep.
pub fn turn_word() -> *mut u32 {
    TURN.as_ptr()
}

/// The records of the threads that have parked.
///
/// # Safety
/// The caller is the initiator, and does not use them after [`close`].
pub unsafe fn parked() -> impl Iterator<Item = *mut Thread> {
    let mut next = (LIST.load(Ordering::Acquire) >> 16) as *mut Thread;
    core::iter::from_fn(move || {
        let this = next;
        if this.is_null() {
            return None;
        }
        // SAFETY: a record in the list stays until the list is closed.
        next = unsafe { (*this).next };
        Some(this)
    })
}

/// Sleeps until `count` threads have arrived, but not longer than `nanoseconds`.
pub fn wait_for_arrivals(count: u32, nanoseconds: u64) {
    WANTED.store(count, Ordering::SeqCst);
    let arrived = ARRIVED.load(Ordering::SeqCst);
    if arrived < count {
        calls::wait_while(&ARRIVED, arrived, Some(nanoseconds));
    }
}

/// The number of threads that have arrived, as far as they have said so.
pub fn arrived() -> u32 {
    ARRIVED.load(Ordering::SeqCst)
}

/// Saves where the thread begins in a restored process: below `stack` if given, else below the present frame. In
/// that process this function does not return; `resume` goes on.
pub fn capture(thread: &mut Thread, stack: Option<u64>) {
    thread.start = signal::capture_thread(thread);
    if let Some(stack) = stack {
        thread.start.rsp = stack & !15;
    }
}

/// Waits while another thread takes a checkpoint; returns at once if none does.
pub fn park(thread: &mut Thread) {
    while enter_list(thread) {
        stay(thread);
        drain();
    }
}

fn enter_list(thread: &mut Thread) -> bool {
    let record = &raw mut *thread as u64;
    let mut head = LIST.load(Ordering::Acquire);
    loop {
        let epoch = head as u16;
        if epoch.is_multiple_of(2) {
            return false;
        }
        thread.next = (head >> 16) as *mut Thread;
        thread.epoch = epoch;
        let new = record << 16 | u64::from(epoch);
        match LIST.compare_exchange(head, new, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => break,
            Err(now) => head = now,
        }
    }
    let arrived = ARRIVED.fetch_add(1, Ordering::SeqCst) + 1;
    if arrived >= WANTED.load(Ordering::SeqCst) {
        calls::wake_all(&ARRIVED);
    }
    true
}

/// Sleeps until the thread's epoch is over, and makes the calls that the initiator asks for.
pub fn stay(thread: &Thread) {
    loop {
        let turn = TURN.load(Ordering::Acquire);
        if (turn >> 16) as u16 != thread.epoch {
            return;
        }
        if COMMAND.tid.load(Ordering::Acquire) == thread.tid {
            // SAFETY: (1) the initiator waits for `done`; (2) it answers for the call.
            unsafe {
                let (number, arguments, result) = &mut *COMMAND.call.get();
                *result = raw(*number, *arguments);
            }
            COMMAND.tid.store(0, Ordering::Relaxed);
            COMMAND.done.store(1, Ordering::Release);
            calls::wake_all(&COMMAND.done);
        }
        calls::wait_while(&TURN, turn, None);
    }
}

/// Has parked thread `tid` make a system call, and returns what the kernel returned.
///
/// # Safety
/// The caller is the initiator, the thread is parked, and the call can be made by it.
pub unsafe fn call_in(tid: i32, number: u32, arguments: [usize; 6]) -> isize {
    // SAFETY: no thread is named, so nobody else uses it.
    unsafe { *COMMAND.call.get() = (number, arguments, 0) };
    COMMAND.done.store(0, Ordering::Relaxed);
    COMMAND.tid.store(tid, Ordering::Release);
    let turn = TURN.load(Ordering::Relaxed);
    TURN.store(
        turn & 0xffff_0000 | turn.wrapping_add(1) & 0xffff,
        Ordering::Release,
    );
    calls::wake_all(&TURN);
    while COMMAND.done.load(Ordering::Acquire) == 0 {
        calls::wait_while(&COMMAND.done, 0, None);
    }
    // SAFETY: the thread has finished.
    unsafe { (*COMMAND.call.get()).2 }
}

/// Takes stop requests away that came twice, or for a thread that had parked by itself: they would stop it again when
/// nobody waits for it. One that belongs to the next checkpoint already is not lost, since the list is looked at afterwards.
fn drain() {
    let ours = signal_bit(checkpoint_signal());
    let mut came_again = false;
    while let Ok((_, info)) = calls::take_pending(ours) {
        came_again |= !is_stop_request(&info);
    }
    if came_again {
        super::role::ask_again();
    }
}
