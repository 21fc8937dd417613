//! TCP and UDP.

use core::ffi::CStr;

use ckpt_image::objects::sockets::{RECEIVES_NO_MORE, SENDS_NO_MORE, State};
use ckpt_sys::bytes::{decimal, fields};
use ckpt_sys::line_reader::LineReader;
use ckpt_sys::sockets::Address;
use ckpt_sys::{Errno, calls, sockets};
use linux_raw_sys::general as n;
use linux_raw_sys::net;

use super::Seen;
use crate::failure::{Failure, failure};
use crate::report;

/// States of a TCP socket (include/net/tcp_states.h), as `struct tcp_info` has them.
mod tcp {
    pub const SYN_SENT: u8 = 2;
    pub const FIN_WAIT1: u8 = 4;
    pub const FIN_WAIT2: u8 = 5;
    pub const TIME_WAIT: u8 = 6;
    pub const CLOSE: u8 = 7;
    pub const LAST_ACK: u8 = 9;
    pub const LISTEN: u8 = 10;
    pub const CLOSING: u8 = 11;
}

/// Of `struct tcp_info` (include/uapi/linux/tcp.h): where the number of connections not yet accepted stands, and their limit.
const WAITING_AT: usize = 24;
const BACKLOG_AT: usize = 28;

/// Of the same: the size of the segments that were received.
const RECEIVED_SEGMENT_AT: usize = 20;

/// No window is offered that is smaller than a segment (`__tcp_select_window` in net/ipv4/tcp_output.c), and those of the
/// loopback are large.
const SLACK: usize = 256 << 10;

/// How long data between two sockets of the program may take from one to the other, in steps of a millisecond. What did not
/// fit is sent again after 200 ms, then after twice that, and so on (`TCP_RTO_MIN` in include/net/tcp.h).
const PATIENCE: u32 = 3000;

/// Finds out how far a TCP socket has come.
pub fn look_at_tcp(seen: &mut Seen, flags: u32) -> Result<(), Failure> {
    let mut info = [0; 32];
    if sockets::option(seen.fd(), net::SOL_TCP, net::TCP_INFO, &mut info) != Ok(info.len()) {
        return Err(failure!(
            "descriptor {}: the kernel does not tell the state of the connection",
            seen.number
        ));
    }
    let hung_up = seen.ready & n::POLLRDHUP != 0;
    if hung_up {
        seen.shut_down |= RECEIVES_NO_MORE;
    }
    seen.state = match info[0] {
        tcp::LISTEN => {
            let number = |at: usize| [0, 1, 2, 3].map(|byte| info[at + byte]);
            seen.waiting = u32::from_ne_bytes(number(WAITING_AT));
            seen.backlog = u32::from_ne_bytes(number(BACKLOG_AT));
            State::Listening
        }
        // A thread that is blocked in connect(2) makes the call again.
        tcp::SYN_SENT if flags & n::O_NONBLOCK == 0 => State::Unconnected,
        tcp::SYN_SENT => State::Connecting,
        tcp::CLOSE if seen.has_error() && seen.ready & n::POLLIN == 0 => State::Connecting,
        tcp::CLOSE if seen.has_error() && is_empty(seen) => State::Connecting,
        tcp::CLOSE if hung_up => State::Ended,
        tcp::CLOSE => State::Unconnected,
        tcp::FIN_WAIT1 | tcp::FIN_WAIT2 | tcp::TIME_WAIT | tcp::LAST_ACK | tcp::CLOSING => {
            seen.shut_down |= SENDS_NO_MORE;
            State::Outside
        }
        _ => State::Outside,
    };
    if matches!(info[0], tcp::SYN_SENT) {
        // The kernel has chosen the address, and will choose another one.
        seen.name = sockets::Address::NONE;
    }
    Ok(())
}

/// Whether a TCP socket has never been connected or tried to be: then the kernel has no idea of the segments of the other side
/// (`tcpi_rcv_mss`, which `tcp_connect_init` in net/ipv4/tcp_output.c sets).
pub fn is_fresh(seen: &Seen) -> bool {
    let mut info = [0; RECEIVED_SEGMENT_AT + 4];
    let size = info.len();
    seen.state == State::Unconnected
        && sockets::option(seen.fd(), net::SOL_TCP, net::TCP_INFO, &mut info) == Ok(size)
        && info[RECEIVED_SEGMENT_AT..] == [0; 4]
}

/// Finds out how far a UDP socket is shut down. poll(2) tells that it receives no more, and that it does neither (`datagram_poll` in
/// net/core/datagram.c).
pub fn look_at_udp(seen: &mut Seen) {
    if seen.ready & n::POLLRDHUP != 0 {
        seen.shut_down |= RECEIVES_NO_MORE;
    }
    // Who has begun one has a port.
    let has_begun = seen.name.port() != 0 && sockets::has_begun_a_datagram(seen.fd(), seen.family);
    if has_begun {
        report::line(format_args!(
            "warning: descriptor {}: of a datagram that the program has begun (MSG_MORE, UDP_CORK), a restored process sends only what it adds",
            seen.number
        ));
    }
    // Without a peer, what the socket would send goes to itself: not to have an address would be another error, and without a port it
    // would get one.
    let to = match (seen.peer_name.as_bytes(), seen.name.port()) {
        ([], 0) => None,
        ([], _) => Some(&seen.name),
        _ => Some(&Address::NONE),
    };
    let may_try = !has_begun && !seen.has_error();
    let sends_no_more = || to.is_some_and(|to| sockets::sends_no_more(seen.fd(), to));
    if seen.ready & n::POLLHUP != 0 || may_try && sends_no_more() {
        seen.shut_down |= SENDS_NO_MORE;
    }
}

/// The kernel's lists of UDP sockets: each stands before those at the same port that were bound before it (`udp_lib_get_port` in
/// net/ipv4/udp.c).
pub const UDP_LISTS: [(u32, &CStr); 2] = [
    (net::AF_INET, c"/proc/thread-self/net/udp"),
    (net::AF_INET6, c"/proc/thread-self/net/udp6"),
];

/// Calls `f` with place and inode of each socket in such a list.
pub fn for_each_in_list(list: &CStr, mut f: impl FnMut(u32, u64)) -> Result<(), Errno> {
    /// Which field of a line that is.
    const INODE: usize = 9;
    let mut room = [0; 512];
    let mut lines = LineReader::open(list, &mut room)?;
    // The first line is a heading, and the place 0 none.
    let mut place = 0;
    while let Some(line) = lines.next_line()? {
        if let Some(inode) = fields(line).nth(INODE).and_then(decimal) {
            place += 1;
            f(place, inode);
        }
    }
    Ok(())
}

fn is_empty(seen: &Seen) -> bool {
    sockets::received(seen.fd()) == Ok(0)
}

/// Whether two sockets are the ends of one connection, or one is both.
pub fn are_ends(one: &Seen, other: &Seen) -> bool {
    let is_open = |end: &Seen| end.is_tcp() && end.state == State::Outside;
    let leads_to = |end: &Seen, other: &Seen| {
        !end.peer_name.as_bytes().is_empty()
            && end.peer_name.host_and_port() == other.name.host_and_port()
    };
    is_open(one) && is_open(other) && leads_to(one, other) && leads_to(other, one)
}

/// Whether two sockets have one address that they cannot have by `SO_REUSEADDR` alone (socket(7)).
pub fn share_port(one: &Seen, other: &Seen) -> bool {
    let may_share = |seen: &Seen| match seen.state {
        State::Listening => seen.is_tcp(),
        State::Unconnected => seen.is_udp(),
        _ => false,
    };
    let reused = |seen: &Seen| seen.is_udp() && seen.reuses_address;
    if !may_share(one) || !may_share(other) || one.kind != other.kind {
        return false;
    }
    let ((host, port), (other_host, other_port)) =
        (one.name.host_and_port(), other.name.host_and_port());
    let takes_in = |seen: &Seen, host: &[u8; 16], other: &[u8; 16]| {
        host == other
            || *host == ANY && !(seen.is_ipv6_only && is_ipv4(other))
            || *host == ANY_IPV4 && is_ipv4(other)
    };
    port != 0
        && port == other_port
        && (takes_in(one, &host, &other_host) || takes_in(other, &other_host, &host))
        && !(reused(one) && reused(other))
}

/// Whether who connects to `address` comes to `listening`.
pub fn is_address_of(address: &Address, listening: &Seen) -> bool {
    let ((host, port), (own, own_port)) = (address.host_and_port(), listening.name.host_and_port());
    port == own_port && (host == own || own == ANY || own == ANY_IPV4 && is_ipv4(&host))
}

/// The addresses that stand for all.
const ANY: [u8; 16] = [0; 16];
const ANY_IPV4: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0];

fn is_ipv4(host: &[u8; 16]) -> bool {
    host[..12] == ANY_IPV4[..12]
}

/// Whether a socket is bound to an address that this machine does not have, as it can be by `IP_FREEBIND` (ip(7)), whatever has been done to
/// that since.
pub fn has_foreign_address(seen: &Seen) -> bool {
    let is_bound = seen.is_internet()
        && matches!(seen.state, State::Unconnected | State::Listening)
        && !seen.name.as_bytes().is_empty();
    is_bound
        && sockets::socket(seen.family, net::SOCK_DGRAM, 0)
            .and_then(|probe| sockets::bind(probe.number(), &seen.name.with_port(0)))
            == Err(Errno::EADDRNOTAVAIL)
}

/// Waits until all that `from` has sent is in the queue of `to`, where it can be looked at. What the queue has no room for
/// stays with the sender, of whom the kernel hands it out to nobody, so there is more room for that time.
pub fn bring_over(from: &Seen, to: &Seen) -> Result<(), Failure> {
    let waiting = || sockets::unacknowledged(from.fd()).unwrap_or(0);
    let left = waiting();
    if left == 0 {
        return Ok(());
    }
    let room = Room::make(to.fd(), left);
    for _ in 0..PATIENCE {
        room.acknowledge();
        if waiting() == 0 {
            return Ok(());
        }
        calls::sleep(1_000_000);
    }
    Err(failure!(
        "descriptors {} and {}: {} bytes of a connection within the program are still on their way; send the signal again",
        from.number,
        to.number,
        waiting()
    ))
}

/// More room in the buffer of a socket that receives. Its settings are put back at the end; a buffer that the kernel tunes
/// stays as large as it has become.
struct Room {
    fd: i32,
    least: u32,
    size: u32,
    sizes_set: u32,
}

impl Room {
    /// For `more` bytes than were received. `SO_RCVLOWAT` makes the buffer as large as needed, up to what the kernel's own
    /// tuning would do (`tcp_set_rcvlowat` in net/ipv4/tcp.c).
    fn make(fd: i32, more: usize) -> Self {
        let get = |name| sockets::number_option(fd, net::SOL_SOCKET, name);
        let room = Self {
            fd,
            least: get(net::SO_RCVLOWAT).unwrap_or(1),
            size: get(net::SO_RCVBUF).unwrap_or(0),
            sizes_set: get(net::SO_BUF_LOCK).unwrap_or(0),
        };
        let received = sockets::received(fd).unwrap_or(0);
        room.set(net::SO_BUF_LOCK, 0);
        let wanted = (received + more + SLACK).min(i32::MAX as usize);
        room.set(net::SO_RCVLOWAT, wanted as u32);
        room
    }

    /// Lets the sender know.
    fn acknowledge(&self) {
        let _ = sockets::set_number_option(self.fd, net::SOL_TCP, net::TCP_QUICKACK, 1);
        // As after any read, even one that takes nothing, the kernel looks whether there is a larger window to be told.
        let _ = sockets::peek_stream(self.fd, &mut [0]);
    }

    fn set(&self, name: u32, value: u32) {
        let _ = sockets::set_number_option(self.fd, net::SOL_SOCKET, name, value);
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.set(net::SO_RCVLOWAT, self.least);
        if self.sizes_set & net::SOCK_RCVBUF_LOCK != 0 {
            self.set(net::SO_RCVBUF, self.size / 2);
        }
        self.set(net::SO_BUF_LOCK, self.sizes_set);
    }
}
