//! `--to-core`: writes an image as the ELF core file that it is, whether it is compressed or not.

use ckpt_image::objects::deleted_files::FileExtent;
use ckpt_sys::{Errno, Fd, Line, MapVec, calls, files};
use linux_raw_sys::general as n;
use restart::report::{Cause, Error, Exit, Object};

use crate::Result;
use crate::extents::LONGEST;
use crate::image_file::{ImageFile, kernel_path};

/// A file name, which the kernel limits to 255 bytes; longer ones are found out when it refuses them.
type Name = Line<300>;

/// Writes the image in `file` to `path`, where nothing may be: under another name beside it first, so that whatever is there is
/// whole. What the image does not store stays a hole.
pub fn write(file: &ImageFile, path: &'static [u8]) -> Result<()> {
    let cannot = failed(path, "cannot write it");
    let core = CoreFile::create(path)?;
    let mut bytes = MapVec::zeroed(LONGEST).map_err(&cannot)?;
    let mut room = file.room().map_err(&cannot)?;
    let memory = file.image.placed_extents();
    let memory = memory.map(|(extent, offset)| (offset, extent.len() as usize, extent.checksum));
    let unnamed = file.image.objects::<FileExtent>();
    let unnamed = unnamed.map(|extent| (extent.place, extent.length as usize, extent.checksum));
    for (offset, length, checksum) in memory.chain(unnamed) {
        let bytes = &mut bytes[..length];
        file.read_extent(bytes, offset, checksum, &mut room)?;
        files::write_at(&core.fd, bytes, offset).map_err(&cannot)?;
    }
    files::write_at(&core.fd, file.notes, file.notes_offset).map_err(&cannot)?;
    files::write_at(&core.fd, file.head, 0).map_err(&cannot)?;
    core.publish()
}

fn failed(path: &'static [u8], step: &'static str) -> impl Fn(Errno) -> Error<'static> {
    move |errno| {
        let remedy = match errno {
            Errno::ENOSPC | Errno::EDQUOT => "free some space, or give a place with more",
            Errno::EFBIG => "raise the limit of file sizes (ulimit -f)",
            Errno::ENOMEM => "free memory or raise `ulimit -v`",
            _ => "give a place that you may write to",
        };
        let cause = Cause::Failed(step, errno);
        Error::new(Exit::Host, Object::Path(path), cause, remedy)
    }
}

fn exists(path: &'static [u8]) -> Error<'static> {
    Error::new(
        Exit::Usage,
        Object::Path(path),
        Cause::Because("it exists already"),
        "remove it, or give another name",
    )
}

/// A file that disappears unless it is published.
struct CoreFile {
    path: &'static [u8],
    directory: Fd,
    name: Name,
    temporary: Name,
    fd: Fd,
    published: bool,
}

impl CoreFile {
    /// Creates the file that is to have this path.
    fn create(path: &'static [u8]) -> Result<Self> {
        let cannot = failed(path, "cannot be created");
        let (directory, file_name) = match path.iter().rposition(|&byte| byte == b'/') {
            Some(at) => (&path[..at + 1], &path[at + 1..]),
            None => (&b"."[..], path),
        };
        let directory = kernel_path(directory)
            .and_then(|path| calls::open(path.as_c_str(), n::O_RDONLY | n::O_DIRECTORY))
            .map_err(&cannot)?;
        let mut name = Name::new();
        name.push(file_name);
        let is_there = calls::stat_at(directory.number(), name.as_c_str(), n::AT_SYMLINK_NOFOLLOW);
        if is_there.is_ok() {
            return Err(exists(path));
        }
        let temporary = Name::format(format_args!(".{name}.{}.tmp", calls::pid()));
        let flags = n::O_WRONLY | n::O_CREAT | n::O_EXCL | n::O_NOFOLLOW;
        let fd = calls::open_at(directory.number(), temporary.as_c_str(), flags, 0o600);
        Ok(Self {
            path,
            fd: fd.map_err(&cannot)?,
            directory,
            name,
            temporary,
            published: false,
        })
    }

    /// Brings the file to the disk and gives it its name.
    fn publish(mut self) -> Result<()> {
        let directory = self.directory.number();
        calls::fsync(self.fd.number()).map_err(failed(self.path, "cannot write it"))?;
        let (from, to) = (self.temporary.as_c_str(), self.name.as_c_str());
        let renamed = match calls::rename_to_new(directory, from, to) {
            // A file system that does not know how: between the look at the name and now somebody may have used it.
            Err(Errno::EINVAL) => calls::rename_at(directory, from, to),
            renamed => renamed,
        };
        renamed.map_err(|errno| match errno {
            Errno::EEXIST => exists(self.path),
            errno => failed(self.path, "cannot be given its name")(errno),
        })?;
        self.published = true;
        // Some file systems cannot sync directories; there it is up to them when the name is safe.
        match calls::fsync(directory) {
            Err(errno) if errno != Errno::EINVAL => {
                Err(failed(self.path, "its directory cannot be synced")(errno))
            }
            _ => Ok(()),
        }
    }
}

impl Drop for CoreFile {
    fn drop(&mut self) {
        if !self.published {
            let _ = calls::unlink_at(self.directory.number(), self.temporary.as_c_str());
        }
    }
}
