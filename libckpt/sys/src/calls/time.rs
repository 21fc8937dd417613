//! Clocks, sleeping, and interval timers.

use linux_raw_sys::general as n;

use super::Done;
use crate::errno::Errno;
use crate::syscall::call;

/// `struct itimerspec` of interval and first expiration, both in nanoseconds.
pub(crate) fn timer_setting([interval, first]: [u64; 2]) -> [u64; 4] {
    const SECOND: u64 = 1_000_000_000;
    [
        interval / SECOND,
        interval % SECOND,
        first / SECOND,
        first % SECOND,
    ]
}

/// clock_gettime(2), in nanoseconds; 0 if there is no such clock.
#[must_use]
pub fn clock(clock: u32) -> u64 {
    let mut time = [0u64; 2];
    // SAFETY: `struct timespec` is two numbers, which the kernel writes.
    match unsafe {
        call(
            n::__NR_clock_gettime,
            [clock as usize, time.as_mut_ptr() as usize],
        )
    } {
        Ok(_) => time[0] * 1_000_000_000 + time[1],
        Err(_) => 0,
    }
}

/// nanosleep(2)
pub fn sleep(nanoseconds: u64) {
    let time = [nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000];
    // SAFETY: the kernel reads two numbers. An interrupted sleep is a short one.
    let _ = unsafe { call(n::__NR_nanosleep, [time.as_ptr() as usize, 0]) };
}

/// getitimer(2): interval and time left, each in microseconds.
///
/// # Errors
/// Those of the system call.
pub fn interval_timer(which: u32) -> Result<[u64; 2], Errno> {
    let mut timer = [0u64; 4];
    // SAFETY: `struct itimerval` is four numbers, which the kernel writes.
    unsafe {
        call(
            n::__NR_getitimer,
            [which as usize, timer.as_mut_ptr() as usize],
        )?
    };
    let [interval_s, interval_us, left_s, left_us] = timer;
    Ok([
        interval_s * 1_000_000 + interval_us,
        left_s * 1_000_000 + left_us,
    ])
}

/// setitimer(2): interval and time left, each in microseconds.
///
/// # Errors
/// Those of the system call.
pub fn set_interval_timer(which: u32, [interval, left]: [u64; 2]) -> Done {
    let timer = [
        interval / 1_000_000,
        interval % 1_000_000,
        left / 1_000_000,
        left % 1_000_000,
    ];
    // SAFETY: `struct itimerval` is four numbers, which the kernel reads.
    unsafe {
        call(
            n::__NR_setitimer,
            [which as usize, timer.as_ptr() as usize, 0],
        )
        .map(drop)
    }
}

/// CPU time that was used, in microseconds.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// By the program's own code.
    pub user: i64,
    /// By the kernel for it.
    pub system: i64,
}

impl core::ops::Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            user: self.user + other.user,
            system: self.system + other.system,
        }
    }
}

impl core::ops::Sub for Usage {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            user: self.user - other.user,
            system: self.system - other.system,
        }
    }
}

/// getrusage(2); nothing if there is no such `who`.
#[must_use]
pub fn usage(who: i32) -> Usage {
    /// `struct rusage` (include/uapi/linux/resource.h): two times of two numbers, and 14 numbers.
    const WORDS: usize = 18;
    const SECOND: i64 = 1_000_000;
    let mut raw = [0i64; WORDS];
    // SAFETY: the kernel writes one struct.
    let _ = unsafe { call(n::__NR_getrusage, [who as usize, raw.as_mut_ptr() as usize]) };
    Usage {
        user: raw[0] * SECOND + raw[1],
        system: raw[2] * SECOND + raw[3],
    }
}
