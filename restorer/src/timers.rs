//! Timers: when they expire in the restored process.

use ckpt_image::objects::posix_timers::PosixTimer;
use ckpt_sys::posix_timers::CpuClock;
use linux_raw_sys::general as n;

use crate::threads::{Renamed, new_id};

/// What a timer was about to do, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    /// Its clock.
    pub clock: i32,
    /// Whether it was set to a time of its clock.
    pub absolute: bool,
    /// The time left.
    pub left: u64,
    /// Its next expiration on its clock.
    pub due: u64,
}

impl Next {
    /// The next expiration on its clock, which shows `now`. One that was set to a time of its clock keeps that, unless the
    /// clock is another one since (`same_clocks` says whether those that count from a boot are the same); others keep the
    /// time that was left.
    #[must_use]
    pub fn on_its_clock(&self, same_clocks: bool, now: u64) -> u64 {
        if self.absolute && is_the_same_clock(self.clock, same_clocks) {
            self.due
        } else {
            now.saturating_add(self.left)
        }
    }

    /// What to set it to again, in the same way as it was set.
    #[must_use]
    pub fn first(&self, same_clocks: bool, now: u64) -> u64 {
        if self.absolute {
            self.on_its_clock(same_clocks, now)
        } else {
            self.left
        }
    }
}

/// Whether the clock shows a later time than at the checkpoint.
fn is_the_same_clock(clock: i32, same_clocks: bool) -> bool {
    const OF_THE_WORLD: [u32; 3] = [n::CLOCK_REALTIME, n::CLOCK_REALTIME_ALARM, n::CLOCK_TAI];
    match u32::try_from(clock) {
        Ok(clock) => OF_THE_WORLD.contains(&clock) || same_clocks,
        // The CPU time of a process begins with it.
        Err(_) => false,
    }
}

/// How to set a POSIX timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Whether to a time of its clock.
    pub absolute: bool,
    /// When it expires first, in nanoseconds.
    pub first: u64,
}

/// How to set `timer`, whose clock shows `now`; `None` if it does not run.
#[must_use]
pub fn setting(timer: &PosixTimer, same_clocks: bool, now: u64) -> Option<Setting> {
    let next = next(timer);
    (timer.left != 0).then(|| Setting {
        absolute: next.absolute,
        first: next.first(same_clocks, now),
    })
}

/// How to set `timer` so that it sends its last signal again at once: to the time at which it had expired. The signal then
/// stands for as many expirations, and the next one comes when it would have.
#[must_use]
pub fn setting_with_signal(timer: &PosixTimer, same_clocks: bool, now: u64) -> Setting {
    let back = timer.interval.saturating_mul(timer.expirations.into());
    let due = next(timer).on_its_clock(same_clocks, now);
    Setting {
        absolute: true,
        first: due.saturating_sub(back).max(1),
    }
}

fn next(timer: &PosixTimer) -> Next {
    Next {
        clock: timer.clock,
        absolute: timer.absolute != 0,
        left: timer.left,
        due: timer.due,
    }
}

/// `clock` in the restored process, of which `threads`, which ascend by their old ids, are the threads and `pid` was the id;
/// `None` if it counts the time of something else.
#[must_use]
pub fn clock_now(clock: i32, pid: i32, threads: &[Renamed]) -> Option<i32> {
    let Some(counted) = CpuClock::of(clock) else {
        return (clock >= 0).then_some(clock);
    };
    let id = match (counted.id, counted.of_thread) {
        (0, _) => 0,
        (id, false) if id == pid => 0,
        (_, false) => return None,
        (id, true) => new_id(id as u32, threads)? as i32,
    };
    Some(counted.with_id(id).number())
}

#[cfg(test)]
mod tests {
    use ckpt_image::objects::posix_timers::PENDING;

    use super::*;

    const MONOTONIC: i32 = n::CLOCK_MONOTONIC as i32;
    const CPU: i32 = -6;

    fn next(clock: i32, absolute: bool) -> Next {
        Next {
            clock,
            absolute,
            left: 50,
            due: 1050,
        }
    }

    #[test]
    fn a_time_of_a_clock_is_kept_as_long_as_the_clock_is() {
        let kept = next(MONOTONIC, true).first(true, 2000);
        assert_eq!(kept, 1050);
        assert_eq!(next(MONOTONIC, true).first(false, 2000), 2050);
        let of_the_world = next(n::CLOCK_REALTIME as i32, true);
        assert_eq!(of_the_world.first(false, 2000), 1050);
        assert_eq!(next(CPU, true).first(true, 1), 51);
        assert_eq!(next(MONOTONIC, false).first(true, 2000), 50);
    }

    fn timer(expirations: u32, interval: u64, left: u64) -> PosixTimer {
        PosixTimer {
            id: 0,
            clock: MONOTONIC,
            notify: n::SIGEV_SIGNAL,
            thread: 0,
            signal: 10,
            value: 0,
            absolute: 0,
            left,
            due: 1000 + left,
            interval,
            expirations,
            last_signal: PENDING,
        }
    }

    #[test]
    fn a_signal_that_is_sent_again_stands_for_as_many_expirations() {
        let first = |timer| setting_with_signal(&timer, true, 5000).first;
        assert_eq!(first(timer(3, 100, 40)), 4740);
        assert_eq!(first(timer(1, 0, 0)), 5000);
        assert_eq!(first(timer(99, 100, 40)), 1);
    }

    #[test]
    fn a_timer_that_does_not_run_is_not_set() {
        let at = |timer| setting(&timer, true, 5000);
        assert_eq!(at(timer(0, 100, 0)), None);
        let relative = Setting {
            absolute: false,
            first: 40,
        };
        assert_eq!(at(timer(0, 100, 40)), Some(relative));
    }

    #[test]
    fn clocks_of_threads_are_those_of_the_new_ones() {
        let threads = [(10, 30), (11, 31)].map(|(old, new)| Renamed { old, new });
        let of_thread = |id| CpuClock::of_thread(id).number();
        assert_eq!(clock_now(1, 10, &threads), Some(1));
        assert_eq!(clock_now(of_thread(11), 10, &threads), Some(of_thread(31)));
        assert_eq!(clock_now(of_thread(12), 10, &threads), None);
        assert_eq!(clock_now(CPU, 10, &threads), Some(CPU));
        assert_eq!(clock_now(!10 << 3 | 2, 10, &threads), Some(CPU));
        assert_eq!(clock_now(!9 << 3 | 2, 10, &threads), None);
        assert_eq!(clock_now(-5, 10, &threads), None);
    }
}
