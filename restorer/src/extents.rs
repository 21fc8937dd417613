//! Reads the bytes of extents, from an image as it is or from a compressed one.

use ckpt_image::PAGE;
use ckpt_image::container::unpack;
use ckpt_image::extents::MAX_PAGES;
use ckpt_sys::crc::{crc32c, crc32c_behind};
use ckpt_sys::{Errno, MapVec, files};
use restart::report::{Cause, Error};

use crate::Result;
use crate::image_file::ImageFile;

/// Longest extent, in bytes: of memory, and of files without a name.
pub const LONGEST: usize = (MAX_PAGES * PAGE) as usize;

/// How much is read at one time, in bytes: the nearer cache of the processor still has it when it is summed.
const PIECE: usize = 256 << 10;

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
        let sum = if stored == bytes.len() {
            self.read_and_sum(bytes, place)?
        } else {
            let block = &mut room[..stored];
            let count = files::read_at(&self.fd, block, place);
            self.check_count(count, stored)?;
            unpack(block, bytes)
                .map_err(|_| self.damaged("damaged: a block of its data is not valid"))?;
            crc32c(bytes)
        };
        if sum == checksum {
            Ok(())
        } else {
            Err(self.damaged("damaged: the checksum of its data is wrong"))
        }
    }

    /// Reads the bytes that the file has from `place` on; their CRC32C.
    fn read_and_sum(&self, bytes: &mut [u8], place: u64) -> Result<u32> {
        let (mut sum, mut place) = (0, place);
        for piece in bytes.chunks_mut(PIECE) {
            let count = files::read_at(&self.fd, piece, place);
            self.check_count(count, piece.len())?;
            sum = crc32c_behind(sum, piece);
            place += piece.len() as u64;
        }
        Ok(sum)
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
