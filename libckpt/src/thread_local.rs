//! What libckpt remembers of each thread, in the thread's own static TLS: it is there before the thread's first
//! instruction, goes away with it, and is saved and restored with the memory of the process.

use core::arch::global_asm;

use ckpt_sys::kernel::{SignalStack, UserContext};

use crate::alternate::Slot;
use crate::clocks::Deadline;
use crate::cpu_time::Beyond;
use crate::locks::{ConditionWait, Late};
use crate::put_off::PutOff;
use ckpt_sys::in_progress::{CallNote, NoteInFrame};

global_asm!(
    include_str!("../../asm/thread_local.S"),
    size = const size_of::<ThreadLocal>(),
);

unsafe extern "C" {
    fn ckpt_thread_local() -> *mut ThreadLocal;
}

/// One thread's block. All zeros is a thread that libckpt knows nothing of.
#[repr(C)]
#[derive(Debug)]
pub struct ThreadLocal {
    /// The signal that the program believes the thread to block, and that was the checkpoint signal when it did so; or 0.
    pub blocked: i32,
    /// The alternate stack that libckpt has for the thread; size 0: none.
    pub alternate: SignalStack,
    /// The program's own alternate stack while ours is in its place because a signal frame does not fit on it; size 0:
    /// it has none, or ours is not in its place.
    pub shown: SignalStack,
    /// The slot that `alternate` is from; null for threads that the program did not create through libc.
    pub slot: *const Slot,
    /// What the innermost wrapper of a blocking function has noted, in its frame. A wrapper that is left by a jump leaves a
    /// pointer to what is not there any more.
    pub note: *const CallNote,
    /// The deadline of the innermost wrapper of a function that waits for a time of a clock, in its frame; may be stale
    /// like `note`.
    pub deadline: *const Deadline,
    /// That the thread has gone on although the signal had come.
    pub put_off: PutOff,
    /// The frame of the last signal of ours that has found the thread in the program. It may have returned since.
    pub frame: *const UserContext,
    /// Not 0: the thread waits in our handler for another's checkpoint.
    pub waits: u32,
    /// Not 0: the thread settles the words of a lock.
    pub settles: u32,
    /// A mutex that the thread takes, or has taken, under a former id.
    pub late: Late,
    /// The wait for a condition that has begun last, and that may be over.
    pub condition: ConditionWait,
    /// What the thread has used of the processors beyond what the kernel says.
    pub cpu_time: Beyond,
    /// A struct timespec for a call that is made again with the time that is left.
    pub scratch: [u64; 2],
}

const _: () = assert!(align_of::<ThreadLocal>() == 8, "as in asm/thread_local.S");

/// The calling thread's block. The thread's own signal handlers use it, too, so nobody keeps a reference to it.
///
/// # Safety
/// The thread has a thread pointer (FS base): libc made it, or a runtime that does what libc does.
pub unsafe fn current() -> *mut ThreadLocal {
    // SAFETY: the caller answers for the thread pointer.
    unsafe { ckpt_thread_local() }
}

/// What the calling thread has noted of the call in which the signal came; `stack_pointer` is that of the signal frame.
///
/// # Safety
/// As for [`current`].
pub unsafe fn note(stack_pointer: u64) -> Option<NoteInFrame> {
    // SAFETY: the caller answers for the thread pointer.
    let note = unsafe { (*current()).note };
    CallNote::read(note as u64, stack_pointer)
}

/// Moves the deadlines of the calling thread's wrappers; see [`Deadline::move_all`].
///
/// # Safety
/// As for [`current`], and for that.
pub unsafe fn move_deadlines() {
    // SAFETY: the caller answers for everything.
    unsafe { Deadline::move_all((*current()).deadline) };
}

/// Where the time that is left of the calling thread's call may be put.
///
/// # Safety
/// As for [`current`].
pub unsafe fn scratch() -> *mut [u64; 2] {
    // SAFETY: the caller answers for the thread pointer.
    unsafe { &raw mut (*current()).scratch }
}
