//! Processes and threads: their ids, groups and priorities, their beginning and their end.

use linux_raw_sys::general as n;

use super::Done;
use crate::errno::Errno;
use crate::fd::Fd;
use crate::kernel::SignalInfo;
use crate::syscall::{call, raw};

plain! {
    /// getpid(2)
    getpid = __NR_getpid();
    /// gettid(2)
    gettid = __NR_gettid();
    /// getppid(2)
    getppid = __NR_getppid();
    /// getpgid(2)
    getpgid = __NR_getpgid(pid: i32);
    /// setpgid(2)
    setpgid = __NR_setpgid(pid: i32, group: i32);
    /// setsid(2)
    setsid = __NR_setsid();
    /// getsid(2)
    getsid = __NR_getsid(pid: i32);
    /// unshare(2)
    unshare = __NR_unshare(flags: u32);
    /// getpriority(2); 20 minus the nice value
    getpriority = __NR_getpriority(which: u32, who: u32);
    /// setpriority(2)
    setpriority = __NR_setpriority(which: u32, who: u32, nice: i32);
    /// sched_getscheduler(2)
    scheduler = __NR_sched_getscheduler(pid: i32);
    /// sched_yield(2)
    yield_now = __NR_sched_yield();
    /// kcmp(2)
    kcmp = __NR_kcmp(pid1: i32, pid2: i32, kind: u32, first: usize, second: usize);
}

/// This process.
#[must_use]
pub fn pid() -> i32 {
    getpid().unwrap_or_default() as i32
}

/// This thread.
#[must_use]
pub fn tid() -> i32 {
    gettid().unwrap_or_default() as i32
}

/// fork(2) without a signal to the parent at its end, and unseen by tracers: 0 in the child, its id in the parent.
///
/// # Safety
/// The caller is the only thread of its process, or the child uses nothing that another thread may have been changing.
///
/// # Errors
/// Those of clone(2).
pub unsafe fn fork_quietly() -> Result<i32, Errno> {
    // SAFETY: without CLONE_VM the child goes on with a copy of the stack.
    let pid = unsafe { call(n::__NR_clone, [n::CLONE_UNTRACED as usize, 0, 0, 0, 0])? };
    Ok(pid as i32)
}

/// fork(2) that gives the child the process id `pid` in the namespace for children (clone3(2), `set_tid`): 0 in the child, in
/// the parent the id that it has for the parent.
///
/// # Safety
/// As for [`fork_quietly`].
///
/// # Errors
/// Those of clone3(2): `EPERM` without a privilege, `EEXIST` if the id is taken, `EINVAL` if it is too large.
pub unsafe fn fork_with_id(pid: i32) -> Result<i32, Errno> {
    let arguments = n::clone_args {
        flags: 0,
        pidfd: 0,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: u64::from(n::SIGCHLD),
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: &raw const pid as u64,
        set_tid_size: 1,
        cgroup: 0,
    };
    let (address, size) = (&raw const arguments as usize, size_of_val(&arguments));
    // SAFETY: the kernel reads the struct and the id; without CLONE_VM the child goes on with a copy of the stack.
    let pid = unsafe { call(n::__NR_clone3, [address, size])? };
    Ok(pid as i32)
}

/// What has become of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It has ended with this status.
    Exited(i32),
    /// This signal has ended it.
    Killed(i32),
    /// This signal has stopped it.
    Stopped(i32),
    /// It goes on.
    Continued,
}

/// waitid(2) without waiting: what has become of the child `pid`, if anything has since the last time.
///
/// # Errors
/// Those of the system call.
pub fn change_of(pid: i32) -> Result<Option<Change>, Errno> {
    let info = news_of(pid, n::WEXITED | n::WSTOPPED | n::WCONTINUED)?;
    // Offsets of si_code and si_status (include/uapi/asm-generic/siginfo.h).
    let field =
        |at: usize| i32::from_ne_bytes([info[at], info[at + 1], info[at + 2], info[at + 3]]);
    let status = field(24);
    Ok(match field(8) as u32 {
        n::CLD_EXITED => Some(Change::Exited(status)),
        n::CLD_KILLED | n::CLD_DUMPED => Some(Change::Killed(status)),
        n::CLD_STOPPED => Some(Change::Stopped(status)),
        n::CLD_CONTINUED => Some(Change::Continued),
        _ => None,
    })
}

/// waitid(2) without waiting: whether the child `pid`, of whatever kind, has ended. It stays to be waited for.
#[must_use]
pub fn has_ended(pid: i32) -> bool {
    let news = news_of(pid, n::WEXITED | n::WNOWAIT | n::__WALL);
    news.is_ok_and(|info| info != [0; 128])
}

/// Whether `pid` is a child of this process that was not waited for.
#[must_use]
pub fn is_child(pid: i32) -> bool {
    news_of(pid, n::WEXITED | n::WNOWAIT | n::__WALL).is_ok()
}

/// waitid(2) without waiting; all zeros as long as there is nothing to tell.
fn news_of(child: i32, options: u32) -> Result<SignalInfo, Errno> {
    let mut info: SignalInfo = [0; 128];
    let arguments = [
        n::P_PID as usize,
        child as usize,
        info.as_mut_ptr() as usize,
        (options | n::WNOHANG) as usize,
        0,
    ];
    // SAFETY: the kernel writes one siginfo_t.
    unsafe { call(n::__NR_waitid, arguments)? };
    Ok(info)
}

/// Waits until process `pid` has ended, if the kernel can (since 5.3).
///
/// # Errors
/// Those of pidfd_open(2) and poll(2).
pub fn wait_for_end_of(pid: i32) -> Done {
    // SAFETY: the call takes numbers.
    let process = unsafe { call(n::__NR_pidfd_open, [pid as usize, 0])? };
    let process = Fd::owning(process as i32);
    let mut entry = n::pollfd {
        fd: process.number(),
        events: n::POLLIN as i16,
        revents: 0,
    };
    // SAFETY: the kernel reads and writes one struct.
    unsafe { call(n::__NR_poll, [&raw mut entry as usize, 1, usize::MAX]) }.map(drop)
}

/// sched_setscheduler(2): the caller becomes an ordinary process.
///
/// # Errors
/// Those of the system call.
pub fn schedule_ordinarily() -> Done {
    let priority = 0u32;
    // SAFETY: the kernel reads one struct, which is a number.
    unsafe {
        call(
            n::__NR_sched_setscheduler,
            [0, n::SCHED_NORMAL as usize, &raw const priority as usize],
        )
    }
    .map(drop)
}

/// wait4(2) for a child that another than SIGCHLD tells of, or for a thread that is traced (`__WALL`): the status.
///
/// # Errors
/// Those of the system call.
pub fn wait_for(tid: i32) -> Result<u32, Errno> {
    let mut status = 0u32;
    let arguments = [
        tid as usize,
        &raw mut status as usize,
        n::__WALL as usize,
        0,
    ];
    // SAFETY: the kernel writes one number.
    unsafe { call(n::__NR_wait4, arguments)? };
    Ok(status)
}

/// exit_group(2)
pub fn exit(status: i32) -> ! {
    loop {
        // SAFETY: the call does not return.
        unsafe { raw(n::__NR_exit_group, [status as usize, 0, 0, 0, 0, 0]) };
    }
}
