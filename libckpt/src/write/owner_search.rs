//! Looks for held locks in what goes into the image.

use ckpt_image::owners::{OVERLAP, find};
use ckpt_sys::MapVec;
use ckpt_sys::words::may_name_owner;

/// Bytes at the beginning of a piece that are looked at together with the end of the piece before: more than any lock has
/// behind the word that names its owner.
const HEAD: usize = 64;

/// Goes through memory and files piece by piece.
#[derive(Debug)]
pub struct OwnerSearch {
    /// The ids that held locks can name, in ascending order.
    tids: MapVec<u32>,
    /// The last bytes of the piece before, and room for the first ones of the next.
    seam: [u8; OVERLAP + HEAD],
    /// Where the piece before ended, if its last bytes were kept.
    seen_to: Option<u64>,
    /// The last word that was found: what lies across two pieces is seen twice.
    last: Option<u64>,
}

impl OwnerSearch {
    /// Looks for locks that one of `tids`, which ascend, holds.
    pub fn new(tids: MapVec<u32>) -> Self {
        Self {
            tids,
            seam: [0; OVERLAP + HEAD],
            seen_to: None,
            last: None,
        }
    }

    /// What comes next does not follow the piece before, wherever it begins.
    pub fn forget(&mut self) {
        self.seen_to = None;
        self.last = None;
    }

    /// Looks for words that name the owner of a held lock in `piece`, which lies at `at`; `found` is told where, in ascending
    /// order.
    pub fn find(&mut self, at: u64, piece: &[u8], mut found: impl FnMut(u64)) {
        let last = &mut self.last;
        let mut tell = |place| {
            // Two shapes that overlap are none of them likelier than the other; the word is the same.
            if last.is_none_or(|last| last < place) {
                *last = Some(place);
                found(place);
            }
        };
        if self.seen_to == Some(at) {
            let head = &piece[..piece.len().min(HEAD)];
            let seam = &mut self.seam[..OVERLAP + head.len()];
            seam[OVERLAP..].copy_from_slice(head);
            let start = at - OVERLAP as u64;
            find(seam, &self.tids, may_name_owner, |word| {
                tell(start + word as u64)
            });
        }
        find(piece, &self.tids, may_name_owner, |word| {
            tell(at + word as u64)
        });
        self.seen_to = piece.last_chunk::<OVERLAP>().map(|tail| {
            self.seam[..OVERLAP].copy_from_slice(tail);
            at + piece.len() as u64
        });
    }
}
