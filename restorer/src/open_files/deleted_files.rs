//! Files and directories without a name, made again with their content.

use ckpt_image::descriptors::Descriptor;
use ckpt_image::objects::deleted_files::{DeletedFile, FileExtent, MAX_LENGTH};
use ckpt_image::reader::Image;
use ckpt_sys::bytes::decimal;
use ckpt_sys::line::Path;
use ckpt_sys::{Errno, Fd, Line, MapVec, calls, files};
use linux_raw_sys::general as n;
use restart::descriptors::open_flags;

use super::made::Made;
use super::opener::{Problem, failed, set_status};
use crate::image_file::{ImageFile, kernel_path};
use crate::steps::check_extent;

/// What [`Made`] keeps of such a file: a descriptor for reading and writing.
const FILE: u32 = 0;

/// What the kernel puts behind the path of what has no name (`prepend_path` in fs/d_path.c).
const MARK: &[u8] = b" (deleted)";

/// Opens the file that `descriptor` referred to, which is made for the first descriptor of it.
pub fn open(descriptor: &Descriptor<'_>, file: &ImageFile, made: &mut Made) -> Result<Fd, Problem> {
    let any = match made.find(descriptor, FILE) {
        Some(fd) => fd,
        None => {
            let fd = make(descriptor, file)?;
            made.keep(descriptor, FILE, fd)
                .map_err(failed("cannot be kept"))?
        }
    };
    let path = Line::<32>::format(format_args!("/proc/self/fd/{any}"));
    let fd = calls::open(path.as_c_str(), open_flags(descriptor.flags))
        .map_err(failed("cannot be opened once more"))?;
    set_status(&fd, descriptor)?;
    if descriptor.flags & n::O_PATH == 0 {
        calls::lseek(fd.number(), descriptor.offset as i64, n::SEEK_SET)
            .map_err(failed("cannot be moved to its offset"))?;
    }
    Ok(fd)
}

/// Gives the files of `image` owner and permissions that they had: late, since the program may have had more access to a
/// file that it has made itself than these allow.
pub fn finish(image: &Image<'_>) {
    for file in image.objects::<DeletedFile>() {
        let descriptor = image.descriptors().find(|one| {
            let same = one.file.device == file.device && one.file.inode == file.inode;
            same && one.flags & n::O_PATH == 0
        });
        if let Some(descriptor) = descriptor {
            let number = descriptor.number as i32;
            // Only root can give files away; nobody can find this one by a name in any case.
            let _ = calls::fchown(number, file.uid, file.gid);
            let _ = calls::fchmod(number, file.permissions());
        }
    }
}

fn make(descriptor: &Descriptor<'_>, file: &ImageFile) -> Result<Fd, Problem> {
    let of_this = |deleted: &DeletedFile| {
        deleted.device == descriptor.file.device && deleted.inode == descriptor.file.inode
    };
    let (index, deleted) = (0..)
        .zip(file.image.objects::<DeletedFile>())
        .find(|(_, deleted)| of_this(deleted))
        .ok_or(Problem::NoState)?;
    if deleted.is_directory() {
        return make_directory(descriptor.path).map_err(failed("cannot be made again"));
    }
    let fd = make_file(descriptor).map_err(failed("cannot be made again"))?;
    put_content(&fd, index, deleted.size, file)?;
    Ok(fd)
}

/// The directory that the file was in, and its name.
fn parts(path: &[u8]) -> (&[u8], &[u8]) {
    let path = path.strip_suffix(MARK).unwrap_or(path);
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(at) => (&path[..at.max(1)], &path[at + 1..]),
        None => (b"/", path),
    }
}

/// Where files without a name can be: where it was, or where there is room for temporary files.
fn directories(path: &[u8]) -> [&[u8]; 3] {
    [parts(path).0, b"/tmp", b"/dev/shm"]
}

/// A file without a name. It shows its old name under `/proc`, unless that is in use or it never had one.
fn make_file(descriptor: &Descriptor<'_>) -> Result<Fd, Errno> {
    let flags = n::O_RDWR | n::O_CREAT | n::O_EXCL | n::O_NOFOLLOW;
    let name = parts(descriptor.path).1;
    // The kernel shows what was made without a name by its inode (`d_mark_tmpfile` in fs/dcache.c).
    let never_named = name.strip_prefix(b"#").and_then(decimal).is_some();
    let mut result = Err(Errno::ENOENT);
    for directory in directories(descriptor.path) {
        let path = joined(directory, name)?;
        if !never_named
            && let Ok(fd) = calls::open_at(calls::AT_FDCWD, path.as_c_str(), flags, 0o600)
        {
            calls::unlink_at(calls::AT_FDCWD, path.as_c_str())?;
            return Ok(fd);
        }
        let directory = kernel_path(directory)?;
        let unnamed = n::O_RDWR | n::O_TMPFILE;
        result = calls::open_at(calls::AT_FDCWD, directory.as_c_str(), unnamed, 0o600);
        if result.is_ok() {
            break;
        }
    }
    result
}

/// A directory without a name.
fn make_directory(path: &[u8]) -> Result<Fd, Errno> {
    let name = parts(path).1;
    let mut result = Err(Errno::ENOENT);
    for directory in directories(path) {
        let path = joined(directory, name)?;
        result = calls::make_directory(path.as_c_str(), 0o700).and_then(|()| {
            let fd = calls::open(path.as_c_str(), n::O_RDONLY | n::O_DIRECTORY);
            calls::remove_directory(path.as_c_str())?;
            fd
        });
        if result.is_ok() {
            break;
        }
    }
    result
}

fn joined(directory: &[u8], name: &[u8]) -> Result<Path, Errno> {
    let mut path = kernel_path(directory)?;
    if directory != b"/" {
        path.push(b"/");
    }
    path.push(name);
    if path.is_cut() || name.contains(&0) {
        Err(Errno::ENAMETOOLONG)
    } else {
        Ok(path)
    }
}

/// Writes what the file with this index had in it.
fn put_content(to: &Fd, index: u32, size: u64, file: &ImageFile) -> Result<(), Problem> {
    let no_room = failed("cannot be given its content");
    calls::ftruncate(to.number(), size).map_err(&no_room)?;
    let mut buffer = MapVec::zeroed(MAX_LENGTH as usize).map_err(&no_room)?;
    let extents = file.image.objects::<FileExtent>();
    for extent in extents.filter(|extent| extent.file == index) {
        let bytes = &mut buffer[..extent.length as usize];
        let count = files::read_at(&file.fd, bytes, extent.place);
        check_extent(file, count, bytes, extent.checksum).map_err(Problem::Image)?;
        files::write_at(to, bytes, extent.offset).map_err(&no_room)?;
    }
    Ok(())
}
