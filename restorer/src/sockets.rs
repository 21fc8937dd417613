//! How each socket of the program is made, and which of its options are set when.

use ckpt_image::objects::sockets::{Socket, SocketOption, State};
use ckpt_sys::Errno;
use linux_raw_sys::net as n;

/// How a socket is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Making {
    /// By socket(2), and bound to its address.
    Alone,
    /// Together with its peer, as the two ends of a connection.
    WithPeer,
    /// As a TCP connection whose two ends are this socket: it is connected to its own address.
    WithItself,
    /// As the end of a connection whose other end is closed.
    Broken,
    /// As a socket whose connection was refused.
    Refused,
}

/// Decides how `socket` is made, which is connected to `peer`, if that is the program's, too.
#[must_use]
pub fn making(socket: &Socket<'_>, peer: Option<&Socket<'_>>) -> Making {
    match socket.state() {
        State::Unconnected | State::Listening => Making::Alone,
        State::Paired => match peer {
            Some(_) if socket.peer == socket.description && socket.has_connection() => {
                Making::WithItself
            }
            Some(peer) if peer.peer == socket.description && socket.peer != socket.description => {
                Making::WithPeer
            }
            // One way, or to itself, which is there as soon as the other socket has its address.
            _ => Making::Alone,
        },
        State::Outside | State::Ended => Making::Broken,
        State::Connecting => Making::Refused,
    }
}

/// Whether the image can be meant: a connection has two ends, and both are of one kind.
#[must_use]
pub fn is_possible(socket: &Socket<'_>, peer: Option<&Socket<'_>>) -> bool {
    let known = match socket.family {
        n::AF_UNIX => matches!(
            socket.kind,
            n::SOCK_STREAM | n::SOCK_DGRAM | n::SOCK_SEQPACKET
        ),
        n::AF_INET | n::AF_INET6 => matches!(socket.kind, n::SOCK_STREAM | n::SOCK_DGRAM),
        n::AF_NETLINK => matches!(socket.state(), State::Unconnected),
        _ => false,
    };
    let fits = |peer: &Socket<'_>| {
        let mutual = peer.peer == socket.description || !socket.has_connection();
        let related = (peer.family == n::AF_UNIX) == (socket.family == n::AF_UNIX);
        // Of Unix sockets, those that send without a connection, and have an address to be sent to.
        let is_itself = peer.description == socket.description;
        let may_be_itself = socket.family != n::AF_UNIX || !socket.has_connection();
        peer.kind == socket.kind && mutual && related && (!is_itself || may_be_itself)
    };
    known && (socket.state() != State::Paired || peer.is_some_and(fits))
}

/// When an option is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Before the socket has its address.
    First,
    /// When it has received again what it had received.
    Last,
    /// It is set by who makes the socket, or has it listen.
    ByMaking,
}

/// When `option` is set on a socket that is made in this way.
#[must_use]
pub fn when(option: &SocketOption<'_>, socket: &Socket<'_>, making: Making) -> When {
    let is_tcp = socket.family != n::AF_UNIX && socket.kind == n::SOCK_STREAM;
    match (option.level, option.name) {
        (n::SOL_SOCKET, n::SO_RCVLOWAT | n::SO_PEEK_OFF | n::SO_SNDBUF | n::SO_RCVBUF) => {
            When::Last
        }
        (n::SOL_SOCKET, n::SO_PEERCRED | n::SO_PEERGROUPS) => When::ByMaking,
        // The restart takes an address that was the program's a moment ago.
        (n::SOL_SOCKET, n::SO_REUSEADDR) if is_tcp => When::Last,
        // It may have been bound with what was switched off since. An image has then both, the second of which is what stays.
        (n::SOL_SOCKET, n::SO_REUSEPORT)
        | (n::SOL_IP, n::IP_FREEBIND | n::IP_TRANSPARENT)
        | (n::SOL_IPV6, n::IPV6_FREEBIND | n::IPV6_TRANSPARENT)
            if option.value == [0; 4] =>
        {
            When::Last
        }
        (n::SOL_UDP, UDP_CORK | UDP_ENCAP) | (n::SOL_TCP, n::TCP_CORK) => When::Last,
        // Behind the size of the buffer, which changes it on newer kernels (seen with Linux 7.2).
        (n::SOL_TCP, n::TCP_WINDOW_CLAMP) => When::Last,
        // A connection over the loopback must come about whatever was asked for.
        _ if is_tcp && making != Making::Alone => When::Last,
        _ => When::First,
    }
}

/// When a socket gets its packet filter back. What comes in before passes unseen, so it is early where nothing has to come in that has
/// passed already: neither the connection nor what was received and not read.
#[must_use]
pub fn when_filtered(socket: &Socket<'_>, making: Making, has_messages: bool) -> When {
    if making == Making::Alone && socket.kind != n::SOCK_STREAM && !has_messages {
        When::First
    } else {
        When::Last
    }
}

/// What some options are that nobody has set.
const DEFAULTS: [(u32, u32, i32); 6] = [
    (n::SOL_SOCKET, n::SO_PEEK_OFF, -1),
    (n::SOL_SOCKET, n::SO_PASSRIGHTS, 1),
    (n::SOL_SOCKET, n::SO_TXREHASH, 1),
    (n::SOL_TCP, n::TCP_RTO_MAX_MS, 120_000),
    (n::SOL_TCP, n::TCP_RTO_MIN_US, 200_000),
    (n::SOL_TCP, n::TCP_DELACK_MAX_US, 200_000),
];

/// Whether a socket of an older kernel, which does not know the option, is as if it had it with this value.
#[must_use]
pub fn is_default(option: &SocketOption<'_>) -> bool {
    let known = DEFAULTS
        .iter()
        .find(|&&(level, name, _)| (level, name) == (option.level, option.name));
    match known {
        Some((.., value)) => option.value == value.to_ne_bytes(),
        None => option.value.iter().all(|&byte| byte == 0),
    }
}

/// User and group that the kernel names as the peer of a socket.
#[must_use]
pub fn peer_ids(socket: &Socket<'_>) -> Option<[u32; 2]> {
    // `struct ucred`: process, user, group.
    let (words, _) = noted(socket, n::SO_PEERCRED)?.as_chunks::<4>();
    match words {
        [_, user, group] => Some([*user, *group].map(u32::from_ne_bytes)),
        _ => None,
    }
}

/// The supplementary groups of that peer, as the kernel has them.
#[must_use]
pub fn peer_groups<'s>(socket: &Socket<'s>) -> Option<&'s [u8]> {
    noted(socket, n::SO_PEERGROUPS)
}

fn noted<'s>(socket: &Socket<'s>, name: u32) -> Option<&'s [u8]> {
    let mut options = socket.options();
    let found = options.find(|option| (option.level, option.name) == (n::SOL_SOCKET, name));
    found.map(|option| option.value)
}

/// What helps if a socket cannot be made for this reason.
#[must_use]
pub fn remedy(errno: Errno) -> &'static str {
    match errno {
        Errno::EADDRINUSE => "end what has them now, then try again",
        Errno::EADDRNOTAVAIL => "give this machine the address, then try again",
        Errno::EACCES | Errno::EPERM => "restore it as a user who may do that",
        Errno::ENOENT | Errno::ENOTDIR => "make the directory of the socket again, then try again",
        Errno::ENODEV => "give this machine the device, then try again",
        Errno::EAFNOSUPPORT | Errno::EPROTONOSUPPORT => "use a kernel that has such sockets",
        Errno::EAGAIN | Errno::ENOBUFS | Errno::ETIMEDOUT => {
            "raise net.core.wmem_max and net.core.rmem_max, or restore it as root"
        }
        _ => "remove the cause, then try again",
    }
}

/// `UDP_CORK` (include/uapi/linux/udp.h).
const UDP_CORK: u32 = 1;

/// `UDP_ENCAP` (the same file): the kernel takes packets out of what is received.
const UDP_ENCAP: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use ckpt_image::objects::sockets::NONE;

    fn socket(description: u32, kind: u32, state: State, peer: u32) -> Socket<'static> {
        Socket {
            description,
            family: n::AF_UNIX,
            kind,
            protocol: 0,
            state_number: state as u32,
            peer,
            backlog: 0,
            shut_down: 0,
            mode: 0,
            uid: 0,
            gid: 0,
            place: 0,
            name: b"",
            peer_name: b"",
            options: b"",
        }
    }

    #[test]
    fn what_an_older_kernel_does_not_know_is_missed_only_if_it_was_set() {
        let is_default = |level, name, value: i32| {
            is_default(&SocketOption {
                level,
                name,
                value: &value.to_ne_bytes(),
            })
        };
        assert!(is_default(n::SOL_SOCKET, n::SO_PEEK_OFF, -1));
        assert!(!is_default(n::SOL_SOCKET, n::SO_PEEK_OFF, 0));
        assert!(is_default(n::SOL_SOCKET, n::SO_RCVPRIORITY, 0));
        assert!(!is_default(n::SOL_SOCKET, n::SO_RCVPRIORITY, 1));
    }

    #[test]
    fn a_datagram_socket_may_send_to_one_that_sends_to_a_third() {
        let sender = socket(3, n::SOCK_DGRAM, State::Paired, 4);
        let receiver = socket(4, n::SOCK_DGRAM, State::Paired, 5);
        assert!(is_possible(&sender, Some(&receiver)));
        assert_eq!(making(&sender, Some(&receiver)), Making::Alone);
        let back = socket(4, n::SOCK_DGRAM, State::Paired, 3);
        assert_eq!(making(&sender, Some(&back)), Making::WithPeer);
    }

    #[test]
    fn the_ends_of_a_connection_are_each_others_peers() {
        let here = socket(3, n::SOCK_STREAM, State::Paired, 4);
        let there = socket(4, n::SOCK_STREAM, State::Paired, 3);
        assert!(is_possible(&here, Some(&there)));
        let other = socket(4, n::SOCK_STREAM, State::Paired, 5);
        assert!(!is_possible(&here, Some(&other)));
        let other_kind = socket(4, n::SOCK_SEQPACKET, State::Paired, 3);
        assert!(!is_possible(&here, Some(&other_kind)));
        assert!(!is_possible(&here, None));
        assert!(is_possible(
            &socket(3, n::SOCK_STREAM, State::Outside, NONE),
            None
        ));
    }

    #[test]
    fn a_socket_may_be_connected_to_itself() {
        let datagrams = socket(3, n::SOCK_DGRAM, State::Paired, 3);
        assert!(is_possible(&datagrams, Some(&datagrams)));
        assert_eq!(making(&datagrams, Some(&datagrams)), Making::Alone);
        let mut stream = socket(3, n::SOCK_STREAM, State::Paired, 3);
        assert!(!is_possible(&stream, Some(&stream)));
        stream.family = n::AF_INET;
        assert!(is_possible(&stream, Some(&stream)));
        assert_eq!(making(&stream, Some(&stream)), Making::WithItself);
    }

    #[test]
    fn options_that_would_hinder_the_loopback_come_last() {
        let mut end = socket(3, n::SOCK_STREAM, State::Outside, NONE);
        let device = SocketOption {
            level: n::SOL_SOCKET,
            name: n::SO_BINDTODEVICE,
            value: b"eth0",
        };
        assert_eq!(when(&device, &end, Making::Broken), When::First);
        end.family = n::AF_INET;
        assert_eq!(when(&device, &end, Making::Broken), When::Last);
        assert_eq!(when(&device, &end, Making::Alone), When::First);
    }

    #[test]
    fn what_a_socket_may_have_been_bound_with_is_switched_off_last() {
        let listening = socket(3, n::SOCK_DGRAM, State::Unconnected, NONE);
        let option = |value| SocketOption {
            level: n::SOL_SOCKET,
            name: n::SO_REUSEPORT,
            value,
        };
        let time = |value| when(&option(value), &listening, Making::Alone);
        assert_eq!(time(&[1, 0, 0, 0]), When::First);
        assert_eq!(time(&[0; 4]), When::Last);
    }
}
