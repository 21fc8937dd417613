//! Reads the bytes of extents, from an image as it is or from a compressed one.

use ckpt_image::PAGE;
use ckpt_image::container::unpack;
use ckpt_image::extents::MAX_PAGES;
use ckpt_sys::crc::crc32c;
use ckpt_sys::{Errno, MapVec, files};
use restart::report::{Cause, Error};

use crate::Result;
use crate::image_file::ImageFile;

/// Longest extent, in bytes: of memory, and of files without a name.
pub const LONGEST: usize = (MAX_PAGES * PAGE) as usize;

/// What to do about an image that is not whole.
pub const REMEDY: &str = "take a new checkpoint, or use another image";

impl ImageFile {
    /// How much room is needed to read one extent after the other, in bytes: none where there is nothing to decompress.
    pub fn room_size(&self) -> usize {
        if self.is_compressed() { LONGEST } else { 0 }
    }

    /// That room.
    pub fn room(&self) -> core::result::Result<MapVec<u8>, Errno> {
        MapVec::zeroed(self.room_size())
    }

    /// Reads all bytes of the extent that lies at `offset` of the image, and checks them. `room` has [`Self::room_size`] bytes, which
    /// are overwritten.
    pub fn read_extent(
        &self,
        bytes: &mut [u8],
        offset: u64,
        checksum: u32,
        room: &mut [u8],
    ) -> Result<()> {
        let (place, stored) = self.place_of(offset, bytes.len());
        if stored == bytes.len() {
            let count = files::read_at(&self.fd, bytes, place);
            self.check_count(count, bytes.len())?;
        } else {
            let block = &mut room[..stored];
            let count = files::read_at(&self.fd, block, place);
            self.check_count(count, stored)?;
            unpack(block, bytes)
                .map_err(|_| self.damaged("damaged: a block of its data is not valid"))?;
        }
        if crc32c(bytes) == checksum {
            Ok(())
        } else {
            Err(self.damaged("damaged: the checksum of its data is wrong"))
        }
    }

    /// Where the bytes of the extent at `offset` of the image are in the file, of which there are `length`, and how many there are.
    fn place_of(&self, offset: u64, length: usize) -> (u64, usize) {
        let Some(blocks) = &self.blocks else {
            return (offset, length);
        };
        // Opening the image has checked that each extent has a block, and is as long as that says.
        let index = blocks.partition_point(|block| block.offset < offset);
        let stored = blocks[index].stored;
        (stored.offset, stored.length as usize)
    }

    fn check_count(&self, count: core::result::Result<usize, Errno>, wanted: usize) -> Result<()> {
        match count {
            Ok(count) if count < wanted => Err(self.damaged("damaged: its data ends early")),
            Ok(_) => Ok(()),
            Err(errno) => Err(self.error(Cause::Failed("cannot read its data", errno), REMEDY)),
        }
    }

    fn damaged(&self, how: &'static str) -> Error<'static> {
        self.error(Cause::Because(how), REMEDY)
    }
}
