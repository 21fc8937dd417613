//! Timers that are read through a descriptor (timerfd_create(2)).

use ckpt_image::objects::timer_descriptors::TimerDescriptor;
use ckpt_sys::bytes::{decimal, number as digits};
use ckpt_sys::calls;

use super::info::Info;
use crate::failure::{Doing, Failure, failure};

/// Reads the one behind the descriptor `number` (`timerfd_show` in fs/timerfd.c).
///
/// # Errors
/// [`Failure`] if the kernel does not tell.
pub fn read(number: u32) -> Result<TimerDescriptor, Failure> {
    // Before its expirations are asked for: this counts those since the one that has not been read.
    let [interval, left] =
        calls::timer_of_descriptor(number as i32).doing(format_args!("descriptor {number}"))?;
    let info = Info::read(number)?;
    let value = |key: &str, base: u64| {
        let value = info.value(key).and_then(|text| digits(text, base));
        value.ok_or_else(|| failure!("descriptor {number}: the kernel does not tell its {key}"))
    };
    let clock = value("clockid", 10)? as u32;
    Ok(TimerDescriptor {
        description: number,
        clock,
        flags: value("settime flags", 8)? as u32,
        left,
        due: calls::clock(clock).saturating_add(left),
        interval,
        ticks: info.value("ticks").and_then(decimal).unwrap_or(0),
    })
}
