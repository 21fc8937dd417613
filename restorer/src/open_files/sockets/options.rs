//! Options of sockets.

use ckpt_image::objects::sockets::{MAX_OPTION, Socket, SocketOption};
use ckpt_sys::{Errno, sockets};
use linux_raw_sys::net as n;
use restart::sockets::{Making, When, is_default, when};

use crate::open_files::opener::Problem;
use crate::output;

/// Sets those options whose time is `now` and that are not as they should be.
pub fn set(fd: i32, socket: &Socket<'_>, making: Making, now: When) -> Result<(), Problem> {
    let mut failed = None;
    for option in socket.options() {
        if when(&option, socket, making) != now {
            continue;
        }
        match set_one(fd, &option) {
            Ok(()) => {}
            // The program relies on it that nobody else's packets come in.
            Err(errno) if making == Making::Alone && is_device(&option) => {
                return Err(Problem::Failed("cannot be bound to its device", errno));
            }
            Err(errno) => failed = failed.or(Some((option, errno))),
        }
    }
    if let Some((option, errno)) = failed.filter(|_| making == Making::Alone) {
        output::warn(format_args!(
            "descriptor {}: a socket cannot be given its option {} of level {}: {errno}; the program goes on",
            socket.description, option.name, option.level
        ));
    }
    Ok(())
}

fn is_device(option: &SocketOption<'_>) -> bool {
    (option.level, option.name) == (n::SOL_SOCKET, n::SO_BINDTODEVICE)
}

fn set_one(fd: i32, option: &SocketOption<'_>) -> Result<(), Errno> {
    let &SocketOption { level, name, value } = option;
    let (n::SOL_SOCKET, n::SO_SNDBUF | n::SO_RCVBUF) = (level, name) else {
        let mut current = [0; MAX_OPTION];
        let length = sockets::option(fd, level, name, &mut current);
        return match length {
            Ok(length) if current.get(..length) == Some(value) => Ok(()),
            Err(Errno::ENOPROTOOPT | Errno::EOPNOTSUPP) if is_default(option) => Ok(()),
            _ => sockets::set_option(fd, level, name, value),
        };
    };
    // Also if it has that size: one that was set is not tuned by the kernel any more.
    // What is read is twice what was set (socket(7)).
    let size = value
        .first_chunk()
        .map_or(0, |raw| i32::from_ne_bytes(*raw))
        / 2;
    let privileged = if name == n::SO_SNDBUF {
        n::SO_SNDBUFFORCE
    } else {
        n::SO_RCVBUFFORCE
    };
    sockets::set_option(fd, level, privileged, &size.to_ne_bytes())
        .or_else(|_| sockets::set_option(fd, level, name, &size.to_ne_bytes()))
}

/// Lets a socket send as much at once as it may, until the value is handed back.
pub fn make_room(fd: i32) -> u32 {
    let size = sockets::number_option(fd, n::SOL_SOCKET, n::SO_SNDBUF).unwrap_or(0);
    let most = (i32::MAX / 2) as u32;
    let _ = sockets::set_number_option(fd, n::SOL_SOCKET, n::SO_SNDBUFFORCE, most)
        .or_else(|_| sockets::set_number_option(fd, n::SOL_SOCKET, n::SO_SNDBUF, most));
    size
}

/// Takes back what [`make_room`] has done.
pub fn take_room_back(fd: i32, size: u32) {
    let _ = sockets::set_number_option(fd, n::SOL_SOCKET, n::SO_SNDBUF, size / 2);
    // The kernel may tune it again.
    let _ = sockets::set_number_option(fd, n::SOL_SOCKET, n::SO_BUF_LOCK, 0);
}
