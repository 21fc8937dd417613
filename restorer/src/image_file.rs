//! Opens an image and reads its headers and notes.

use ckpt_image::reader::{self, BadImage, Image, Segments};
use ckpt_image::wire::Malformed;
use ckpt_image::{PAGE, elf, page_up};
use ckpt_sys::crc::crc32c;
use ckpt_sys::line::Path;
use ckpt_sys::{Errno, Fd, MapVec, calls, files};
use linux_raw_sys::general as n;
use restart::report::{Cause, Error, Exit, Object, compose};

use crate::Result;

/// An open image whose headers and notes are checked.
pub struct ImageFile {
    /// Its path, as given.
    pub path: &'static [u8],
    /// Headers and notes.
    pub image: Image<'static>,
    /// The file.
    pub fd: Fd,
}

/// `path` for the kernel.
pub fn kernel_path(path: &[u8]) -> core::result::Result<Path, Errno> {
    let mut line = Path::new();
    line.push(path);
    if line.is_cut() || path.contains(&0) {
        Err(Errno::ENAMETOOLONG)
    } else {
        Ok(line)
    }
}

fn error(path: &'static [u8], cause: Cause<'static>, remedy: &'static str) -> Error<'static> {
    Error::new(Exit::Image, Object::Path(path), cause, remedy)
}

impl ImageFile {
    /// Opens the image at `path` and checks headers and notes, and whether it is the user's own to run.
    pub fn open(path: &'static [u8], any_owner: bool) -> Result<Self> {
        // Without O_NONBLOCK, a name that leads to a pipe would hang.
        let fd = kernel_path(path)
            .and_then(|path| calls::open(path.as_c_str(), n::O_RDONLY | n::O_NONBLOCK))
            .and_then(above_standard)
            .map_err(|errno| {
                error(
                    path,
                    Cause::Failed("cannot open it", errno),
                    "check the name and your permissions",
                )
            })?;
        let size = check_file(&fd, path, any_owner)?;
        let image = read(&fd, path, size)?;
        Ok(Self { path, image, fd })
    }

    /// Keeps others from writing to the image as long as anything is mapped from it: the lease belongs to the open file, which
    /// lives as long as a mapping of it. Whoever opens it for writing waits until the kernel has ended this process, and
    /// with that the lease: better no program than one whose memory changes under it.
    fn lease(&self) -> Result<()> {
        let fd = self.fd.number();
        let lease = calls::fcntl(fd, n::F_SETSIG, n::SIGKILL as usize)
            .and_then(|_| calls::fcntl(fd, n::F_SETLEASE, n::F_RDLCK as usize));
        match lease {
            Err(Errno::EAGAIN) => Err(self.error(
                Cause::Because("somebody has it open for writing, and --lazy maps memory from it"),
                "wait until it is complete, or do without --lazy",
            )),
            // A file of somebody else's, or a file system without leases: there it is up to the user.
            _ => Ok(()),
        }
    }

    /// Prepares for memory that is mapped from the image, and maps one page of it, whose address is returned.
    pub fn map_a_page(&self) -> Result<u64> {
        self.lease()?;
        // The program may make any of its memory executable, now or later.
        let protection = n::PROT_READ | n::PROT_EXEC;
        let (length, fd) = (PAGE as usize, self.fd.number());
        // SAFETY: nothing that exists is changed.
        let mapped = unsafe { calls::map(0, length, protection, n::MAP_PRIVATE, fd, 0) };
        mapped.map(|page| page as u64).map_err(|errno| {
            let cause = match errno {
                Errno::EPERM => Cause::Because(
                    "its file system is mounted noexec, and --lazy maps memory from it",
                ),
                errno => Cause::Failed("cannot be mapped", errno),
            };
            self.error(
                cause,
                "move it to another file system, or do without --lazy",
            )
        })
    }

    /// An error about the image.
    pub fn error(&self, cause: Cause<'static>, remedy: &'static str) -> Error<'static> {
        error(self.path, cause, remedy)
    }
}

/// Moves `fd` off the numbers 0 to 2: which of them are closed matters later.
fn above_standard(fd: Fd) -> core::result::Result<Fd, Errno> {
    if fd.number() > 2 {
        return Ok(fd);
    }
    calls::fcntl(fd.number(), n::F_DUPFD_CLOEXEC, 3).map(|number| Fd::owning(number as i32))
}

/// Checks what the file is and whom it belongs to; its size in bytes.
fn check_file(fd: &Fd, path: &'static [u8], any_owner: bool) -> Result<u64> {
    let refuse = |cause, remedy| Err(error(path, cause, remedy));
    let stat = match calls::fstat(fd.number()) {
        Ok(stat) => stat,
        Err(errno) => {
            return refuse(
                Cause::Failed("cannot look at it", errno),
                "check the file system",
            );
        }
    };
    if files::is_kind(&stat, n::S_IFDIR) {
        return refuse(
            Cause::Because("a directory, not a checkpoint image"),
            "give the image's name",
        );
    }
    if !files::is_kind(&stat, n::S_IFREG) {
        return refuse(
            Cause::Because("not a regular file"),
            "copy the image to a file",
        );
    }
    let user = calls::geteuid().unwrap_or_default() as u32;
    if !any_owner && stat.st_uid != user && stat.st_uid != 0 {
        let why = compose(format_args!(
            "belongs to user {}, and restoring it would run that user's code as {user}",
            stat.st_uid
        ));
        return refuse(
            Cause::Composed(why),
            "use --any-owner if you trust that user",
        );
    }
    if !any_owner && stat.st_mode & (n::S_IWGRP | n::S_IWOTH) != 0 {
        return refuse(
            Cause::Because("others can write to it, and restoring it would run what they wrote"),
            "use --any-owner if you trust them",
        );
    }
    Ok(stat.st_size as u64)
}

fn read(fd: &Fd, path: &'static [u8], size: u64) -> Result<Image<'static>> {
    const REMEDY: &str = "take a new checkpoint, or use another image";
    let bad = |why: BadImage| error(path, Cause::BadImage(why), REMEDY);
    let unreadable = |errno| match errno {
        Errno::ENOMEM => Error::new(
            Exit::Host,
            Object::Path(path),
            Cause::Failed("no memory for its notes", errno),
            "free memory or raise `ulimit -v`",
        ),
        errno => error(path, Cause::Failed("cannot read it", errno), REMEDY),
    };
    let part = |offset: u64, length: u64| -> Result<&'static [u8]> {
        let fits = offset.checked_add(length).is_some_and(|end| end <= size);
        if !fits {
            return Err(bad(Malformed::Truncated.into()));
        }
        let mut bytes = MapVec::zeroed(length as usize).map_err(unreadable)?;
        let count = files::read_at(fd, &mut bytes, offset).map_err(unreadable)?;
        if count < bytes.len() {
            return Err(bad(Malformed::Truncated.into()));
        }
        Ok(bytes.leak())
    };

    let begin = part(0, size.min(elf::FILE_HEADER_SIZE as u64))?;
    let section = |offset| part(offset, elf::SECTION_HEADER_SIZE as u64).ok();
    let count = reader::segment_count(begin, section).map_err(bad)?;
    let head = part(0, page_up(elf::head_size(count) as u64))?;
    let notes = Segments::new(head, count)
        .and_then(|segments| segments.notes(size))
        .map_err(|why| bad(why.into()))?;
    let notes = part(notes.offset, notes.file_size)?;
    Image::read(head, count, notes, size, crc32c).map_err(bad)
}
