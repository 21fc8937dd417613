//! Files and directories that are open and have no name any more: they live as long as somebody has them open, so their
//! content goes into the image.

use ckpt_image::descriptors::Kind;
use ckpt_image::objects::deleted_files::{DeletedFile, MAX_LENGTH};
use ckpt_sys::{Errno, Fd, Line, MapVec, calls};
use linux_raw_sys::general as n;

use super::Descriptors;
use super::objects::Objects;
use crate::failure::{Doing, Failure, failure};

/// A stretch of a deleted file that holds data.
#[derive(Clone, Copy, Debug)]
pub struct FileRun {
    /// Which of the deleted files in the image, counted from 0.
    pub file: u32,
    /// A descriptor of it.
    pub number: u32,
    /// Where it begins.
    pub offset: u64,
    /// Length in bytes, at most [`MAX_LENGTH`].
    pub length: u32,
}

/// Finds the deleted files among `all`, and where they hold data, of which all together may have no more than `limit`
/// bytes (`CKPT_DELETED`).
///
/// # Errors
/// [`Failure`] names the first that cannot be saved.
pub fn collect(
    all: &Descriptors,
    limit: u64,
    objects: &mut Objects,
) -> Result<MapVec<FileRun>, Failure> {
    let mut found = MapVec::new();
    for descriptor in all.iter() {
        if descriptor.kind() == Kind::DeletedFile {
            let file = &descriptor.file;
            found
                .push(((file.device, file.inode), descriptor.number))
                .doing(format_args!("memory for the list of descriptors"))?;
        }
    }
    found.sort_unstable();
    let mut runs = MapVec::new();
    let mut stored = 0;
    for (index, names) in (0..).zip(found.chunk_by(|first, second| first.0 == second.0)) {
        let number = names[0].1;
        let stat = calls::fstat(number as i32).doing(format_args!("descriptor {number}"))?;
        let file = DeletedFile {
            device: stat.st_dev,
            inode: stat.st_ino,
            mode: stat.st_mode,
            uid: stat.st_uid,
            gid: stat.st_gid,
            size: stat.st_size as u64,
        };
        objects.add(&file)?;
        if !file.is_directory() {
            stored += find_data(index, number, file.size, &mut runs)?;
        }
        if stored > limit {
            let path = all.path_of(number);
            return Err(failure!(
                "descriptor {number} ({path}): with this deleted file of {} bytes, {stored} bytes would go into the image, and \
                 CKPT_DELETED is {limit}; raise it, or close the file first",
                file.size
            ));
        }
    }
    Ok(runs)
}

/// Opens the deleted file behind the descriptor `number` for reading, since seeking in an open file description of the
/// program's would move its offset, for others who share it, too.
///
/// # Errors
/// [`Failure`] if the program may not read it.
pub fn open(number: u32) -> Result<Fd, Failure> {
    let path = Line::<64>::format(format_args!("/proc/thread-self/fd/{number}"));
    calls::open(path.as_c_str(), n::O_RDONLY | n::O_NONBLOCK).map_err(|errno| {
        failure!("descriptor {number}: a deleted file that cannot be read: {errno}; close it first")
    })
}

/// Appends the stretches that hold data to `runs`; how many bytes they have.
fn find_data(
    file: u32,
    number: u32,
    size: u64,
    runs: &mut MapVec<FileRun>,
) -> Result<u64, Failure> {
    let fd = open(number)?;
    let seek = |from: u64, whence: u32| calls::lseek(fd.number(), from as i64, whence);
    let (mut at, mut stored) = (0, 0);
    while at < size {
        // lseek(2): ENXIO if there is no data behind.
        let start = match seek(at, n::SEEK_DATA) {
            Err(Errno::ENXIO) => break,
            start => start.doing(format_args!("descriptor {number}"))? as u64,
        };
        let end = seek(start, n::SEEK_HOLE).doing(format_args!("descriptor {number}"))? as u64;
        let end = end.min(size);
        for offset in (start..end).step_by(MAX_LENGTH as usize) {
            let length = (end - offset).min(u64::from(MAX_LENGTH));
            runs.push(FileRun {
                file,
                number,
                offset,
                length: length as u32,
            })
            .doing(format_args!("memory for the list of descriptors"))?;
            stored += length;
        }
        at = end;
    }
    Ok(stored)
}
