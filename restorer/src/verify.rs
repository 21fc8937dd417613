//! `--verify`: reads everything, restores nothing.

use ckpt_image::PAGE;
use ckpt_image::extents::MAX_PAGES;
use ckpt_image::objects::deleted_files::FileExtent;
use ckpt_sys::line::Text;
use ckpt_sys::{Errno, MapVec, files};
use restart::report::Cause;

use crate::image_file::ImageFile;
use crate::steps::check_extent;
use crate::{Result, output};

/// Checks every extent and prints one line.
pub fn verify(file: &ImageFile) -> Result<()> {
    let no_memory = |errno: Errno| {
        file.error(
            Cause::Failed("no memory to check it", errno),
            "free memory or raise `ulimit -v`",
        )
    };
    let mut buffer = MapVec::zeroed((MAX_PAGES * PAGE) as usize).map_err(no_memory)?;
    let mut stored = 0;
    for (extent, offset) in file.image.placed_extents() {
        let bytes = &mut buffer[..extent.len() as usize];
        check_extent(
            file,
            files::read_at(&file.fd, bytes, offset),
            bytes,
            extent.checksum,
        )?;
        stored += extent.len();
    }
    for extent in file.image.objects::<FileExtent>() {
        let bytes = &mut buffer[..extent.length as usize];
        check_extent(
            file,
            files::read_at(&file.fd, bytes, extent.place),
            bytes,
            extent.checksum,
        )?;
        stored += u64::from(extent.length);
    }
    let regions = file.image.regions().count();
    let generation = file.image.header.generation;
    const MIB: u64 = 1 << 20;
    let (mib, tenth) = (stored / MIB, stored % MIB * 10 / MIB);
    output::print(format_args!(
        "{}: whole; {regions} regions, {mib}.{tenth} MiB stored, generation {generation}\n",
        Text(file.path)
    ))
}
