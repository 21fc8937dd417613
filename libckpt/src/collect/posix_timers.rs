//! POSIX timers (timer_create(2)).

use ckpt_image::objects::posix_timers::{GONE, PENDING, PosixTimer, RECEIVED};
use ckpt_image::signals::{Pending, SIGNALS};
use ckpt_sys::kernel::SignalInfo;
use ckpt_sys::posix_timers::{self, CpuClock, Expired, Listed, listed};
use ckpt_sys::{MapVec, calls, files};
use linux_raw_sys::general as n;

use super::descriptors::objects::Objects;
use crate::failure::{Doing, Failure, failure};
use crate::interpose;
use crate::signal::checkpoint_signal;
use crate::threads::stop::Stopped;
use crate::threads::{Thread, park};

/// Stands for no thread.
const NOBODY: i32 = -1;

/// One timer.
#[derive(Clone, Copy, Debug)]
struct Timer {
    saved: PosixTimer,
    /// How many expirations its signal stands for that was taken out of the queue, 0 if none was. The timer stands still from
    /// then on.
    taken: u32,
}

/// The timers of the program.
#[derive(Debug, Default)]
pub struct PosixTimers {
    /// In ascending order of their ids.
    timers: MapVec<Timer>,
}

/// What the signal of a timer that was taken out of the queue means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is none of a timer.
    Other,
    /// It is the timer's.
    First,
    /// It came between the first and the moment in which the timer was stopped, and is part of what that stands for.
    Again,
}

impl PosixTimers {
    /// Reads them.
    ///
    /// # Errors
    /// [`Failure`] names the first one that cannot be restored.
    pub fn collect(initiator: &Thread, stopped: &Stopped) -> Result<Self, Failure> {
        let mut text = MapVec::new();
        // The file needs CONFIG_CHECKPOINT_RESTORE; a kernel without it does not tell.
        if files::read_whole(c"/proc/self/timers", &mut text).is_err() {
            return Ok(Self::default());
        }
        let lives = |tid| tid == initiator.tid || stopped.threads().any(|thread| thread.tid == tid);
        let is_alone = stopped.threads().next().is_none();
        let mut timers = MapVec::new();
        for timer in listed(&text) {
            let timer = timer.ok_or_else(|| {
                failure!("the program has a POSIX timer that this kernel shows in an unknown way")
            })?;
            if is_ours(&timer) {
                // Everybody who has parked has deleted his own.
                let _ = posix_timers::delete(timer.id);
                continue;
            }
            check_clock(&timer, is_alone)?;
            timers
                .push(Timer {
                    saved: read(&timer, &lives)?,
                    taken: 0,
                })
                .doing(format_args!("memory for the timers"))?;
        }
        timers.sort_unstable_by_key(|timer: &Timer| timer.saved.id);
        Ok(Self { timers })
    }

    /// Looks at a signal that was just taken out of its queue. The kernel lets a timer run on then, and its next signal
    /// could follow at once: it is stopped until [`Self::put_back`].
    pub fn take(&mut self, info: &SignalInfo) -> Taken {
        let Some((expired, timer)) = self.find(info) else {
            return Taken::Other;
        };
        let saved = &mut timer.saved;
        if timer.taken != 0 {
            return Taken::Again;
        }
        let now = calls::clock(saved.clock as u32);
        let left = posix_timers::read(saved.id).map_or(0, |[_, left]| left);
        let _ = posix_timers::set(saved.id, 0, [0; 2]);
        (saved.left, saved.due) = (left, now.saturating_add(left));
        timer.taken = expired.overruns.saturating_add(1);
        Taken::First
    }

    fn find(&mut self, info: &SignalInfo) -> Option<(Expired, &mut Timer)> {
        let expired = Expired::of(info)?;
        let place = self
            .timers
            .binary_search_by_key(&expired.id, |timer| timer.saved.id)
            .ok()?;
        let timer = &mut self.timers[place];
        (timer.saved.signal == expired.signal).then_some((expired, timer))
    }

    /// Has the timer of a signal that was taken send it again: it is set to the time at which it had expired, so that
    /// the signal stands for as many expirations, and the next one comes when it would have. Whether the signal is one of a
    /// timer.
    pub fn put_back(&mut self, info: &SignalInfo) -> bool {
        let Some((_, Timer { saved, taken, .. })) = self.find(info) else {
            return false;
        };
        let back = saved.interval.saturating_mul(u64::from(*taken));
        let first = saved.due.saturating_sub(back).max(1);
        posix_timers::set(saved.id, n::TIMER_ABSTIME, [saved.interval, first]).is_ok()
    }

    /// Notes that the signal, which was taken, is to be in the image. Whether it is one of a timer.
    pub fn keep(&mut self, info: &SignalInfo) -> bool {
        let Some((_, timer)) = self.find(info) else {
            return false;
        };
        timer.saved.expirations = timer.taken;
        timer.saved.last_signal = PENDING;
        true
    }

    /// Has threads of the restored process receive the last signals of timers once more where the program has received them, so
    /// that the kernel knows again how often the timers had overrun. That takes a number of which nothing else is `pending`, or may
    /// come from another timer: a thread cannot choose between signals of one number.
    pub fn let_receive(
        &mut self,
        initiator: &mut Thread,
        stopped: &mut Stopped,
        pending: &[Pending],
    ) {
        let main = calls::pid();
        let receiver_of = |saved: &PosixTimer| {
            let is_wanted = saved.last_signal == GONE && saved.expirations != 0 && saved.clock >= 0;
            match (is_wanted, saved.thread) {
                (false, _) => NOBODY,
                (true, 0) => main,
                (true, thread) => thread,
            }
        };
        // By number: 0 is not known yet.
        let mut receivers = [0; SIGNALS];
        for pending in pending {
            receivers[pending.signal() as usize - 1] = NOBODY;
        }
        let sends = |saved: &&PosixTimer| {
            saved.notify != n::SIGEV_NONE
                && (saved.left != 0 || saved.expirations != 0 || saved.last_signal == PENDING)
        };
        for saved in self.timers.iter().map(|timer| &timer.saved).filter(sends) {
            let receiver = &mut receivers[saved.signal as usize - 1];
            let wanted = receiver_of(saved);
            *receiver = if *receiver == 0 || *receiver == wanted {
                wanted
            } else {
                NOBODY
            };
        }
        for Timer { saved, .. } in self.timers.iter_mut() {
            if saved.notify == n::SIGEV_NONE || receiver_of(saved) == NOBODY {
                continue;
            }
            let tid = receivers[saved.signal as usize - 1];
            let mut threads = stopped.threads_mut().chain([&mut *initiator]);
            if let Some(thread) = threads.find(|thread| thread.tid == tid) {
                thread.receives(saved.signal);
                saved.last_signal = RECEIVED;
            }
        }
    }

    /// Adds them to what goes into the image.
    ///
    /// # Errors
    /// [`Failure`] if there is no memory for them.
    pub fn write(&self, objects: &mut Objects) -> Result<(), Failure> {
        let mut timers = self.timers.iter();
        timers.try_for_each(|timer| objects.add(&timer.saved))
    }
}

/// Whether it is one of those that have the signal come again for a thread that was put off: a thread that has ended leaves it behind.
fn is_ours(timer: &Listed) -> bool {
    let event = &timer.event;
    let marks = [true, false].map(park::mark);
    event.signal == checkpoint_signal() && marks.contains(&event.value)
}

/// Refuses a clock that a restored process does not have.
fn check_clock(timer: &Listed, is_alone: bool) -> Result<(), Failure> {
    let refuse = |what: &str| {
        Err(failure!(
            "the program has a POSIX timer (id {}) on {what}; delete the timer first",
            timer.id
        ))
    };
    match CpuClock::of(timer.clock) {
        None if timer.clock < 0 => refuse("a device's clock: that is not supported"),
        Some(clock) if clock.of_thread && clock.id == 0 && !is_alone => {
            refuse("the CPU time of a thread that the kernel does not name: that is not supported")
        }
        Some(clock) if clock.id != 0 && !counts_us(clock) => {
            refuse("the CPU time of another process: that is not supported")
        }
        _ => Ok(()),
    }
}

/// Whether the clock counts the time of this process, or of a thread of it.
fn counts_us(clock: CpuClock) -> bool {
    if clock.of_thread {
        calls::tgkill(calls::pid(), clock.id, 0).is_ok()
    } else {
        clock.id == calls::pid()
    }
}

/// What there is to know about one whose signal is not pending.
fn read(timer: &Listed, lives: &dyn Fn(i32) -> bool) -> Result<PosixTimer, Failure> {
    let &Listed { id, clock, event } = timer;
    let now = calls::clock(clock as u32);
    let [interval, left] = posix_timers::read(id).doing(format_args!("POSIX timer {id}"))?;
    // Nobody gets the signals for a thread that has ended.
    let is_heard = event.thread == 0 || lives(event.thread);
    Ok(PosixTimer {
        id,
        clock,
        notify: if is_heard {
            event.notify
        } else {
            n::SIGEV_NONE
        },
        thread: if is_heard { event.thread } else { 0 },
        signal: event.signal,
        value: event.value,
        absolute: u32::from(interpose::is_set_to_a_time(id)),
        left,
        due: now.saturating_add(left),
        interval,
        expirations: match posix_timers::overruns(id) {
            Ok(more @ 1..) => more.saturating_add(1),
            _ => 0,
        },
        last_signal: GONE,
    })
}
