//! `--verify`: reads everything, restores nothing.

use ckpt_image::objects::deleted_files::FileExtent;
use ckpt_sys::line::Text;
use ckpt_sys::{Errno, MapVec};
use restart::report::Cause;

use crate::extents::LONGEST;
use crate::image_file::ImageFile;
use crate::{Result, output};

/// Checks every extent and prints one line.
pub fn verify(file: &ImageFile) -> Result<()> {
    let no_memory = |errno: Errno| {
        file.error(
            Cause::Failed("no memory to check it", errno),
            "free memory or raise `ulimit -v`",
        )
    };
    let mut buffer = MapVec::zeroed(LONGEST).map_err(no_memory)?;
    let mut room = file.room().map_err(no_memory)?;
    let mut stored = 0;
    for (extent, offset) in file.image.placed_extents() {
        let bytes = &mut buffer[..extent.len() as usize];
        file.read_extent(bytes, offset, extent.checksum, &mut room)?;
        stored += extent.len();
    }
    for extent in file.image.objects::<FileExtent>() {
        let bytes = &mut buffer[..extent.length as usize];
        file.read_extent(bytes, extent.place, extent.checksum, &mut room)?;
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
