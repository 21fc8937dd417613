//! The container of a compressed image: headers and notes of the image as they are, and its data in blocks of LZ4.
//!
//! Each extent is one block, and the blocks lie one behind the other in the order of the extents, so all that has to be
//! written down of a block is its length.

use lz4_flex::block::{compress_into, decompress_into, get_maximum_output_size};

use crate::objects::deleted_files::FileExtent;
use crate::reader::{BadImage, Image, MAX_NOTES};
use crate::record;
use crate::wire::{Decoder, Encoder, Malformed};

/// The first bytes of a container. No text begins with the first one, and no ELF file.
pub const MAGIC: [u8; 8] = *b"\x89CKPTLZ4";

/// Version of the container. A reader refuses every other one.
pub const VERSION: u32 = 1;

/// The size of [`Container`], in bytes.
pub const CONTAINER_SIZE: usize = 60;

/// Bytes that the index has for each block: its length.
pub const ENTRY_SIZE: usize = size_of::<u32>();

record! {
    /// What a container begins with. Its parts follow in the order of the sizes here, up to the end of the file.
    pub struct Container {
        /// [`MAGIC`].
        pub magic: [u8; 8],
        /// [`VERSION`].
        pub version: u32,
        /// Length of the image's headers, in bytes: up to its first page of data.
        pub head_size: u64,
        /// Length of all blocks, in bytes.
        pub data_size: u64,
        /// Number of blocks.
        pub blocks: u64,
        /// Length of the image's note segment, in bytes.
        pub notes_size: u64,
        /// Length of the image that it becomes, in bytes.
        pub image_size: u64,
        /// CRC32C of the index.
        pub index_checksum: u32,
        /// CRC32C of the fields above.
        pub checksum: u32,
    }
}

/// A part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where it begins, in bytes from the beginning of the file.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u64,
}

impl Container {
    /// Whether a file that begins with `bytes` is a container.
    #[must_use]
    pub fn begins_with(bytes: &[u8]) -> bool {
        bytes.starts_with(&MAGIC)
    }

    /// Reads what stands in `bytes`, the beginning of a file of `file_size` bytes that is a container.
    ///
    /// # Errors
    /// [`BadImage`] if it is of another version, or damaged.
    pub fn read(bytes: &[u8], file_size: u64, crc32c: fn(&[u8]) -> u32) -> Result<Self, BadImage> {
        let this: Self = Decoder::new(bytes).get()?;
        if this.version != VERSION {
            return Err(BadImage::OtherContainer(this.version));
        }
        if this.checksum != crc32c(&bytes[..CONTAINER_SIZE - size_of::<u32>()]) {
            return Err(BadImage::ChecksumOf("container"));
        }
        let sizes = [this.head_size, this.data_size, this.notes_size];
        let index_size = this.blocks.checked_mul(ENTRY_SIZE as u64);
        let wanted = sizes
            .iter()
            .try_fold(CONTAINER_SIZE as u64, |all, &size| all.checked_add(size))
            .zip(index_size)
            .and_then(|(others, index)| others.checked_add(index))
            .ok_or(Malformed::Field("a size"))?;
        if wanted != file_size {
            return Err(BadImage::WrongLength(file_size, wanted));
        }
        if this.notes_size > MAX_NOTES {
            return Err(Malformed::Field("the note segment").into());
        }
        Ok(this)
    }

    /// Its bytes, with the checksum put in.
    #[must_use]
    pub fn encode(&self, crc32c: fn(&[u8]) -> u32) -> [u8; CONTAINER_SIZE] {
        let mut bytes = [0; CONTAINER_SIZE];
        // The buffer has the size of the record.
        let _ = Encoder::new(&mut bytes).put(self);
        let sum_at = CONTAINER_SIZE - size_of::<u32>();
        let sum = crc32c(&bytes[..sum_at]);
        bytes[sum_at..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// The headers of the image.
    #[must_use]
    pub fn head(&self) -> Part {
        Part {
            offset: CONTAINER_SIZE as u64,
            length: self.head_size,
        }
    }

    /// The blocks.
    #[must_use]
    pub fn data(&self) -> Part {
        self.head().followed_by(self.data_size)
    }

    /// The lengths of the blocks, [`ENTRY_SIZE`] bytes each.
    #[must_use]
    pub fn index(&self) -> Part {
        self.data().followed_by(self.blocks * ENTRY_SIZE as u64)
    }

    /// The notes of the image.
    #[must_use]
    pub fn notes(&self) -> Part {
        self.index().followed_by(self.notes_size)
    }
}

impl Part {
    /// The part of `length` bytes behind this one.
    fn followed_by(&self, length: u64) -> Self {
        Self {
            offset: self.offset + self.length,
            length,
        }
    }
}

/// The bytes of an extent, and where they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Where they lie in the image, in bytes from its beginning.
    pub offset: u64,
    /// How many there are.
    pub length: u32,
    /// What the container has in their place. If it has as many bytes, they are the same.
    pub stored: Part,
}

/// The blocks of a container, which were checked.
#[derive(Clone, Copy, Debug)]
pub struct Blocks<'a> {
    image: &'a Image<'a>,
    index: &'a [u8],
    start: u64,
}

impl<'a> Blocks<'a> {
    /// Those of a container whose `index` was read, along with the headers and notes that are `image`.
    ///
    /// # Errors
    /// [`BadImage`] if the index does not fit the image: every extent is one block, which is not longer than the extent; together
    /// the blocks are as long as the container says; extents lie in the image in their order, between headers and notes.
    pub fn read(
        container: &Container,
        image: &'a Image<'a>,
        index: &'a [u8],
        crc32c: fn(&[u8]) -> u32,
    ) -> Result<Self, BadImage> {
        if container.index_checksum != crc32c(index) {
            return Err(BadImage::ChecksumOf("index"));
        }
        let notes = image.segments.notes(container.image_size)?;
        let ends_with_notes = notes.offset + notes.file_size == container.image_size;
        if notes.file_size != container.notes_size || !ends_with_notes {
            return Err(Malformed::Field("the note segment").into());
        }
        let this = Self {
            image,
            index,
            start: container.data().offset,
        };
        if this.extents().count() as u64 != container.blocks {
            return Err(Malformed::Field("the number of blocks").into());
        }
        let (mut image_end, mut stored_end) = (container.head_size, this.start);
        for block in this.iter() {
            if !(1..=u64::from(block.length)).contains(&block.stored.length) {
                return Err(Malformed::Field("the length of a block").into());
            }
            let end = block.offset.checked_add(u64::from(block.length));
            match end {
                Some(end) if image_end <= block.offset && end <= notes.offset => image_end = end,
                _ => return Err(Malformed::Field("the place of an extent").into()),
            }
            stored_end += block.stored.length;
        }
        if stored_end == container.index().offset {
            Ok(this)
        } else {
            Err(Malformed::Field("the length of the blocks").into())
        }
    }

    /// All of them, in ascending order of their offsets.
    pub fn iter(&self) -> impl Iterator<Item = Block> + use<'a> {
        let mut at = self.start;
        let lengths = self.index.as_chunks().0.iter();
        self.extents()
            .zip(lengths)
            .map(move |((offset, length), &stored)| {
                let stored = Part {
                    offset: at,
                    length: u64::from(u32::from_le_bytes(stored)),
                };
                at += stored.length;
                Block {
                    offset,
                    length,
                    stored,
                }
            })
    }

    /// Offset in the image and length of every extent.
    fn extents(&self) -> impl Iterator<Item = (u64, u32)> + use<'a> {
        let memory = self.image.placed_extents();
        let memory = memory.map(|(extent, offset)| (offset, extent.len() as u32));
        let files = self.image.objects::<FileExtent>();
        memory.chain(files.map(|extent| (extent.place, extent.length)))
    }
}

/// How much room [`pack`] needs for `length` bytes, in bytes.
#[must_use]
pub const fn room(length: usize) -> usize {
    get_maximum_output_size(length)
}

/// Makes a block of `bytes`, at the beginning of `room`; its length. `None` if it would not be shorter: then the bytes are
/// stored as they are.
#[must_use]
pub fn pack(bytes: &[u8], room: &mut [u8]) -> Option<usize> {
    let length = compress_into(bytes, room).ok()?;
    (length < bytes.len()).then_some(length)
}

/// Puts the bytes that `block` was made of into `bytes`.
///
/// # Errors
/// [`Malformed`] if it was made of fewer or of more of them, or of none.
pub fn unpack(block: &[u8], bytes: &mut [u8]) -> Result<(), Malformed> {
    match decompress_into(block, bytes) {
        Ok(count) if count == bytes.len() => Ok(()),
        _ => Err(Malformed::Field("a block")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::crc32c;
    use std::vec;
    use std::vec::Vec;

    const CONTAINER: Container = Container {
        magic: MAGIC,
        version: VERSION,
        head_size: 4096,
        data_size: 1000,
        blocks: 3,
        notes_size: 500,
        image_size: 20_480,
        index_checksum: 0,
        checksum: 0,
    };
    const FILE_SIZE: u64 = CONTAINER_SIZE as u64 + 4096 + 1000 + 12 + 500;

    fn read(container: &Container, file_size: u64) -> Result<Container, BadImage> {
        Container::read(&container.encode(crc32c), file_size, crc32c)
    }

    #[test]
    fn the_parts_follow_each_other() {
        let container = read(&CONTAINER, FILE_SIZE).unwrap();
        let parts = [
            container.head(),
            container.data(),
            container.index(),
            container.notes(),
        ];
        let mut at = CONTAINER_SIZE as u64;
        for part in parts {
            assert_eq!(part.offset, at);
            at += part.length;
        }
        assert_eq!(at, FILE_SIZE);
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let bytes = CONTAINER.encode(crc32c);
        for at in 8..bytes.len() {
            let mut changed = bytes;
            changed[at] ^= 0x10;
            assert!(Container::read(&changed, FILE_SIZE, crc32c).is_err());
        }
        for length in 0..bytes.len() {
            let cut = Container::read(&bytes[..length], FILE_SIZE, crc32c);
            assert_eq!(cut, Err(Malformed::Truncated.into()));
        }
    }

    #[test]
    fn sizes_that_do_not_fit_the_file_are_refused() {
        for file_size in [0, FILE_SIZE - 1, FILE_SIZE + 1, u64::MAX] {
            let wrong = BadImage::WrongLength(file_size, FILE_SIZE);
            assert_eq!(read(&CONTAINER, file_size), Err(wrong));
        }
        let endless = [
            Container {
                head_size: u64::MAX,
                ..CONTAINER
            },
            Container {
                blocks: u64::MAX / 2,
                ..CONTAINER
            },
            Container {
                data_size: u64::MAX - 4000,
                ..CONTAINER
            },
        ];
        for container in endless {
            assert!(read(&container, FILE_SIZE).is_err());
        }
        let newer = Container {
            version: VERSION + 1,
            ..CONTAINER
        };
        let other = BadImage::OtherContainer(VERSION + 1);
        assert_eq!(read(&newer, FILE_SIZE), Err(other));
    }

    /// Bytes that no compression makes shorter.
    fn random(count: usize) -> Vec<u8> {
        let mut state = 1u64;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) as u8
        };
        (0..count).map(|_| next()).collect()
    }

    fn packed(bytes: &[u8]) -> Option<Vec<u8>> {
        let mut room = vec![0; room(bytes.len())];
        let length = pack(bytes, &mut room)?;
        room.truncate(length);
        Some(room)
    }

    #[test]
    fn what_was_packed_is_unpacked() {
        let texts = (0..1 << 20).map(|at: u32| (at / 7 % 251) as u8);
        let texts: Vec<u8> = texts.collect();
        for bytes in [
            &texts[..],
            &texts[..4096],
            &[7; 4096],
            &[0; 1 << 20],
            &[5; 64],
        ] {
            let block = packed(bytes).expect("it gets shorter");
            let mut back = vec![1; bytes.len()];
            assert_eq!(unpack(&block, &mut back), Ok(()));
            assert_eq!(back, bytes);
        }
    }

    #[test]
    fn what_would_not_get_shorter_is_stored() {
        for count in [1, 12, 13, 4096, 1 << 20] {
            assert_eq!(packed(&random(count)), None);
        }
    }

    #[test]
    fn a_block_of_fewer_or_more_bytes_is_refused() {
        let block = packed(&[7; 4096]).expect("it gets shorter");
        for length in [0, 1, 4095, 4097, 8192] {
            let refused = Err(Malformed::Field("a block"));
            assert_eq!(unpack(&block, &mut vec![0; length]), refused);
        }
    }

    #[test]
    fn a_damaged_block_gives_no_more_bytes_than_there_is_room_for() {
        let text: Vec<u8> = random(300).into_iter().cycle().take(4096).collect();
        let block = packed(&text).expect("it gets shorter");
        // Guarded by what lies behind: nothing is written there.
        let mut bytes = vec![0; 4096 + 64];
        for at in 0..block.len() {
            for bit in 0..8 {
                let mut damaged = block.clone();
                damaged[at] ^= 1 << bit;
                let _ = unpack(&damaged, &mut bytes[..4096]);
            }
            let _ = unpack(&block[..at], &mut bytes[..4096]);
        }
        for seed in 1..500 {
            let _ = unpack(&random(4096)[seed..], &mut bytes[..4096]);
        }
        assert_eq!(bytes[4096..], [0; 64]);
    }
}
