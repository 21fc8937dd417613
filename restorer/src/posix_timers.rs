//! Makes the program's POSIX timers (timer_create(2)) again, with their ids.

use ckpt_image::objects::posix_timers::{GONE, PosixTimer};
use ckpt_image::reader::Image;
use ckpt_sys::posix_timers::{self, Event};
use ckpt_sys::{Errno, calls};
use linux_raw_sys::general as n;
use restart::report::{Cause, Error, Exit, Object};
use restart::threads::{Renamed, new_id};
use restart::timers::{Setting, clock_now, setting, setting_with_signal};

use crate::Result;
use crate::host::Machine;

/// The highest id that a timer may have on a kernel that does not let us choose it: it gives ids away one after the other, so as many
/// timers have to be made and deleted. That takes a second.
const HIGHEST_BY_COUNTING: i32 = 1 << 20;

fn error(cause: Cause<'static>, remedy: &'static str) -> Error<'static> {
    Error::new(
        Exit::Resource,
        Object::Thing("POSIX timers of the program"),
        cause,
        remedy,
    )
}

/// Makes all of them. They do not run yet. The threads have their new ids, which `threads` says.
pub fn create(image: &Image<'static>, threads: &[Renamed]) -> Result<()> {
    let mut timers = image.objects::<PosixTimer>().peekable();
    if timers.peek().is_none() {
        return Ok(());
    }
    let chooses = posix_timers::choose_ids(true).is_ok();
    let created = timers.try_for_each(|timer| create_one(image, &timer, threads, chooses));
    if chooses {
        let _ = posix_timers::choose_ids(false);
    }
    created
}

fn create_one(
    image: &Image<'_>,
    timer: &PosixTimer,
    threads: &[Renamed],
    chooses: bool,
) -> Result<()> {
    let clock = clock_now(timer.clock, image.header.pid, threads).ok_or_else(|| {
        error(
            Cause::Because("one has a clock that is not there"),
            "take a new checkpoint",
        )
    })?;
    let event = Event {
        notify: timer.notify,
        signal: timer.signal,
        value: timer.value,
        // The reader has checked that the thread is there.
        thread: new_id(timer.thread as u32, threads).unwrap_or(0) as i32,
    };
    let failed = |errno: Errno| {
        error(
            Cause::Failed("cannot make one again", errno),
            "raise the limit of queued signals (ulimit -i)",
        )
    };
    if chooses {
        posix_timers::create(clock, &event, Some(timer.id)).map_err(failed)?;
    } else {
        if timer.id > HIGHEST_BY_COUNTING {
            return Err(error(
                Cause::Because("one has an id that this kernel does not let us choose"),
                "use Linux 6.15 or later",
            ));
        }
        loop {
            let id = posix_timers::create(clock, &event, None).map_err(failed)?;
            if id >= timer.id {
                break;
            }
            posix_timers::delete(id).map_err(failed)?;
        }
    }
    Ok(())
}

/// Has them run. Signals come from now on.
pub fn start(image: &Image<'static>, machine: &Machine, threads: &[Renamed]) -> Result<()> {
    let same_clocks = machine.has_clocks_of(image);
    for timer in image.objects::<PosixTimer>() {
        let clock = clock_now(timer.clock, image.header.pid, threads).unwrap_or(timer.clock);
        let now = calls::clock(clock as u32);
        let setting = if timer.last_signal == GONE {
            setting(&timer, same_clocks, now)
        } else {
            Some(setting_with_signal(&timer, same_clocks, now))
        };
        let Some(Setting { absolute, first }) = setting else {
            continue;
        };
        let flags = if absolute { n::TIMER_ABSTIME } else { 0 };
        posix_timers::set(timer.id, flags, [timer.interval, first])
            .map_err(|errno| error(Cause::Failed("cannot set one", errno), "use a newer kernel"))?;
    }
    Ok(())
}
