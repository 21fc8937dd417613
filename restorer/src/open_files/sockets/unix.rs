//! Addresses of Unix sockets (unix(7)).

use ckpt_image::objects::sockets::Socket;
use ckpt_sys::sockets::{self, Address};
use ckpt_sys::{Errno, Fd, Line, calls, files};
use linux_raw_sys::general as g;
use linux_raw_sys::net as n;

use super::about;
use crate::open_files::opener::Problem;
use crate::output;

/// Binds a socket to its name. A file that a socket has left behind is replaced, as every server does at its start; one at
/// which somebody else has a socket is not.
pub fn bind(fd: &Fd, socket: &Socket<'_>) -> Result<(), Problem> {
    let name = Address::new(socket.name);
    let problem = about("cannot be bound to", &name);
    let mut path = Line::<128>::new();
    path.push(name.unix_name());
    let is_abstract = path.as_bytes().first() == Some(&0);
    match sockets::bind(fd.number(), &name) {
        Err(Errno::EADDRINUSE) if !is_abstract && is_left_behind(&path, socket, &name) => {
            calls::unlink_at(calls::AT_FDCWD, path.as_c_str()).map_err(&problem)?;
            sockets::bind(fd.number(), &name).map_err(&problem)?;
        }
        bound => bound.map_err(&problem)?,
    }
    if is_abstract {
        return Ok(());
    }
    let path = path.as_c_str();
    calls::change_mode(path, socket.mode & 0o7777).map_err(problem)?;
    let is_own = calls::stat_at(calls::AT_FDCWD, path, 0)
        .is_ok_and(|stat| (stat.st_uid, stat.st_gid) == (socket.uid, socket.gid));
    if !is_own && let Err(errno) = calls::change_owner(path, socket.uid, socket.gid) {
        output::warn(format_args!(
            "descriptor {}: {name} belongs to another user or group now: {errno}; the program goes on",
            socket.description
        ));
    }
    Ok(())
}

/// Whether nobody has a socket at `path`. A socket of another type finds out without being heard: it is refused for its type
/// if there is one (`unix_find_bsd` in net/unix/af_unix.c).
fn is_left_behind(path: &Line<128>, socket: &Socket<'_>, name: &Address) -> bool {
    let is_socket = calls::stat_at(calls::AT_FDCWD, path.as_c_str(), g::AT_SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| files::is_kind(&stat, g::S_IFSOCK));
    let other_kind = match socket.kind {
        n::SOCK_DGRAM => n::SOCK_STREAM,
        _ => n::SOCK_DGRAM,
    };
    is_socket
        && sockets::socket(n::AF_UNIX, other_kind, 0)
            .and_then(|probe| sockets::connect(probe.number(), name))
            == Err(Errno::ECONNREFUSED)
}
