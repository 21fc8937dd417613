//! The content of deleted files, behind the memory.

use ckpt_image::objects::deleted_files::{FileExtent, MAX_LENGTH};
use ckpt_image::page_up;
use ckpt_sys::crc::crc32c;
use ckpt_sys::{Fd, MapVec, files};

use super::Output;
use crate::collect::descriptors::deleted_files::{FileRun, open};
use crate::failure::{Doing, Failure};

/// What was written.
pub struct Stored {
    /// Where it lies.
    pub extents: MapVec<FileExtent>,
    /// Where it ends in the image, a multiple of the page size.
    pub end: u64,
}

/// Copies `runs` to the image, one behind the other, from `start` on.
///
/// # Errors
/// [`Failure`] if something cannot be read or written.
pub fn write(runs: &[FileRun], start: u64, output: &mut Output<'_>) -> Result<Stored, Failure> {
    let mut stored = Stored {
        extents: MapVec::new(),
        end: start,
    };
    if runs.is_empty() {
        return Ok(stored);
    }
    let mut buffer =
        MapVec::zeroed(MAX_LENGTH as usize).doing(format_args!("memory for a buffer"))?;
    let mut last: Option<(u32, Fd)> = None;
    for run in runs {
        let fd = match last.take() {
            Some((number, fd)) if number == run.number => fd,
            _ => open(run.number)?,
        };
        let bytes = &mut buffer[..run.length as usize];
        let count = files::read_at(&fd, bytes, run.offset)
            .doing(format_args!("descriptor {}", run.number))?;
        // Another process that has the file open can cut it meanwhile.
        bytes[count..].fill(0);
        output.write(bytes, stored.end)?;
        let extent = FileExtent {
            file: run.file,
            length: run.length,
            offset: run.offset,
            place: stored.end,
            checksum: crc32c(bytes),
        };
        stored
            .extents
            .push(extent)
            .doing(format_args!("memory for the list of extents"))?;
        stored.end = page_up(stored.end + u64::from(run.length));
        last = Some((run.number, fd));
    }
    Ok(stored)
}
