//! The multicast groups that a socket has joined. The kernel lists groups by device only (`/proc/net/igmp`); whether one
//! socket is a member it tells when asked for the socket's filter of senders.

use ckpt_sys::bytes::{decimal, fields, hex, lines};
use ckpt_sys::{MapVec, files, sockets};
use linux_raw_sys::net as n;

use super::options;
use crate::failure::{Failure, failure};

/// A group on a device, as `struct group_req` names it (include/uapi/linux/in.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Group {
    level: u32,
    request: [u8; Self::SIZE],
}

impl Group {
    const SIZE: usize = size_of::<n::group_req>();
    /// Where the address stands.
    const ADDRESS_AT: usize = 8;
    /// `struct group_filter` without its list of senders; it begins as `struct group_req` does.
    const FILTER_SIZE: usize = Self::SIZE + 8;

    fn new(device: u64, level: u32, family: u32, at: usize, address: &[u8]) -> Self {
        let mut request = [0; Self::SIZE];
        request[..4].copy_from_slice(&(device as u32).to_ne_bytes());
        let place = &mut request[Self::ADDRESS_AT..];
        place[..2].copy_from_slice(&(family as u16).to_ne_bytes());
        place[at..at + address.len()].copy_from_slice(address);
        Self { level, request }
    }

    fn ipv4(device: u64, address: u64) -> Self {
        // Written as a number of this machine that lies in memory as the address does.
        let address = (address as u32).to_ne_bytes();
        Self::new(device, n::SOL_IP, n::AF_INET, 4, &address)
    }

    fn ipv6(device: u64, address: u128) -> Self {
        Self::new(device, n::SOL_IPV6, n::AF_INET6, 8, &address.to_be_bytes())
    }

    /// Whether the socket has joined it.
    fn has_member(&self, fd: i32) -> Result<bool, Failure> {
        let mut filter = [0; Self::FILTER_SIZE];
        filter[..Self::SIZE].copy_from_slice(&self.request);
        if sockets::option(fd, self.level, n::MCAST_MSFILTER, &mut filter).is_err() {
            return Ok(false);
        }
        let word = |at: usize| {
            filter[at..at + 4]
                .first_chunk()
                .copied()
                .unwrap_or_default()
        };
        let [mode, senders] = [Self::SIZE, Self::SIZE + 4].map(|at| u32::from_ne_bytes(word(at)));
        if (mode, senders) == (n::MCAST_EXCLUDE, 0) {
            Ok(true)
        } else {
            Err(failure!(
                "descriptor {fd}: a multicast group with a list of senders is not supported; leave it first"
            ))
        }
    }
}

/// Appends the groups that a UDP socket is a member of to its options.
///
/// # Errors
/// [`Failure`] if it is in a group that cannot be joined again.
pub fn collect(fd: i32, family: u32, into: &mut MapVec<u8>) -> Result<(), Failure> {
    let mut text = MapVec::new();
    if files::read_whole(c"/proc/thread-self/net/igmp", &mut text).is_ok() {
        for group in ipv4_groups(&text) {
            keep(fd, &group, into)?;
        }
    }
    text.truncate(0);
    if family == n::AF_INET6 && files::read_whole(c"/proc/thread-self/net/igmp6", &mut text).is_ok()
    {
        for group in ipv6_groups(&text) {
            keep(fd, &group, into)?;
        }
    }
    Ok(())
}

fn keep(fd: i32, group: &Group, into: &mut MapVec<u8>) -> Result<(), Failure> {
    if group.has_member(fd)? {
        options::append(group.level, n::MCAST_JOIN_GROUP, &group.request, into)?;
    }
    Ok(())
}

/// A line for a device, which begins with its index, and below it one for each group.
fn ipv4_groups(text: &[u8]) -> impl Iterator<Item = Group> + '_ {
    let mut device = 0;
    lines(text).skip(1).filter_map(move |line| {
        let first = fields(line).next()?;
        if line.first().is_some_and(u8::is_ascii_whitespace) {
            Some(Group::ipv4(device, hex(first)?))
        } else {
            device = decimal(first)?;
            None
        }
    })
}

/// A line for each: index and name of the device, address.
fn ipv6_groups(text: &[u8]) -> impl Iterator<Item = Group> + '_ {
    lines(text).filter_map(|line| {
        let mut fields = fields(line);
        let (device, address) = (decimal(fields.next()?)?, fields.nth(1)?);
        let (high, low) = address.split_at_checked(16)?;
        let address = u128::from(hex(high)?) << 64 | u128::from(hex(low)?);
        Some(Group::ipv6(device, address))
    })
}
