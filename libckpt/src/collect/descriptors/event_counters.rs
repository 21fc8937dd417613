//! Event counters (eventfd(2)).

use ckpt_image::objects::event_counters::EventCounter;
use ckpt_sys::event_counters;

use crate::failure::{Doing, Failure};
use crate::interpose;

/// Reads the one behind the descriptor `number`.
///
/// # Errors
/// [`Failure`] if the kernel does not tell.
pub fn read(number: u32) -> Result<EventCounter, Failure> {
    let shown = event_counters::look(number).doing(format_args!("descriptor {number}"))?;
    Ok(EventCounter {
        description: number,
        semaphore: interpose::is_semaphore(number, &shown).into(),
        count: shown.count,
    })
}
