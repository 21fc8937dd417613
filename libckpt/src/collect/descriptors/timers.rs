//! Timers that are read through a descriptor (timerfd_create(2)).

use ckpt_image::objects::timer_descriptors::TimerDescriptor;
use ckpt_sys::bytes::{decimal, number as digits};
use ckpt_sys::calls;

use super::info::Info;
use crate::failure::{Doing, Failure, failure};

/// A timer that is due and has not expired yet looks as though it did not run. So often it is looked at again, after so
/// many nanoseconds.
const LOOKS: u32 = 3;
const PAUSE: u64 = 50_000;

/// Reads the one behind the descriptor `number`.
///
/// # Errors
/// [`Failure`] if the kernel does not tell.
pub fn read(number: u32) -> Result<TimerDescriptor, Failure> {
    let mut timer = look_at(number)?;
    for _ in 0..LOOKS {
        if timer.left != 0 || timer.ticks != 0 {
            break;
        }
        calls::sleep(PAUSE);
        timer = look_at(number)?;
    }
    if timer.left == 0 && timer.ticks != 0 && timer.interval != 0 {
        // It has expired again meanwhile.
        timer.left = 1;
        timer.due += 1;
    }
    Ok(timer)
}

/// What `timerfd_show` in fs/timerfd.c tells, all of it of one moment.
fn look_at(number: u32) -> Result<TimerDescriptor, Failure> {
    // With that the kernel counts the expirations since the one that has not been read, and lets the timer run on.
    calls::count_expirations(number as i32).doing(format_args!("descriptor {number}"))?;
    let info = Info::read(number)?;
    let unknown = |key: &str| failure!("descriptor {number}: the kernel does not tell its {key}");
    let value = |key: &str, base: u64| {
        let value = info.value(key).and_then(|text| digits(text, base));
        value.ok_or_else(|| unknown(key))
    };
    let time = |key: &str| {
        let time = info.value(key).and_then(nanoseconds);
        time.ok_or_else(|| unknown(key))
    };
    let (clock, left) = (value("clockid", 10)? as u32, time("it_value")?);
    Ok(TimerDescriptor {
        description: number,
        clock,
        flags: value("settime flags", 8)? as u32,
        left,
        due: calls::clock(clock).saturating_add(left),
        interval: time("it_interval")?,
        ticks: value("ticks", 10)?,
    })
}

/// A time such as `(3599, 996665990)`, seconds and nanoseconds.
fn nanoseconds(text: &[u8]) -> Option<u64> {
    let inside = text.strip_prefix(b"(")?.strip_suffix(b")")?;
    let comma = inside.iter().position(|&byte| byte == b',')?;
    let seconds = decimal(&inside[..comma])?.checked_mul(1_000_000_000)?;
    seconds.checked_add(decimal(inside[comma + 1..].trim_ascii())?)
}
