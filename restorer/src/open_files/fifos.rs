//! Named pipes (fifo(7)).

use ckpt_image::descriptors::Descriptor;
use ckpt_image::objects::pipes::Pipe;
use ckpt_image::reader::Image;
use ckpt_sys::line::Path;
use ckpt_sys::{Errno, Fd, Line, calls, files};
use linux_raw_sys::general as n;
use linux_raw_sys::ioctl::FIONREAD;
use restart::descriptors::open_flags;

use super::made::Made;
use super::opener::{Problem, failed, set_status};
use super::pipes::{fill, set_capacity};

/// What [`Made`] keeps of one: a descriptor for both directions. While it is there, no opening of an end waits for the other.
const BOTH: u32 = 0;

/// Opens the end of the one at `path` that `descriptor` referred to.
pub fn open(
    descriptor: &Descriptor<'_>,
    path: &Path,
    image: &Image<'_>,
    made: &mut Made,
) -> Result<Fd, Problem> {
    let flags = open_flags(descriptor.flags);
    let both = match made.find(descriptor, BOTH) {
        Some(both) => both,
        None => match open_both(descriptor, path, image) {
            Ok(both) => made
                .keep(descriptor, BOTH, both)
                .map_err(failed("cannot be kept"))?,
            // One direction may be all that the program was permitted.
            Err(Problem::Failed(_, Errno::EACCES)) => {
                let end =
                    calls::open(path.as_c_str(), flags).map_err(failed("cannot be opened"))?;
                set_status(&end, descriptor)?;
                return Ok(end);
            }
            Err(problem) => return Err(problem),
        },
    };
    let path = Line::<32>::format(format_args!("/proc/self/fd/{both}"));
    let end = calls::open(path.as_c_str(), flags).map_err(failed("cannot be opened once more"))?;
    set_status(&end, descriptor)?;
    Ok(end)
}

/// Opens it for both directions, which never waits, and puts back what was in it, unless there is something by now: it was
/// never empty then, or others have gone on with it.
fn open_both(descriptor: &Descriptor<'_>, path: &Path, image: &Image<'_>) -> Result<Fd, Problem> {
    let both = calls::open(path.as_c_str(), n::O_RDWR | n::O_NONBLOCK)
        .map_err(failed("cannot be opened"))?;
    let stat = calls::fstat(both.number()).map_err(failed("cannot be looked at"))?;
    if !files::is_kind(&stat, n::S_IFIFO) {
        return Err(Problem::OtherKind);
    }
    let pipe = Pipe::of(descriptor, image).ok_or(Problem::NoState)?;
    let mut unread = 0u32;
    // SAFETY: the kernel writes one number.
    unsafe { calls::ioctl(both.number(), FIONREAD, &raw mut unread as usize) }
        .map_err(failed("cannot be looked at"))?;
    if unread == 0 {
        set_capacity(&both, descriptor, pipe.capacity);
        fill(&both, &pipe)?;
    }
    Ok(both)
}
