//! Opens an image and reads its headers and notes.

use ckpt_image::container::{Block, Blocks, Container, Part};
use ckpt_image::reader::{self, BadImage, Image, Segments};
use ckpt_image::wire::Malformed;
use ckpt_image::{PAGE, elf, page_up};
use ckpt_sys::crc::crc32c;
use ckpt_sys::line::Path;
use ckpt_sys::{Errno, Fd, MapVec, calls, files};
use linux_raw_sys::general as n;
use restart::report::{Cause, Error, Exit, Object, compose};

use crate::Result;
use crate::extents::REMEDY;

/// An open image whose headers and notes are checked.
pub struct ImageFile {
    /// Its path, as given.
    pub path: &'static [u8],
    /// Headers and notes.
    pub image: Image<'static>,
    /// The file.
    pub fd: Fd,
    /// Where its data is, if it is compressed: in ascending order of the offsets.
    pub blocks: Option<MapVec<Block>>,
    /// The beginning of the image up to its first page of data,
    pub head: &'static [u8],
    /// the note segment that ends it,
    pub notes: &'static [u8],
    /// and where that lies in the image, in bytes from its beginning.
    pub notes_offset: u64,
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
        Source { fd, path, size }.read()
    }

    /// Whether its data has to be decompressed.
    pub fn is_compressed(&self) -> bool {
        self.blocks.is_some()
    }

    /// Keeps others from writing to the image as long as anything is mapped from it: the lease belongs to the open file, which
    /// lives as long as a mapping of it. Whoever opens it for writing waits until the kernel has ended this process, and
    /// with that the lease: better no program than one whose memory changes under it.
    fn lease(&self) -> Result<()> {
        let fd = self.fd.number();
        if calls::file_system(fd).is_ok_and(|kind| NETWORK.contains(&kind)) {
            return Ok(());
        }
        let lease = calls::fcntl(fd, n::F_SETSIG, n::SIGKILL as usize)
            .and_then(|_| calls::fcntl(fd, n::F_SETLEASE, n::F_RDLCK as usize));
        match lease {
            Err(Errno::EAGAIN) => Err(self.error(
                Cause::Because("somebody has it open for writing, and --lazy maps memory from it"),
                "wait until it is complete, or do without --lazy",
            )),
            // A file of somebody else's, or a file system without leases: there it is up to the user.
            Err(_) => Ok(()),
            Ok(_) => {
                if files::read_at(&self.fd, &mut [0], 0).is_err() {
                    // overlayfs of Linux 5.10 reads nothing by an open file that has a lease (`ovl_real_fdget_meta` in fs/overlayfs/file.c).
                    let _ = calls::fcntl(fd, n::F_SETLEASE, n::F_UNLCK as usize);
                }
                Ok(())
            }
        }
    }

    /// Prepares for memory that is mapped from the image, and maps one page of it, whose address is returned.
    pub fn map_a_page(&self) -> Result<u64> {
        if self.is_compressed() {
            return Err(self.error(
                Cause::Because("it is compressed, and --lazy maps memory from it"),
                "make an image of it that is not (--to-core), or do without --lazy",
            ));
        }
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

/// File systems where a lease can be the server's to break (statfs(2)): with NFS, a new image in the place of the old one, or a change of its permissions, would
/// end whoever has mapped that one.
const NETWORK: [u32; 6] = [
    n::NFS_SUPER_MAGIC,
    n::SMB_SUPER_MAGIC,
    n::CIFS_SUPER_MAGIC,
    n::SMB2_SUPER_MAGIC,
    n::CEPH_SUPER_MAGIC,
    n::AFS_SUPER_MAGIC,
];

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

/// A file that is to be read.
struct Source {
    fd: Fd,
    path: &'static [u8],
    size: u64,
}

impl Source {
    /// Reads headers and notes, and where the data is.
    fn read(self) -> Result<ImageFile> {
        let begin = self.part(0, self.size.min(elf::FILE_HEADER_SIZE as u64))?;
        if Container::begins_with(begin) {
            return self.read_container(begin);
        }
        let section = |offset| self.part(offset, elf::SECTION_HEADER_SIZE as u64).ok();
        let count = reader::segment_count(begin, section).map_err(|why| self.bad(why))?;
        let head = self.part(0, page_up(elf::head_size(count) as u64))?;
        let place = Segments::new(head, count)
            .and_then(|segments| segments.notes(self.size))
            .map_err(|why| self.bad(why))?;
        let notes = self.part(place.offset, place.file_size)?;
        let image = Image::read(head, count, notes, self.size, crc32c);
        Ok(ImageFile {
            path: self.path,
            image: image.map_err(|why| self.bad(why))?,
            head,
            notes,
            notes_offset: place.offset,
            blocks: None,
            fd: self.fd,
        })
    }

    /// The same of a container, which begins with `begin`.
    fn read_container(self, begin: &[u8]) -> Result<ImageFile> {
        let container = Container::read(begin, self.size, crc32c);
        let container = container.map_err(|why| self.bad(why))?;
        let part = |Part { offset, length }| self.part(offset, length);
        let (head, index) = (part(container.head())?, part(container.index())?);
        let notes = part(container.notes())?;
        let section = |offset| head.get(usize::try_from(offset).ok()?..);
        let image = reader::segment_count(head, section)
            .and_then(|count| Image::read(head, count, notes, container.image_size, crc32c));
        let image = image.map_err(|why| self.bad(why))?;
        let all = Blocks::read(&container, &image, index, crc32c).map_err(|why| self.bad(why))?;
        let mut blocks =
            MapVec::with_capacity(container.blocks as usize).map_err(|errno| self.unread(errno))?;
        all.iter().for_each(|block| blocks.push_into_room(block));
        Ok(ImageFile {
            path: self.path,
            image,
            head,
            notes,
            notes_offset: container.image_size - container.notes_size,
            blocks: Some(blocks),
            fd: self.fd,
        })
    }

    fn part(&self, offset: u64, length: u64) -> Result<&'static [u8]> {
        let fits = offset
            .checked_add(length)
            .is_some_and(|end| end <= self.size);
        if !fits {
            return Err(self.bad(Malformed::Truncated));
        }
        let mut bytes = MapVec::zeroed(length as usize).map_err(|errno| self.unread(errno))?;
        let count =
            files::read_at(&self.fd, &mut bytes, offset).map_err(|errno| self.unread(errno))?;
        if count < bytes.len() {
            return Err(self.bad(Malformed::Truncated));
        }
        Ok(bytes.leak())
    }

    fn bad(&self, why: impl Into<BadImage>) -> Error<'static> {
        error(self.path, Cause::BadImage(why.into()), REMEDY)
    }

    fn unread(&self, errno: Errno) -> Error<'static> {
        match errno {
            Errno::ENOMEM => Error::new(
                Exit::Host,
                Object::Path(self.path),
                Cause::Failed("no memory for its notes", errno),
                "free memory or raise `ulimit -v`",
            ),
            errno => error(self.path, Cause::Failed("cannot read it", errno), REMEDY),
        }
    }
}
