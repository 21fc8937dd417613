//! `--verify`: reads everything, restores nothing.

use ckpt_image::objects::deleted_files::FileExtent;
use ckpt_sys::line::Text;
use ckpt_sys::{Errno, MapVec, calls, files};
use linux_raw_sys::general as n;
use restart::report::Cause;

use crate::extents::{LONGEST, REMEDY};
use crate::image_file::ImageFile;
use crate::{Result, output};

/// Checks every extent, and that there is nothing between them, and prints one line.
pub fn verify(file: &ImageFile) -> Result<()> {
    let no_memory = |errno: Errno| {
        file.error(
            Cause::Failed("no memory to check it", errno),
            "free memory or raise `ulimit -v`",
        )
    };
    let mut buffer = MapVec::zeroed(LONGEST).map_err(no_memory)?;
    let mut room = file.room().map_err(no_memory)?;
    let (mut stored, mut checked_to) = (0, file.head.len() as u64);
    for (extent, offset) in file.image.placed_extents() {
        check_gap(file, checked_to, offset, &mut buffer)?;
        checked_to = offset + extent.len();
        let bytes = &mut buffer[..extent.len() as usize];
        file.read_extent(bytes, offset, extent.checksum, &mut room)?;
        stored += extent.len();
    }
    for extent in file.image.objects::<FileExtent>() {
        check_gap(file, checked_to, extent.place, &mut buffer)?;
        checked_to = extent.place + u64::from(extent.length);
        let bytes = &mut buffer[..extent.length as usize];
        file.read_extent(bytes, extent.place, extent.checksum, &mut room)?;
        stored += u64::from(extent.length);
    }
    check_gap(file, checked_to, file.notes_offset, &mut buffer)?;
    let regions = file.image.regions().count();
    let generation = file.image.header.generation;
    const MIB: u64 = 1 << 20;
    let (mib, tenth) = (stored / MIB, stored % MIB * 10 / MIB);
    output::print(format_args!(
        "{}: whole; {regions} regions, {mib}.{tenth} MiB stored, generation {generation}\n",
        Text(file.path)
    ))
}

/// Checks that `file` has nothing but zeros from `from` to `to`, where no extent is: a lazy restart maps what lies there, and debuggers
/// show it. A compressed image has no such places.
fn check_gap(file: &ImageFile, from: u64, to: u64, buffer: &mut [u8]) -> Result<()> {
    if file.is_compressed() {
        return Ok(());
    }
    let fd = file.fd.number();
    let mut at = from;
    while at < to {
        // Where a file system does not know its holes, all of it is read.
        let data = match calls::lseek(fd, at as i64, n::SEEK_DATA) {
            Ok(data) => data as u64,
            Err(Errno::ENXIO) => return Ok(()),
            Err(_) => at,
        };
        let length = to.saturating_sub(data).min(buffer.len() as u64);
        let bytes = &mut buffer[..length as usize];
        let is_empty = files::read_at(&file.fd, bytes, data) == Ok(bytes.len())
            && bytes.iter().all(|&byte| byte == 0);
        if !is_empty {
            return Err(file.error(
                Cause::Because("damaged: there is something where nothing was written"),
                REMEDY,
            ));
        }
        at = data + length.max(1);
    }
    Ok(())
}
