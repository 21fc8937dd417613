//! Pipes without a name.

use ckpt_image::descriptors::{Descriptor, Kind};
use ckpt_image::objects::pipes::{Piece, Pipe};
use ckpt_image::reader::Image;
use ckpt_sys::{Errno, Fd, Line, calls};
use linux_raw_sys::general as n;
use restart::descriptors::open_flags;

use super::made::Made;
use super::opener::{Problem, failed, set_status};
use crate::output;

const READ: u32 = n::O_RDONLY;
const WRITE: u32 = n::O_WRONLY;

/// Opens the end that `descriptor` referred to. A pipe is made with both ends for the first descriptor of it; an end that no
/// descriptor takes is closed with all that the program does not have.
pub fn open(
    descriptor: &Descriptor<'_>,
    image: &Image<'_>,
    made: &mut Made,
) -> Result<Fd, Problem> {
    let any_end = match made.find(descriptor, READ) {
        Some(end) => end,
        None => make(descriptor, image, made)?,
    };
    // pipe(2) leaves the flag out, and open(2) sets it.
    let original = descriptor.flags & (n::O_LARGEFILE | n::O_PATH) == 0;
    let end = if original {
        made.take(descriptor, descriptor.flags & n::O_ACCMODE)
    } else {
        None
    };
    let end = match end {
        Some(end) => end,
        None => {
            let path = Line::<32>::format(format_args!("/proc/self/fd/{any_end}"));
            calls::open(path.as_c_str(), open_flags(descriptor.flags))
                .map_err(failed("cannot be opened once more"))?
        }
    };
    set_status(&end, descriptor)?;
    if descriptor.kind() == Kind::OutsidePipe {
        output::warn(format_args!(
            "descriptor {}: was a pipe to another process; its other end is closed now",
            descriptor.number
        ));
    }
    Ok(end)
}

/// Makes the pipe and puts back what was in it; the number of its read end.
fn make(descriptor: &Descriptor<'_>, image: &Image<'_>, made: &mut Made) -> Result<i32, Problem> {
    let pipe = Pipe::of(descriptor, image).ok_or(Problem::NoState)?;
    let (read, write) = calls::pipe(n::O_CLOEXEC).map_err(failed("cannot be made again"))?;
    set_capacity(&write, descriptor, pipe.capacity);
    fill(&write, &pipe)?;
    let keep = failed("cannot be kept");
    made.keep(descriptor, WRITE, write).map_err(&keep)?;
    made.keep(descriptor, READ, read).map_err(&keep)
}

/// Puts back what was in `pipe`, through an end of it.
pub fn fill(end: &Fd, pipe: &Pipe<'_>) -> Result<(), Problem> {
    let mut pieces = pipe.pieces().peekable();
    while let Some(piece) = pieces.next() {
        let before_packet = pieces.peek().is_some_and(|next| next.is_packet);
        match put(end, piece, before_packet) {
            Ok(count) if count == piece.bytes.len() => {}
            Ok(_) => return Err(Problem::Failed(NO_ROOM, Errno::EAGAIN)),
            Err(errno) => return Err(Problem::Failed(NO_ROOM, errno)),
        }
    }
    Ok(())
}

fn put(end: &Fd, piece: Piece<'_>, before_packet: bool) -> Result<usize, Errno> {
    let packets = if piece.is_packet { n::O_DIRECT } else { 0 };
    let flags = (n::O_NONBLOCK | packets) as usize;
    calls::fcntl(end.number(), n::F_SETFL, flags)?;
    if before_packet && !piece.is_packet {
        // To bytes that were written, the kernel adds what fits into the same page, even a packet (`pipe_write` in
        // fs/pipe.c).
        return calls::splice_memory(end.number(), piece.bytes);
    }
    calls::write(end.number(), piece.bytes)
}

const NO_ROOM: &str = "cannot be given its content (see fs.pipe-user-pages-soft)";

/// A smaller pipe does as well for most programs.
pub fn set_capacity(end: &Fd, descriptor: &Descriptor<'_>, capacity: u32) {
    let here = calls::fcntl(end.number(), n::F_GETPIPE_SZ, 0);
    if here != Ok(capacity as usize)
        && let Err(errno) = calls::fcntl(end.number(), n::F_SETPIPE_SZ, capacity as usize)
    {
        output::warn(format_args!(
            "descriptor {}: the pipe cannot have its size of {capacity} bytes: {errno}; the program goes on",
            descriptor.number
        ));
    }
}
