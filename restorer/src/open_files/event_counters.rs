//! Event counters (eventfd(2)).

use ckpt_image::descriptors::Descriptor;
use ckpt_image::objects::event_counters::EventCounter;
use ckpt_image::reader::Image;
use ckpt_sys::{Fd, calls};
use linux_raw_sys::general as n;

use super::opener::{Problem, failed, set_status};

/// Makes the one that `descriptor` referred to.
pub fn make(descriptor: &Descriptor<'_>, image: &Image<'_>) -> Result<Fd, Problem> {
    let counter = image
        .objects::<EventCounter>()
        .find(|counter| counter.description == descriptor.number)
        .ok_or(Problem::NoState)?;
    let flags = if counter.semaphore != 0 {
        EFD_SEMAPHORE
    } else {
        0
    };
    // The call takes 32 bits of the 64.
    let fd =
        calls::event_counter(0, flags | n::O_NONBLOCK).map_err(failed("cannot be made again"))?;
    if counter.count != 0 {
        calls::write(fd.number(), &counter.count.to_ne_bytes())
            .map_err(failed("cannot be given its count"))?;
    }
    set_status(&fd, descriptor)?;
    Ok(fd)
}

/// `EFD_SEMAPHORE` (include/uapi/linux/eventfd.h).
const EFD_SEMAPHORE: u32 = 1;
