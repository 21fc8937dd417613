//! Whom the kernel names as the peer of a Unix socket (`SO_PEERCRED` and `SO_PEERGROUPS`, unix(7)): who made the pair, or who had the
//! other socket listen.

use core::fmt::Write;

use ckpt_image::credentials::Credentials;
use ckpt_image::objects::sockets::{MAX_OPTION, Socket, State};
use ckpt_sys::{Errno, MapVec, calls, sockets};
use linux_raw_sys::{net as n, prctl as p};
use restart::report::Composer;
use restart::sockets::{Making, peer_groups, peer_ids};

use super::{Entry, NONE, Sockets};
use crate::output;

/// Does what has the kernel note who we are, under the ids that it had noted for `socket`, if we may have them.
pub fn under_ids<T>(
    socket: &Socket<'_>,
    credentials: &Credentials<'_>,
    note: impl FnOnce() -> Result<T, Errno>,
) -> Result<T, Errno> {
    let own = [calls::geteuid(), calls::getegid()].map(|id| id.unwrap_or_default() as u32);
    let (Some(wanted), 0) = (peer_ids(socket), own[0]) else {
        // Only root gets back all that it had: whoever stops being root loses its capabilities (capabilities(7)).
        return note();
    };
    let own_groups = calls::groups()?;
    let mut groups = MapVec::new();
    let noted = peer_groups(socket).unwrap_or(credentials.groups);
    let (noted, _) = noted.as_chunks::<4>();
    for &group in noted {
        groups.push(u32::from_le_bytes(group))?;
    }
    if wanted == own && *groups == *own_groups {
        return note();
    }
    let dumpable = dumpable(p::PR_GET_DUMPABLE, 0);
    // Who may not is told of that when all sockets are there.
    let _ = calls::set_groups(&groups);
    let _ = set_group(wanted[1]).and_then(|()| set_user(wanted[0]));
    let noted = note();
    // The user first, whose privilege the groups may need.
    set_user(own[0])?;
    set_group(own[1])?;
    // In a namespace of a user's own nobody may change them (user_namespaces(7)), so they are what they were.
    let _ = calls::set_groups(&own_groups);
    if dumpable == Ok(1) {
        // Else our own files in /proc are root's now (PR_SET_DUMPABLE in prctl(2)).
        let _ = self::dumpable(p::PR_SET_DUMPABLE, 1);
    }
    noted
}

const UNCHANGED: u32 = u32::MAX;

fn set_user(user: u32) -> Result<(), Errno> {
    calls::setresuid(UNCHANGED, user, UNCHANGED).map(drop)
}

fn set_group(group: u32) -> Result<(), Errno> {
    calls::setresgid(UNCHANGED, group, UNCHANGED).map(drop)
}

fn dumpable(option: u32, value: usize) -> Result<usize, Errno> {
    // SAFETY: both options take a number.
    unsafe { calls::prctl(option, [value, 0, 0, 0]) }
}

impl Sockets {
    /// One line, however many sockets have others for their peers now. What has lost its peer has a line of its own.
    pub fn warn_of_other_peers(&self) {
        let mut numbers = Composer::new();
        for entry in self.entries.iter().filter(|entry| has_other_peer(entry)) {
            numbers.separate();
            let _ = write!(numbers, "{}", entry.socket.description);
        }
        if !numbers.is_empty() {
            let numbers = ckpt_sys::line::Text(numbers.finish());
            output::warn(format_args!(
                "peers of Unix sockets belong to another user or group now (SO_PEERCRED, SO_PEERGROUPS; descriptors: {numbers}); restore it as root if that matters"
            ));
        }
    }
}

fn has_other_peer(entry: &Entry) -> bool {
    let is_noted = entry.making == Making::WithPeer || entry.socket.state() == State::Listening;
    let Some(wanted) = peer_ids(&entry.socket).filter(|_| is_noted && entry.fd != NONE) else {
        return false;
    };
    let mut noted = [0; 12];
    if sockets::option(entry.fd, n::SOL_SOCKET, n::SO_PEERCRED, &mut noted).is_err() {
        return false;
    }
    let (user, group) = (wanted[0].to_ne_bytes(), wanted[1].to_ne_bytes());
    let has_groups = |groups: &[u8]| {
        let mut noted = [0; MAX_OPTION];
        sockets::option(entry.fd, n::SOL_SOCKET, n::SO_PEERGROUPS, &mut noted)
            .is_ok_and(|length| noted[..length] == *groups)
    };
    let has_other_groups = || peer_groups(&entry.socket).is_some_and(|groups| !has_groups(groups));
    noted[4..8] != user || noted[8..] != group || has_other_groups()
}
