//! The buffer through which memory and files go into the image, and in which held mutexes are looked for on the way.

use ckpt_image::owners;
use ckpt_sys::MapVec;

use super::CHUNK;
use crate::failure::{Doing, Failure};

/// Bytes that are kept of the piece before.
const CARRIED: usize = owners::OVERLAP;

/// Memory is copied before it is summed and written: our own memory changes while we write, and others may write to shared
/// memory at any time. In front of a piece stand the last bytes of the one before, for what lies across both.
#[derive(Debug)]
pub struct OwnerSearch {
    buffer: MapVec<u8>,
    /// Where the piece before ended, if its last bytes were kept.
    carried_to: Option<u64>,
    /// The ids that held locks can name, in ascending order.
    tids: MapVec<u32>,
}

impl OwnerSearch {
    /// Looks for locks that one of `tids`, which ascend, holds.
    ///
    /// # Errors
    /// [`Failure`] if there is no memory for the buffer.
    pub fn new(tids: MapVec<u32>) -> Result<Self, Failure> {
        Ok(Self {
            buffer: MapVec::zeroed(CARRIED + CHUNK).doing(format_args!("memory for a buffer"))?,
            carried_to: None,
            tids,
        })
    }

    /// Room for a piece of `length` bytes, at most [`CHUNK`].
    pub fn room(&mut self, length: usize) -> &mut [u8] {
        &mut self.buffer[CARRIED..CARRIED + length]
    }

    /// The piece that was put there.
    pub fn piece(&self) -> &[u8] {
        &self.buffer[CARRIED..]
    }

    /// What comes next does not follow the piece before, wherever it begins.
    pub fn forget(&mut self) {
        self.carried_to = None;
    }

    /// Looks for held mutexes in the first `length` bytes of the piece, which lies at `at`; `found` is told where.
    pub fn find(&mut self, at: u64, length: usize, mut found: impl FnMut(u64)) {
        let from = if self.carried_to == Some(at) {
            0
        } else {
            CARRIED
        };
        let base = at - (CARRIED - from) as u64;
        owners::find(&self.buffer[from..CARRIED + length], &self.tids, |word| {
            found(base + word as u64);
        });
        self.buffer.copy_within(length..length + CARRIED, 0);
        self.carried_to = Some(at + length as u64);
    }
}
