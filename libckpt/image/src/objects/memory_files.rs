//! Files that are in memory only (memfd_create(2)).

use super::Object;
use crate::note::Kind;
use crate::record;
use crate::wire::Malformed;

record! {
    /// One such file. The descriptors and regions with this device and inode refer to it.
    pub struct MemoryFile<'a> {
        /// Device.
        pub device: u64,
        /// Inode.
        pub inode: u64,
        /// Permissions.
        pub mode: u32,
        /// Owner.
        pub uid: u32,
        /// Group.
        pub gid: u32,
        /// `F_SEAL_*` (`F_GET_SEALS`).
        pub seals: u32,
        /// Length in bytes.
        pub size: u64,
        /// Last access, and
        pub accessed: i64,
        /// last change of the content, in nanoseconds since 1970.
        pub modified: i64,
        /// The name that it was made with.
        pub name: &'a [u8],
    }
}

impl<'a> Object<'a> for MemoryFile<'a> {
    const NOTE: Kind = Kind::MemoryFiles;

    fn check(&self) -> Result<(), Malformed> {
        if self.size <= i64::MAX as u64 && !self.name.contains(&0) {
            Ok(())
        } else {
            Err(Malformed::Field("a file in memory"))
        }
    }
}
