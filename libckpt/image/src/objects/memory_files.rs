//! Files that are in memory only (memfd_create(2)).

use super::Object;
use crate::note::Kind;
use crate::record;
use crate::wire::{Decoder, Malformed};

record! {
    /// One such file. The descriptors with this device and inode refer to it.
    pub struct MemoryFile<'a> {
        /// Device.
        pub device: u64,
        /// Inode.
        pub inode: u64,
        /// Permissions.
        pub mode: u32,
        /// `F_SEAL_*` (`F_GET_SEALS`).
        pub seals: u32,
        /// Length in bytes.
        pub size: u64,
        /// The name that it was made with.
        pub name: &'a [u8],
        /// Offset and length of each stretch that has content, 8 bytes each; [`MemoryFile::pieces`] takes them apart.
        pub stretches: &'a [u8],
        /// Their content.
        pub content: &'a [u8],
    }
}

impl<'a> MemoryFile<'a> {
    /// Offset and content of each stretch, as far as they fit.
    pub fn pieces(&self) -> impl Iterator<Item = (u64, &'a [u8])> + use<'a> {
        let mut rest = self.content;
        self.stretches().map_while(move |[offset, length]| {
            let (bytes, behind) = rest.split_at_checked(usize::try_from(length).ok()?)?;
            rest = behind;
            Some((offset, bytes))
        })
    }

    fn stretches(&self) -> impl Iterator<Item = [u64; 2]> + use<'a> {
        let chunks = self.stretches.chunks_exact(16);
        chunks.filter_map(|raw| Decoder::new(raw).get().ok())
    }
}

impl<'a> Object<'a> for MemoryFile<'a> {
    const NOTE: Kind = Kind::MemoryFiles;

    fn check(&self) -> Result<(), Malformed> {
        let mut end = 0;
        let mut total = 0u64;
        let ascending = self.stretches().all(|[offset, length]| {
            let fits = offset >= end && length <= self.size.saturating_sub(offset);
            end = offset.saturating_add(length);
            total = total.saturating_add(length);
            fits
        });
        let whole = self.stretches.len().is_multiple_of(16) && total == self.content.len() as u64;
        if ascending && whole && self.size <= i64::MAX as u64 && !self.name.contains(&0) {
            Ok(())
        } else {
            Err(Malformed::Field("the content of a file in memory"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn file(stretches: &[[u64; 2]], content: &[u8]) -> Result<Vec<(u64, Vec<u8>)>, Malformed> {
        let stretches: Vec<u8> = stretches
            .as_flattened()
            .iter()
            .flat_map(|number| number.to_le_bytes())
            .collect();
        let file = MemoryFile {
            device: 1,
            inode: 2,
            mode: 0,
            seals: 0,
            size: 100,
            name: b"",
            stretches: &stretches,
            content,
        };
        file.check()?;
        Ok(file
            .pieces()
            .map(|(offset, bytes)| (offset, bytes.to_vec()))
            .collect())
    }

    #[test]
    fn content_is_taken_apart() {
        let pieces = file(&[[10, 3], [98, 2]], b"abcde");
        assert_eq!(
            pieces,
            Ok(Vec::from([(10, b"abc".to_vec()), (98, b"de".to_vec())]))
        );
    }

    #[test]
    fn stretches_that_do_not_fit_are_refused() {
        assert!(file(&[[0, 4]], b"abc").is_err());
        assert!(file(&[[0, 2]], b"abc").is_err());
        assert!(file(&[[99, 3]], b"abc").is_err());
        assert!(file(&[[u64::MAX, 3]], b"abc").is_err());
        assert!(file(&[[5, 1], [4, 1]], b"ab").is_err());
        assert!(file(&[[0, u64::MAX], [1, 1]], b"ab").is_err());
    }
}
