//! POSIX timers (timer_create(2)), as the kernel has them.

use linux_raw_sys::general as n;
use linux_raw_sys::prctl as p;

use crate::bytes::{decimal, hex, lines};
use crate::calls::{self, Done, timer_setting};
use crate::errno::Errno;
use ckpt_image::signals::SIGINFO_SIZE;

use crate::kernel::{SignalInfo, SignalSet};
use crate::syscall::call;

/// Whom a timer tells what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// `SIGEV_SIGNAL`, `SIGEV_NONE` or `SIGEV_THREAD`, without `SIGEV_THREAD_ID`.
    pub notify: u32,
    /// The signal.
    pub signal: i32,
    /// What comes along with it.
    pub value: u64,
    /// The thread that gets it; 0 if the process does.
    pub thread: i32,
}

/// timer_create(2); the timer's id. With `id` it is that one, if the caller has said before that it chooses ids
/// ([`choose_ids`]).
///
/// # Errors
/// Those of the system call.
pub fn create(clock: i32, event: &Event, id: Option<i32>) -> Result<i32, Errno> {
    /// `struct sigevent` (include/uapi/asm-generic/siginfo.h), with its padding.
    #[repr(C)]
    struct Raw {
        value: u64,
        signal: i32,
        notify: u32,
        thread: i32,
        padding: [u32; 11],
    }
    const _: () = assert!(size_of::<Raw>() == 64);
    let for_thread = if event.thread == 0 {
        0
    } else {
        n::SIGEV_THREAD_ID
    };
    let raw = Raw {
        value: event.value,
        signal: event.signal,
        notify: event.notify | for_thread,
        thread: event.thread,
        padding: [0; 11],
    };
    let mut id = id.unwrap_or(0);
    let arguments = [
        clock as usize,
        &raw const raw as usize,
        &raw mut id as usize,
    ];
    // SAFETY: the kernel reads one struct and a number, and writes one number.
    unsafe { call(n::__NR_timer_create, arguments)? };
    Ok(id)
}

/// Whether the calling process chooses the ids of its timers from now on (`PR_TIMER_CREATE_RESTORE_IDS`, Linux 6.15).
///
/// # Errors
/// `EINVAL` on older kernels.
pub fn choose_ids(choose: bool) -> Done {
    let option = if choose {
        p::PR_TIMER_CREATE_RESTORE_IDS_ON
    } else {
        p::PR_TIMER_CREATE_RESTORE_IDS_OFF
    };
    // SAFETY: the option takes a number.
    unsafe { calls::prctl(p::PR_TIMER_CREATE_RESTORE_IDS, [option as usize, 0, 0, 0]).map(drop) }
}

/// timer_delete(2)
///
/// # Errors
/// Those of the system call.
pub fn delete(id: i32) -> Done {
    // SAFETY: the call takes a number.
    unsafe { call(n::__NR_timer_delete, [id as usize]).map(drop) }
}

/// timer_settime(2): interval and first expiration, in nanoseconds.
///
/// # Errors
/// Those of the system call.
pub fn set(id: i32, flags: u32, timer: [u64; 2]) -> Done {
    let timer = timer_setting(timer);
    let arguments = [id as usize, flags as usize, timer.as_ptr() as usize, 0];
    // SAFETY: `struct itimerspec` is four numbers, which the kernel reads.
    unsafe { call(n::__NR_timer_settime, arguments).map(drop) }
}

/// timer_gettime(2): interval and time left, in nanoseconds.
///
/// # Errors
/// Those of the system call.
pub fn read(id: i32) -> Result<[u64; 2], Errno> {
    let mut timer = [0u64; 4];
    // SAFETY: `struct itimerspec` is four numbers, which the kernel writes.
    unsafe {
        call(
            n::__NR_timer_gettime,
            [id as usize, timer.as_mut_ptr() as usize],
        )?
    };
    let [interval_s, interval, left_s, left] = timer;
    Ok([
        interval_s * 1_000_000_000 + interval,
        left_s * 1_000_000_000 + left,
    ])
}

/// timer_getoverrun(2): how many more expirations the last signal that was received stands for.
///
/// # Errors
/// Those of the system call.
pub fn overruns(id: i32) -> Result<u32, Errno> {
    // SAFETY: the call takes a number.
    unsafe { call(n::__NR_timer_getoverrun, [id as usize]).map(|count| count as u32) }
}

/// Receives `count` signals that timers are about to send to the caller, or to the process, whose main thread it is then. The
/// caller has blocked them; `set` has their numbers. What somebody else sends meanwhile is left to the program.
pub fn receive(set: SignalSet, count: u32) {
    /// They are due, so this is for a machine that is very busy.
    const LONG: u64 = 1_000_000_000;
    /// Signals of others.
    const MOST: usize = 8;
    let (mut others, mut kept) = ([[0; SIGINFO_SIZE]; MOST], 0);
    let mut left = count;
    while left != 0 && kept < MOST {
        match calls::wait_for_signal(set, LONG) {
            Ok((_, info)) if Expired::of(&info).is_some() => left -= 1,
            Ok((_, info)) => {
                others[kept] = info;
                kept += 1;
            }
            Err(_) => break,
        }
    }
    // The kernel believes what most say of their sender only of a thread itself, and of the process only from the main thread.
    let tid = calls::tid();
    let receiver = if tid == calls::pid() { 0 } else { tid };
    for info in &others[..kept] {
        let signal = i32::from_ne_bytes([info[0], info[1], info[2], info[3]]);
        let _ = calls::queue_signal(receiver, signal, info);
    }
}

/// What the signal of a timer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expired {
    /// The timer.
    pub id: i32,
    /// The signal.
    pub signal: i32,
    /// How many expirations it stands for beyond the first.
    pub overruns: u32,
}

/// `SI_TIMER` (include/uapi/asm-generic/siginfo.h).
const SI_TIMER: i32 = -2;

impl Expired {
    /// Reads it from the signal, if that comes from a timer.
    #[must_use]
    pub fn of(info: &SignalInfo) -> Option<Self> {
        let (words, _) = info.as_chunks::<4>();
        // `si_signo`, `si_errno`, `si_code`, padding, `si_timerid`, `si_overrun`.
        let word = |index: usize| i32::from_ne_bytes(words[index]);
        (word(2) == SI_TIMER).then(|| Self {
            id: word(4),
            signal: word(0),
            overruns: word(5).max(0) as u32,
        })
    }
}

/// One timer as `/proc/PID/timers` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: i32,
    /// Its clock; a negative number for CPU time, see [`CpuClock`].
    pub clock: i32,
    /// Whom it tells.
    pub event: Event,
}

/// The timers that `text`, the content of `/proc/self/timers`, lists; `None` for one that is shown in another way
/// (`show_timer` in fs/proc/base.c).
pub fn listed(text: &[u8]) -> impl Iterator<Item = Option<Listed>> {
    let mut lines = lines(text);
    core::iter::from_fn(move || {
        let id = lines.next()?;
        let mut next = || lines.next().unwrap_or_default();
        Some(parse(id, next(), next(), next()))
    })
}

fn parse(id: &[u8], signal: &[u8], notify: &[u8], clock: &[u8]) -> Option<Listed> {
    let slash = |text: &[u8]| text.iter().position(|&byte| byte == b'/');
    let signal = signal.strip_prefix(b"signal: ")?;
    let (signal, value) = signal.split_at(slash(signal)?);
    let notify = notify.strip_prefix(b"notify: ")?;
    let (notify, whom) = notify.split_at(slash(notify)?);
    let thread = match whom.strip_prefix(b"/tid.") {
        Some(thread) => decimal(thread)? as i32,
        None => 0,
    };
    let clock = clock.strip_prefix(b"ClockID: ")?;
    Some(Listed {
        id: decimal(id.strip_prefix(b"ID: ")?)? as i32,
        clock: match clock.strip_prefix(b"-") {
            Some(digits) => (decimal(digits)? as i32).wrapping_neg(),
            None => decimal(clock)? as i32,
        },
        event: Event {
            notify: match notify {
                b"signal" => n::SIGEV_SIGNAL,
                b"none" => n::SIGEV_NONE,
                b"thread" => n::SIGEV_THREAD,
                _ => return None,
            },
            signal: decimal(signal)? as i32,
            value: hex(value.strip_prefix(b"/")?)?,
            thread,
        },
    })
}

/// A clock that counts CPU time, taken apart (include/linux/posix-timers.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuClock {
    /// The process or thread, 0 for the caller.
    pub id: i32,
    /// Whether it is a thread.
    pub of_thread: bool,
    /// Which of its times: 0 to 2.
    kind: i32,
}

/// `CPUCLOCK_PERTHREAD_MASK`, `CPUCLOCK_CLOCK_MASK` and `CLOCKFD`, which is none of CPU time but a device's.
const OF_THREAD: i32 = 4;
const KIND: i32 = 3;
const DEVICE: i32 = 3;

impl CpuClock {
    /// The CPU time of thread `id`, as `pthread_getcpuclockid` names it.
    #[must_use]
    pub fn of_thread(id: i32) -> Self {
        Self {
            id,
            of_thread: true,
            kind: 2,
        }
    }

    /// Takes the clock apart; `None` if it counts something else.
    #[must_use]
    pub fn of(clock: i32) -> Option<Self> {
        (clock < 0 && clock & KIND != DEVICE).then_some(Self {
            id: !(clock >> 3),
            of_thread: clock & OF_THREAD != 0,
            kind: clock & KIND,
        })
    }

    /// Whether it counts what the program has used, and what the kernel has for it (`CPUCLOCK_SCHED`).
    #[must_use]
    pub fn counts_all(&self) -> bool {
        self.kind == 2
    }

    /// The same time of another process or thread.
    #[must_use]
    pub fn with_id(self, id: i32) -> Self {
        Self { id, ..self }
    }

    /// The number of the clock.
    #[must_use]
    pub fn number(&self) -> i32 {
        let of_thread = if self.of_thread { OF_THREAD } else { 0 };
        !self.id << 3 | of_thread | self.kind
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::signal_bit;

    #[test]
    fn timers_are_read_as_the_kernel_shows_them() {
        let text = b"ID: 2\nsignal: 32/000056353cfa4460\nnotify: signal/tid.506\nClockID: 0\n\
            ID: 0\nsignal: 0/0000000000000000\nnotify: none/pid.505\nClockID: -4042\n\
            ID: 7\nsignal: 0/0\nnotify: smoke/pid.505\nClockID: 1\n";
        let first = Listed {
            id: 2,
            clock: 0,
            event: Event {
                notify: n::SIGEV_SIGNAL,
                signal: 32,
                value: 0x5635_3cfa_4460,
                thread: 506,
            },
        };
        let second = Listed {
            id: 0,
            clock: -4042,
            event: Event {
                notify: n::SIGEV_NONE,
                signal: 0,
                value: 0,
                thread: 0,
            },
        };
        assert!(listed(text).eq([Some(first), Some(second), None]));
        assert!(listed(b"ID: 2\nsignal: 32/0\n").eq([None]));
        assert_eq!(listed(b"").count(), 0);
    }

    #[test]
    fn clocks_of_cpu_time_name_their_thread() {
        let clock = CpuClock::of(-4042).unwrap();
        assert_eq!((clock.id, clock.of_thread), (505, true));
        assert_eq!(clock, CpuClock::of_thread(505));
        assert_eq!(clock.number(), -4042);
        let process = CpuClock::of(-6).unwrap();
        assert_eq!((process.id, process.of_thread), (0, false));
        assert_eq!(process.number(), -6);
        assert_eq!(CpuClock::of(!7 << 3 | 3), None);
        assert_eq!(CpuClock::of(1), None);
    }

    /// `SIGRTMAX`, which nothing else in this process uses.
    const SIGNAL: i32 = 64;

    #[test]
    fn a_timer_that_is_set_to_the_past_has_overrun() {
        let blocked = calls::signal_mask(n::SIG_BLOCK, Some(signal_bit(SIGNAL))).unwrap();
        let event = Event {
            notify: n::SIGEV_SIGNAL,
            signal: SIGNAL,
            value: 3,
            thread: calls::tid(),
        };
        let id = create(n::CLOCK_REALTIME as i32, &event, None).unwrap();
        let hour = 3_600_000_000_000;
        // A signal of somebody else's stays.
        let mut others = [0; 128];
        others[..4].copy_from_slice(&SIGNAL.to_ne_bytes());
        others[8..12].copy_from_slice(&n::SI_QUEUE.to_ne_bytes());
        calls::queue_signal(calls::tid(), SIGNAL, &others).unwrap();
        for count in [1, 0, 1000] {
            let due = calls::clock(n::CLOCK_REALTIME) + hour / 2;
            let first = due - (count + 1) * hour;
            set(id, n::TIMER_ABSTIME, [hour, first]).unwrap();
            receive(signal_bit(SIGNAL), 1);
            assert_eq!(overruns(id), Ok(count as u32));
            let [interval, left] = read(id).unwrap();
            assert!(
                interval == hour && left < hour / 2 && left > hour / 3,
                "{left}"
            );
        }
        delete(id).unwrap();
        let (_, left) = calls::wait_for_signal(signal_bit(SIGNAL), 0).unwrap();
        assert_eq!(Expired::of(&left), None);
        calls::signal_mask(n::SIG_SETMASK, Some(blocked)).unwrap();
    }
}
