//! Files that were open for writing, cut back to the size that they had (`--truncate`): what was written to them after the
//! checkpoint is written again.

use ckpt_image::descriptors::{Descriptor, Kind};
use ckpt_image::reader::Image;
use ckpt_sys::calls;
use linux_raw_sys::general as n;
use restart::report::{Cause, Error, Exit, Object};

use crate::Result;

/// Cuts all of them back. Nobody else has one that the program had locked.
pub fn cut_back(image: &Image<'static>) -> Result<()> {
    for descriptor in image.descriptors().filter(is_output) {
        let fd = descriptor.number as i32;
        let cut = calls::fstat(fd).and_then(|stat| {
            if stat.st_size as u64 > descriptor.file.size {
                calls::ftruncate(fd, descriptor.file.size)?;
            }
            Ok(())
        });
        cut.map_err(|errno| {
            Error::new(
                Exit::Resource,
                Object::Path(descriptor.path),
                Cause::Failed("cannot be cut back to its size at the checkpoint", errno),
                "leave --truncate out",
            )
        })?;
    }
    Ok(())
}

fn is_output(descriptor: &Descriptor<'_>) -> bool {
    let writes =
        descriptor.flags & n::O_PATH == 0 && descriptor.flags & n::O_ACCMODE != n::O_RDONLY;
    descriptor.kind() == Kind::File && !descriptor.is_duplicate() && writes
}
