//! Event counters (eventfd(2)).

use ckpt_image::objects::event_counters::EventCounter;
use ckpt_sys::bytes::{decimal, hex};

use super::info::Info;
use crate::failure::{Failure, failure};

/// Reads the one behind the descriptor `number` (`eventfd_show_fdinfo` in fs/eventfd.c).
///
/// # Errors
/// [`Failure`] if the kernel does not tell.
pub fn read(number: u32) -> Result<EventCounter, Failure> {
    let info = Info::read(number)?;
    let count = info.value("eventfd-count").and_then(hex);
    // Since Linux 6.5; without it the counter is taken for the far more common kind.
    let semaphore = info.value("eventfd-semaphore").and_then(decimal);
    Ok(EventCounter {
        description: number,
        semaphore: semaphore.unwrap_or(0) as u32,
        count: count
            .ok_or_else(|| failure!("descriptor {number}: the kernel does not tell its count"))?,
    })
}
