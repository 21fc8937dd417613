//! Unix sockets.

use ckpt_image::objects::sockets::{NAME_REMOVED, State, WAS_RESET};
use ckpt_sys::calls::Stat;
use ckpt_sys::socket_diagnosis::{Diagnosis, Diagnostics};
use ckpt_sys::sockets::{self, Address};
use ckpt_sys::{Errno, Line, calls, files};
use linux_raw_sys::general as n;
use linux_raw_sys::net;

use super::Seen;
use crate::failure::{Failure, failure};

/// Finds out who the peer of a Unix socket is, how far it has come, and where its name leads.
pub fn look_at(seen: &mut Seen, diagnostics: &mut Option<Diagnostics>) -> Result<(), Failure> {
    // A name is the family and no more if there is none.
    for name in [&mut seen.name, &mut seen.peer_name] {
        if name.as_bytes().len() <= 2 {
            *name = Address::NONE;
        }
    }
    let listens = sockets::number_option(seen.fd(), net::SOL_SOCKET, net::SO_ACCEPTCONN) == Ok(1);
    let found = match diagnose(seen, diagnostics) {
        // Whoever started the program is most often the peer.
        Err(_) if seen.number <= 2 && !listens => Diagnosis {
            peer: Some(0),
            ..Diagnosis::default()
        },
        found => found?,
    };
    seen.shut_down = found.shut_down;
    if listens {
        (seen.backlog, seen.waiting) = (found.backlog, found.waiting);
    }
    seen.peer = found.peer.filter(|&inode| inode != 0).map(u64::from);
    let hung_up = seen.ready & n::POLLHUP != 0;
    // Who has closed it has hung up, too.
    seen.waits_to_be_accepted = seen.has_connection() && found.peer == Some(0) && !hung_up;
    let is_named = !seen.peer_name.as_bytes().is_empty();
    seen.state = match found.peer {
        _ if listens => State::Listening,
        None => State::Unconnected,
        Some(_) if seen.has_connection() && hung_up => State::Ended,
        Some(_) if seen.has_connection() => State::Outside,
        // Whoever has the name then is who is meant.
        Some(_) if is_named => State::Unconnected,
        Some(0) => State::Ended,
        Some(_) => State::Outside,
    };
    if seen.has_error() && seen.kind != net::SOCK_STREAM && sockets::received(seen.fd()) != Ok(0) {
        return Err(failure!(
            "descriptor {}: an error waits in the socket (SO_ERROR), and nobody can look at what it has received behind that; send the signal \
             again when the program has been told of it",
            seen.number
        ));
    }
    // A Unix socket has no other error.
    if seen.has_error() && seen.state == State::Ended && seen.has_connection() {
        seen.shut_down |= WAS_RESET;
    }
    if seen.has_connection() && !matches!(seen.state, State::Unconnected | State::Listening) {
        // An end of a connection has the name of the socket that has accepted it.
        return Ok(());
    }
    look_at_file(seen, found.file)
}

fn diagnose(seen: &Seen, diagnostics: &mut Option<Diagnostics>) -> Result<Diagnosis, Failure> {
    let opened = match diagnostics.take() {
        Some(open) => Ok(open),
        None => Diagnostics::open(),
    };
    opened
        .and_then(|open| diagnostics.insert(open).of(seen.inode as u32))
        .map_err(|errno| {
            failure!(
                "descriptor {}: the kernel does not say who the peer of this Unix socket is (sock_diag(7)): {errno}; \
                 let the program use netlink sockets, or close it first",
                seen.number
            )
        })
}

/// Looks at the file that a Unix socket is bound to, whose inode is `file`. One that was removed is made for a moment at a restart; one that
/// was renamed would be missed by those who use it.
fn look_at_file(seen: &mut Seen, file: Option<u32>) -> Result<(), Failure> {
    let name = seen.name;
    let path = name.unix_name();
    if path.is_empty() || path[0] == 0 {
        return Ok(());
    }
    let mut line = Line::<128>::new();
    line.push(path);
    let path = line;
    let is_own = |stat: &Stat| {
        files::is_kind(stat, n::S_IFSOCK) && file.is_none_or(|inode| inode == stat.st_ino as u32)
    };
    let stat = calls::stat_at(calls::AT_FDCWD, path.as_c_str(), 0);
    if let Ok(stat) = stat
        && is_own(&stat)
    {
        seen.file = [stat.st_mode & 0o7777, stat.st_uid, stat.st_gid];
        return Ok(());
    }
    let is_gone = matches!(stat, Ok(_) | Err(Errno::ENOENT | Errno::ENOTDIR));
    if path.as_bytes().starts_with(b"/") && is_gone {
        match other_name(&path, is_own) {
            Ok(None) => {
                seen.file = [NAME_REMOVED, 0, 0];
                return Ok(());
            }
            Ok(Some(other)) => {
                return Err(failure!(
                    "descriptor {}: the file of the socket that was bound to {path} is called {other} now; bind it to the name that it is to have",
                    seen.number
                ));
            }
            Err(_) => {}
        }
    }
    Err(failure!(
        "descriptor {}: its name {path} does not lead to this socket any more; bind it to an absolute path",
        seen.number
    ))
}

/// The name that the file of a socket has in the directory where it was made, if it is still there.
fn other_name(
    path: &Line<128>,
    is_own: impl Fn(&Stat) -> bool,
) -> Result<Option<Line<256>>, Errno> {
    let mut directory = *path;
    let end = path.as_bytes().iter().rposition(|&byte| byte == b'/');
    directory.truncate(end.map_or(0, |end| end + 1));
    let directory = match calls::open(
        directory.as_c_str(),
        n::O_RDONLY | n::O_DIRECTORY | n::O_CLOEXEC,
    ) {
        Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(None),
        opened => opened?,
    };
    let mut found = None;
    files::for_each_entry(&directory, |name| {
        if calls::stat_at(directory.number(), name, n::AT_SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| is_own(&stat))
        {
            let mut line = Line::new();
            line.push(name.to_bytes());
            found = Some(line);
        }
        found.is_none()
    })?;
    Ok(found)
}
