//! System V shared memory that is attached.

use super::Object;
use crate::note::Kind;
use crate::record;
use crate::wire::Malformed;

/// The device that an image gives to segments. The kernel has them beside files in memory on a device of its own, where the
/// inode of a file may be the id of a segment.
pub const DEVICE: u64 = u64::MAX;

record! {
    /// A segment. The regions with this device and inode show it.
    pub struct Segment {
        /// [`DEVICE`].
        pub device: u64,
        /// Inode, which is the id of the segment.
        pub inode: u64,
        /// Its key; 0 if it has none, or was removed.
        pub key: i32,
        /// Permissions, and bits that say that it goes with its last user, and that it is locked.
        pub mode: u32,
        /// Owner.
        pub uid: u32,
        /// Group.
        pub gid: u32,
        /// The process that has made it.
        pub creator: i32,
        /// Length in bytes.
        pub size: u64,
    }
}

impl Segment {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> i32 {
        self.inode as i32
    }
}

impl Object<'_> for Segment {
    const NOTE: Kind = Kind::Segments;

    fn check(&self) -> Result<(), Malformed> {
        let known = self.device == DEVICE && self.inode <= i32::MAX as u64;
        if known && (1..=i64::MAX as u64).contains(&self.size) {
            Ok(())
        } else {
            Err(Malformed::Field("System V shared memory"))
        }
    }
}
