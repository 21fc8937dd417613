//! Which memory is mapped from the image itself (`--lazy`), so that it is read when the program needs it.

use core::iter::Peekable;

use ckpt_image::extents::Extent;
use ckpt_image::regions::{Backing, Region, vm_flags};
use ckpt_image::segments::Span;

use crate::layout::Layout;
use crate::plan::Content;

/// Content that a mapping is made for, in bytes: reading less than that takes no longer than the mapping with its faults.
const WORTH_IT: u64 = 64 << 10;

/// Holes in the file that are mapped along with what is around them, in bytes: they read as zeros, but the next checkpoint
/// has to look at them.
const GAP: u64 = 1 << 20;

/// Flags with which a region is not mapped from the image: the kernel grows or wipes only memory without a file, what is
/// locked is read at once anyway, an image is not made of pages that the machine has set aside, and what replaces a piece of
/// a mapping (libckpt's `madvise`) would be inherited.
const NEVER: u32 = vm_flags::GROWS_DOWN
    | vm_flags::WIPE_ON_FORK
    | vm_flags::LOCKED
    | vm_flags::DONT_FORK
    | vm_flags::HUGETLB;

/// Whether content of `region`, which is mapped at `place`, may be mapped from the image.
#[must_use]
pub fn is_possible(region: &Region<'_>, place: u64, content: Content) -> bool {
    let is_private = matches!(region.backing(), Backing::Anonymous | Backing::PrivateFile);
    // Stage 2 moves a staged region by one call, which takes a single mapping.
    is_private
        && content == Content::Image
        && region.flags & NEVER == 0
        && !Layout::is_staged(region, place)
}

/// A stretch of memory that is mapped from the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where the program has it.
    pub span: Span,
    /// Where it lies in the image, in bytes from its beginning.
    pub offset: u64,
}

/// Finds the pieces that a region's extents are worth. The extents have their offsets in the image beside them.
#[derive(Clone, Debug)]
pub struct Pieces<I: Iterator<Item = (Extent, u64)>> {
    extents: Peekable<I>,
}

impl<I: Iterator<Item = (Extent, u64)>> Pieces<I> {
    /// Those of `extents`, which ascend.
    pub fn of(extents: I) -> Self {
        Self {
            extents: extents.peekable(),
        }
    }
}

impl<I: Iterator<Item = (Extent, u64)>> Iterator for Pieces<I> {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        loop {
            let (first, offset) = self.extents.next()?;
            let (mut end, mut content) = (first.end(), first.len());
            let goes_on = |end: u64, &(extent, at): &(Extent, u64)| {
                extent.address - end < GAP
                    && at.wrapping_sub(offset) == extent.address - first.address
            };
            while let Some((extent, _)) = self.extents.next_if(|next| goes_on(end, next)) {
                end = extent.end();
                content += extent.len();
            }
            if content >= WORTH_IT {
                return Some(Piece {
                    span: Span::new(first.address, end),
                    offset,
                });
            }
        }
    }
}

/// The `extents` that lie in none of `pieces`. Both ascend.
pub fn outside<'e>(
    extents: impl Iterator<Item = (Extent, u64)> + Clone + 'e,
    pieces: impl Iterator<Item = Piece> + Clone + 'e,
) -> impl Iterator<Item = (Extent, u64)> + Clone + 'e {
    let mut pieces = pieces.peekable();
    extents.filter(move |(extent, _)| {
        while pieces
            .next_if(|piece| piece.span.end <= extent.address)
            .is_some()
        {}
        pieces
            .peek()
            .is_none_or(|piece| extent.address < piece.span.start)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An extent with its offset, from addresses in KiB; the file has it `shift` KiB higher.
    fn extent(start: u64, length: u64, shift: u64) -> (Extent, u64) {
        let extent = Extent {
            address: start << 10,
            pages: (length / 4) as u16,
            flags: 0,
            checksum: 0,
        };
        (extent, (start + shift) << 10)
    }

    fn pieces(extents: &[(Extent, u64)]) -> Vec<(u64, u64, u64)> {
        Pieces::of(extents.iter().copied())
            .map(|piece| {
                (
                    piece.span.start >> 10,
                    piece.span.end >> 10,
                    piece.offset >> 10,
                )
            })
            .collect()
    }

    #[test]
    fn a_small_hole_is_mapped_along_and_a_large_one_is_not() {
        let extents = [extent(64, 64, 8), extent(192, 64, 8), extent(1284, 64, 8)];
        assert_eq!(pieces(&extents), [(64, 256, 72), (1284, 1348, 1292)]);
    }

    #[test]
    fn what_lies_elsewhere_in_the_file_is_another_piece() {
        let extents = [extent(64, 64, 8), extent(128, 64, 12)];
        assert_eq!(pieces(&extents), [(64, 128, 72), (128, 192, 140)]);
    }

    #[test]
    fn little_content_is_read() {
        let extents = [
            extent(64, 8, 0),
            extent(256, 8, 0),
            extent(4096, 64, 0),
            extent(8192, 60, 0),
        ];
        assert_eq!(pieces(&extents), [(4096, 4160, 4096)]);
        let all = Pieces::of(extents.iter().copied());
        let read: Vec<_> = outside(extents.iter().copied(), all).collect();
        assert_eq!(read, [extents[0], extents[1], extents[3]]);
    }

    #[test]
    fn only_ordinary_private_memory_in_its_place() {
        let ordinary = Region {
            start: 0x10_0000,
            end: 0x20_0000,
            protection: 3,
            backing_number: Backing::Anonymous as u32,
            flags: vm_flags::NO_RESERVE,
            offset: 0,
            file: Default::default(),
            name: b"",
        };
        assert!(is_possible(&ordinary, 0x10_0000, Content::Image));
        assert!(!is_possible(&ordinary, 0x30_0000, Content::Image), "staged");
        assert!(!is_possible(&ordinary, 0x10_0000, Content::File));
        let stack = Region {
            flags: vm_flags::GROWS_DOWN,
            ..ordinary
        };
        assert!(!is_possible(&stack, 0x10_0000, Content::Image));
        let set_aside = Region {
            flags: vm_flags::HUGETLB | 21 << vm_flags::HUGETLB_SHIFT,
            ..ordinary
        };
        assert!(!is_possible(&set_aside, 0x10_0000, Content::Image));
        let shared = Region {
            backing_number: Backing::SharedAnonymous as u32,
            ..ordinary
        };
        assert!(!is_possible(&shared, 0x10_0000, Content::Image));
    }
}
