//! Sockets.

mod filters;
mod internet;
mod memberships;
mod options;
mod queue;
mod unix;

use ckpt_image::descriptors::Kind;
use ckpt_image::objects::sockets::{
    InFlight, Message, NAME_REMOVED, NONE, RECEIVES_NO_MORE, SENDS_NO_MORE, Socket, State,
    WAS_RESET,
};
use ckpt_image::regions::FileIdentity;
use ckpt_sys::socket_diagnosis::Diagnostics;
use ckpt_sys::sockets::Address;
use ckpt_sys::{Fd, MapVec, calls, sockets};
use linux_raw_sys::general as n;
use linux_raw_sys::{net, netlink};

use super::objects::Objects;
use super::{Descriptors, locks};
use crate::failure::{Doing, Failure, failure};
use crate::interpose::lost_of_socket;
use crate::report;
use queue::{Queues, Walk};

/// One socket.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// A descriptor through which it can be reached now; later the lowest.
    number: u32,
    inode: u64,
    family: u32,
    kind: u32,
    protocol: u32,
    name: Address,
    peer_name: Address,
    state: State,
    /// Of a Unix socket: it is connected to one that nobody has accepted yet.
    waits_to_be_accepted: bool,
    /// Inode of the peer, if that is the program's.
    peer: Option<u64>,
    /// How many connections may wait to be accepted, and how many do.
    backlog: u32,
    waiting: u32,
    shut_down: u32,
    /// Permissions, owner and group of the file of a Unix socket; [`NAME_REMOVED`] if it is gone.
    file: [u32; 3],
    /// See [`Socket::place`].
    place: u32,
    /// What poll(2) says of it.
    ready: u32,
    /// `SO_REUSEADDR` and `IPV6_V6ONLY`, which say who else can be at its port.
    reuses_address: bool,
    is_ipv6_only: bool,
}

impl Seen {
    fn fd(&self) -> i32 {
        self.number as i32
    }

    fn is_unix(&self) -> bool {
        self.family == net::AF_UNIX
    }

    fn is_tcp(&self) -> bool {
        self.is_internet() && self.kind == net::SOCK_STREAM
    }

    fn is_udp(&self) -> bool {
        self.is_internet() && self.kind == net::SOCK_DGRAM
    }

    fn is_internet(&self) -> bool {
        matches!(self.family, net::AF_INET | net::AF_INET6)
    }

    /// Whether an error waits to be told (`SO_ERROR`): it can only be looked at by taking it.
    fn has_error(&self) -> bool {
        self.ready & n::POLLERR != 0
    }

    fn has_connection(&self) -> bool {
        matches!(self.kind, net::SOCK_STREAM | net::SOCK_SEQPACKET)
    }

    /// Whether the kernel has it send to somebody outside.
    fn leads_outside(&self) -> bool {
        match self.state {
            State::Outside | State::Ended => true,
            State::Unconnected => self.peer.is_none() && !self.peer_name.as_bytes().is_empty(),
            State::Listening | State::Paired | State::Connecting => false,
        }
    }
}

/// All sockets of the program, and what they have received.
#[derive(Debug, Default)]
pub struct Sockets {
    seen: MapVec<Seen>,
    queues: Queues,
    /// Numbers that only we have: duplicates of what messages carry.
    in_flight: MapVec<i32>,
}

impl Drop for Sockets {
    fn drop(&mut self) {
        for &number in self.in_flight.iter() {
            drop(Fd::owning(number));
        }
    }
}

impl Sockets {
    /// Looks at the sockets among `all`, and adds what is in flight in them to `all`, which may be sockets in turn.
    ///
    /// # Errors
    /// [`Failure`] names the first socket that cannot be restored.
    pub fn look(all: &mut Descriptors) -> Result<Self, Failure> {
        let mut sockets = Self::default();
        let mut diagnostics = None;
        let mut locked = None;
        let mut index = 0;
        while let Some(found) = all.found.get(index) {
            index += 1;
            let descriptor = found.descriptor;
            let inode = descriptor.file.inode;
            if descriptor.kind() != Kind::Socket || sockets.by_inode(inode).is_some() {
                continue;
            }
            let seen = look_at(descriptor.number, inode, descriptor.flags, &mut diagnostics)?;
            sockets
                .seen
                .push(seen)
                .doing(format_args!("memory for the list of sockets"))?;
            if seen.is_unix() && seen.state != State::Listening {
                sockets.take_rights(seen, all, &mut locked)?;
            }
        }
        sockets.find_peers();
        sockets.find_places()?;
        sockets.read_internet()?;
        sockets.leave_standard_ones(all);
        Ok(sockets)
    }

    /// How many of them a restart may have to make with their other ends, or to keep the file of open.
    pub fn far_ends(&self) -> usize {
        let seen = self.seen.iter();
        seen.filter(|one| one.is_unix() && (one.state.lost_peer() || one.file[0] == NAME_REMOVED))
            .count()
    }

    /// Whether only messages refer to the description that this is the lowest number of.
    pub fn is_in_flight(&self, number: u32) -> bool {
        self.in_flight.contains(&(number as i32))
    }

    fn by_inode(&self, inode: u64) -> Option<&Seen> {
        self.seen.iter().find(|seen| seen.inode == inode)
    }

    /// Reads the queue of a Unix socket; descriptors in it are descriptors of ours for as long as the checkpoint takes. Which files
    /// are locked is looked up once, and kept in `locked`.
    fn take_rights(
        &mut self,
        seen: Seen,
        all: &mut Descriptors,
        locked: &mut Option<MapVec<FileIdentity>>,
    ) -> Result<(), Failure> {
        let locked = match locked {
            Some(locked) => locked,
            None => locked.insert(locked_files(all)?),
        };
        let first = self.queues.rights().len();
        let result = self.queues.read_messages(seen.fd(), seen.inode, locked);
        let memory = || format_args!("memory for the list of descriptors");
        for &number in &self.queues.rights()[first..] {
            self.in_flight.push(number).doing(memory())?;
        }
        result?;
        for &number in &self.queues.rights()[first..] {
            all.add(number)?;
        }
        Ok(())
    }
}

impl Sockets {
    /// Finds out which sockets are connected to each other.
    fn find_peers(&mut self) {
        for index in 0..self.seen.len() {
            let this = self.seen[index];
            let peer = if this.is_tcp() {
                self.seen
                    .iter()
                    .find(|other| internet::are_ends(&this, other))
            } else {
                this.peer.and_then(|inode| self.by_inode(inode))
            };
            let peer = peer.map(|peer| peer.inode);
            let seen = &mut self.seen[index];
            seen.peer = peer;
            if seen.is_unix() && peer.is_some() {
                seen.state = State::Paired;
            }
        }
        // After all, since two ends know each other by what they were.
        for index in 0..self.seen.len() {
            let this = self.seen[index];
            let Some(peer) = this.peer.and_then(|inode| self.by_inode(inode)) else {
                continue;
            };
            let ended_by_peer = this.is_tcp() && peer.shut_down & SENDS_NO_MORE != 0;
            let seen = &mut self.seen[index];
            seen.state = State::Paired;
            if ended_by_peer {
                // It comes about by itself.
                seen.shut_down &= !RECEIVES_NO_MORE;
            }
        }
        for index in 0..self.seen.len() {
            let this = self.seen[index];
            if this.state == State::Outside && self.seen.iter().any(|other| waits_for(&this, other))
            {
                // The checkpoint has told of it, and no other process is at its other end.
                self.seen[index].state = State::Ended;
            }
        }
    }

    /// Reads the queues of TCP and UDP sockets.
    fn read_internet(&mut self) -> Result<(), Failure> {
        for &seen in self.seen.iter() {
            if seen.is_udp() {
                self.queues.read_messages(seen.fd(), seen.inode, &[])?;
            } else if seen.is_tcp() && seen.state != State::Listening {
                let _walk = Walk::none(seen.fd());
                if let Some(peer) = seen.peer.and_then(|inode| self.by_inode(inode)) {
                    internet::bring_over(peer, &seen)?;
                }
                self.queues.read_stream(seen.fd(), seen.inode)?;
            }
        }
        Ok(())
    }

    /// What leads outside on the numbers 0 to 2 is the restorer's own after a restart.
    fn leave_standard_ones(&mut self, all: &mut Descriptors) {
        let is_standard = |seen: &Seen| seen.number <= 2 && seen.leads_outside();
        for found in all.found.iter_mut() {
            let inode = found.descriptor.file.inode;
            let standard = self
                .seen
                .iter()
                .any(|seen| seen.inode == inode && is_standard(seen));
            if found.descriptor.kind() == Kind::Socket && standard {
                found.descriptor.kind_number = Kind::Standard as u32;
            }
        }
    }

    /// Adds all sockets and messages to the objects of the image, when it is known which descriptors share a description.
    ///
    /// # Errors
    /// [`Failure`] if there is no memory for them.
    pub fn write(&self, all: &Descriptors, objects: &mut Objects) -> Result<(), Failure> {
        let mut options = MapVec::new();
        let mut rights = MapVec::<u8>::new();
        let memory = || format_args!("memory for the list of sockets");
        for descriptor in all.iter() {
            if descriptor.kind() != Kind::Socket || descriptor.is_duplicate() {
                continue;
            }
            let Some(seen) = self.by_inode(descriptor.file.inode) else {
                continue;
            };
            options.truncate(0);
            if self.shares_port(seen) {
                options::append_number(net::SOL_SOCKET, net::SO_REUSEPORT, 1, &mut options)?;
            }
            if internet::has_foreign_address(seen) {
                let (level, name) = options::free_bind(seen.family);
                options::append_number(level, name, 1, &mut options)?;
            }
            options::collect(seen, &mut options)?;
            if seen.is_udp() {
                memberships::collect(seen.fd(), seen.family, &mut options)?;
            }
            objects.add(&Socket {
                description: descriptor.number,
                family: seen.family,
                kind: seen.kind,
                protocol: seen.protocol,
                state_number: seen.state as u32,
                peer: seen.peer.map_or(NONE, |inode| description(all, inode)),
                backlog: seen.backlog,
                shut_down: seen.shut_down,
                mode: seen.file[0],
                uid: seen.file[1],
                gid: seen.file[2],
                place: seen.place,
                name: seen.name.as_bytes(),
                peer_name: seen.peer_name.as_bytes(),
                options: &options,
            })?;
            filters::collect(seen, objects)?;
            warn_of_loss(seen);
        }
        for (kept, data, numbers) in self.queues.iter() {
            let to = description(all, kept.to);
            if to == NONE {
                continue;
            }
            rights.truncate(0);
            for &number in numbers {
                let carried = all.iter().find(|one| one.number == number as u32);
                let description = carried.map_or(NONE, |one| one.description);
                rights.extend(&description.to_le_bytes()).doing(memory())?;
            }
            objects.add(&Message {
                to,
                from: self
                    .sender(&kept)
                    .map_or(NONE, |seen| description(all, seen.inode)),
                credentials: kept.credentials.unwrap_or_default(),
                rights: &rights,
                data,
            })?;
        }
        for &number in self.in_flight.iter() {
            objects.add(&InFlight {
                number: number as u32,
            })?;
        }
        Ok(())
    }

    /// Finds out in which order the kernel looks at UDP sockets, if several have one port.
    fn find_places(&mut self) -> Result<(), Failure> {
        for (family, list) in internet::UDP_LISTS {
            let mut of_family = self.seen.iter().filter(|one| one.family == family);
            if of_family.any(|one| self.is_at_port_of_another(one)) {
                let seen = &mut self.seen;
                internet::for_each_in_list(list, |place, inode| {
                    let listed = seen.iter_mut().filter(|one| one.inode == inode);
                    listed.for_each(|one| one.place = place);
                })
                .doing(format_args!("the order of UDP sockets"))?;
            }
        }
        Ok(())
    }

    fn is_at_port_of_another(&self, this: &Seen) -> bool {
        let at = |one: &Seen| (one.is_udp(), one.family, one.name.port());
        let is_another = |other: &Seen| other.inode != this.inode && at(other) == at(this);
        this.is_udp() && this.name.port() != 0 && self.seen.iter().any(is_another)
    }

    /// Whether another socket of the program can only have the same address by `SO_REUSEPORT`, whatever has been done to that since.
    fn shares_port(&self, this: &Seen) -> bool {
        self.seen
            .iter()
            .any(|other| other.inode != this.inode && internet::share_port(this, other))
    }

    /// The socket of the program that has sent a message.
    fn sender(&self, kept: &queue::Kept) -> Option<&Seen> {
        let to = self.by_inode(kept.to)?;
        if to.has_connection() {
            return self.by_inode(to.peer?);
        }
        let name = &kept.sender;
        self.seen.iter().find(|seen| {
            if seen.family != to.family || seen.kind != to.kind {
                false
            } else if seen.is_unix() && name.as_bytes().len() <= 2 {
                seen.peer == Some(to.inode) && seen.name.as_bytes().is_empty()
            } else if seen.is_unix() {
                seen.name.unix_name() == name.unix_name()
            } else {
                let (host, port) = seen.name.host_and_port();
                let is_any = host[..10] == [0; 10] && host[12..] == [0; 4];
                (is_any || host == name.host_and_port().0) && port == name.port()
            }
        })
    }
}

/// Whether a socket is at the one end of a connection that the program itself has not accepted from `listening` yet.
fn waits_for(this: &Seen, listening: &Seen) -> bool {
    let name = &this.peer_name;
    let is_there = if this.is_unix() {
        this.waits_to_be_accepted && name.unix_name() == listening.name.unix_name()
    } else {
        this.is_tcp() && listening.is_tcp() && internet::is_address_of(name, listening)
    };
    listening.state == State::Listening
        && listening.waiting != 0
        && listening.is_unix() == this.is_unix()
        && listening.kind == this.kind
        && !name.as_bytes().is_empty()
        && is_there
}

/// The files on which the program holds locks that it would lose if a descriptor of ours for one of them were closed.
fn locked_files(all: &Descriptors) -> Result<MapVec<FileIdentity>, Failure> {
    let found = locks::find(all.iter())?;
    let mut locked = MapVec::new();
    locks::lost_by_closing(&found, all.iter())
        .try_for_each(|file| locked.push(file))
        .doing(format_args!("memory for the list of locks"))?;
    Ok(locked)
}

/// The description of the socket with this inode, unless it is to be the restorer's own.
fn description(all: &Descriptors, inode: u64) -> u32 {
    all.iter()
        .find(|one| one.kind() == Kind::Socket && one.file.inode == inode)
        .map_or(NONE, |one| one.description)
}

/// What is there of a socket that needs no other socket to be known.
fn look_at(
    number: u32,
    inode: u64,
    flags: u32,
    diagnostics: &mut Option<Diagnostics>,
) -> Result<Seen, Failure> {
    let fd = number as i32;
    let option = |name| {
        sockets::number_option(fd, net::SOL_SOCKET, name).doing(format_args!("descriptor {number}"))
    };
    let is_set = |level, name| sockets::number_option(fd, level, name) == Ok(1);
    let mut seen = Seen {
        number,
        inode,
        family: option(net::SO_DOMAIN)?,
        kind: option(net::SO_TYPE)?,
        protocol: option(net::SO_PROTOCOL)?,
        name: sockets::name(fd).unwrap_or(Address::NONE),
        peer_name: sockets::peer_name(fd).unwrap_or(Address::NONE),
        state: State::Unconnected,
        waits_to_be_accepted: false,
        peer: None,
        backlog: 0,
        waiting: 0,
        shut_down: 0,
        file: [0; 3],
        place: 0,
        ready: calls::poll_now(fd, n::POLLIN | n::POLLRDHUP).unwrap_or(0),
        reuses_address: is_set(net::SOL_SOCKET, net::SO_REUSEADDR),
        is_ipv6_only: is_set(net::SOL_IPV6, net::IPV6_V6ONLY),
    };
    check_kind(&seen)?;
    filters::check(&seen)?;
    match seen.family {
        net::AF_UNIX => unix::look_at(&mut seen, diagnostics)?,
        net::AF_NETLINK => check_netlink(&seen)?,
        _ if seen.is_tcp() => internet::look_at_tcp(&mut seen, flags)?,
        _ => {
            // A port that nobody has asked for.
            if seen.name.port() == 0 {
                seen.name = Address::NONE;
            }
            internet::look_at_udp(&mut seen);
        }
    }
    if seen.is_tcp() && seen.name.port() == 0 {
        seen.name = Address::NONE;
    }
    warn_of_error(&seen);
    warn_of_waiting(&seen);
    Ok(seen)
}

fn warn_of_waiting(seen: &Seen) {
    if seen.waiting != 0 {
        let (count, s) = (seen.waiting, if seen.waiting == 1 { "" } else { "s" });
        report::line(format_args!(
            "warning: descriptor {}: {count} connection{s} that the program has not accepted yet; a restored process has none of them",
            seen.number
        ));
    }
}

fn warn_of_error(seen: &Seen) {
    if !seen.has_error() || seen.shut_down & WAS_RESET != 0 {
        return;
    }
    let instead = match seen.state {
        State::Connecting => "is told that the connection was refused (ECONNREFUSED)",
        State::Ended | State::Outside if seen.is_tcp() => "is told that the connection has ended",
        _ => "finds neither that nor what was received behind it",
    };
    report::line(format_args!(
        "warning: descriptor {}: an error waits in the socket (SO_ERROR); a restored process {instead}",
        seen.number
    ));
}

/// Refuses kinds of sockets that have no restart, by name.
fn check_kind(seen: &Seen) -> Result<(), Failure> {
    const TCP: u32 = 6;
    const UDP: u32 = 17;
    let what = match (seen.family, seen.kind, seen.protocol) {
        (net::AF_UNIX | net::AF_NETLINK, ..)
        | (net::AF_INET | net::AF_INET6, net::SOCK_STREAM, TCP)
        | (net::AF_INET | net::AF_INET6, net::SOCK_DGRAM, UDP) => return Ok(()),
        (net::AF_INET | net::AF_INET6, net::SOCK_RAW, _) => "a raw socket",
        (net::AF_INET | net::AF_INET6, ..) => "a socket of another protocol than TCP and UDP",
        (net::AF_PACKET, ..) => "a packet socket",
        (net::AF_ALG, ..) => "a socket of the kernel's cryptography (AF_ALG)",
        (net::AF_VSOCK, ..) => "a socket to a virtual machine's host (AF_VSOCK)",
        (net::AF_BLUETOOTH, ..) => "a Bluetooth socket",
        (net::AF_CAN, ..) => "a CAN bus socket",
        (net::AF_XDP, ..) => "a socket of the express data path (AF_XDP)",
        (net::AF_KEY, ..) => "a socket of the kernel's key management (AF_KEY)",
        _ => {
            return Err(failure!(
                "descriptor {}: a socket of address family {} is not supported; close it first",
                seen.number,
                seen.family
            ));
        }
    };
    Err(failure!(
        "descriptor {}: {what} is not supported; close it first",
        seen.number
    ))
}

/// Says what a restart will not set again, as far as the program has set it through libc.
fn warn_of_loss(seen: &Seen) {
    for what in lost_of_socket(seen.inode) {
        report::line(format_args!(
            "warning: descriptor {}: what is set on a socket and cannot be read is not in the image: {what}",
            seen.number
        ));
    }
}

/// A netlink socket can be made again where it has nothing but its groups.
fn check_netlink(seen: &Seen) -> Result<(), Failure> {
    let stateless = [
        netlink::NETLINK_ROUTE,
        netlink::NETLINK_SOCK_DIAG,
        netlink::NETLINK_KOBJECT_UEVENT,
    ];
    if !stateless.contains(&seen.protocol) {
        return Err(failure!(
            "descriptor {}: a netlink socket of protocol {} is not supported; close it first",
            seen.number,
            seen.protocol
        ));
    }
    if seen.ready & (n::POLLIN | n::POLLERR) != 0 {
        return Err(failure!(
            "descriptor {}: a netlink socket with an answer that was not read yet; send the signal again",
            seen.number
        ));
    }
    Ok(())
}
