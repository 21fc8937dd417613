//! Files that are in memory only (memfd_create(2)).

use ckpt_image::descriptors::Descriptor;
use ckpt_image::objects::memory_files::MemoryFile;
use ckpt_image::reader::Image;
use ckpt_sys::line::Path;
use ckpt_sys::{Errno, Fd, Line, calls, files};
use linux_raw_sys::general as n;
use restart::descriptors::open_flags;

use super::made::Made;
use super::opener::{Problem, failed, set_status};

/// A file has only one part.
const WHOLE: u32 = 0;

/// Opens the file that `descriptor` referred to, which is made for the first descriptor of it.
pub fn open(
    descriptor: &Descriptor<'_>,
    image: &Image<'_>,
    made: &mut Made,
) -> Result<Fd, Problem> {
    let whole = match made.find(descriptor, WHOLE) {
        Some(whole) => whole,
        None => {
            let saved = image
                .objects::<MemoryFile<'_>>()
                .find(|saved| {
                    saved.device == descriptor.file.device && saved.inode == descriptor.file.inode
                })
                .ok_or(Problem::NoState)?;
            let new = make(&saved).map_err(failed("cannot be made again"))?;
            made.keep(descriptor, WHOLE, new)
                .map_err(failed("cannot be kept"))?
        }
    };
    let path = Line::<32>::format(format_args!("/proc/self/fd/{whole}"));
    let fd = calls::open(path.as_c_str(), open_flags(descriptor.flags))
        .map_err(failed("cannot be opened once more"))?;
    set_status(&fd, descriptor)?;
    if descriptor.flags & n::O_PATH == 0 {
        calls::lseek(fd.number(), descriptor.offset as i64, n::SEEK_SET)
            .map_err(failed("cannot be moved to its offset"))?;
    }
    Ok(fd)
}

fn make(saved: &MemoryFile<'_>) -> Result<Fd, Errno> {
    let mut name = Path::new();
    name.push(saved.name);
    let fd = calls::memory_file(name.as_c_str(), n::MFD_CLOEXEC | n::MFD_ALLOW_SEALING)?;
    calls::ftruncate(fd.number(), saved.size)?;
    for (offset, bytes) in saved.pieces() {
        files::write_at(&fd, bytes, offset)?;
    }
    calls::fchmod(fd.number(), saved.mode)?;
    calls::fcntl(fd.number(), n::F_ADD_SEALS, saved.seals as usize)?;
    Ok(fd)
}
