//! Sockets: all of them are made before the first descriptor is opened, since their addresses may be taken and ends of
//! connections need each other; what they had received is put back when all descriptors are open, since messages carry
//! descriptors.

mod credentials;
mod filters;
mod messages;
mod options;
mod tcp;
mod unix;

use core::cmp::Reverse;
use core::fmt::Write;

use ckpt_image::credentials::Credentials;
use ckpt_image::objects::sockets::{
    InFlight, Message, RECEIVES_NO_MORE, SENDS_NO_MORE, Socket, State, WAS_RESET,
};
use ckpt_image::reader::{BadImage, Image};
use ckpt_image::wire::Malformed;
use ckpt_sys::sockets::{self, Address, Extras};
use ckpt_sys::{Errno, Fd, MapVec};
use linux_raw_sys::net as n;
use restart::report::{Cause, Composer, Error, Exit, Object, compose};
use restart::sockets::{Making, When, is_possible, making, remedy};

use super::made::duplicate;
use super::opener::{Problem, failed};
use crate::{Result, output};

/// One socket of the program.
#[derive(Clone, Copy)]
struct Entry {
    socket: Socket<'static>,
    making: Making,
    /// Ours, until a descriptor takes it; negative as long as it is not made.
    fd: i32,
    /// The other end of a connection whose other end was outside; negative if there is none.
    far_end: i32,
    /// The file of a Unix socket whose name is removed, by which it can be sent to; negative if there is none.
    file: i32,
}

/// All sockets of the program, in ascending order of their descriptions.
pub struct Sockets {
    entries: MapVec<Entry>,
    /// Their indices, in the order in which they are made.
    order: MapVec<usize>,
    /// Lowest number that the program does not have.
    above: u32,
    /// What helps against the first problem, if there is one.
    pub remedy: Option<&'static str>,
}

const NONE: i32 = -1;

const NOTHING_ELSE: Extras<'_> = Extras {
    to: None,
    rights: &[],
    credentials: None,
};

fn bad_image(what: &'static str) -> Error<'static> {
    Error::new(
        Exit::Image,
        Object::Thing("the image"),
        Cause::BadImage(BadImage::Malformed(Malformed::Field(what))),
        "use another image",
    )
}

impl Sockets {
    /// Looks at what the image has; nothing is made yet.
    ///
    /// # Errors
    /// The image is not valid.
    pub fn of(image: &Image<'static>, above: u32) -> Result<Self> {
        let no_memory = |errno| {
            Error::new(
                Exit::Host,
                Object::Thing("sockets"),
                Cause::Failed("no memory for their list", errno),
                "free memory",
            )
        };
        let count = image.objects::<Socket<'_>>().count();
        let mut all = Self {
            entries: MapVec::with_capacity(count).map_err(no_memory)?,
            order: MapVec::with_capacity(count).map_err(no_memory)?,
            above,
            remedy: None,
        };
        for socket in image.objects::<Socket<'_>>() {
            let entry = Entry {
                socket,
                making: Making::Alone,
                fd: NONE,
                far_end: NONE,
                file: NONE,
            };
            all.order.push(all.entries.len()).map_err(no_memory)?;
            all.entries.push(entry).map_err(no_memory)?;
        }
        let entries = &all.entries;
        all.order
            .sort_unstable_by_key(|&index| (Reverse(entries[index].socket.place), index));
        for index in 0..all.entries.len() {
            let socket = all.entries[index].socket;
            let peer = all.find(socket.peer).map(|peer| all.entries[peer].socket);
            if !is_possible(&socket, peer.as_ref()) {
                return Err(bad_image("a socket"));
            }
            all.entries[index].making = making(&socket, peer.as_ref());
        }
        let is_known = |description| {
            image
                .descriptors()
                .any(|one| one.number == description && !one.is_duplicate())
        };
        for message in image.objects::<Message<'_>>() {
            if all.find(message.to).is_none() || !message.rights().all(is_known) {
                return Err(bad_image("a message in a socket"));
            }
        }
        for InFlight { number } in image.objects::<InFlight>() {
            if !image.descriptors().any(|one| one.number == number) {
                return Err(bad_image("the number of a descriptor in flight"));
            }
        }
        Ok(all)
    }

    fn report(&mut self, problems: &mut Composer, socket: &Socket<'_>, problem: &Problem) {
        problems.separate();
        let number = socket.description;
        let _ = write!(problems, "a socket (descriptor {number}) {problem}");
        let (Problem::Failed(_, errno) | Problem::Address(_, errno)) = *problem else {
            return;
        };
        self.remedy = self.remedy.or(Some(remedy(errno)));
    }

    fn find(&self, description: u32) -> Option<usize> {
        self.entries
            .binary_search_by_key(&description, |entry| entry.socket.description)
            .ok()
    }

    /// Makes all of them, with their addresses; a problem is added to `problems`, and those that can be made are made all
    /// the same.
    pub fn make(&mut self, image: &Image<'_>, problems: &mut Composer) {
        for turn in [Turn::RemovedNames, Turn::Addresses, Turn::Others] {
            for place in 0..self.order.len() {
                let index = self.order[place];
                let entry = self.entries[index];
                if self.turn(&entry) != turn || entry.fd != NONE {
                    continue;
                }
                if let Err(problem) = self.make_one(index, image) {
                    self.report(problems, &entry.socket, &problem);
                }
            }
        }
        self.warn_of_ended_connections();
    }

    fn turn(&self, entry: &Entry) -> Turn {
        let peer = self
            .find(entry.socket.peer)
            .map(|at| &self.entries[at].socket);
        let is_pair = entry.making == Making::WithPeer;
        if entry.socket.name_is_removed() || is_pair && peer.is_some_and(Socket::name_is_removed) {
            Turn::RemovedNames
        } else if entry.making == Making::Alone {
            Turn::Addresses
        } else {
            Turn::Others
        }
    }

    fn make_one(&mut self, index: usize, image: &Image<'_>) -> core::result::Result<(), Problem> {
        let Entry { socket, making, .. } = self.entries[index];
        let is_unix = socket.family == n::AF_UNIX;
        let make_pair = |socket: &Socket<'_>| {
            credentials::under_ids(socket, &image.credentials, || sockets::pair(socket.kind))
                .map_err(failed("cannot be made again"))
        };
        match making {
            Making::Alone => {
                let made = sockets::socket(socket.family, socket.kind, socket.protocol)
                    .map_err(failed("cannot be made again"))?;
                options::set(made.number(), &socket, making, When::First)?;
                filters::attach(made.number(), &self.entries[index], image, When::First)?;
                self.bind(index, &made)?;
                self.entries[index].fd = self.out_of_the_way(made)?;
            }
            Making::WithPeer => {
                let peer_at = self.find(socket.peer).ok_or(Problem::NoState)?;
                let peer = self.entries[peer_at].socket;
                let (here, there) = if is_unix {
                    make_pair(&socket)?
                } else {
                    tcp::connection(socket.family, peer.family)?
                };
                for (end, at, socket) in [(&here, index, &socket), (&there, peer_at, &peer)] {
                    options::set(end.number(), socket, making, When::First)?;
                    if is_unix && !socket.has_connection() {
                        self.bind(at, end)?;
                    }
                }
                self.entries[index].fd = self.out_of_the_way(here)?;
                self.entries[peer_at].fd = self.out_of_the_way(there)?;
            }
            Making::WithItself => {
                let made = tcp::connected_to_itself(socket.family)?;
                self.entries[index].fd = self.out_of_the_way(made)?;
            }
            Making::Broken if is_unix => {
                let (here, there) = make_pair(&socket)?;
                options::set(here.number(), &socket, making, When::First)?;
                let has_messages = has_messages(&socket, image);
                self.entries[index].fd = self.out_of_the_way(here)?;
                if has_messages || socket.shut_down & WAS_RESET != 0 {
                    self.entries[index].far_end = self.out_of_the_way(there)?;
                }
            }
            Making::Broken => {
                let made = tcp::broken(&socket, image)?;
                self.entries[index].fd = self.out_of_the_way(made)?;
            }
            Making::Refused => {
                let made = tcp::refused(socket.family)?;
                self.entries[index].fd = self.out_of_the_way(made)?;
            }
        }
        Ok(())
    }

    /// Binds a socket to its address, if it had one.
    fn bind(&mut self, index: usize, fd: &Fd) -> core::result::Result<(), Problem> {
        let socket = self.entries[index].socket;
        if !socket.name_is_removed() {
            return bind(fd, &socket);
        }
        if let Some(file) = unix::bind_and_remove(fd, &socket)? {
            self.entries[index].file = self.out_of_the_way(file)?;
        }
        Ok(())
    }

    fn out_of_the_way(&self, fd: Fd) -> core::result::Result<i32, Problem> {
        if fd.number() as u32 >= self.above {
            return Ok(fd.into_number());
        }
        duplicate(fd.number(), self.above)
            .map(Fd::into_number)
            .map_err(failed("cannot be moved above the program's descriptors"))
    }

    /// The socket with this description, if it could be made.
    pub fn take(&self, description: u32) -> Option<Fd> {
        let entry = &self.entries[self.find(description)?];
        (entry.fd != NONE).then(|| Fd::owning(entry.fd))
    }

    /// Says that the socket with this description, if there is one, is on its number now.
    pub fn moved(&mut self, description: u32) {
        if let Some(index) = self.find(description) {
            self.entries[index].fd = description as i32;
        }
    }

    /// One line, however many there are.
    fn warn_of_ended_connections(&self) {
        let mut numbers = Composer::new();
        for entry in self.entries.iter() {
            if entry.socket.state() == State::Outside {
                numbers.separate();
                let _ = write!(numbers, "{}", entry.socket.description);
            }
        }
        if !numbers.is_empty() {
            let numbers = ckpt_sys::line::Text(numbers.finish());
            output::warn(format_args!(
                "connections to other processes are closed now (descriptors: {numbers})"
            ));
        }
    }

    /// Puts back what was received, and then everything that must wait for that. `descriptor` finds the descriptor that was
    /// opened for a description.
    pub fn finish(
        &mut self,
        image: &Image<'_>,
        descriptor: impl Fn(u32) -> Option<i32>,
        problems: &mut Composer,
    ) {
        self.deliver(image, descriptor, problems);
        for index in 0..self.entries.len() {
            let entry = self.entries[index];
            if entry.fd != NONE
                && entry.making == Making::Alone
                && let Err(problem) = self.open_for_others(&entry, &image.credentials)
            {
                self.report(problems, &entry.socket, &problem);
            }
        }
        for index in 0..self.entries.len() {
            let entry = self.entries[index];
            if entry.fd == NONE {
                continue;
            }
            if entry.far_end != NONE {
                if entry.socket.shut_down & WAS_RESET != 0 {
                    // Something that the other side has not read when it ends.
                    let _ = sockets::send(entry.fd, b"?", &NOTHING_ELSE);
                }
                drop(Fd::owning(entry.far_end));
                self.entries[index].far_end = NONE;
            }
            if entry.file != NONE {
                drop(Fd::owning(entry.file));
                self.entries[index].file = NONE;
            }
            if let Err(problem) = finish_one(&entry, image) {
                self.report(problems, &entry.socket, &problem);
            }
        }
        self.warn_of_other_peers();
    }

    /// Has it listen, or connects it to the address of its peer.
    fn open_for_others(
        &self,
        entry: &Entry,
        credentials: &Credentials<'_>,
    ) -> core::result::Result<(), Problem> {
        let socket = &entry.socket;
        if socket.state() == State::Listening {
            let name = Address::new(socket.name);
            let listen = || sockets::listen(entry.fd, socket.backlog);
            return credentials::under_ids(socket, credentials, listen)
                .map_err(about("cannot listen at", &name));
        }
        if !socket.peer_name.is_empty() {
            let peer = self.find(socket.peer).map(|at| &self.entries[at]);
            let by_file = peer.and_then(unix::address_by_file);
            connect(entry.fd, socket, by_file);
        }
        Ok(())
    }
}

/// When a socket is made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// First, since the name may be another socket's by now.
    RemovedNames,
    /// Then what has an address: no port that the kernel chooses may be one that the program had.
    Addresses,
    /// And then the rest.
    Others,
}

/// Binds a socket to its address, if it had one.
fn bind(fd: &Fd, socket: &Socket<'_>) -> core::result::Result<(), Problem> {
    if socket.name.is_empty() {
        return Ok(());
    }
    let name = Address::new(socket.name);
    let bound = match socket.family {
        n::AF_UNIX => return unix::bind(fd, socket),
        n::AF_NETLINK => sockets::bind(fd.number(), &netlink_name(&name)),
        n::AF_INET | n::AF_INET6 if socket.kind == n::SOCK_STREAM => {
            // What is left of the connections of the process that was killed may still have the port. Nobody who listens
            // there is overlooked: then listen(2) fails.
            sockets::set_number_option(fd.number(), n::SOL_SOCKET, n::SO_REUSEADDR, 1)
                .and_then(|()| sockets::bind(fd.number(), &name))
        }
        _ if socket.peer_name.is_empty() => sockets::bind(fd.number(), &name),
        // Most often the kernel has chosen the address, and may choose another.
        _ => sockets::bind(fd.number(), &name).or(Ok(())),
    };
    bound.map_err(about("cannot be bound to", &name))
}

/// The problem that a system call about an address failed.
fn about(step: &'static str, address: &Address) -> impl Fn(Errno) -> Problem {
    move |errno| {
        let why = compose(format_args!("{step} {address}: {errno}"));
        Problem::Address(why, errno)
    }
}

/// The address of a netlink socket with the same groups, and whatever number the kernel gives it (netlink(7)).
fn netlink_name(name: &Address) -> Address {
    let mut bytes = [0; 12];
    let length = name.as_bytes().len().min(bytes.len());
    bytes[..length].copy_from_slice(&name.as_bytes()[..length]);
    bytes[4..8].fill(0);
    Address::new(&bytes)
}

/// Whether the socket had received something that was not read.
fn has_messages(socket: &Socket<'_>, image: &Image<'_>) -> bool {
    image
        .objects::<Message<'_>>()
        .any(|message| message.to == socket.description)
}

/// What has to wait until all sockets have received again what they had received, and have their addresses for good.
fn finish_one(entry: &Entry, image: &Image<'_>) -> core::result::Result<(), Problem> {
    let Entry {
        socket, making, fd, ..
    } = *entry;
    options::set(fd, &socket, making, When::Last)?;
    filters::attach(fd, entry, image, When::Last)?;
    if making != Making::Broken && making != Making::Refused {
        for (bit, how) in [(RECEIVES_NO_MORE, n::SHUT_RD), (SENDS_NO_MORE, n::SHUT_WR)] {
            if socket.shut_down & bit != 0 {
                let _ = sockets::shut_down(fd, how);
            }
        }
    }
    Ok(())
}

/// Connects a datagram socket to its peer's address. If nobody is there, it is as though the peer had gone.
fn connect(fd: i32, socket: &Socket<'_>, by_file: Option<Address>) {
    let peer = Address::new(socket.peer_name);
    if let Err(errno) = sockets::connect(fd, &by_file.unwrap_or(peer)) {
        output::warn(format_args!(
            "descriptor {}: cannot be connected to {peer} again: {errno}; the program goes on",
            socket.description
        ));
    }
}

/// Waits a millisecond at a time, for as long as anything on this machine may take, until `done` is so.
fn wait_until(mut done: impl FnMut() -> bool) -> core::result::Result<(), Errno> {
    const PATIENCE: u32 = 5000;
    for _ in 0..PATIENCE {
        if done() {
            return Ok(());
        }
        ckpt_sys::calls::sleep(1_000_000);
    }
    Err(Errno::ETIMEDOUT)
}
