//! Pipes: which of them are the program's own, and what is in them.

use ckpt_image::PAGE;
use ckpt_image::descriptors::{Descriptor, Kind};
use ckpt_image::objects::pipes::{PACKET, Pipe};
use ckpt_sys::{Errno, Fd, MapVec, calls};
use linux_raw_sys::general as n;

use super::objects::Objects;
use super::{Descriptors, Found};
use crate::failure::{Doing, Failure, failure};

/// Tells the program's own pipes, whose both ends it has or whose other end nobody has, from those to other processes.
///
/// # Errors
/// [`Failure`] if there is no memory for it.
pub fn find(all: &mut Descriptors) -> Result<(), Failure> {
    let mut found = MapVec::new();
    for (index, one) in all.found.iter().enumerate() {
        let path = &all.paths[one.path_at..one.path_at + one.path_length];
        if path.starts_with(b"pipe:[") {
            found
                .push((one.descriptor.file.inode, index))
                .doing(format_args!("memory for the list of descriptors"))?;
        }
    }
    found.sort_unstable();
    for ends in found.chunk_by(|(first, _), (second, _)| first == second) {
        let has = |can: fn(u32) -> bool| {
            let mut ends = ends.iter();
            ends.any(|&(_, index)| can(all.found[index].descriptor.flags))
        };
        let both = has(reads) && has(writes);
        for &(_, index) in ends {
            let Found { descriptor, .. } = &mut all.found[index];
            // On a standard number, a pipe that is broken already may as well become the restorer's.
            let outside = descriptor.kind() == Kind::OutsidePipe;
            if both || outside && other_end_is_closed(descriptor) {
                descriptor.kind_number = Kind::Pipe as u32;
            }
        }
    }
    Ok(())
}

/// Whether an open file description with these flags is a read end.
fn reads(flags: u32) -> bool {
    flags & n::O_PATH == 0 && flags & n::O_ACCMODE != n::O_WRONLY
}

/// Whether an open file description with these flags is a write end.
fn writes(flags: u32) -> bool {
    flags & n::O_PATH == 0 && flags & n::O_ACCMODE != n::O_RDONLY
}

/// Whether no process has the other end (`pipe_poll` in fs/pipe.c).
fn other_end_is_closed(descriptor: &Descriptor<'_>) -> bool {
    calls::poll_now(descriptor.number as i32, 0)
        .is_ok_and(|events| events & (n::POLLHUP | n::POLLERR) != 0)
}

/// Reads all pipes, each of which may have several open file descriptions.
///
/// # Errors
/// [`Failure`] names the first that cannot be read.
pub fn collect(all: &Descriptors, objects: &mut Objects) -> Result<(), Failure> {
    let mut ends = MapVec::new();
    for descriptor in all.iter() {
        if matches!(
            descriptor.kind(),
            Kind::Pipe | Kind::OutsidePipe | Kind::Fifo
        ) {
            let end = End {
                device: descriptor.file.device,
                inode: descriptor.file.inode,
                cannot_read: !reads(descriptor.flags),
                cannot_write: !writes(descriptor.flags),
                number: descriptor.number,
            };
            ends.push(end)
                .doing(format_args!("memory for the list of descriptors"))?;
        }
    }
    ends.sort_unstable();
    for ends in ends.chunk_by(End::is_of_pipe_of) {
        let End { number, .. } = ends[0];
        if ends[0].cannot_read && ends[0].cannot_write {
            return Err(failure!(
                "descriptor {number}: a pipe that is open with O_PATH only is not supported; close it first"
            ));
        }
        let capacity = calls::fcntl(number as i32, n::F_GETPIPE_SZ, 0)
            .doing(format_args!("descriptor {number}"))? as u32;
        // Without a reader of ours, what is in the pipe is of no use to the program.
        let content = if ends[0].cannot_read {
            Content::default()
        } else {
            Content::read(number as i32, capacity)?
        };
        objects.add(&Pipe {
            device: ends[0].device,
            inode: ends[0].inode,
            capacity,
            content: &content.bytes,
            lengths: &content.lengths,
        })?;
    }
    Ok(())
}

/// An end of a pipe; those of one pipe stand together, and those that can be read through come first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct End {
    device: u64,
    inode: u64,
    cannot_read: bool,
    cannot_write: bool,
    number: u32,
}

impl End {
    fn is_of_pipe_of(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

/// What is in a pipe.
#[derive(Default)]
struct Content {
    bytes: MapVec<u8>,
    lengths: MapVec<u8>,
}

impl Content {
    /// Reads what is in the pipe `number` and leaves it there: tee(2) copies references to the buffers of a pipe, with the
    /// mark that a buffer is a packet.
    fn read(number: i32, capacity: u32) -> Result<Self, Failure> {
        let mut content = Self::default();
        let (copy, to_copy) = new_pipe(number, capacity)?;
        let total = match calls::tee(number, to_copy.number(), usize::MAX >> 1) {
            Ok(total) => total,
            Err(Errno::EAGAIN) => 0,
            Err(errno) => Err(errno).doing(format_args!("descriptor {number}"))?,
        };
        if total == 0 {
            return Ok(content);
        }
        let mut probe = Probe::new(number)?;
        let mut buffer = MapVec::zeroed(capacity as usize + 1)
            .doing(format_args!("memory for the content of pipes"))?;
        let mut streamed = 0;
        while content.bytes.len() < total {
            let next = probe
                .look_at(&copy, &mut buffer)
                .doing(format_args!("descriptor {number}"))?;
            let bytes = &mut buffer[..next.length];
            if calls::read(copy.number(), bytes) != Ok(next.length) {
                return Err(failure!("descriptor {number}: its content cannot be read"));
            }
            content
                .bytes
                .extend(bytes)
                .doing(format_args!("memory for the content of pipes"))?;
            if next.is_packet {
                content.end_piece(core::mem::take(&mut streamed), 0)?;
                content.end_piece(next.length as u32, PACKET)?;
            } else {
                streamed += next.length as u32;
            }
        }
        content.end_piece(streamed, 0)?;
        Ok(content)
    }

    fn end_piece(&mut self, length: u32, flag: u32) -> Result<(), Failure> {
        if length == 0 {
            return Ok(());
        }
        self.lengths
            .extend(&(length | flag).to_le_bytes())
            .doing(format_args!("memory for the content of pipes"))
    }
}

/// A pipe of the given size, with which that of descriptor `number` is read; read end and write end.
fn new_pipe(number: i32, capacity: u32) -> Result<(Fd, Fd), Failure> {
    let ends = calls::pipe(n::O_CLOEXEC | n::O_NONBLOCK).doing(format_args!("a pipe"))?;
    match calls::fcntl(ends.0.number(), n::F_SETPIPE_SZ, capacity as usize) {
        Ok(_) => Ok(ends),
        Err(errno) => Err(failure!(
            "descriptor {number}: reading a pipe takes a second one of its size ({capacity} bytes): {errno}; raise \
             fs.pipe-user-pages-soft"
        )),
    }
}

/// What the first buffer of a pipe is.
struct Next {
    length: usize,
    is_packet: bool,
}

/// A pipe of two buffers, with which the buffers of another are looked at.
struct Probe {
    read: Fd,
    write: Fd,
}

impl Probe {
    fn new(number: i32) -> Result<Self, Failure> {
        let (read, write) = new_pipe(number, 2 * PAGE as u32)?;
        Ok(Self { read, write })
    }

    /// Looks at the first buffer of `pipe`: its first byte is copied alone, and then there is room for one buffer, which
    /// is copied whole. A read takes both together unless the first is a packet.
    fn look_at(&mut self, pipe: &Fd, scratch: &mut [u8]) -> Result<Next, Errno> {
        calls::tee(pipe.number(), self.write.number(), 1)?;
        let length = calls::tee(pipe.number(), self.write.number(), scratch.len() - 1)?;
        let is_packet = calls::read(self.read.number(), scratch)? == 1;
        if is_packet {
            calls::read(self.read.number(), scratch)?;
        }
        Ok(Next { length, is_packet })
    }
}
