//! Looks for held locks in what goes into the image.

use ckpt_image::owners::{LockWord, OVERLAP, find};
use ckpt_sys::words::may_name_owner;

/// Bytes at the beginning of a piece that are looked at together with the end of the piece before: more than any lock has
/// behind the word that names its owner.
const HEAD: usize = 64;

/// Goes through memory and files piece by piece. A lock that lies across two pieces may be found twice.
#[derive(Debug)]
pub struct OwnerSearch<'t> {
    /// The ids that held locks can name, in ascending order.
    tids: &'t [u32],
    /// Where the piece before ended, if there was one.
    seen_to: Option<u64>,
    borders: Borders,
}

/// The first bytes of what was looked at, and the last ones. Zeros are part of no held lock.
#[derive(Clone, Copy, Debug)]
pub struct Borders {
    head: [u8; HEAD],
    tail: [u8; OVERLAP],
}

impl Borders {
    /// Those of what has no lock in it.
    pub const NOTHING: Self = Self {
        head: [0; HEAD],
        tail: [0; OVERLAP],
    };
}

impl<'t> OwnerSearch<'t> {
    /// Looks for locks that one of `tids`, which ascend, holds.
    pub fn new(tids: &'t [u32]) -> Self {
        Self {
            tids,
            seen_to: None,
            borders: Borders::NOTHING,
        }
    }

    /// What comes next does not follow the piece before, wherever it begins.
    pub fn forget(&mut self) {
        *self = Self::new(self.tids);
    }

    /// Looks for words that name the owner of a held lock in `piece`, which lies at `at`. Pieces that follow each other are looked at
    /// as one.
    pub fn find(&mut self, at: u64, piece: &[u8], mut found: impl FnMut(LockWord)) {
        let mut head = [0; HEAD];
        let length = piece.len().min(HEAD);
        head[..length].copy_from_slice(&piece[..length]);
        match self.seen_to {
            Some(end) if end == at => self.find_across(at, &self.borders.tail, &head, &mut found),
            _ => self.borders.head = head,
        }
        find(piece, self.tids, may_name_owner, |offset, tid| {
            found(lock_word(at + offset as u64, tid))
        });
        self.seen_to = piece.last_chunk().map(|tail| {
            self.borders.tail = *tail;
            at + piece.len() as u64
        });
    }

    /// The same for what ended with the borders `before`, and what follows it at `at` and begins with those `behind`.
    pub fn find_between(
        &self,
        at: u64,
        before: &Borders,
        behind: &Borders,
        found: impl FnMut(LockWord),
    ) {
        self.find_across(at, &before.tail, &behind.head, found);
    }

    /// The borders of the pieces that were looked at as one.
    pub fn borders(&self) -> Borders {
        self.borders
    }

    fn find_across(
        &self,
        at: u64,
        tail: &[u8; OVERLAP],
        head: &[u8; HEAD],
        mut found: impl FnMut(LockWord),
    ) {
        let mut seam = [0; OVERLAP + HEAD];
        seam[..OVERLAP].copy_from_slice(tail);
        seam[OVERLAP..].copy_from_slice(head);
        let start = at - OVERLAP as u64;
        find(&seam, self.tids, may_name_owner, |offset, tid| {
            found(lock_word(start + offset as u64, tid))
        });
    }
}

fn lock_word(address: u64, tid: u32) -> LockWord {
    LockWord {
        address,
        tid,
        value: tid,
    }
}
