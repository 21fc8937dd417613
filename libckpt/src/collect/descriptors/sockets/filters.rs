//! Packet filters of sockets.

use ckpt_image::objects::sockets::{INSTRUCTION, SocketFilter};
use ckpt_sys::{Errno, MapVec, sockets};
use linux_raw_sys::net as n;

use super::Seen;
use crate::collect::descriptors::objects::Objects;
use crate::failure::{Doing, Failure, failure};

/// Refuses a socket with a filter that the kernel does not show, and without which it would receive what it must not.
pub fn check(seen: &Seen) -> Result<(), Failure> {
    length(seen).map(drop)
}

/// Adds the filter of a socket, if it has one.
///
/// # Errors
/// As for [`check`], or there is no memory for it.
pub fn collect(seen: &Seen, objects: &mut Objects) -> Result<(), Failure> {
    let mut instructions = MapVec::new();
    let size = length(seen)? * INSTRUCTION;
    if size == 0 {
        return Ok(());
    }
    instructions
        .extend_zeroed(size)
        .doing(format_args!("memory for a packet filter"))?;
    let number = seen.number;
    sockets::option(
        seen.fd(),
        n::SOL_SOCKET,
        n::SO_GET_FILTER,
        &mut instructions,
    )
    .doing(format_args!(
        "descriptor {number}: the packet filter of a socket"
    ))?;
    let locked = sockets::number_option(seen.fd(), n::SOL_SOCKET, n::SO_LOCK_FILTER);
    let filter = SocketFilter {
        description: number,
        locked: locked.unwrap_or(0),
        instructions: &instructions,
    };
    objects.add_large(&filter, size)
}

/// How many instructions the filter of a socket has; 0 if there is none.
fn length(seen: &Seen) -> Result<usize, Failure> {
    // With no room for them, the kernel returns their number; EACCES if they were not given as such instructions (`sk_get_filter` in
    // net/core/filter.c).
    match sockets::option(seen.fd(), n::SOL_SOCKET, n::SO_GET_FILTER, &mut []) {
        Ok(length) => Ok(length),
        Err(Errno::EOPNOTSUPP | Errno::ENOPROTOOPT) => Ok(0),
        Err(_) => Err(failure!(
            "descriptor {}: a socket with a packet filter in extended BPF is not supported; close it first",
            seen.number
        )),
    }
}
