//! The options of a socket that a restart sets again.

use ckpt_image::objects::sockets::{MAX_OPTION, SocketOption, State};
use ckpt_image::wire::Encoder;
use ckpt_sys::{MapVec, calls, sockets};
use linux_raw_sys::net as n;

use super::{Seen, internet};
use crate::failure::{Doing, Failure};
use crate::interpose;

/// Options of all families (socket(7)). The sizes of the buffers come apart, since not all of them were set.
const GENERAL: &[u32] = &[
    n::SO_DEBUG,
    n::SO_REUSEADDR,
    n::SO_DONTROUTE,
    n::SO_BROADCAST,
    n::SO_KEEPALIVE,
    n::SO_OOBINLINE,
    n::SO_NO_CHECK,
    n::SO_LINGER,
    n::SO_REUSEPORT,
    n::SO_PASSCRED,
    n::SO_RCVLOWAT,
    n::SO_RCVTIMEO,
    n::SO_SNDTIMEO,
    n::SO_BINDTODEVICE,
    n::SO_TIMESTAMP,
    n::SO_TIMESTAMPNS,
    n::SO_PASSSEC,
    n::SO_MARK,
    n::SO_TIMESTAMPING,
    n::SO_RXQ_OVFL,
    n::SO_PEEK_OFF,
    n::SO_SELECT_ERR_QUEUE,
    n::SO_BUSY_POLL,
    n::SO_MAX_PACING_RATE,
    n::SO_INCOMING_CPU,
    n::SO_ZEROCOPY,
    n::SO_PASSPIDFD,
    n::SO_PASSRIGHTS,
    n::SO_TIMESTAMP_NEW,
    n::SO_TIMESTAMPNS_NEW,
    n::SO_TIMESTAMPING_NEW,
    n::SO_WIFI_STATUS,
    n::SO_NOFCS,
    n::SO_TXTIME,
    n::SO_PREFER_BUSY_POLL,
    n::SO_TXREHASH,
    n::SO_RCVMARK,
    n::SO_RCVPRIORITY,
];

/// Behind all others, since `IP_TOS` changes it (`__ip_sock_set_tos` in net/ipv4/ip_sockglue.c).
const LAST: &[u32] = &[n::SO_PRIORITY];

/// Whom the kernel names as the peer of a Unix socket; a restart becomes that user to make it (unix(7)).
const UNIX: &[u32] = &[n::SO_PEERCRED];

/// ip(7)
const IPV4: &[u32] = &[
    n::IP_TOS,
    n::IP_TTL,
    n::IP_RECVOPTS,
    n::IP_PKTINFO,
    n::IP_MTU_DISCOVER,
    n::IP_RECVERR,
    n::IP_RECVTTL,
    n::IP_RECVTOS,
    n::IP_FREEBIND,
    n::IP_TRANSPARENT,
    n::IP_RECVORIGDSTADDR,
    n::IP_MINTTL,
    n::IP_BIND_ADDRESS_NO_PORT,
    n::IP_MULTICAST_IF,
    n::IP_MULTICAST_TTL,
    n::IP_MULTICAST_LOOP,
    n::IP_MULTICAST_ALL,
    n::IP_LOCAL_PORT_RANGE,
    n::IP_OPTIONS,
    n::IP_RETOPTS,
    n::IP_PASSSEC,
    n::IP_CHECKSUM,
    n::IP_RECVFRAGSIZE,
    n::IP_RECVERR_RFC4884,
    n::IP_UNICAST_IF,
];

/// ipv6(7)
const IPV6: &[u32] = &[
    n::IPV6_V6ONLY,
    n::IPV6_UNICAST_HOPS,
    n::IPV6_MULTICAST_IF,
    n::IPV6_MULTICAST_HOPS,
    n::IPV6_MULTICAST_LOOP,
    n::IPV6_MULTICAST_ALL,
    n::IPV6_MTU_DISCOVER,
    n::IPV6_RECVERR,
    n::IPV6_RECVPKTINFO,
    n::IPV6_RECVHOPLIMIT,
    n::IPV6_RECVTCLASS,
    n::IPV6_TCLASS,
    n::IPV6_DONTFRAG,
    n::IPV6_TRANSPARENT,
    n::IPV6_FREEBIND,
    n::IPV6_FLOWINFO_SEND,
    n::IPV6_ADDR_PREFERENCES,
    n::IPV6_2292PKTINFO,
    n::IPV6_2292HOPOPTS,
    n::IPV6_2292DSTOPTS,
    n::IPV6_2292RTHDR,
    n::IPV6_2292HOPLIMIT,
    n::IPV6_FLOWINFO,
    n::IPV6_ROUTER_ALERT_ISOLATE,
    n::IPV6_RECVERR_RFC4884,
    n::IPV6_RECVHOPOPTS,
    n::IPV6_HOPOPTS,
    n::IPV6_RTHDRDSTOPTS,
    n::IPV6_RECVRTHDR,
    n::IPV6_RTHDR,
    n::IPV6_RECVDSTOPTS,
    n::IPV6_DSTOPTS,
    n::IPV6_RECVPATHMTU,
    n::IPV6_AUTOFLOWLABEL,
    n::IPV6_MINHOPCOUNT,
    n::IPV6_RECVORIGDSTADDR,
    n::IPV6_UNICAST_IF,
    n::IPV6_RECVFRAGSIZE,
];

/// tcp(7). `TCP_QUICKACK` reads as how it goes at the moment.
const TCP: &[u32] = &[
    n::TCP_NODELAY,
    n::TCP_CORK,
    n::TCP_KEEPIDLE,
    n::TCP_KEEPINTVL,
    n::TCP_KEEPCNT,
    n::TCP_SYNCNT,
    TCP_LINGER2,
    n::TCP_DEFER_ACCEPT,
    n::TCP_CONGESTION,
    n::TCP_USER_TIMEOUT,
    n::TCP_FASTOPEN,
    n::TCP_NOTSENT_LOWAT,
    n::TCP_SAVE_SYN,
    n::TCP_FASTOPEN_CONNECT,
    n::TCP_INQ,
    n::TCP_THIN_LINEAR_TIMEOUTS,
    n::TCP_FASTOPEN_NO_COOKIE,
    n::TCP_TX_DELAY,
    n::TCP_RTO_MAX_MS,
    n::TCP_RTO_MIN_US,
    n::TCP_DELACK_MAX_US,
];

/// Of a connection, and of one that was tried, these read as what it has come to.
const TCP_UNTRIED: &[u32] = &[n::TCP_MAXSEG, n::TCP_WINDOW_CLAMP];

/// Of a socket that accepts data before the connection is made. If it has no key of its own, this is the machine's.
const TCP_EARLY: &[u32] = &[n::TCP_FASTOPEN_KEY];

/// What `TCP_MAXSEG` reads as if nobody has set it (`TCP_MSS_DEFAULT` in include/net/tcp.h).
const DEFAULT_SEGMENT: u32 = 536;

/// `TCP_LINGER2` (include/uapi/linux/tcp.h).
const TCP_LINGER2: u32 = 8;

/// `UDP_CORK`, `UDP_ENCAP`, `UDP_NO_CHECK6_TX`, `UDP_NO_CHECK6_RX`, `UDP_SEGMENT`, `UDP_GRO` (include/uapi/linux/udp.h).
const UDP: &[u32] = &[1, 100, 101, 102, 103, 104];

/// netlink(7)
const NETLINK: &[u32] = &[3, 4, 5, 10, 11, 12];

/// Appends the options of a socket to `into`, as an image keeps them.
///
/// # Errors
/// [`Failure`] if there is no memory for them.
pub fn collect(seen: &Seen, into: &mut MapVec<u8>) -> Result<(), Failure> {
    let fd = seen.fd();
    // A size that nobody has set must stay open to the kernel's own tuning. Since Linux 5.14 it tells which are set.
    let told = sockets::number_option(fd, n::SOL_SOCKET, n::SO_BUF_LOCK).ok();
    let set = interpose::buffers_set(seen.number, seen.inode, told);
    for (bit, name) in [
        (n::SOCK_SNDBUF_LOCK, n::SO_SNDBUF),
        (n::SOCK_RCVBUF_LOCK, n::SO_RCVBUF),
    ] {
        if set & bit != 0 {
            keep(fd, n::SOL_SOCKET, name, into)?;
        }
    }
    let is_open_early = seen.is_tcp()
        && sockets::number_option(fd, n::SOL_TCP, n::TCP_FASTOPEN).is_ok_and(|length| length != 0);
    let tables: [(bool, u32, &[u32]); 10] = [
        (true, n::SOL_SOCKET, GENERAL),
        (seen.is_unix(), n::SOL_SOCKET, UNIX),
        (seen.is_internet(), n::SOL_IP, IPV4),
        (seen.family == n::AF_INET6, n::SOL_IPV6, IPV6),
        (seen.is_tcp(), n::SOL_TCP, TCP),
        (
            seen.is_tcp() && (seen.state == State::Listening || internet::is_fresh(seen)),
            n::SOL_TCP,
            TCP_UNTRIED,
        ),
        (is_open_early, n::SOL_TCP, TCP_EARLY),
        (seen.is_udp(), n::SOL_UDP, UDP),
        (seen.family == n::AF_NETLINK, n::SOL_NETLINK, NETLINK),
        (true, n::SOL_SOCKET, LAST),
    ];
    for (_, level, names) in tables.into_iter().filter(|(applies, ..)| *applies) {
        for &name in names {
            keep(fd, level, name, into)?;
        }
    }
    if seen.is_unix() {
        keep_peer_groups(fd, into)?;
    }
    Ok(())
}

/// Appends the groups of the peer of a Unix socket, unless they are those of the program, as which a restart makes it in any case. Not even
/// these are comparable from one namespace to the next.
fn keep_peer_groups(fd: i32, into: &mut MapVec<u8>) -> Result<(), Failure> {
    let mut value = [0; MAX_OPTION];
    let (level, name) = (n::SOL_SOCKET, n::SO_PEERGROUPS);
    let Ok(length) = sockets::option(fd, level, name, &mut value) else {
        return Ok(());
    };
    let own = calls::groups().doing(format_args!("memory for the groups"))?;
    let (noted, _) = value[..length].as_chunks::<4>();
    if noted
        .iter()
        .map(|&group| u32::from_ne_bytes(group))
        .eq(own.iter().copied())
    {
        return Ok(());
    }
    append(level, name, &value[..length], into)
}

/// Appends one option, unless the socket does not know it.
fn keep(fd: i32, level: u32, name: u32, into: &mut MapVec<u8>) -> Result<(), Failure> {
    let mut value = [0; MAX_OPTION];
    let Ok(length) = sockets::option(fd, level, name, &mut value) else {
        return Ok(());
    };
    if (level, name) == (n::SOL_TCP, n::TCP_MAXSEG) && value[..4] == DEFAULT_SEGMENT.to_ne_bytes() {
        return Ok(());
    }
    // No user at all.
    if (level, name) == (n::SOL_SOCKET, n::SO_PEERCRED) && value[4..8] == [0xff; 4] {
        return Ok(());
    }
    append(level, name, &value[..length.min(MAX_OPTION)], into)
}

/// The option by which a socket may be bound to an address that the machine does not have.
pub fn free_bind(family: u32) -> (u32, u32) {
    if family == n::AF_INET {
        (n::SOL_IP, n::IP_FREEBIND)
    } else {
        (n::SOL_IPV6, n::IPV6_FREEBIND)
    }
}

/// Appends an option whose value is a number.
pub fn append_number(
    level: u32,
    name: u32,
    value: u32,
    into: &mut MapVec<u8>,
) -> Result<(), Failure> {
    append(level, name, &value.to_ne_bytes(), into)
}

/// Appends an option with its value.
pub fn append(level: u32, name: u32, value: &[u8], into: &mut MapVec<u8>) -> Result<(), Failure> {
    let mut room = [0; MAX_OPTION + 16];
    let mut to = Encoder::new(&mut room);
    let option = SocketOption { level, name, value };
    if to.put(&option).is_ok() {
        into.extend(to.written())
            .doing(format_args!("memory for the options of a socket"))?;
    }
    Ok(())
}
