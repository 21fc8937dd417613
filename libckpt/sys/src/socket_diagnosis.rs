//! What the kernel says about a Unix socket when it is asked by sock_diag(7): nothing else tells which socket is the peer.

use crate::{Errno, Fd, calls, sockets};
use linux_raw_sys::{net, netlink};

/// `SOCK_DIAG_BY_FAMILY` (include/uapi/linux/sock_diag.h).
const SOCK_DIAG_BY_FAMILY: u16 = 20;

/// `UDIAG_SHOW_VFS`, `UDIAG_SHOW_PEER` and `UDIAG_SHOW_RQLEN` (include/uapi/linux/unix_diag.h).
const SHOW_FILE: u32 = 2;
const SHOW_PEER: u32 = 4;
const SHOW_QUEUE_LENGTH: u32 = 16;

/// `UNIX_DIAG_VFS`, `UNIX_DIAG_PEER`, `UNIX_DIAG_RQLEN`, `UNIX_DIAG_SHUTDOWN` (the same file).
const FILE: u16 = 1;
const PEER: u16 = 2;
const QUEUE_LENGTH: u16 = 4;
const SHUT_DOWN: u16 = 6;

/// Lengths of `struct nlmsghdr`, `struct unix_diag_req`, `struct unix_diag_msg` and `struct nlattr`.
const HEADER: usize = 16;
const REQUEST: usize = 24;
const MESSAGE: usize = 16;
const ATTRIBUTE: usize = 4;

/// What was said about one socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Diagnosis {
    /// Inode of the peer; 0 if that one is closed or was never accepted.
    pub peer: Option<u32>,
    /// The lower half of the inode of the file that it is bound to. The device that stands beside it is not always the one of stat(2).
    pub file: Option<u32>,
    /// How many connections wait to be accepted, where the socket listens.
    pub waiting: u32,
    /// How many may.
    pub backlog: u32,
    /// Bit 0: it does not receive any more, bit 1: it does not send any more.
    pub shut_down: u32,
}

/// A way to ask.
#[derive(Debug)]
pub struct Diagnostics(Fd);

impl Diagnostics {
    /// Opens it.
    ///
    /// # Errors
    /// Those of socket(2), for example in a sandbox.
    pub fn open() -> Result<Self, Errno> {
        sockets::socket(net::AF_NETLINK, net::SOCK_DGRAM, netlink::NETLINK_SOCK_DIAG).map(Self)
    }

    /// Asks about the Unix socket with this inode.
    ///
    /// # Errors
    /// Those of sendmsg(2) and recvmsg(2), or what the kernel answers.
    pub fn of(&self, inode: u32) -> Result<Diagnosis, Errno> {
        const NO_COOKIE: u32 = u32::MAX;
        const ALL_STATES: u32 = u32::MAX;
        let kind = u32::from(SOCK_DIAG_BY_FAMILY) | netlink::NLM_F_REQUEST << 16;
        let words = [
            (HEADER + REQUEST) as u32,
            kind,
            0,
            0,
            net::AF_UNIX,
            ALL_STATES,
            inode,
            SHOW_FILE | SHOW_PEER | SHOW_QUEUE_LENGTH,
            NO_COOKIE,
            NO_COOKIE,
        ];
        let mut request = [0; HEADER + REQUEST];
        for (place, word) in request.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        let nothing_else = sockets::Extras {
            to: None,
            rights: &[],
            credentials: None,
        };
        sockets::send(self.0.number(), &request, &nothing_else)?;
        let mut answer = [0; 1024];
        let length = calls::read(self.0.number(), &mut answer)?;
        parse(&answer[..length])
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let raw = bytes.get(at..at + 4)?;
    Some(u32::from_ne_bytes([raw[0], raw[1], raw[2], raw[3]]))
}

fn parse(answer: &[u8]) -> Result<Diagnosis, Errno> {
    let kind = word(answer, 4).ok_or(Errno::EIO)? as u16;
    if u32::from(kind) == netlink::NLMSG_ERROR {
        let error = word(answer, HEADER).unwrap_or(0) as i32;
        return Err(Errno(error.unsigned_abs() as u16));
    }
    let mut found = Diagnosis::default();
    let mut rest = answer.get(HEADER + MESSAGE..).unwrap_or_default();
    while let Some(header) = word(rest, 0) {
        let (length, kind) = ((header & 0xffff) as usize, (header >> 16) as u16);
        if length < ATTRIBUTE {
            break;
        }
        match kind {
            FILE => found.file = word(rest, ATTRIBUTE),
            PEER => found.peer = word(rest, ATTRIBUTE),
            QUEUE_LENGTH => {
                found.waiting = word(rest, ATTRIBUTE).unwrap_or(0);
                found.backlog = word(rest, ATTRIBUTE + 4).unwrap_or(0);
            }
            SHUT_DOWN => found.shut_down = rest.get(ATTRIBUTE).copied().unwrap_or(0).into(),
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_a_pair_are_peers() {
        let (here, there) = sockets::pair(net::SOCK_STREAM).unwrap();
        let inode = |fd: &Fd| calls::fstat(fd.number()).unwrap().st_ino as u32;
        let diagnostics = Diagnostics::open().unwrap();
        let found = diagnostics.of(inode(&here)).unwrap();
        assert_eq!((found.peer, found.shut_down), (Some(inode(&there)), 0));
        sockets::shut_down(there.number(), net::SHUT_WR).unwrap();
        assert_eq!(diagnostics.of(inode(&here)).unwrap().shut_down, 1);
        drop(there);
        assert_eq!(diagnostics.of(inode(&here)).unwrap().peer, Some(0));
    }

    #[test]
    fn what_does_not_exist_is_an_error() {
        assert_eq!(Diagnostics::open().unwrap().of(1), Err(Errno::ENOENT));
    }
}
