//! Calls that wait. Where they do so under a mask of their own, or for signals, the checkpoint signal is in neither. Where
//! they have a time limit of which the kernel does not tell how much is left after an interruption, it is noted, so that a
//! checkpoint neither ends nor prolongs the call. Without a limit that costs nothing.
//!
//! All of these are cancellation points: nothing here must be done after the call.

use core::ffi::c_void;
use core::ptr;

use libc::{
    c_int, clockid_t, epoll_event, nfds_t, pollfd, siginfo_t, sigset_t, size_t, timespec,
    useconds_t,
};
use linux_raw_sys::general as n;

use super::cpu_time::kernels_time;
use super::{WithoutOurs, deadlines, our_bit, peek, screens};
use crate::{clocks, thread_local};
use ckpt_image::clocks::MONOTONIC;
use ckpt_sys::in_progress::{CallNote, Noted};

interposed! {
    /// sigsuspend(2)
    fn sigsuspend(mask: *const sigset_t) -> c_int as next {
        next()(WithoutOurs::of(mask).pointer())
    }

    /// sigwait(3)
    fn sigwait(set: *const sigset_t, signal: *mut c_int) -> c_int as next {
        next()(WithoutOurs::of(set).pointer(), signal)
    }

    /// sigwaitinfo(2)
    fn sigwaitinfo(set: *const sigset_t, info: *mut siginfo_t) -> c_int as next {
        next()(WithoutOurs::of(set).pointer(), info)
    }

    /// sigtimedwait(2)
    fn sigtimedwait(set: *const sigset_t, info: *mut siginfo_t, timeout: *const timespec) -> c_int as next {
        until(n::__NR_rt_sigtimedwait, timeout, || next()(WithoutOurs::of(set).pointer(), info, timeout))
    }

    /// signalfd(2)
    fn signalfd(fd: c_int, set: *const sigset_t, flags: c_int) -> c_int as next {
        next()(fd, WithoutOurs::of(set).pointer(), flags)
    }

    /// ppoll(2)
    fn ppoll(fds: *mut pollfd, count: nfds_t, timeout: *const timespec, mask: *const sigset_t) -> c_int as next {
        for_descriptors(|| next()(fds, count, timeout, WithoutOurs::of(mask).pointer()))
    }

    /// pselect(2)
    fn pselect(
        count: c_int,
        read: *mut libc::fd_set,
        write: *mut libc::fd_set,
        except: *mut libc::fd_set,
        timeout: *const timespec,
        mask: *const sigset_t
    ) -> c_int as next {
        for_descriptors(|| next()(count, read, write, except, timeout, WithoutOurs::of(mask).pointer()))
    }

    /// epoll_pwait(2)
    fn epoll_pwait(
        epoll: c_int,
        events: *mut epoll_event,
        most: c_int,
        timeout: c_int,
        mask: *const sigset_t
    ) -> c_int as next {
        for_descriptors(|| {
            for_milliseconds(n::__NR_epoll_pwait, timeout, || {
                next()(epoll, events, most, timeout, WithoutOurs::of(mask).pointer())
            })
        })
    }

    /// epoll_pwait2(2)
    fn epoll_pwait2(
        epoll: c_int,
        events: *mut epoll_event,
        most: c_int,
        timeout: *const timespec,
        mask: *const sigset_t
    ) -> c_int as next {
        for_descriptors(|| {
            until(n::__NR_epoll_pwait2, timeout, || {
                next()(epoll, events, most, timeout, WithoutOurs::of(mask).pointer())
            })
        })
    }

    /// epoll_wait(2)
    fn epoll_wait(epoll: c_int, events: *mut epoll_event, most: c_int, timeout: c_int) -> c_int as next {
        for_descriptors(|| {
            for_milliseconds(n::__NR_epoll_wait, timeout, || next()(epoll, events, most, timeout))
        })
    }

    /// poll(2)
    fn poll(fds: *mut pollfd, count: nfds_t, timeout: c_int) -> c_int as next {
        for_descriptors(|| for_milliseconds(n::__NR_poll, timeout, || next()(fds, count, timeout)))
    }

    /// What `poll` becomes in a program that is compiled with `_FORTIFY_SOURCE`.
    fn __poll_chk(fds: *mut pollfd, count: nfds_t, timeout: c_int, size: size_t) -> c_int as next {
        for_descriptors(|| {
            for_milliseconds(n::__NR_poll, timeout, || next()(fds, count, timeout, size))
        })
    }

    /// What `ppoll` becomes in a program that is compiled with `_FORTIFY_SOURCE`.
    fn __ppoll_chk(
        fds: *mut pollfd,
        count: nfds_t,
        timeout: *const timespec,
        mask: *const sigset_t,
        size: size_t
    ) -> c_int as next {
        for_descriptors(|| next()(fds, count, timeout, WithoutOurs::of(mask).pointer(), size))
    }

    /// nanosleep(2)
    fn nanosleep(request: *const timespec, remainder: *mut timespec) -> c_int as next {
        let limit = if remainder.is_null() { request } else { ptr::null() };
        until(n::__NR_clock_nanosleep, limit, || next()(request, remainder))
    }

    /// clock_nanosleep(2)
    fn clock_nanosleep(
        clock: clockid_t,
        flags: c_int,
        request: *const timespec,
        remainder: *mut timespec
    ) -> c_int as next {
        if flags & libc::TIMER_ABSTIME != 0 && peek(request).is_some() {
            let translated = kernels_time(clock, request);
            let request = translated.as_ref().map_or(request, ptr::from_ref);
            return deadlines::until(clock, request, |request| next()(clock, flags, request, remainder));
        }
        let is_time = matches!(clock, libc::CLOCK_REALTIME | libc::CLOCK_MONOTONIC | libc::CLOCK_BOOTTIME);
        let is_noted = is_time && remainder.is_null();
        let limit = if is_noted { request } else { ptr::null() };
        until(n::__NR_clock_nanosleep, limit, || next()(clock, flags, request, remainder))
    }

    /// thrd_sleep(3)
    fn thrd_sleep(request: *const timespec, remainder: *mut timespec) -> c_int as next {
        let limit = if remainder.is_null() { request } else { ptr::null() };
        until(n::__NR_clock_nanosleep, limit, || next()(request, remainder))
    }

    /// usleep(3)
    fn usleep(microseconds: useconds_t) -> c_int as next {
        let duration = u64::from(microseconds) * 1000;
        noted(n::__NR_clock_nanosleep, Noted::Inside, duration, || next()(microseconds))
    }

    /// semtimedop(2)
    fn semtimedop(set: c_int, operations: *mut c_void, count: size_t, timeout: *const timespec) -> c_int as next {
        until(n::__NR_semtimedop, timeout, || next()(set, operations, count, timeout))
    }
}

/// Calls libc's function, which waits for descriptors, unless the thread is to look at the size of its screen before: then a signal has
/// interrupted it.
fn for_descriptors(by_libc: impl FnOnce() -> c_int) -> c_int {
    if !screens::is_told_instead_of_waiting() {
        return by_libc();
    }
    // SAFETY: whoever calls functions of libc has an errno.
    unsafe { *libc::__errno_location() = libc::EINTR };
    -1
}

/// Calls libc's function, which makes system call `number` with a limit in milliseconds.
fn for_milliseconds(number: u32, timeout: c_int, by_libc: impl FnOnce() -> c_int) -> c_int {
    let duration = u64::try_from(timeout).unwrap_or(0) * 1_000_000;
    noted(number, Noted::Milliseconds(timeout), duration, by_libc)
}

/// Calls libc's function, which makes system call `number` with the limit at `timeout`, or null.
fn until(number: u32, timeout: *const timespec, by_libc: impl FnOnce() -> c_int) -> c_int {
    let duration = peek(timeout).as_ref().map_or(0, nanoseconds);
    noted(number, Noted::At(timeout as u64), duration, by_libc)
}

/// A time in nanoseconds; 0 if it is not one.
fn nanoseconds(time: &timespec) -> u64 {
    match (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec)) {
        (Ok(seconds), Ok(rest)) => seconds.saturating_mul(1_000_000_000).saturating_add(rest),
        _ => 0,
    }
}

/// Calls libc's function while there is a note of the system call `number` that it makes, which lasts at most
/// `duration`. There is none if that is 0.
fn noted(number: u32, limit: Noted, duration: u64, by_libc: impl FnOnce() -> c_int) -> c_int {
    if duration == 0 || our_bit() == 0 {
        return by_libc();
    }
    let mut now = timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: (1) libc writes one struct; (2) a thread that calls functions of libc has a thread pointer.
    let local = unsafe {
        libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now);
        thread_local::current()
    };
    // SAFETY: the block is the thread's own. A handler that comes meanwhile finds the old note or the new one.
    unsafe {
        let mut note = CallNote::new(
            number,
            limit,
            duration,
            clocks::kernels_time(MONOTONIC, nanoseconds(&now)),
            &raw const (*local).scratch,
        );
        note.mark();
        let before = (&raw mut (*local).note).replace(&raw const note);
        let result = by_libc();
        (*local).note = before;
        result
    }
}
