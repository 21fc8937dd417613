//! Extents: the stretches of memory whose bytes are really in the file, each with its checksum.

use crate::PAGE;
use crate::record;
use crate::wire::Malformed;

/// Longest extent, in pages: 1 MiB, so that damage is found before much is read and a buffer for one is small.
pub const MAX_PAGES: u64 = 256;

/// The extent holds what the region's file held at the checkpoint: it need not be read where that file is unchanged.
pub const SAME_AS_FILE: u16 = 1;

record! {
    /// One stretch of stored memory. Its place in the file follows from the segment that contains its address.
    pub struct Extent {
        /// Address of the first byte, a multiple of the page size.
        pub address: u64,
        /// Length in pages, 1 to [`MAX_PAGES`].
        pub pages: u16,
        /// [`SAME_AS_FILE`] or 0.
        pub flags: u16,
        /// CRC32C of the bytes.
        pub checksum: u32,
    }
}

impl Extent {
    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        u64::from(self.pages) * PAGE
    }

    /// Whether the extent has no pages, which no valid one has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pages == 0
    }

    /// One past the last address.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.address + self.len()
    }

    /// Whether the region's unchanged file has the same bytes.
    #[must_use]
    pub fn same_as_file(&self) -> bool {
        self.flags & SAME_AS_FILE != 0
    }

    /// Checks what can be wrong with the extent by itself.
    ///
    /// # Errors
    /// [`Malformed`] names the field.
    pub fn check(&self) -> Result<(), Malformed> {
        let fits = self.address.is_multiple_of(PAGE)
            && (1..=MAX_PAGES).contains(&u64::from(self.pages))
            && self.address < crate::TASK_SIZE
            && self.flags & !SAME_AS_FILE == 0;
        if fits {
            Ok(())
        } else {
            Err(Malformed::Field("an extent"))
        }
    }
}
