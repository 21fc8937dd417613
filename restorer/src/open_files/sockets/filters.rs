//! Packet filters of sockets.

use ckpt_image::objects::sockets::SocketFilter;
use ckpt_image::reader::Image;
use ckpt_sys::sockets;
use linux_raw_sys::net as n;
use restart::sockets::{When, when_filtered};

use super::{Entry, has_messages};
use crate::open_files::opener::{Problem, failed};

/// Gives the socket of `entry`, which is at `fd`, its packet filter, if it had one, and the time for it is `now`.
pub fn attach(fd: i32, entry: &Entry, image: &Image<'_>, now: When) -> Result<(), Problem> {
    let Entry { socket, making, .. } = entry;
    let Some(filter) = image
        .objects::<SocketFilter<'_>>()
        .find(|filter| filter.description == socket.description)
    else {
        return Ok(());
    };
    if when_filtered(socket, *making, has_messages(socket, image)) != now {
        return Ok(());
    }
    let (instructions, _) = filter.instructions.as_chunks();
    sockets::attach_filter(fd, instructions)
        .map_err(failed("cannot be given its packet filter"))?;
    if filter.locked != 0 {
        sockets::set_number_option(fd, n::SOL_SOCKET, n::SO_LOCK_FILTER, 1)
            .map_err(failed("cannot have its packet filter locked"))?;
    }
    Ok(())
}
