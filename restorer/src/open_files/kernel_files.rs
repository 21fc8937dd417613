//! Files of the kernel's own file systems, which have no identity but their path.

use ckpt_image::descriptors::{Descriptor, Kind};
use ckpt_image::kernel_files::{OWN_NAME, Subject, subject};
use ckpt_image::reader::Image;
use ckpt_sys::line::{Path, Text};
use ckpt_sys::{Errno, Fd, calls};
use linux_raw_sys::general as n;
use restart::descriptors::open_flags;
use restart::report::{Cause, Error, Exit, Object, compose};
use restart::threads::{Renamed, new_id};

use super::opener::{Problem, failed, set_status};
use crate::Result;
use crate::image_file::kernel_path;

/// Whether the file is there only when the threads, or the descriptors, of the program are.
fn comes_late(path: &[u8]) -> bool {
    match subject(path, OWN_NAME) {
        Subject::Thread(..) => true,
        Subject::Process(rest) => rest.starts_with(b"/fdinfo/"),
        Subject::System | Subject::OtherProcess => false,
    }
}

/// Opens what `descriptor` refers to, or something in its place until [`complete`].
pub fn open(descriptor: &Descriptor<'_>) -> core::result::Result<Fd, Problem> {
    if comes_late(descriptor.path) {
        return calls::open(c"/dev/null", n::O_RDONLY).map_err(failed("cannot be opened"));
    }
    let path = kernel_path(descriptor.path).map_err(failed("cannot be opened"))?;
    open_at(&path, descriptor)
}

fn open_at(path: &Path, descriptor: &Descriptor<'_>) -> core::result::Result<Fd, Problem> {
    let fd = calls::open(path.as_c_str(), open_flags(descriptor.flags))
        .map_err(failed("cannot be opened"))?;
    set_status(&fd, descriptor)?;
    // Not all of them can be moved.
    if descriptor.flags & n::O_PATH == 0 && descriptor.offset != 0 {
        calls::lseek(fd.number(), descriptor.offset as i64, n::SEEK_SET)
            .map_err(failed("cannot be moved to its offset"))?;
    }
    Ok(fd)
}

/// Opens those that had to wait, and puts them on their numbers. The threads have their new ids, which `threads` says.
pub fn complete(image: &Image<'static>, threads: &[Renamed]) -> Result<()> {
    let late = |descriptor: &Descriptor<'_>| {
        descriptor.kind() == Kind::KernelFile && comes_late(descriptor.path)
    };
    let originals = image.descriptors().filter(|one| !one.is_duplicate());
    for descriptor in originals.filter(late) {
        complete_one(image, &descriptor, threads).map_err(|problem| {
            let (number, path) = (descriptor.number, Text(descriptor.path));
            let why = compose(format_args!("{path} (descriptor {number}) {problem}"));
            Error::new(
                Exit::Resource,
                Object::Thing("files of the program"),
                Cause::Composed(why),
                "mount /proc as it was, then try again",
            )
        })?;
    }
    Ok(())
}

fn complete_one(
    image: &Image<'_>,
    descriptor: &Descriptor<'_>,
    threads: &[Renamed],
) -> core::result::Result<(), Problem> {
    let path = match subject(descriptor.path, OWN_NAME) {
        Subject::Thread(old, rest) => {
            let tid = new_id(old, threads).ok_or(Problem::NoState)?;
            let path = Path::format(format_args!("/proc/self/task/{tid}"));
            joined(path, rest)
        }
        _ => kernel_path(descriptor.path),
    };
    let fd = open_at(&path.map_err(failed("cannot be opened"))?, descriptor)?;
    let sharing = image
        .descriptors()
        .filter(|one| one.description == descriptor.number);
    for one in sharing {
        let flags = if one.close_on_exec == 0 {
            0
        } else {
            n::O_CLOEXEC
        };
        calls::dup3(fd.number(), one.number as i32, flags)
            .map_err(failed("cannot be put on its number"))?;
    }
    Ok(())
}

fn joined(mut path: Path, rest: &[u8]) -> core::result::Result<Path, Errno> {
    path.push(rest);
    if path.is_cut() {
        Err(Errno::ENAMETOOLONG)
    } else {
        Ok(path)
    }
}
