//! Calls that take a time of a clock that counts from a boot. In a process whose clocks differ from the kernel's, they are
//! told what the kernel's clock will show then; and a call that is going on when a process is restored in another boot waits as
//! long as it would have.
//!
//! Most of these are cancellation points: nothing here must be done after the call.

use core::ffi::{CStr, c_long, c_void};
use core::mem::offset_of;
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};

use ckpt_sys::bytes::{decimal, lines};
use ckpt_sys::{Line, files};
use libc::{c_int, clockid_t, itimerspec, pthread_t, timespec};
use linux_raw_sys::general as n;

use super::timers::clock_of_timer;
use super::{Next, our_bit, peek};
use crate::clocks::{self, Deadline};
use crate::{locks, thread_local};

interposed! {
    /// sem_clockwait(3)
    fn sem_clockwait(semaphore: *mut c_void, clock: clockid_t, time: *const timespec) -> c_int as next {
        until(clock, time, |time| next()(semaphore, clock, time))
    }

    /// pthread_clockjoin_np(3)
    fn pthread_clockjoin_np(
        thread: pthread_t,
        result: *mut *mut c_void,
        clock: clockid_t,
        time: *const timespec
    ) -> c_int as next {
        until(clock, time, |time| next()(thread, result, clock, time))
    }

    /// timerfd_settime(2)
    fn timerfd_settime(fd: c_int, flags: c_int, new: *const itimerspec, old: *mut itimerspec) -> c_int as next {
        let clock = || clock_of_timerfd(fd);
        let translated = translated_start(flags & libc::TFD_TIMER_ABSTIME != 0, new, clock);
        next()(fd, flags, translated.as_ref().map_or(new, ptr::from_ref), old)
    }
}

/// Defines functions that wait for a lock: behind them are those that let `locks` look at it, so that nothing happens in between.
macro_rules! waiting_for_locks {
    ($(
        $(#[$meta:meta])*
        fn $name:ident($($argument:ident: $type:ty),*; $time:ident) on $clock:expr;
    )*) => {$(
        $(#[$meta])*
        ///
        /// # Safety
        /// As for the function of libc.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($argument: $type,)* $time: *const timespec) -> c_int {
            // SAFETY: the caller keeps to the contract of libc's function.
            unsafe { until($clock, $time, |time| locks::$name($($argument,)* time)) }
        }
    )*};
}

waiting_for_locks! {
    /// pthread_cond_timedwait(3)
    fn pthread_cond_timedwait(condition: *mut c_void, mutex: *mut c_void; time) on clock_of_condition(condition);

    /// pthread_cond_clockwait(3)
    fn pthread_cond_clockwait(condition: *mut c_void, mutex: *mut c_void, clock: clockid_t; time) on clock;

    /// pthread_mutex_clocklock(3)
    fn pthread_mutex_clocklock(mutex: *mut c_void, clock: clockid_t; time) on clock;

    /// pthread_rwlock_clockrdlock(3)
    fn pthread_rwlock_clockrdlock(lock: *mut c_void, clock: clockid_t; time) on clock;

    /// pthread_rwlock_clockwrlock(3)
    fn pthread_rwlock_clockwrlock(lock: *mut c_void, clock: clockid_t; time) on clock;
}

/// The version of glibc's condition variables: the symbol has an older one for programs of before 2003, which dlsym(3)
/// may find.
pub const CONDITIONS: &CStr = c"GLIBC_2.3.2";

/// Calls libc's function, which waits for `time` on `clock`.
///
/// # Safety
/// `time` is null or points to a struct timespec.
pub unsafe fn until(
    clock: clockid_t,
    time: *const timespec,
    by_libc: impl FnOnce(*const timespec) -> c_int,
) -> c_int {
    // SAFETY: the caller answers for the pointer.
    let given = unsafe { time.as_ref() }.filter(|_| our_bit() != 0);
    let (Some(clock), Some(given)) = (clocks::counted(clock.cast_unsigned()), given) else {
        return by_libc(time);
    };
    // SAFETY: (1) a thread that calls functions of libc has a thread pointer; (2) the block is the thread's own. A handler that
    // comes meanwhile finds the old deadline or the new one.
    unsafe {
        let local = thread_local::current();
        let before = (*local).deadline;
        let mut deadline = Deadline::new(clock, [given.tv_sec, given.tv_nsec], before);
        deadline.mark();
        (&raw mut (*local).deadline).write_volatile(&raw const deadline);
        let result = by_libc(deadline.time().cast());
        (*local).deadline = before;
        deadline.unmark();
        result
    }
}

/// Where in a condition variable libc keeps its clock: offset of the byte, and the bit; 0 while that is not known.
static CLOCK_AT: AtomicU32 = AtomicU32::new(0);

/// Size of `pthread_cond_t` on x86-64 (sysdeps/x86/nptl/bits/pthreadtypes-arch.h).
const CONDITION: usize = 48;

/// Finds out where libc keeps the clock of a condition variable: that of `CLOCK_MONOTONIC` differs from the other one in one
/// bit. Called at start, when a program that has such functions of its own, as sanitizers do, is not ready for them.
pub fn find_clock_of_conditions() {
    type Attributes = libc::pthread_condattr_t;
    static INIT_ATTRIBUTES: Next = Next::new(c"pthread_condattr_init", &[]);
    static SET_CLOCK: Next = Next::new(c"pthread_condattr_setclock", &[]);
    static INIT: Next = Next::new(c"pthread_cond_init", &[c"GLIBC_2.3.2"]);
    let made = [libc::CLOCK_REALTIME, libc::CLOCK_MONOTONIC].map(|clock| {
        let mut bytes = [0u8; CONDITION];
        // SAFETY: of all three: the types are libc's own, and fit.
        unsafe {
            let init_attributes: extern "C" fn(*mut Attributes) -> c_int = INIT_ATTRIBUTES.get();
            let set_clock: extern "C" fn(*mut Attributes, clockid_t) -> c_int = SET_CLOCK.get();
            let init: extern "C" fn(*mut c_void, *const Attributes) -> c_int = INIT.get();
            let mut attributes: Attributes = core::mem::zeroed();
            init_attributes(&raw mut attributes);
            set_clock(&raw mut attributes, clock);
            init(bytes.as_mut_ptr().cast(), &raw const attributes);
        }
        bytes
    });
    let mut different = (0..CONDITION).filter(|&at| made[0][at] != made[1][at]);
    if let (Some(at), None) = (different.next(), different.next()) {
        let bit = made[0][at] ^ made[1][at];
        if made[0][at] & bit == 0 && bit.is_power_of_two() {
            CLOCK_AT.store((at as u32) << 8 | u32::from(bit), Ordering::Relaxed);
        }
    }
}

/// The clock of a condition variable.
///
/// # Safety
/// It is one.
unsafe fn clock_of_condition(condition: *const c_void) -> clockid_t {
    let place = CLOCK_AT.load(Ordering::Relaxed);
    // SAFETY: the place lies in the variable; others change other bits of the byte meanwhile.
    let byte = unsafe {
        condition
            .cast::<u8>()
            .add((place >> 8) as usize)
            .read_volatile()
    };
    if byte & place as u8 == 0 {
        libc::CLOCK_REALTIME
    } else {
        libc::CLOCK_MONOTONIC
    }
}

/// What to start a timer with, if that is a time of a clock that differs from the kernel's.
pub(super) fn translated_start(
    is_time: bool,
    new: *const itimerspec,
    clock: impl FnOnce() -> Option<u32>,
) -> Option<itimerspec> {
    if !is_time || !clocks::differ() {
        return None;
    }
    let new = peek(new)?;
    let clock = clock().and_then(clocks::counted)?;
    let time = [new.it_value.tv_sec, new.it_value.tv_nsec];
    if time == [0; 2] || !clocks::is_time(time) {
        // The timer is stopped, or stays as it is.
        return None;
    }
    let [tv_sec, tv_nsec] = Deadline::new(clock, time, ptr::null()).kernels();
    Some(itimerspec {
        it_value: timespec {
            tv_sec,
            // Zeros would stop the timer; a time that has passed is meant.
            tv_nsec: if tv_sec == 0 { tv_nsec.max(1) } else { tv_nsec },
        },
        ..new
    })
}

/// The clock of a timer descriptor (proc_pid_fdinfo(5)).
fn clock_of_timerfd(fd: c_int) -> Option<u32> {
    let path = Line::<64>::format(format_args!("/proc/thread-self/fdinfo/{fd}"));
    let info: Line<512> = files::read_small(path.as_c_str()).ok()?;
    let value = lines(info.as_bytes()).find_map(|line| line.strip_prefix(b"clockid:"))?;
    decimal(value.trim_ascii()).map(|clock| clock as u32)
}

/// Makes a system call that takes or returns times, in a process whose clocks differ from the kernel's, by `call`.
///
/// # Safety
/// As for the system call.
pub(super) unsafe fn translated(
    number: u32,
    mut arguments: [usize; 6],
    call: unsafe extern "C" fn(c_long, ...) -> c_long,
) -> c_long {
    let [a, b, c, ..] = arguments;
    let mut copies = [timespec {
        tv_sec: 0,
        tv_nsec: 0,
    }; 2];
    // SAFETY: (1) the caller answers for the call and its pointers; (2) the copies outlive it.
    unsafe {
        match number {
            n::__NR_clock_gettime => {
                // Only the kernel knows whether it can write there.
                let result = call(c_long::from(number), a, b);
                return if result == 0 {
                    c_long::from(libc::clock_gettime(a as clockid_t, b as *mut timespec))
                } else {
                    result
                };
            }
            n::__NR_timerfd_settime | n::__NR_timer_settime => {
                let is_time = b as u32 & n::TIMER_ABSTIME != 0;
                let clock = || match number {
                    n::__NR_timer_settime => clock_of_timer(a as i32),
                    _ => clock_of_timerfd(a as c_int),
                };
                if let Some(new) = translated_start(is_time, c as *const itimerspec, clock) {
                    copies = [new.it_interval, new.it_value];
                    arguments[2] = copies.as_ptr() as usize;
                }
            }
            _ => {
                let values = arguments.map(|argument| argument as u64);
                let deadline = ckpt_sys::in_progress::deadline(number, &values);
                let time = deadline.and_then(|(at, clock)| {
                    let time = peek(arguments[at] as *const timespec)?;
                    Some((at, clock, time))
                });
                if let Some((at, clock, time)) = time {
                    let [tv_sec, tv_nsec] =
                        Deadline::new(clock, [time.tv_sec, time.tv_nsec], ptr::null()).kernels();
                    copies[0] = timespec { tv_sec, tv_nsec };
                    arguments[at] = copies.as_ptr() as usize;
                }
            }
        }
        let [a, b, c, d, e, f] = arguments;
        call(c_long::from(number), a, b, c, d, e, f)
    }
}

const _: () = assert!(
    offset_of!(itimerspec, it_interval) == 0 && offset_of!(itimerspec, it_value) == 16,
    "as the two copies"
);
