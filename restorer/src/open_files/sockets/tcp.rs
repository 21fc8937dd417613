//! Connections of TCP. Both ends are made here, over the loopback.

use ckpt_image::objects::sockets::{Message, Socket};
use ckpt_image::reader::Image;
use ckpt_sys::sockets::{self, Address};
use ckpt_sys::{Errno, Fd, calls};
use linux_raw_sys::general as g;
use linux_raw_sys::net as n;

use super::{NOTHING_ELSE, wait_until};
use crate::open_files::opener::{Problem, failed};

/// How long a connection over the loopback may take, in seconds, before it is given up (`struct timeval`).
const PATIENCE: [u64; 2] = [5, 0];

/// No window is offered that is smaller than a segment (`__tcp_select_window` in net/ipv4/tcp_output.c), and those of the
/// loopback are large.
const SLACK: usize = 256 << 10;

fn timeout() -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&PATIENCE[0].to_ne_bytes());
    bytes[8..].copy_from_slice(&PATIENCE[1].to_ne_bytes());
    bytes
}

/// A socket of this family at a port of the loopback that the kernel chooses, and its address.
fn at_loopback(family: u32) -> Result<(Fd, Address), Errno> {
    let fd = sockets::socket(family, n::SOCK_STREAM, 0)?;
    if family == n::AF_INET6 {
        sockets::set_number_option(fd.number(), n::SOL_IPV6, n::IPV6_V6ONLY, 0)?;
    }
    sockets::bind(fd.number(), &Address::loopback(family))?;
    let name = sockets::name(fd.number())?;
    Ok((fd, name))
}

/// A new connection: the end that has connected, and the one that was accepted.
fn new_connection(family: u32, accepted_family: u32) -> Result<(Fd, Fd), Errno> {
    let (listening, name) = at_loopback(accepted_family)?;
    sockets::listen(listening.number(), 1)?;
    sockets::set_option(
        listening.number(),
        n::SOL_SOCKET,
        n::SO_RCVTIMEO,
        &timeout(),
    )?;
    let here = sockets::socket(family, n::SOCK_STREAM, 0)?;
    if family == n::AF_INET6 {
        sockets::set_number_option(here.number(), n::SOL_IPV6, n::IPV6_V6ONLY, 0)?;
    }
    sockets::set_option(here.number(), n::SOL_SOCKET, n::SO_SNDTIMEO, &timeout())?;
    let port = name.port();
    sockets::connect(here.number(), &Address::loopback(family).with_port(port))?;
    sockets::set_option(here.number(), n::SOL_SOCKET, n::SO_SNDTIMEO, &[0; 16])?;
    let own = sockets::name(here.number())?.host_and_port();
    loop {
        let there = sockets::accept(listening.number())?;
        // Anybody may connect to a port.
        if sockets::peer_name(there.number()).is_ok_and(|name| name.host_and_port() == own) {
            sockets::set_option(there.number(), n::SOL_SOCKET, n::SO_RCVTIMEO, &[0; 16])?;
            return Ok((here, there));
        }
    }
}

/// A connection between two sockets of the program.
pub fn connection(one: u32, other: u32) -> Result<(Fd, Fd), Problem> {
    new_connection(one, other).map_err(failed("cannot be connected over the loopback"))
}

/// A connection between a socket and itself, which comes about where an address connects to itself (RFC 9293, 3.5: simultaneous open).
pub fn connected_to_itself(family: u32) -> Result<Fd, Problem> {
    let make = || {
        let (fd, name) = at_loopback(family)?;
        sockets::connect(fd.number(), &name)?;
        Ok(fd)
    };
    make().map_err(failed("cannot be connected to itself over the loopback"))
}

/// The end of a connection that the other side has ended, with all that it had received.
pub fn broken(socket: &Socket<'_>, image: &Image<'_>) -> Result<Fd, Problem> {
    let (here, there) = connection(socket.family, n::AF_INET)?;
    let received = image
        .objects::<Message<'_>>()
        .filter(|message| message.to == socket.description);
    for message in received {
        send(there.number(), here.number(), message.data)?;
    }
    sockets::shut_down(there.number(), n::SHUT_WR)
        .and_then(|()| wait_until(|| ready(&here, g::POLLRDHUP)))
        .and_then(|()| sockets::shut_down(here.number(), n::SHUT_WR))
        .and_then(|()| wait_until(|| ready(&there, g::POLLRDHUP)))
        .map_err(failed("cannot be given what it had received"))?;
    Ok(here)
}

fn ready(fd: &Fd, event: u32) -> bool {
    calls::poll_now(fd.number(), event).is_ok_and(|ready| ready & event != 0)
}

/// Sends all of `data` from one end of a connection to the other, and waits until it is there.
pub fn send(from: i32, to: i32, mut data: &[u8]) -> Result<(), Problem> {
    let received = || sockets::received(to).unwrap_or(0);
    let total = received() + data.len();
    // The receiver's buffer grows with what it is to wait for (`tcp_set_rcvlowat` in net/ipv4/tcp.c).
    let wanted = (total + SLACK).min(i32::MAX as usize) as u32;
    let mut result = sockets::set_number_option(to, n::SOL_SOCKET, n::SO_RCVLOWAT, wanted);
    if result.is_ok() {
        result = wait_until(|| {
            while !data.is_empty() {
                match sockets::send(from, data, &NOTHING_ELSE) {
                    Ok(count) => data = &data[count..],
                    Err(_) => break,
                }
            }
            received() == total
        });
    }
    let _ = sockets::set_number_option(to, n::SOL_SOCKET, n::SO_RCVLOWAT, 1);
    result.map_err(failed(
        "cannot be given what it had received (see net.ipv4.tcp_rmem)",
    ))
}

/// A socket whose connection was refused, which the program is about to be told.
pub fn refused(family: u32) -> Result<Fd, Problem> {
    let make = || {
        // A port that nobody listens at, and nobody can, for that moment.
        let (_bound, name) = at_loopback(n::AF_INET)?;
        let here = sockets::socket(family, n::SOCK_STREAM, 0)?;
        if family == n::AF_INET6 {
            sockets::set_number_option(here.number(), n::SOL_IPV6, n::IPV6_V6ONLY, 0)?;
        }
        calls::fcntl(here.number(), g::F_SETFL, g::O_NONBLOCK as usize)?;
        let to = Address::loopback(family).with_port(name.port());
        match sockets::connect(here.number(), &to) {
            Ok(()) | Err(Errno::EINPROGRESS) => {}
            Err(errno) => return Err(errno),
        }
        wait_until(|| ready(&here, g::POLLERR))?;
        Ok(here)
    };
    make().map_err(failed("cannot be made again"))
}
