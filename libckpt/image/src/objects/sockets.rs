//! Sockets (socket(7)): what they are, their options, and what they have received and the program has not yet read.

use super::Object;
use crate::note::Kind;
use crate::record;
use crate::wire::{Decoder, Malformed};

/// Stands for no socket where the description of one is named.
pub const NONE: u32 = u32::MAX;

/// No address is longer (`_K_SS_MAXSIZE` in include/uapi/linux/socket.h).
pub const MAX_NAME: usize = 128;

/// No option that an image keeps has a longer value.
pub const MAX_OPTION: usize = 1024;

/// A message carries no more descriptors (`SCM_MAX_FD` in include/net/scm.h).
pub const MAX_RIGHTS: usize = 253;

/// How far a socket has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum State {
    /// No connection was made; a datagram socket may have a peer by its name.
    Unconnected = 1,
    /// It accepts connections.
    Listening = 2,
    /// It is connected to another socket of the program.
    Paired = 3,
    /// It is connected to another process: the connection cannot come back.
    Outside = 4,
    /// It was connected, and the other side has ended the connection.
    Ended = 5,
    /// It is connecting, or this has failed, and the program will ask for the outcome.
    Connecting = 6,
}

impl State {
    /// Whether the other end of its connection is none of the program's: that of a Unix socket is made to send what had been received.
    #[must_use]
    pub fn lost_peer(self) -> bool {
        matches!(self, Self::Outside | Self::Ended)
    }

    fn from_number(number: u32) -> Option<Self> {
        [
            Self::Unconnected,
            Self::Listening,
            Self::Paired,
            Self::Outside,
            Self::Ended,
            Self::Connecting,
        ]
        .into_iter()
        .find(|&known| known as u32 == number)
    }
}

/// Bits of [`Socket::shut_down`].
pub const RECEIVES_NO_MORE: u32 = 1;
/// See [`RECEIVES_NO_MORE`].
pub const SENDS_NO_MORE: u32 = 2;
/// See [`RECEIVES_NO_MORE`]: the other side, a Unix socket, has ended without reading what it had received, and the program has not been told
/// (`ECONNRESET`).
pub const WAS_RESET: u32 = 4;

/// Of [`Socket::mode`]: the file of a Unix socket was removed, and its name leads to nothing, or to something else.
pub const NAME_REMOVED: u32 = 1 << 31;

record! {
    /// One socket. They stand in ascending order of their descriptions.
    pub struct Socket<'a> {
        /// The lowest descriptor that refers to it.
        pub description: u32,
        /// `AF_*`.
        pub family: u32,
        /// `SOCK_*`.
        pub kind: u32,
        /// Protocol of the family (`IPPROTO_*`).
        pub protocol: u32,
        /// [`State`] as a number; [`Socket::state`] gives the checked value.
        pub state_number: u32,
        /// Description of the socket that it is connected to, if that is the program's, too; otherwise [`NONE`].
        pub peer: u32,
        /// How many connections may wait to be accepted.
        pub backlog: u32,
        /// [`RECEIVES_NO_MORE`], [`SENDS_NO_MORE`], [`WAS_RESET`].
        pub shut_down: u32,
        /// Permissions of the file of a Unix socket, or [`NAME_REMOVED`].
        pub mode: u32,
        /// Its owner.
        pub uid: u32,
        /// Its group.
        pub gid: u32,
        /// Of a UDP socket: its place in the kernel's list. Of those at one port, the first that a datagram fits as well as any gets it, and
        /// the last that is bound is the first. 0 if that does not matter.
        pub place: u32,
        /// The address that it is bound to, as the kernel has it; empty if there is none.
        pub name: &'a [u8],
        /// The address of its peer; empty if there is none.
        pub peer_name: &'a [u8],
        /// Options, one [`SocketOption`] after the other.
        pub options: &'a [u8],
    }
}

impl<'a> Socket<'a> {
    /// How far it has come; [`Object::check`] has refused unknown numbers.
    #[must_use]
    pub fn state(&self) -> State {
        State::from_number(self.state_number).unwrap_or(State::Ended)
    }

    /// The options.
    pub fn options(&self) -> impl Iterator<Item = SocketOption<'a>> + use<'a> {
        let mut rest = Decoder::new(self.options);
        core::iter::from_fn(move || {
            if rest.is_empty() {
                None
            } else {
                rest.get().ok()
            }
        })
    }

    /// Whether it is a Unix socket that had a name in a directory, and now has one that leads nowhere.
    #[must_use]
    pub fn name_is_removed(&self) -> bool {
        const AF_UNIX: u32 = 1;
        self.family == AF_UNIX && self.mode & NAME_REMOVED != 0
    }

    /// Whether it is of a type that has connections with two ends (`SOCK_STREAM`, `SOCK_SEQPACKET`).
    #[must_use]
    pub fn has_connection(&self) -> bool {
        matches!(self.kind, 1 | 5)
    }
}

impl<'a> Object<'a> for Socket<'a> {
    const NOTE: Kind = Kind::Sockets;

    fn check(&self) -> Result<(), Malformed> {
        let paired = self.state_number == State::Paired as u32;
        if State::from_number(self.state_number).is_none() {
            Err(Malformed::Field("the state of a socket"))
        } else if paired == (self.peer == NONE) {
            Err(Malformed::Field("the peer of a socket"))
        } else if [self.name, self.peer_name]
            .iter()
            .any(|name| name.len() > MAX_NAME || name.len() == 1)
        {
            Err(Malformed::Field("the address of a socket"))
        } else {
            let mut options = Decoder::new(self.options);
            while !options.is_empty() {
                let option: SocketOption<'_> = options.get()?;
                if option.value.len() > MAX_OPTION {
                    return Err(Malformed::Field("the value of a socket's option"));
                }
            }
            Ok(())
        }
    }
}

record! {
    /// One option of a socket (setsockopt(2)).
    pub struct SocketOption<'a> {
        /// `SOL_*`.
        pub level: u32,
        /// The option.
        pub name: u32,
        /// Its value.
        pub value: &'a [u8],
    }
}

record! {
    /// What a socket has received and the program has not read: a message, or a part of a stream. Those of one socket
    /// stand in the order in which they arrived.
    pub struct Message<'a> {
        /// Description of the socket that has received it.
        pub to: u32,
        /// Description of the socket that has sent it, if that is the program's; otherwise [`NONE`].
        pub from: u32,
        /// Process, user and group that the sender had, zero where the receiver has not asked for them.
        pub credentials: [u32; 3],
        /// Descriptions that came with it, 4 bytes each.
        pub rights: &'a [u8],
        /// The bytes.
        pub data: &'a [u8],
    }
}

impl<'a> Message<'a> {
    /// Descriptions that came with it.
    pub fn rights(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.rights
            .chunks_exact(4)
            .map(|raw| u32::from_le_bytes([raw[0], raw[1], raw[2], raw[3]]))
    }
}

impl<'a> Object<'a> for Message<'a> {
    const NOTE: Kind = Kind::Messages;

    fn check(&self) -> Result<(), Malformed> {
        if self.rights.len().is_multiple_of(4) && self.rights.len() <= 4 * MAX_RIGHTS {
            Ok(())
        } else {
            Err(Malformed::Field("the descriptors of a message"))
        }
    }
}

record! {
    /// A descriptor that the program does not have: the number stands for an open file description that is only in a
    /// message, and no descriptor has this number after a restart.
    pub struct InFlight {
        /// The number.
        pub number: u32,
    }
}

impl Object<'_> for InFlight {
    const NOTE: Kind = Kind::InFlight;

    fn check(&self) -> Result<(), Malformed> {
        Ok(())
    }
}

/// Bytes of one instruction of a packet filter (`struct sock_filter` in include/uapi/linux/filter.h).
pub const INSTRUCTION: usize = 8;

/// A packet filter has no more instructions (`BPF_MAXINSNS` in include/uapi/linux/bpf_common.h).
pub const MAX_INSTRUCTIONS: usize = 4096;

record! {
    /// The packet filter of a socket (`SO_ATTACH_FILTER` in socket(7)).
    pub struct SocketFilter<'a> {
        /// The lowest descriptor that refers to the socket.
        pub description: u32,
        /// 1 if it is there for good (`SO_LOCK_FILTER`), otherwise 0.
        pub locked: u32,
        /// Its instructions, as the program has given them, [`INSTRUCTION`] bytes each.
        pub instructions: &'a [u8],
    }
}

impl<'a> Object<'a> for SocketFilter<'a> {
    const NOTE: Kind = Kind::SocketFilters;

    fn check(&self) -> Result<(), Malformed> {
        let (whole, rest) = self.instructions.as_chunks::<INSTRUCTION>();
        if rest.is_empty() && (1..=MAX_INSTRUCTIONS).contains(&whole.len()) {
            Ok(())
        } else {
            Err(Malformed::Field("the packet filter of a socket"))
        }
    }
}
