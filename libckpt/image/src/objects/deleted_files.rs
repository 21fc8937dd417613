//! Files and directories that are open or mapped and have no name any more; and the content of files without a name.

use super::Object;
use crate::note::Kind;
use crate::record;
use crate::wire::Malformed;

/// Longest stretch of a file's content with one checksum, in bytes.
pub const MAX_LENGTH: u32 = 1 << 20;

/// Largest offset in a file (`MAX_LFS_FILESIZE` on 64 bits).
const MAX_SIZE: u64 = i64::MAX as u64;

record! {
    /// One of them. Its descriptors and regions are those with this device and inode.
    pub struct DeletedFile {
        /// Device, and
        pub device: u64,
        /// inode that it had.
        pub inode: u64,
        /// Type and permissions (`st_mode`): a regular file or a directory.
        pub mode: u32,
        /// Owner.
        pub uid: u32,
        /// Group.
        pub gid: u32,
        /// Length in bytes.
        pub size: u64,
        /// Last access, and
        pub accessed: i64,
        /// last change of the content, in nanoseconds since 1970.
        pub modified: i64,
    }
}

/// Type bits of a mode, and two of the types (inode(7)).
const TYPE: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;

impl DeletedFile {
    /// Whether it is a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.mode & TYPE == DIRECTORY
    }

    /// Permissions, without the type.
    #[must_use]
    pub fn permissions(&self) -> u32 {
        self.mode & 0o7777
    }
}

impl Object<'_> for DeletedFile {
    const NOTE: Kind = Kind::DeletedFiles;

    fn check(&self) -> Result<(), Malformed> {
        let known = [REGULAR, DIRECTORY].contains(&(self.mode & TYPE));
        if known && self.size <= MAX_SIZE {
            Ok(())
        } else {
            Err(Malformed::Field("a deleted file"))
        }
    }
}

/// Longest name and value of an extended attribute, in bytes (`XATTR_NAME_MAX` and `XATTR_SIZE_MAX` in include/uapi/linux/limits.h).
pub const MAX_NAME: usize = 255;
/// See [`MAX_NAME`].
pub const MAX_VALUE: usize = 64 << 10;

record! {
    /// An extended attribute of a file without a name (xattr(7)). They stand in ascending order of their files.
    pub struct ExtendedAttribute<'a> {
        /// Which file, counted as in [`FileExtent::file`].
        pub file: u32,
        /// Its name, such as `user.mime_type`.
        pub name: &'a [u8],
        /// Its value.
        pub value: &'a [u8],
    }
}

impl<'a> Object<'a> for ExtendedAttribute<'a> {
    const NOTE: Kind = Kind::ExtendedAttributes;

    fn check(&self) -> Result<(), Malformed> {
        let is_name = (1..=MAX_NAME).contains(&self.name.len()) && !self.name.contains(&0);
        if is_name && self.value.len() <= MAX_VALUE {
            Ok(())
        } else {
            Err(Malformed::Field("an extended attribute"))
        }
    }
}

record! {
    /// A stretch of the content of a file without a name. What no stretch covers reads as zero.
    pub struct FileExtent {
        /// Which file, counted from 0: first the deleted files, then the files in memory, then System V shared memory.
        pub file: u32,
        /// Length in bytes, at most [`MAX_LENGTH`].
        pub length: u32,
        /// Where it lies in that file.
        pub offset: u64,
        /// Where its bytes lie in the image.
        pub place: u64,
        /// CRC32C of the bytes.
        pub checksum: u32,
    }
}

impl FileExtent {
    /// Whether the stretch is one of a file that is `size` bytes long, in an image of `image_size` bytes.
    #[must_use]
    pub fn fits(&self, size: u64, image_size: u64) -> bool {
        let within = |start: u64, limit: u64| {
            start
                .checked_add(u64::from(self.length))
                .is_some_and(|end| end <= limit)
        };
        (1..=MAX_LENGTH).contains(&self.length)
            && within(self.offset, size)
            && within(self.place, image_size)
    }
}

impl Object<'_> for FileExtent {
    const NOTE: Kind = Kind::FileExtents;

    /// What can be wrong with it depends on the file, see [`FileExtent::fits`].
    fn check(&self) -> Result<(), Malformed> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_lie_within_their_file_and_the_image() {
        let extent = FileExtent {
            file: 0,
            length: 10,
            offset: 90,
            place: 4096,
            checksum: 0,
        };
        assert!(extent.fits(100, 4106));
        assert!(!extent.fits(99, 4106) && !extent.fits(100, 4105));
        let with = |length, offset| FileExtent {
            length,
            offset,
            ..extent
        };
        assert!(!with(0, 0).fits(100, 9000) && !with(MAX_LENGTH + 1, 0).fits(1 << 30, 1 << 30));
        assert!(!with(10, u64::MAX).fits(u64::MAX, 9000));
    }

    #[test]
    fn attributes_have_names() {
        let attribute = ExtendedAttribute {
            file: 0,
            name: b"user.a",
            value: b"",
        };
        assert_eq!(attribute.check(), Ok(()));
        let named = |name| ExtendedAttribute { name, ..attribute };
        assert!(named(b"").check().is_err() && named(b"user.a\0").check().is_err());
        assert!(named(&[b'a'; MAX_NAME + 1]).check().is_err());
        let value = &[0; MAX_VALUE + 1];
        assert!(ExtendedAttribute { value, ..attribute }.check().is_err());
    }

    #[test]
    fn only_files_and_directories_can_be_made() {
        let file = DeletedFile {
            device: 1,
            inode: 2,
            mode: REGULAR | 0o600,
            uid: 0,
            gid: 0,
            size: 5,
            accessed: 0,
            modified: 0,
        };
        assert_eq!(file.check(), Ok(()));
        assert!(
            DeletedFile {
                mode: 0o600,
                ..file
            }
            .check()
            .is_err()
        );
        let endless = DeletedFile {
            size: u64::MAX,
            ..file
        };
        assert!(endless.check().is_err());
    }
}
