//! Kernel objects behind descriptors: pipes, epoll instances, timers, files in memory, watchers and others.

use core::ffi::CStr;

use linux_raw_sys::general as n;

use super::{Done, timer_setting};
use crate::errno::Errno;
use crate::fd::Fd;
use crate::kernel::SignalSet;
use crate::syscall::call;

plain! {
    /// inotify_rm_watch(2)
    remove_watch = __NR_inotify_rm_watch(watcher: i32, number: u32);
}

/// pipe2(2); read end and write end.
///
/// # Errors
/// Those of the system call.
pub fn pipe(flags: u32) -> Result<(Fd, Fd), Errno> {
    let mut ends = [0i32; 2];
    // SAFETY: the kernel writes two numbers.
    unsafe { call(n::__NR_pipe2, [ends.as_mut_ptr() as usize, flags as usize])? };
    Ok((Fd::owning(ends[0]), Fd::owning(ends[1])))
}

/// tee(2) of as much as there is and fits, without waiting; the number of bytes.
///
/// # Errors
/// Those of the system call; `EAGAIN` if there is nothing or no room.
pub fn tee(from: i32, to: i32, length: usize) -> Result<usize, Errno> {
    let flags = n::SPLICE_F_NONBLOCK as usize;
    // SAFETY: the call takes numbers.
    unsafe { call(n::__NR_tee, [from as usize, to as usize, length, flags]) }
}

/// vmsplice(2) of the memory of `bytes` into a pipe, without waiting. The bytes must not change any more.
///
/// # Errors
/// Those of the system call.
pub fn splice_memory(to: i32, bytes: &[u8]) -> Result<usize, Errno> {
    let vector = [bytes.as_ptr() as usize, bytes.len()];
    let flags = n::SPLICE_F_NONBLOCK as usize;
    // SAFETY: the kernel reads one struct, an address and a length.
    unsafe {
        call(
            n::__NR_vmsplice,
            [to as usize, vector.as_ptr() as usize, 1, flags],
        )
    }
}

/// epoll_create1(2)
///
/// # Errors
/// Those of the system call.
pub fn epoll() -> Result<Fd, Errno> {
    // SAFETY: the call takes numbers.
    let number = unsafe { call(n::__NR_epoll_create1, [n::EPOLL_CLOEXEC as usize])? };
    Ok(Fd::owning(number as i32))
}

/// epoll_ctl(2), `EPOLL_CTL_ADD` or `EPOLL_CTL_MOD`.
///
/// # Errors
/// Those of the system call.
pub fn epoll_watch(epoll: i32, operation: u32, fd: i32, events: u32, data: u64) -> Done {
    let event = n::epoll_event { events, data };
    let arguments = [
        epoll as usize,
        operation as usize,
        fd as usize,
        &raw const event as usize,
    ];
    // SAFETY: the kernel reads one struct.
    unsafe { call(n::__NR_epoll_ctl, arguments).map(drop) }
}

/// epoll_wait(2) without waiting: takes one event, whichever; whether there was one.
///
/// # Errors
/// Those of the system call.
pub fn epoll_take(epoll: i32) -> Result<bool, Errno> {
    let mut event = n::epoll_event { events: 0, data: 0 };
    let arguments = [epoll as usize, &raw mut event as usize, 1, 0];
    // SAFETY: the kernel writes at most one struct.
    unsafe { call(n::__NR_epoll_wait, arguments).map(|count| count != 0) }
}

/// timerfd_create(2)
///
/// # Errors
/// Those of the system call.
pub fn timer_descriptor(clock: u32) -> Result<Fd, Errno> {
    let flags = n::TFD_CLOEXEC as usize;
    // SAFETY: the call takes numbers.
    let number = unsafe { call(n::__NR_timerfd_create, [clock as usize, flags])? };
    Ok(Fd::owning(number as i32))
}

/// timerfd_gettime(2): lets a timer with an interval run on whose expiration has not been read.
///
/// # Errors
/// Those of the system call.
pub fn count_expirations(fd: i32) -> Done {
    let mut timer = [0u64; 4];
    // SAFETY: `struct itimerspec` is four numbers, which the kernel writes.
    unsafe {
        call(
            n::__NR_timerfd_gettime,
            [fd as usize, timer.as_mut_ptr() as usize],
        )
        .map(drop)
    }
}

/// timerfd_settime(2): interval and first expiration, in nanoseconds.
///
/// # Errors
/// Those of the system call.
pub fn set_timer_of_descriptor(fd: i32, flags: u32, timer: [u64; 2]) -> Done {
    let timer = timer_setting(timer);
    let arguments = [fd as usize, flags as usize, timer.as_ptr() as usize, 0];
    // SAFETY: `struct itimerspec` is four numbers, which the kernel reads.
    unsafe { call(n::__NR_timerfd_settime, arguments).map(drop) }
}

/// signalfd4(2)
///
/// # Errors
/// Those of the system call.
pub fn signal_descriptor(mask: SignalSet) -> Result<Fd, Errno> {
    let arguments = [
        usize::MAX,
        &raw const mask as usize,
        size_of::<SignalSet>(),
        n::O_CLOEXEC as usize,
    ];
    // SAFETY: the kernel reads one number.
    let number = unsafe { call(n::__NR_signalfd4, arguments)? };
    Ok(Fd::owning(number as i32))
}

/// pidfd_open(2)
///
/// # Errors
/// Those of the system call.
pub fn pid_descriptor(pid: i32, flags: u32) -> Result<Fd, Errno> {
    // SAFETY: the call takes numbers.
    let number = unsafe { call(n::__NR_pidfd_open, [pid as usize, flags as usize])? };
    Ok(Fd::owning(number as i32))
}

/// memfd_create(2)
///
/// # Errors
/// Those of the system call.
pub fn memory_file(name: &CStr, flags: u32) -> Result<Fd, Errno> {
    // SAFETY: the kernel reads a string.
    let number = unsafe {
        call(
            n::__NR_memfd_create,
            [name.as_ptr() as usize, flags as usize],
        )?
    };
    Ok(Fd::owning(number as i32))
}

/// inotify_init1(2)
///
/// # Errors
/// Those of the system call.
pub fn watcher() -> Result<Fd, Errno> {
    // SAFETY: the call takes numbers.
    let number = unsafe { call(n::__NR_inotify_init1, [n::O_CLOEXEC as usize])? };
    Ok(Fd::owning(number as i32))
}

/// inotify_add_watch(2); the number of the watch.
///
/// # Errors
/// Those of the system call.
pub fn add_watch(watcher: i32, path: &CStr, mask: u32) -> Result<u32, Errno> {
    let arguments = [watcher as usize, path.as_ptr() as usize, mask as usize];
    // SAFETY: the kernel reads a string.
    unsafe { call(n::__NR_inotify_add_watch, arguments).map(|number| number as u32) }
}

/// eventfd2(2)
///
/// # Errors
/// Those of the system call.
pub fn event_counter(count: u32, flags: u32) -> Result<Fd, Errno> {
    // SAFETY: the call takes numbers.
    let number = unsafe { call(n::__NR_eventfd2, [count as usize, flags as usize])? };
    Ok(Fd::owning(number as i32))
}
