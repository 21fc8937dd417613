//! Descriptors through which signals are read (signalfd(2)).

use ckpt_image::objects::signal_descriptors::SignalDescriptor;
use ckpt_sys::bytes::hex;

use super::info::Info;
use crate::failure::{Failure, failure};

/// Reads the one behind the descriptor `number` (`signalfd_show_fdinfo` in fs/signalfd.c).
///
/// # Errors
/// [`Failure`] if the kernel does not tell.
pub fn read(number: u32) -> Result<SignalDescriptor, Failure> {
    let info = Info::read(number)?;
    let mask = info.value("sigmask").and_then(hex);
    Ok(SignalDescriptor {
        description: number,
        mask: mask
            .ok_or_else(|| failure!("descriptor {number}: the kernel does not tell its signals"))?,
    })
}
