//! What a socket has received and the program has not read. It is looked at, and stays where it is.

use ckpt_image::regions::FileIdentity;
use ckpt_sys::sockets::{Address, Credentials, Extras, Peeked};
use ckpt_sys::{Errno, Fd, MapVec, calls, files, sockets};
use linux_raw_sys::general as n;
use linux_raw_sys::net;

use crate::apart;
use crate::failure::{Doing, Failure, failure};
use crate::report;

/// A message, or a part of a stream; its bytes and descriptors are kept elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// Inode of the socket that has received it.
    pub to: u64,
    /// Name of the one that has sent it.
    pub sender: Address,
    /// Whom the sender was, if the receiver has asked for it.
    pub credentials: Option<Credentials>,
    data: (usize, usize),
    rights: (usize, usize),
}

/// All messages.
#[derive(Debug, Default)]
pub struct Queues {
    kept: MapVec<Kept>,
    data: MapVec<u8>,
    rights: MapVec<i32>,
}

/// Room for the first look at a message, in bytes.
const ROOM: usize = 64 << 10;

impl Queues {
    /// The messages: of each, its bytes and the numbers of its descriptors, which are open now.
    pub fn iter(&self) -> impl Iterator<Item = (Kept, &[u8], &[i32])> {
        self.kept.iter().map(|kept| {
            let ((data, length), (first, count)) = (kept.data, kept.rights);
            (
                *kept,
                &self.data[data..data + length],
                &self.rights[first..first + count],
            )
        })
    }

    /// All descriptors that came with messages, which are open now.
    pub fn rights(&self) -> &[i32] {
        &self.rights
    }

    /// Looks at all that the socket `fd` has received that keeps borders between messages, or hands out descriptors. The program holds
    /// locks on the files `locked`, which it would lose when a descriptor of ours for one of them is closed.
    ///
    /// # Errors
    /// [`Failure`] if there is no memory for it, no number free for a descriptor, one of a locked file, or urgent data in it.
    pub fn read_messages(
        &mut self,
        fd: i32,
        inode: u64,
        locked: &[FileIdentity],
    ) -> Result<(), Failure> {
        refuse_urgent(fd)?;
        let Ok(offset) = sockets::number_option(fd, net::SOL_SOCKET, net::SO_PEEK_OFF) else {
            return Ok(());
        };
        let walk = Walk { fd, offset };
        let mut room = MapVec::zeroed(ROOM.max(sockets::received(fd).unwrap_or(0)))
            .doing(format_args!("descriptor {fd}: memory for what it received"))?;
        // An error that waits to be told (POLLERR) would be told to us instead: nothing is asked for that may not be there.
        let kind = sockets::number_option(fd, net::SOL_SOCKET, net::SO_TYPE);
        let is_stream = kind == Ok(net::SOCK_STREAM);
        let stream = is_stream.then(|| sockets::received(fd).unwrap_or(0));
        let end = (kind == Ok(net::SOCK_SEQPACKET))
            .then(|| End::made_known(fd))
            .flatten();
        let mut position = 0;
        let mut empty = Empty {
            fd,
            is_stream,
            end: end.as_ref(),
            was_seen: false,
        };
        while stream.map_or_else(|| may_look(fd), |length| position < length) {
            if walk.set(position).is_err() {
                break;
            }
            let peeked = if locked.is_empty() {
                sockets::peek(fd, &mut room)
            } else {
                peek_unless_locked(fd, &mut room, locked, &mut empty)?
            };
            let mut peeked = match peeked {
                Ok(peeked) if end.as_ref().is_some_and(|end| end.is(&peeked)) => break,
                Ok(peeked) => peeked,
                Err(Errno::EINTR) => continue,
                Err(_) => break,
            };
            empty.note(&peeked);
            let is_cut = peeked.is_cut && peeked.length > room.len();
            let from = self.rights.len();
            for &right in &peeked.rights[..peeked.right_count] {
                self.rights
                    .push(above_standard(right))
                    .doing(format_args!("memory for messages"))?;
            }
            if is_cut || peeked.rights_are_cut {
                for &right in &self.rights[from..] {
                    drop(Fd::owning(right));
                }
                self.rights.truncate(from);
                if !is_cut {
                    return Err(failure!(
                        "descriptor {fd}: a message in it carries descriptors, and there are not so many numbers free; \
                         raise `ulimit -n`"
                    ));
                }
                room = MapVec::zeroed(peeked.length)
                    .doing(format_args!("descriptor {fd}: memory for what it received"))?;
                continue;
            }
            if end.as_ref().is_some_and(|end| end.asked == 0) {
                // The program would not be told.
                peeked.credentials = None;
            }
            self.keep(inode, &peeked, &room[..peeked.length], from)?;
            position += peeked.length;
        }
        Ok(())
    }

    /// Looks at all that the TCP socket `fd` has received.
    ///
    /// # Errors
    /// [`Failure`] if there is no memory for it, or urgent data in it.
    pub fn read_stream(&mut self, fd: i32, inode: u64) -> Result<(), Failure> {
        refuse_urgent(fd)?;
        let length = all_received(fd);
        if length == 0 {
            return Ok(());
        }
        let memory = format_args!("descriptor {fd}: memory for what it received");
        let mut room = MapVec::zeroed(length).doing(memory)?;
        let seen = sockets::peek_stream(fd, &mut room).unwrap_or(0);
        if seen < length {
            // It stops where urgent data has been.
            return Err(urgent(fd));
        }
        let start = self.data.len();
        self.data.extend(&room[..length]).doing(memory)?;
        self.kept
            .push(Kept {
                to: inode,
                sender: Address::NONE,
                credentials: None,
                data: (start, length),
                rights: (0, 0),
            })
            .doing(memory)
    }

    fn keep(
        &mut self,
        to: u64,
        peeked: &Peeked,
        data: &[u8],
        first_right: usize,
    ) -> Result<(), Failure> {
        let start = self.data.len();
        self.data
            .extend(data)
            .and_then(|()| {
                self.kept.push(Kept {
                    to,
                    sender: peeked.sender,
                    credentials: peeked.credentials,
                    data: (start, data.len()),
                    rights: (first_right, peeked.right_count),
                })
            })
            .doing(format_args!("memory for messages"))
    }
}

/// Looks at a message, unless it carries a descriptor of one of the files `locked`. Another process looks, and hands on what descriptors it finds:
/// closing them there takes no lock away, and the kernel does not show all messages twice.
fn peek_unless_locked(
    fd: i32,
    room: &mut [u8],
    locked: &[FileIdentity],
    empty: &mut Empty<'_>,
) -> Result<Result<Peeked, Errno>, Failure> {
    let doing = format_args!("descriptor {fd}: a process that looks at it");
    let (ours, theirs) = sockets::pair(net::SOCK_SEQPACKET).doing(doing)?;
    let looked = apart::call(|| {
        let peeked = sockets::peek(fd, room)?;
        let rights = &peeked.rights[..peeked.right_count];
        let is_locked = |&right: &i32| {
            calls::fstat(right).is_ok_and(|stat| {
                let carried = files::identity(&stat);
                locked.iter().any(|file| file.same_file(&carried))
            })
        };
        let extras = Extras {
            to: None,
            rights,
            credentials: None,
        };
        let handed_on = if rights.iter().any(is_locked) {
            HandedOn::Locked
        } else if rights.is_empty() {
            HandedOn::Nothing
        } else {
            let sent = sockets::send(theirs.number(), b"?", &extras);
            sent.map_or_else(HandedOn::Failed, |_| HandedOn::All)
        };
        Ok((peeked, handed_on))
    });
    let (mut peeked, handed_on) = match looked.doing(doing)? {
        Ok(looked) => looked,
        Err(errno) => return Ok(Err(errno)),
    };
    empty.note(&peeked);
    match handed_on {
        HandedOn::Nothing => {}
        HandedOn::All => {
            let handed_on = sockets::peek(ours.number(), &mut [0]).doing(doing)?;
            peeked.rights = handed_on.rights;
            peeked.right_count = handed_on.right_count;
            peeked.rights_are_cut |= handed_on.rights_are_cut;
        }
        HandedOn::Failed(errno) => {
            return Err(failure!(
                "descriptor {fd}: a message in it carries descriptors that cannot be handed on: {errno}; let it be received, or \
                 release the locks that the program holds on files (fcntl(2), F_SETLK)"
            ));
        }
        HandedOn::Locked => {
            return Err(failure!(
                "descriptor {fd}: a message in it carries a descriptor of a file on which the program holds a lock (fcntl(2), F_SETLK), \
                 which looking at it would take away; let it be received, or release the lock first"
            ));
        }
    }
    Ok(Ok(peeked))
}

/// What became of the descriptors that a message carries.
enum HandedOn {
    /// It has none.
    Nothing,
    All,
    /// One of them is of a locked file.
    Locked,
    Failed(Errno),
}

/// Tells, whatever becomes of the look, that an empty message was among those that a socket keeps apart: the kernel passes over it the next
/// time (`skb_set_peeked` in net/core/datagram.c).
struct Empty<'e> {
    fd: i32,
    is_stream: bool,
    end: Option<&'e End>,
    was_seen: bool,
}

impl Empty<'_> {
    fn note(&mut self, peeked: &Peeked) {
        let is_end = self.end.is_some_and(|end| end.is(peeked));
        self.was_seen |= !self.is_stream && peeked.length == 0 && !is_end;
    }
}

impl Drop for Empty<'_> {
    fn drop(&mut self) {
        if self.was_seen {
            report::line(format_args!(
                "warning: descriptor {}: an empty message waits in the socket; images of later checkpoints of this process will lack it",
                self.fd
            ));
        }
    }
}

/// The same on another number than 0 to 2, which mean more than others.
fn above_standard(number: i32) -> i32 {
    if number > 2 {
        return number;
    }
    let original = Fd::owning(number);
    match calls::fcntl(number, n::F_DUPFD_CLOEXEC, 3) {
        Ok(duplicate) => duplicate as i32,
        Err(_) => original.into_number(),
    }
}

/// Refuses a socket in which urgent data waits, which has a place of its own in a stream.
fn refuse_urgent(fd: i32) -> Result<(), Failure> {
    // With POLLERR it would be an error that waits to be read (`SO_SELECT_ERR_QUEUE`).
    let ready = calls::poll_now(fd, n::POLLPRI).unwrap_or(0);
    if ready & (n::POLLPRI | n::POLLERR) == n::POLLPRI {
        return Err(urgent(fd));
    }
    Ok(())
}

/// How much a TCP socket has received, also behind urgent data that has been read already, where `SIOCINQ` ends otherwise (`tcp_inq`
/// in include/net/tcp.h).
fn all_received(fd: i32) -> usize {
    let in_line =
        |whether| sockets::set_number_option(fd, net::SOL_SOCKET, net::SO_OOBINLINE, whether);
    let was = sockets::number_option(fd, net::SOL_SOCKET, net::SO_OOBINLINE).unwrap_or(0);
    let _ = in_line(1);
    let length = sockets::received(fd).unwrap_or(0);
    let _ = in_line(was);
    length
}

fn urgent(fd: i32) -> Failure {
    failure!(
        "descriptor {fd}: urgent data (MSG_OOB) in a socket is not supported; send the signal again when the program has read what \
         it has received"
    )
}

/// Whether looking at the queue takes nothing away from the program.
fn may_look(fd: i32) -> bool {
    calls::poll_now(fd, n::POLLIN).is_ok_and(|ready| ready & n::POLLERR == 0)
}

/// The end of a queue of messages, if the other side has ended it, or does so now: reading it gives nothing, again and again, as a message
/// without content does once. A message says who has sent it, if that is asked for (`SO_PASSCRED`, put back at the end); the end of all says nothing.
struct End {
    fd: i32,
    /// Whether the program has asked for it.
    asked: u32,
}

impl End {
    /// That of the socket `fd`.
    fn made_known(fd: i32) -> Option<Self> {
        let asked = sockets::number_option(fd, net::SOL_SOCKET, net::SO_PASSCRED).ok()?;
        let end = Self { fd, asked };
        end.ask(1).ok()?;
        Some(end)
    }

    fn ask(&self, whether: u32) -> Result<(), Errno> {
        sockets::set_number_option(self.fd, net::SOL_SOCKET, net::SO_PASSCRED, whether)
    }

    /// Whether that was it.
    fn is(&self, peeked: &Peeked) -> bool {
        peeked.length == 0 && peeked.credentials.is_none()
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let _ = self.ask(self.asked);
    }
}

/// A walk through a queue by `SO_PEEK_OFF` (socket(7)), which is put back to what it was at the end.
pub struct Walk {
    fd: i32,
    offset: u32,
}

impl Walk {
    /// None: who looks sees the beginning of the queue, and moves nothing, until the end of this. `None` if the kernel has no such offset
    /// for this kind of socket.
    pub fn none(fd: i32) -> Option<Self> {
        /// No offset.
        const OFF: usize = u32::MAX as usize;
        let offset = sockets::number_option(fd, net::SOL_SOCKET, net::SO_PEEK_OFF).ok()?;
        let walk = Self { fd, offset };
        walk.set(OFF).ok()?;
        Some(walk)
    }

    fn set(&self, offset: usize) -> Result<(), Errno> {
        let (level, name) = (net::SOL_SOCKET, net::SO_PEEK_OFF);
        sockets::set_number_option(self.fd, level, name, offset as u32)
    }
}

impl Drop for Walk {
    fn drop(&mut self) {
        let _ = self.set(self.offset as usize);
    }
}
