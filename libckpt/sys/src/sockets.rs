//! The system calls about sockets, one typed function each; addresses are bytes as the kernel has them (`struct sockaddr`
//! of whatever family).

use core::ffi::c_void;
use core::fmt;

use linux_raw_sys::general::{self as n, iovec};
use linux_raw_sys::net;

use crate::calls::{self, Done};
use crate::line::Text;
use crate::syscall::call;
use crate::{Errno, Fd};

/// `SCM_MAX_FD` (include/net/scm.h): a message carries no more descriptors.
pub const MAX_RIGHTS: usize = 253;

/// `SCM_PIDFD` (include/linux/socket.h).
const SCM_PIDFD: u32 = 4;

/// The largest address (`_K_SS_MAXSIZE` in include/uapi/linux/socket.h).
const LARGEST: usize = 128;

/// The address of a socket, as the kernel has it.
#[derive(Clone, Copy)]
pub struct Address {
    bytes: [u8; LARGEST],
    length: usize,
}

impl Address {
    /// No address.
    pub const NONE: Self = Self {
        bytes: [0; LARGEST],
        length: 0,
    };

    /// The address with these bytes; what is longer than an address can be is cut off.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        let mut address = Self::NONE;
        address.length = bytes.len().min(LARGEST);
        address.bytes[..address.length].copy_from_slice(&bytes[..address.length]);
        address
    }

    /// 127.0.0.1 and a port that the kernel chooses, for a socket of the family `AF_INET` or `AF_INET6`.
    #[must_use]
    pub fn loopback(family: u32) -> Self {
        let mut bytes = [0; 28];
        bytes[..2].copy_from_slice(&(family as u16).to_ne_bytes());
        if family == net::AF_INET {
            bytes[4..8].copy_from_slice(&[127, 0, 0, 1]);
            Self::new(&bytes[..16])
        } else {
            // ::ffff:127.0.0.1, which needs no IPv6 on this machine.
            bytes[18..24].copy_from_slice(&[0xff, 0xff, 127, 0, 0, 1]);
            Self::new(&bytes)
        }
    }

    /// As the kernel has it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// `AF_*`.
    #[must_use]
    pub fn family(&self) -> u32 {
        u32::from(u16::from_ne_bytes([self.bytes[0], self.bytes[1]]))
    }

    /// Port of an address of the family `AF_INET` or `AF_INET6`.
    #[must_use]
    pub fn port(&self) -> u16 {
        u16::from_be_bytes([self.bytes[2], self.bytes[3]])
    }

    /// The same address with another port.
    #[must_use]
    pub fn with_port(mut self, port: u16) -> Self {
        self.bytes[2..4].copy_from_slice(&port.to_be_bytes());
        self
    }

    /// Host and port as one number, by which an IPv4 address is the same in both families.
    #[must_use]
    pub fn host_and_port(&self) -> ([u8; 16], u16) {
        let mut host = [0; 16];
        if self.family() == net::AF_INET {
            host[10..12].fill(0xff);
            host[12..].copy_from_slice(&self.bytes[4..8]);
        } else {
            host.copy_from_slice(&self.bytes[8..24]);
        }
        (host, self.port())
    }

    /// The name of a Unix socket: a path, or a NUL and a name in the abstract namespace (unix(7)).
    #[must_use]
    pub fn unix_name(&self) -> &[u8] {
        let name = self.as_bytes().get(2..).unwrap_or_default();
        if name.first() == Some(&0) {
            return name;
        }
        let end = name.iter().position(|&byte| byte == 0);
        &name[..end.unwrap_or(name.len())]
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, port) = self.host_and_port();
        match self.family() {
            net::AF_UNIX => match self.unix_name() {
                [0, name @ ..] => write!(f, "@{}", Text(name)),
                path => write!(f, "{}", Text(path)),
            },
            net::AF_INET => {
                let [.., a, b, c, d] = host;
                write!(f, "{a}.{b}.{c}.{d}:{port}")
            }
            net::AF_INET6 => write!(f, "[{}]:{port}", core::net::Ipv6Addr::from(host)),
            family => write!(f, "an address of family {family}"),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// socket(2), always with `SOCK_CLOEXEC`.
///
/// # Errors
/// Those of the system call.
pub fn socket(family: u32, kind: u32, protocol: u32) -> Result<Fd, Errno> {
    let kind = kind | n::O_CLOEXEC;
    // SAFETY: the call takes numbers.
    let number = unsafe {
        call(
            n::__NR_socket,
            [family as usize, kind as usize, protocol as usize],
        )?
    };
    Ok(Fd::owning(number as i32))
}

/// socketpair(2), always with `SOCK_CLOEXEC`.
///
/// # Errors
/// Those of the system call.
pub fn pair(kind: u32) -> Result<(Fd, Fd), Errno> {
    let mut ends = [0i32; 2];
    // SAFETY: the kernel writes two numbers.
    unsafe {
        call(
            n::__NR_socketpair,
            [
                net::AF_UNIX as usize,
                (kind | n::O_CLOEXEC) as usize,
                0,
                ends.as_mut_ptr() as usize,
            ],
        )?
    };
    Ok((Fd::owning(ends[0]), Fd::owning(ends[1])))
}

/// bind(2)
///
/// # Errors
/// Those of the system call.
pub fn bind(fd: i32, address: &Address) -> Done {
    // SAFETY: the kernel reads the address only.
    unsafe {
        call(
            n::__NR_bind,
            [fd as usize, address.bytes.as_ptr() as usize, address.length],
        )
        .map(drop)
    }
}

/// connect(2)
///
/// # Errors
/// Those of the system call.
pub fn connect(fd: i32, address: &Address) -> Done {
    // SAFETY: the kernel reads the address only.
    unsafe {
        call(
            n::__NR_connect,
            [fd as usize, address.bytes.as_ptr() as usize, address.length],
        )
        .map(drop)
    }
}

/// listen(2)
///
/// # Errors
/// Those of the system call.
pub fn listen(fd: i32, backlog: u32) -> Done {
    // SAFETY: the call takes numbers.
    unsafe { call(n::__NR_listen, [fd as usize, backlog as usize]).map(drop) }
}

/// accept4(2), always with `SOCK_CLOEXEC`.
///
/// # Errors
/// Those of the system call.
pub fn accept(fd: i32) -> Result<Fd, Errno> {
    // SAFETY: the call takes numbers; without a place for the address, the kernel writes none.
    let number = unsafe { call(n::__NR_accept4, [fd as usize, 0, 0, n::O_CLOEXEC as usize])? };
    Ok(Fd::owning(number as i32))
}

/// shutdown(2)
///
/// # Errors
/// Those of the system call.
pub fn shut_down(fd: i32, how: u32) -> Done {
    // SAFETY: the call takes numbers.
    unsafe { call(n::__NR_shutdown, [fd as usize, how as usize]).map(drop) }
}

/// getsockname(2)
///
/// # Errors
/// Those of the system call.
pub fn name(fd: i32) -> Result<Address, Errno> {
    address(n::__NR_getsockname, fd)
}

/// getpeername(2)
///
/// # Errors
/// Those of the system call; `ENOTCONN` if there is no peer.
pub fn peer_name(fd: i32) -> Result<Address, Errno> {
    address(n::__NR_getpeername, fd)
}

fn address(number: u32, fd: i32) -> Result<Address, Errno> {
    let mut address = Address::NONE;
    let mut length = LARGEST as u32;
    // SAFETY: the kernel writes the address, no more of it than there is room for, and its length.
    unsafe {
        call(
            number,
            [
                fd as usize,
                address.bytes.as_mut_ptr() as usize,
                &raw mut length as usize,
            ],
        )?
    };
    address.length = (length as usize).min(LARGEST);
    Ok(address)
}

/// getsockopt(2); the number of bytes that the value has.
///
/// # Errors
/// Those of the system call.
pub fn option(fd: i32, level: u32, name: u32, value: &mut [u8]) -> Result<usize, Errno> {
    let mut length = value.len() as u32;
    // SAFETY: the kernel writes no more than `length` bytes to the value, and the new length.
    unsafe {
        call(
            n::__NR_getsockopt,
            [
                fd as usize,
                level as usize,
                name as usize,
                value.as_mut_ptr() as usize,
                &raw mut length as usize,
            ],
        )?
    };
    Ok(length as usize)
}

/// getsockopt(2) of a number of 32 bits.
///
/// # Errors
/// Those of the system call.
pub fn number_option(fd: i32, level: u32, name: u32) -> Result<u32, Errno> {
    let mut value = [0; 4];
    option(fd, level, name, &mut value)?;
    Ok(u32::from_ne_bytes(value))
}

/// setsockopt(2) of an option whose value the kernel only reads, and in which it follows no address.
///
/// # Errors
/// Those of the system call.
pub fn set_option(fd: i32, level: u32, name: u32, value: &[u8]) -> Done {
    // SAFETY: the kernel reads the value only; the caller has chosen an option without addresses in its value.
    unsafe {
        call(
            n::__NR_setsockopt,
            [
                fd as usize,
                level as usize,
                name as usize,
                value.as_ptr() as usize,
                value.len(),
            ],
        )
        .map(drop)
    }
}

/// Gives a socket a packet filter (`SO_ATTACH_FILTER` in socket(7)) of these instructions, 8 bytes each.
///
/// # Errors
/// As for setsockopt(2).
pub fn attach_filter(fd: i32, instructions: &[[u8; 8]]) -> Done {
    /// `struct sock_fprog` (include/uapi/linux/filter.h).
    #[repr(C)]
    struct Program {
        length: u16,
        instructions: *const [u8; 8],
    }
    let program = Program {
        length: u16::try_from(instructions.len()).map_err(|_| Errno::EINVAL)?,
        instructions: instructions.as_ptr(),
    };
    // SAFETY: the kernel reads the value, and as many instructions as it names.
    unsafe {
        call(
            n::__NR_setsockopt,
            [
                fd as usize,
                net::SOL_SOCKET as usize,
                net::SO_ATTACH_FILTER as usize,
                &raw const program as usize,
                size_of::<Program>(),
            ],
        )
        .map(drop)
    }
}

/// setsockopt(2) of a number of 32 bits.
///
/// # Errors
/// Those of the system call.
pub fn set_number_option(fd: i32, level: u32, name: u32, value: u32) -> Done {
    set_option(fd, level, name, &value.to_ne_bytes())
}

/// `SIOCINQ` (tcp(7), udp(7), unix(7)): bytes that were received and not read; of the first message where messages have
/// borders, except that it is all of them for `SOCK_SEQPACKET`.
///
/// # Errors
/// Those of ioctl(2).
pub fn received(fd: i32) -> Result<usize, Errno> {
    queued(fd, linux_raw_sys::ioctl::FIONREAD)
}

/// `SIOCOUTQ` (tcp(7)): bytes that were written and that the other side has not acknowledged.
///
/// # Errors
/// Those of ioctl(2).
pub fn unacknowledged(fd: i32) -> Result<usize, Errno> {
    queued(fd, linux_raw_sys::ioctl::TIOCOUTQ)
}

fn queued(fd: i32, request: u32) -> Result<usize, Errno> {
    let mut count = 0i32;
    // SAFETY: both requests write one number.
    unsafe { calls::ioctl(fd, request, &raw mut count as usize)? };
    Ok(count.max(0) as usize)
}

/// Process, user and group of a sender (`struct ucred`, unix(7)).
pub type Credentials = [u32; 3];

/// What goes with the bytes of a message.
#[derive(Clone, Copy, Debug)]
pub struct Extras<'a> {
    /// To whom, if not to the peer.
    pub to: Option<&'a Address>,
    /// Descriptors.
    pub rights: &'a [i32],
    /// Whom the sender claims to be.
    pub credentials: Option<Credentials>,
}

/// The part of a message that is no data: `struct cmsghdr` and what follows it, aligned as it must be.
#[repr(C, align(8))]
struct Control {
    bytes: [u8; Self::SIZE],
    used: usize,
}

impl Control {
    /// `struct cmsghdr`: length, level and type.
    const HEADER: usize = size_of::<net::cmsghdr>();
    const CREDENTIALS: usize = size_of::<Credentials>();
    /// Descriptors and credentials, and headers of other things that the program may have asked for.
    const SIZE: usize = (Self::HEADER + MAX_RIGHTS * 4 + 4) + (Self::HEADER + 16) + 256;

    const fn new() -> Self {
        Self {
            bytes: [0; Self::SIZE],
            used: 0,
        }
    }

    fn put(&mut self, kind: u32, numbers: impl ExactSizeIterator<Item = u32>) {
        let length = Self::HEADER + numbers.len() * 4;
        let end = self.used + length.next_multiple_of(8);
        let Some(room) = self.bytes.get_mut(self.used..end) else {
            return;
        };
        room[..8].copy_from_slice(&(length as u64).to_ne_bytes());
        room[8..12].copy_from_slice(&net::SOL_SOCKET.to_ne_bytes());
        room[12..16].copy_from_slice(&kind.to_ne_bytes());
        for (place, number) in room[Self::HEADER..].chunks_exact_mut(4).zip(numbers) {
            place.copy_from_slice(&number.to_ne_bytes());
        }
        self.used = end;
    }

    /// Kinds and contents of what the kernel has put there.
    fn parts(&self) -> impl Iterator<Item = (u32, u32, &[u8])> {
        let mut rest = &self.bytes[..self.used];
        core::iter::from_fn(move || {
            let header = rest.get(..Self::HEADER)?;
            let number = |at: usize| {
                u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
            };
            let (length, level, kind) = (number(0) as usize, number(8), number(12));
            let content = rest.get(Self::HEADER..length)?;
            rest = rest.get(length.next_multiple_of(8)..).unwrap_or_default();
            Some((level, kind, content))
        })
    }
}

fn numbers(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes
        .chunks_exact(4)
        .map(|raw| u32::from_ne_bytes([raw[0], raw[1], raw[2], raw[3]]))
}

/// sendmsg(2) without waiting and without SIGPIPE; the number of bytes sent.
///
/// # Errors
/// Those of the system call.
pub fn send(fd: i32, data: &[u8], extras: &Extras<'_>) -> Result<usize, Errno> {
    let mut control = Control::new();
    if !extras.rights.is_empty() {
        let rights = extras.rights.iter().map(|&fd| fd as u32);
        control.put(net::SCM_RIGHTS, rights);
    }
    if let Some(credentials) = extras.credentials {
        control.put(net::SCM_CREDENTIALS, credentials.into_iter());
    }
    let mut part = iovec {
        iov_base: data.as_ptr().cast_mut().cast(),
        iov_len: data.len() as _,
    };
    let to = extras.to.unwrap_or(&Address::NONE);
    let message = net::msghdr {
        msg_name: to.bytes.as_ptr().cast_mut().cast::<c_void>(),
        msg_namelen: to.length as i32,
        msg_iov: (&raw mut part).cast(),
        msg_iovlen: 1,
        msg_control: control.bytes.as_mut_ptr().cast::<c_void>(),
        msg_controllen: control.used,
        msg_flags: 0,
    };
    let flags = net::MSG_DONTWAIT | net::MSG_NOSIGNAL;
    // SAFETY: the kernel reads what the message points to only.
    unsafe {
        call(
            n::__NR_sendmsg,
            [fd as usize, &raw const message as usize, flags as usize],
        )
    }
}

/// Whether a datagram socket of the internet was told to send no more, which nothing shows but the attempt: `to` an address, unless it is
/// connected. A datagram that cannot be read goes nowhere: the kernel looks whether the socket may send before it copies
/// (`sock_alloc_send_pskb` in net/core/sock.c). No error may wait in the socket, which it would tell, and nothing that it has begun to send
/// (`MSG_MORE`), which it would drop.
#[must_use]
pub fn sends_no_more(fd: i32, to: &Address) -> bool {
    const PAGE: usize = 4096;
    let flags = n::MAP_PRIVATE | n::MAP_ANONYMOUS;
    // SAFETY: a fresh mapping is in nobody's way.
    let Ok(page) = (unsafe { calls::map(0, PAGE, n::PROT_NONE, flags, -1, 0) }) else {
        return false;
    };
    let how = net::MSG_DONTWAIT | net::MSG_NOSIGNAL;
    let address = match to.as_bytes() {
        [] => 0,
        bytes => bytes.as_ptr() as usize,
    };
    let arguments = [fd as usize, page, 1, how as usize, address, to.length];
    // SAFETY: the kernel reads nothing but the address, as nobody may read the page.
    let sent = unsafe { call(n::__NR_sendto, arguments) };
    // SAFETY: the mapping is ours, and nothing refers to it.
    let _ = unsafe { calls::unmap(page, PAGE) };
    sent == Err(Errno::EPIPE)
}

/// Whether a bound UDP socket of this family has a datagram that it has only begun to send (`MSG_MORE`, `UDP_CORK`). Nothing is added
/// to that, as `MSG_PROBE` has it, and without one there is nowhere to send to: port 0 (`udp_sendmsg` in net/ipv4/udp.c).
#[must_use]
pub fn has_begun_a_datagram(fd: i32, family: u32) -> bool {
    let mut to = [0; 28];
    to[..2].copy_from_slice(&(family as u16).to_ne_bytes());
    if family == net::AF_INET6 {
        // ::1, since an address of the other family would not do for what was begun in this one.
        to[23] = 1;
    }
    let how = net::MSG_MORE | net::MSG_PROBE | net::MSG_DONTWAIT | net::MSG_NOSIGNAL;
    let address = to.as_ptr() as usize;
    let arguments = [fd as usize, 0, 0, how as usize, address, to.len()];
    // SAFETY: the kernel reads nothing but the address.
    unsafe { call(n::__NR_sendto, arguments).is_ok() }
}

/// A message that was looked at and is still there.
pub struct Peeked {
    /// Its length, which may be larger than what there was room for.
    pub length: usize,
    /// Some of it did not fit.
    pub is_cut: bool,
    /// Who sent it.
    pub sender: Address,
    /// Who the sender is, if the socket has asked for it.
    pub credentials: Option<Credentials>,
    /// Duplicates of the descriptors that came with it.
    pub rights: [i32; MAX_RIGHTS],
    /// How many there are.
    pub right_count: usize,
    /// Some descriptors did not fit, or there was no number free for them.
    pub rights_are_cut: bool,
}

/// recvmsg(2) with `MSG_PEEK`, without waiting: looks at the first message, or at that at `SO_PEEK_OFF`.
///
/// # Errors
/// Those of the system call; `EAGAIN` if there is none.
pub fn peek(fd: i32, data: &mut [u8]) -> Result<Peeked, Errno> {
    let mut sender = Address::NONE;
    let mut control = Control::new();
    let mut part = iovec {
        iov_base: data.as_mut_ptr().cast(),
        iov_len: data.len() as _,
    };
    let mut message = net::msghdr {
        msg_name: sender.bytes.as_mut_ptr().cast::<c_void>(),
        msg_namelen: LARGEST as i32,
        msg_iov: (&raw mut part).cast(),
        msg_iovlen: 1,
        msg_control: control.bytes.as_mut_ptr().cast::<c_void>(),
        msg_controllen: Control::SIZE,
        msg_flags: 0,
    };
    let flags = net::MSG_PEEK | net::MSG_TRUNC | net::MSG_DONTWAIT | net::MSG_CMSG_CLOEXEC;
    // SAFETY: the kernel writes no more than there is room for to each of the three buffers.
    let length = unsafe {
        call(
            n::__NR_recvmsg,
            [fd as usize, &raw mut message as usize, flags as usize],
        )?
    };
    sender.length = (message.msg_namelen.max(0) as usize).min(LARGEST);
    control.used = message.msg_controllen.min(Control::SIZE);
    let mut peeked = Peeked {
        length,
        is_cut: message.msg_flags & net::MSG_TRUNC != 0,
        sender,
        credentials: None,
        rights: [0; MAX_RIGHTS],
        right_count: 0,
        rights_are_cut: message.msg_flags & net::MSG_CTRUNC != 0,
    };
    for (level, kind, content) in control.parts() {
        match (level, kind) {
            (net::SOL_SOCKET, net::SCM_RIGHTS) => {
                for (place, number) in peeked.rights.iter_mut().zip(numbers(content)) {
                    *place = number as i32;
                    peeked.right_count += 1;
                }
            }
            (net::SOL_SOCKET, SCM_PIDFD) => {
                // Made for this look (SO_PASSPIDFD).
                for number in numbers(content) {
                    drop(Fd::owning(number as i32));
                }
            }
            (net::SOL_SOCKET, net::SCM_CREDENTIALS) => {
                let mut credentials = [0; Control::CREDENTIALS / 4];
                for (place, number) in credentials.iter_mut().zip(numbers(content)) {
                    *place = number;
                }
                peeked.credentials = Some(credentials);
            }
            _ => {}
        }
    }
    Ok(peeked)
}

/// recv(2) with `MSG_PEEK`, without waiting: looks at what a stream has received.
///
/// # Errors
/// Those of the system call.
pub fn peek_stream(fd: i32, data: &mut [u8]) -> Result<usize, Errno> {
    let flags = net::MSG_PEEK | net::MSG_DONTWAIT;
    // SAFETY: the kernel writes no more than there is room for; it is asked for no address.
    unsafe {
        call(
            n::__NR_recvfrom,
            [
                fd as usize,
                data.as_mut_ptr() as usize,
                data.len(),
                flags as usize,
                0,
                0,
            ],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_as_people_write_them() {
        let address = Address::loopback(net::AF_INET).with_port(80);
        assert_eq!(std::format!("{address}"), "127.0.0.1:80");
        let address = Address::loopback(net::AF_INET6).with_port(80);
        assert_eq!(std::format!("{address}"), "[::ffff:127.0.0.1]:80");
        assert_eq!(
            std::format!("{}", Address::new(b"\x01\0/run/a\0")),
            "/run/a"
        );
        assert_eq!(std::format!("{}", Address::new(b"\x01\0\0a\n")), "@a\\n");
    }

    #[test]
    fn an_ipv4_address_is_the_same_in_both_families() {
        let [old, new] = [net::AF_INET, net::AF_INET6].map(Address::loopback);
        assert_eq!(old.host_and_port(), new.host_and_port());
    }

    #[test]
    fn what_was_looked_at_is_still_there() {
        let (here, there) = pair(net::SOCK_SEQPACKET).unwrap();
        let extras = Extras {
            to: None,
            rights: &[here.number(), there.number()],
            credentials: None,
        };
        assert_eq!(send(here.number(), b"hello", &extras), Ok(5));
        for _ in 0..2 {
            let mut bytes = [0; 3];
            let peeked = peek(there.number(), &mut bytes).unwrap();
            assert_eq!((peeked.length, peeked.is_cut), (5, true));
            assert_eq!((&bytes, peeked.right_count), (b"hel", 2));
            for &fd in &peeked.rights[..2] {
                drop(Fd::owning(fd));
            }
        }
        assert_eq!(received(there.number()), Ok(5));
    }
}
