//! Addresses of Unix sockets (unix(7)).

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use ckpt_image::objects::sockets::{Socket, State};
use ckpt_sys::sockets::{self, Address};
use ckpt_sys::{Errno, Fd, Line, calls, files};
use linux_raw_sys::general as g;
use linux_raw_sys::net as n;

use super::{Entry, about};
use crate::open_files::opener::Problem;
use crate::output;

/// Binds a socket to its name, and gives the file the permissions and the owner that it had.
pub fn bind(fd: &Fd, socket: &Socket<'_>) -> Result<(), Problem> {
    let name = Address::new(socket.name);
    let problem = about("cannot be bound to", &name);
    let path = path_of(&name);
    if is_abstract(&path) {
        return bind_to(fd, &path, &name).map_err(problem);
    }
    // The file gets the permissions of the socket (`unix_bind_bsd` in net/unix/af_unix.c). Whoever may write to the directory might
    // have another file there when it is bound.
    calls::fchmod(fd.number(), socket.mode & 0o7777).map_err(&problem)?;
    let umask = calls::umask(0).unwrap_or(0);
    let bound = bind_to(fd, &path, &name);
    let _ = calls::umask(umask as u32);
    bound.map_err(problem)?;
    if let Err(errno) = give_owner(&path, socket) {
        output::warn(format_args!(
            "descriptor {}: {name} belongs to another user or group now: {errno}; the program goes on",
            socket.description
        ));
    }
    Ok(())
}

/// Gives the file of a socket, which we have just made, to its owner.
fn give_owner(path: &Line<128>, socket: &Socket<'_>) -> Result<(), Errno> {
    let file = calls::open(path.as_c_str(), g::O_PATH | g::O_NOFOLLOW)?;
    let stat = calls::fstat(file.number())?;
    if (stat.st_uid, stat.st_gid) == (socket.uid, socket.gid) {
        return Ok(());
    }
    if !files::is_kind(&stat, g::S_IFSOCK) {
        // It is there no more.
        return Err(Errno::ENOENT);
    }
    calls::change_owner(file.number(), socket.uid, socket.gid)
}

fn path_of(name: &Address) -> Line<128> {
    let mut path = Line::new();
    path.push(name.unix_name());
    path
}

fn is_abstract(path: &Line<128>) -> bool {
    path.as_bytes().first() == Some(&0)
}

/// How long names may stay with sockets that nobody has any more, all in all, in milliseconds.
static PATIENCE: AtomicU32 = AtomicU32::new(200);

/// Binds a socket. A file that a socket has left behind is replaced, as every server does at its start; one at which somebody else has
/// a socket is not.
fn bind_to(fd: &Fd, path: &Line<128>, name: &Address) -> Result<(), Errno> {
    loop {
        let bound = sockets::bind(fd.number(), name);
        if bound != Err(Errno::EADDRINUSE) {
            return bound;
        }
        if !is_abstract(path) && is_left_behind(path, name) {
            calls::unlink_at(calls::AT_FDCWD, path.as_c_str())?;
            continue;
        }
        // Those of the process that was killed may be in each other's queues. The kernel looks for such when a socket is closed
        // (`unix_release_sock` in net/unix/af_unix.c), and takes its time.
        match PATIENCE.load(Relaxed) {
            0 => return bound,
            patience => PATIENCE.store(patience - 1, Relaxed),
        }
        drop(sockets::socket(n::AF_UNIX, n::SOCK_DGRAM, 0));
        calls::sleep(1_000_000);
    }
}

/// Binds a socket to a name that is removed at once. Its file: as long as that is open, the socket can be sent to. A name that somebody
/// else has is only worth more than a line where the socket listens, which none without a name can.
pub fn bind_and_remove(fd: &Fd, socket: &Socket<'_>) -> Result<Option<Fd>, Problem> {
    let name = Address::new(socket.name);
    let path = path_of(&name);
    let flags = g::O_PATH | g::O_NOFOLLOW | g::O_CLOEXEC;
    let made = bind_to(fd, &path, &name).and_then(|()| {
        let file = calls::open(path.as_c_str(), flags)?;
        calls::unlink_at(calls::AT_FDCWD, path.as_c_str())?;
        Ok(file)
    });
    match made {
        Ok(file) => Ok(Some(file)),
        Err(errno) if socket.state() == State::Listening => {
            Err(about("cannot be bound to", &name)(errno))
        }
        Err(errno) => {
            output::warn(format_args!(
                "descriptor {}: its name {name}, whose file had been removed, cannot be given to it again: {errno}; the program goes on",
                socket.description
            ));
            Ok(None)
        }
    }
}

/// The address of a socket whose name is removed, for as long as its file is open (proc_pid_fd(5)).
pub fn address_by_file(entry: &Entry) -> Option<Address> {
    let path = Line::<32>::format(format_args!("/proc/self/fd/{}", entry.file));
    let mut bytes = [0; 34];
    bytes[..2].copy_from_slice(&(n::AF_UNIX as u16).to_ne_bytes());
    let length = path.as_bytes().len();
    bytes[2..2 + length].copy_from_slice(path.as_bytes());
    (entry.file >= 0).then(|| Address::new(&bytes[..3 + length]))
}

/// Whether nobody has a socket at `path`. A datagram socket finds out without being heard: one of another type refuses it for its own
/// (`unix_find_bsd` in net/unix/af_unix.c), and one of the same learns nothing of who might send to it.
fn is_left_behind(path: &Line<128>, name: &Address) -> bool {
    let is_socket = calls::stat_at(calls::AT_FDCWD, path.as_c_str(), g::AT_SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| files::is_kind(&stat, g::S_IFSOCK));
    is_socket
        && sockets::socket(n::AF_UNIX, n::SOCK_DGRAM, 0)
            .and_then(|probe| sockets::connect(probe.number(), name))
            == Err(Errno::ECONNREFUSED)
}
