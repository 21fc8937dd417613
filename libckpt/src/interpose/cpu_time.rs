//! CPU time, which goes on where it was when a process is restored. Before that, nothing of it is in the program's way but a look at one word.

use core::ffi::c_int;

use ckpt_sys::calls::Usage;
use libc::{clock_t, clockid_t, itimerspec, rusage, timespec, timeval, tms};
use linux_raw_sys::general as n;

use super::peek;
use crate::{clocks, cpu_time};

interposed! {
    /// clock(3)
    fn clock() -> clock_t as next {
        let counted = next()();
        if counted == -1 {
            return counted;
        }
        // A tick is a microsecond (POSIX: `CLOCKS_PER_SEC`).
        counted + cpu_time::beyond_clock(libc::CLOCK_PROCESS_CPUTIME_ID) / 1000
    }

    /// times(2)
    fn times(buffer: *mut tms) -> clock_t as next {
        let now = next()(buffer);
        if let Some(times) = buffer.as_mut() {
            let [own, children] = [n::RUSAGE_SELF as i32, n::RUSAGE_CHILDREN].map(cpu_time::beyond);
            times.tms_utime += ticks(own.user);
            times.tms_stime += ticks(own.system);
            times.tms_cutime += ticks(children.user);
            times.tms_cstime += ticks(children.system);
        }
        now
    }

    /// getrusage(2)
    fn getrusage(who: c_int, usage: *mut rusage) -> c_int as next {
        let result = next()(who, usage);
        if result == 0 {
            let Usage { user, system } = cpu_time::beyond(who);
            add(&mut (*usage).ru_utime, user);
            add(&mut (*usage).ru_stime, system);
        }
        result
    }

    /// clock_gettime(2)
    fn clock_gettime(clock: clockid_t, time: *mut timespec) -> c_int as next {
        let result = next()(clock, time);
        if result == 0 && is_of_cpu_time(clock) {
            let beyond = cpu_time::beyond_clock(clock);
            if beyond != 0 {
                let time = &mut *time;
                [time.tv_sec, time.tv_nsec] = clocks::sum([time.tv_sec, time.tv_nsec], beyond);
            }
        }
        result
    }
}

fn is_of_cpu_time(clock: clockid_t) -> bool {
    matches!(
        clock,
        libc::CLOCK_PROCESS_CPUTIME_ID | libc::CLOCK_THREAD_CPUTIME_ID | ..0
    )
}

/// Ticks of times(2): a hundred in a second (`USER_HZ` on x86).
fn ticks(microseconds: i64) -> clock_t {
    microseconds / 10_000
}

fn add(time: &mut timeval, microseconds: i64) {
    const SECOND: i64 = 1_000_000;
    let sum = time.tv_sec * SECOND + time.tv_usec + microseconds;
    let sum = sum.max(0);
    (time.tv_sec, time.tv_usec) = (sum / SECOND, sum % SECOND);
}

/// The time that the kernel's clock of CPU time shows when the program's shows `time`; `None` if that is the same.
pub(super) fn kernels_time(clock: clockid_t, time: *const timespec) -> Option<timespec> {
    if !is_of_cpu_time(clock) {
        return None;
    }
    let beyond = cpu_time::beyond_clock(clock);
    let given =
        peek(time).filter(|time| beyond != 0 && clocks::is_time([time.tv_sec, time.tv_nsec]))?;
    let [tv_sec, tv_nsec] = clocks::sum([given.tv_sec, given.tv_nsec], -beyond);
    Some(timespec { tv_sec, tv_nsec })
}

/// The same for what a timer of that clock is to be set to.
pub(super) fn kernels_start(clock: clockid_t, new: *const itimerspec) -> Option<itimerspec> {
    let given = peek(new).filter(|new| (new.it_value.tv_sec, new.it_value.tv_nsec) != (0, 0))?;
    let mut value = kernels_time(clock, &raw const given.it_value)?;
    if value.tv_sec == 0 {
        // Zeros would stop it; a time that has passed is meant.
        value.tv_nsec = value.tv_nsec.max(1);
    }
    Some(itimerspec {
        it_value: value,
        ..given
    })
}
