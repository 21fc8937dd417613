//! What sockets had received is sent to them again.

use ckpt_image::objects::sockets::{MAX_RIGHTS, Message};
use ckpt_image::reader::Image;
use ckpt_sys::sockets::{self, Address, Credentials, Extras};
use ckpt_sys::{Errno, calls};
use linux_raw_sys::net as n;
use restart::report::Composer;
use restart::sockets::Making;

use super::{Entry, NONE, Sockets, options, tcp, unix};
use crate::open_files::opener::Problem;
use crate::output;

impl Sockets {
    /// Sends all messages of the image; `descriptor` finds the descriptor that was opened for a description.
    pub fn deliver(
        &mut self,
        image: &Image<'_>,
        descriptor: impl Fn(u32) -> Option<i32>,
        problems: &mut Composer,
    ) {
        for message in image.objects::<Message<'_>>() {
            let Some(to) = self.find(message.to).map(|index| self.entries[index]) else {
                continue;
            };
            let is_internet = to.socket.family != n::AF_UNIX;
            let is_there = is_internet && to.making == Making::Broken;
            if to.fd == NONE || is_there {
                continue;
            }
            let result = if is_internet && to.socket.kind == n::SOCK_STREAM {
                self.deliver_stream(&to, &message)
            } else {
                self.deliver_message(&to, &message, &descriptor)
            };
            if let Err(problem) = result {
                self.report(problems, &to.socket, &problem);
            }
        }
    }

    fn made(&self, description: u32) -> Option<Entry> {
        let entry = self.entries[self.find(description)?];
        (entry.fd != NONE).then_some(entry)
    }

    fn deliver_stream(&self, to: &Entry, message: &Message<'_>) -> Result<(), Problem> {
        let Some(peer) = self.made(to.socket.peer) else {
            return Ok(());
        };
        tcp::send(peer.fd, to.fd, message.data)
    }

    fn deliver_message(
        &self,
        to: &Entry,
        message: &Message<'_>,
        descriptor: impl Fn(u32) -> Option<i32>,
    ) -> Result<(), Problem> {
        let name = address_for(to);
        let from = self.made(message.from);
        let is_peer = from.is_some_and(|from| from.socket.peer == to.socket.description);
        let has_pair = matches!(to.making, Making::WithPeer | Making::Broken);
        let stranger;
        let (from, name) = match from {
            Some(from) if is_peer && has_pair => (from.fd, None),
            _ if to.far_end != NONE => (to.far_end, None),
            Some(from) if name.is_some() => (from.fd, name),
            None if to.socket.family == n::AF_UNIX && name.is_some() => {
                // Its sender was outside, and nobody can send in his name.
                stranger = sockets::socket(n::AF_UNIX, to.socket.kind, 0)
                    .map_err(|errno| Problem::Failed(CANNOT, errno))?;
                (stranger.number(), name)
            }
            _ => {
                output::warn(format_args!(
                    "descriptor {}: a datagram that the program had not read yet is lost",
                    to.socket.description
                ));
                return Ok(());
            }
        };
        let mut rights = [0; MAX_RIGHTS];
        let mut count = 0;
        for (place, description) in rights.iter_mut().zip(message.rights()) {
            *place = descriptor(description).ok_or(Problem::NoState)?;
            count += 1;
        }
        let extras = Extras {
            to: name.as_ref(),
            rights: &rights[..count],
            credentials: own_credentials(message),
        };
        let size = options::make_room(from);
        let sent = send(from, message.data, &extras);
        options::take_room_back(from, size);
        match sent {
            Ok(count) if count == message.data.len() => Ok(()),
            Ok(_) => Err(Problem::Failed(CANNOT, Errno::EAGAIN)),
            Err(errno) => Err(Problem::Failed(CANNOT, errno)),
        }
    }
}

const CANNOT: &str = "cannot be given what it had received";

fn send(from: i32, data: &[u8], extras: &Extras<'_>) -> Result<usize, Errno> {
    match sockets::send(from, data, extras) {
        // Whoever it was then, we may not say so now.
        Err(Errno::EPERM) if extras.credentials.is_some() => {
            let honest = Extras {
                credentials: None,
                ..*extras
            };
            sockets::send(from, data, &honest)
        }
        sent => sent,
    }
}

/// The address by which a socket can be sent to from this machine.
fn address_for(to: &Entry) -> Option<Address> {
    if to.socket.name.is_empty() {
        return None;
    }
    if to.socket.name_is_removed() {
        return unix::address_by_file(to);
    }
    let name = Address::new(to.socket.name);
    if to.socket.family == n::AF_UNIX {
        return Some(name);
    }
    let (host, port) = name.host_and_port();
    let is_any = host == [0; 16] || host[10..] == [0xff, 0xff, 0, 0, 0, 0];
    Some(if is_any {
        Address::loopback(to.socket.family).with_port(port)
    } else {
        name
    })
}

/// The credentials of a message, if the receiver had asked for them: its sender is this process now.
fn own_credentials(message: &Message<'_>) -> Option<Credentials> {
    let [process, user, group] = message.credentials;
    (process != 0).then(|| [calls::pid() as u32, user, group])
}
