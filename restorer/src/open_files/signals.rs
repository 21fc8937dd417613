//! Descriptors through which signals are read (signalfd(2)).

use ckpt_image::descriptors::Descriptor;
use ckpt_image::objects::signal_descriptors::SignalDescriptor;
use ckpt_image::reader::Image;
use ckpt_sys::{Fd, calls};

use super::opener::{Problem, failed, set_status};

/// Makes the one that `descriptor` referred to.
pub fn make(descriptor: &Descriptor<'_>, image: &Image<'_>) -> Result<Fd, Problem> {
    let saved = image
        .objects::<SignalDescriptor>()
        .find(|saved| saved.description == descriptor.number)
        .ok_or(Problem::NoState)?;
    let fd = calls::signal_descriptor(saved.mask).map_err(failed("cannot be made again"))?;
    set_status(&fd, descriptor)?;
    Ok(fd)
}
