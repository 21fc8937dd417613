//! Signals: sending and taking them, handlers, masks, and the stack for handlers.

use linux_raw_sys::general as n;

use super::{Done, pid};
use crate::errno::Errno;
use crate::kernel::{SignalAction, SignalInfo, SignalSet, SignalStack};
use crate::syscall::call;

plain! {
    /// kill(2)
    kill = __NR_kill(pid: i32, signal: i32);
    /// pidfd_send_signal(2), as though by kill(2)
    kill_by_descriptor = __NR_pidfd_send_signal(process: i32, signal: i32);
    /// tgkill(2)
    tgkill = __NR_tgkill(pid: i32, tid: i32, signal: i32);
}

/// rt_sigaction(2): the disposition, after setting it if `new` is given.
///
/// # Safety
/// The new handler can run at any moment from now on.
///
/// # Errors
/// Those of the system call.
pub unsafe fn signal_action(
    signal: i32,
    new: Option<&SignalAction>,
) -> Result<SignalAction, Errno> {
    let mut old = SignalAction::default();
    let new_at = new.map_or(0, |new| &raw const *new as usize);
    let arguments = [
        signal as usize,
        new_at,
        &raw mut old as usize,
        size_of::<SignalSet>(),
    ];
    // SAFETY: the kernel reads one struct and writes one; the caller answers for the handler.
    unsafe { call(n::__NR_rt_sigaction, arguments)? };
    Ok(old)
}

/// rt_sigprocmask(2): the mask, after changing it by `how` (`SIG_BLOCK`, `SIG_UNBLOCK`, `SIG_SETMASK`) if `set` is given.
///
/// # Errors
/// Those of the system call.
pub fn signal_mask(how: u32, set: Option<SignalSet>) -> Result<SignalSet, Errno> {
    let mut old: SignalSet = 0;
    let set_at = set.as_ref().map_or(0, |set| &raw const *set as usize);
    let arguments = [
        how as usize,
        set_at,
        &raw mut old as usize,
        size_of::<SignalSet>(),
    ];
    // SAFETY: the kernel reads one number and writes one.
    unsafe { call(n::__NR_rt_sigprocmask, arguments)? };
    Ok(old)
}

/// rt_sigtimedwait(2) without waiting: takes the next pending signal of `set`.
///
/// # Errors
/// `EAGAIN` if none is pending.
pub fn take_pending(set: SignalSet) -> Result<(i32, SignalInfo), Errno> {
    wait_for_signal(set, 0)
}

/// rt_sigtimedwait(2): takes the next signal of `set`, for which it waits so many nanoseconds.
///
/// # Errors
/// `EAGAIN` if none comes.
pub fn wait_for_signal(set: SignalSet, nanoseconds: u64) -> Result<(i32, SignalInfo), Errno> {
    let time = [nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000];
    take_signal(set, time.as_ptr() as usize)
}

/// rt_sigtimedwait(2) without a limit: waits for the next signal of `set`, and takes it.
///
/// # Errors
/// `EINTR` if something else came between.
pub fn next_signal(set: SignalSet) -> Result<(i32, SignalInfo), Errno> {
    take_signal(set, 0)
}

/// Takes a signal of `set`; `time` is 0 or the address of a time.
fn take_signal(set: SignalSet, time: usize) -> Result<(i32, SignalInfo), Errno> {
    let mut info: SignalInfo = [0; 128];
    let arguments = [
        &raw const set as usize,
        info.as_mut_ptr() as usize,
        time,
        size_of::<SignalSet>(),
    ];
    // SAFETY: the kernel reads one or two structs and writes one.
    let signal = unsafe { call(n::__NR_rt_sigtimedwait, arguments)? };
    Ok((signal as i32, info))
}

/// rt_sigpending(2)
///
/// # Errors
/// Those of the system call.
pub fn pending() -> Result<SignalSet, Errno> {
    let mut set: SignalSet = 0;
    // SAFETY: the kernel writes one number.
    unsafe {
        call(
            n::__NR_rt_sigpending,
            [&raw mut set as usize, size_of::<SignalSet>()],
        )?
    };
    Ok(set)
}

/// rt_sigqueueinfo(2) to this process if `tid` is 0, else rt_tgsigqueueinfo(2) to that thread of it.
///
/// # Errors
/// Those of the system call.
pub fn queue_signal(tid: i32, signal: i32, info: &SignalInfo) -> Done {
    let (pid, tid, signal, info) = (
        pid() as usize,
        tid as usize,
        signal as usize,
        info.as_ptr() as usize,
    );
    // SAFETY: the kernel reads one struct.
    let sent = unsafe {
        if tid == 0 {
            call(n::__NR_rt_sigqueueinfo, [pid, signal, info])
        } else {
            call(n::__NR_rt_tgsigqueueinfo, [pid, tid, signal, info])
        }
    };
    sent.map(drop)
}

/// rt_sigqueueinfo(2) to another process, which takes only what does not say that kill(2) or the kernel has sent it.
///
/// # Errors
/// Those of the system call.
pub fn queue_signal_to(pid: i32, signal: i32, info: &SignalInfo) -> Done {
    let arguments = [pid as usize, signal as usize, info.as_ptr() as usize];
    // SAFETY: the kernel reads one struct.
    unsafe { call(n::__NR_rt_sigqueueinfo, arguments) }.map(drop)
}

/// sigaltstack(2): the alternate stack, after setting it if `new` is given.
///
/// # Safety
/// Handlers may run on the new stack from now on.
///
/// # Errors
/// Those of the system call.
pub unsafe fn alternate_stack(new: Option<&SignalStack>) -> Result<SignalStack, Errno> {
    let mut old = SignalStack::default();
    let new_at = new.map_or(0, |new| &raw const *new as usize);
    // SAFETY: the kernel reads one struct and writes one; the caller answers for the memory.
    unsafe { call(n::__NR_sigaltstack, [new_at, &raw mut old as usize])? };
    Ok(old)
}
