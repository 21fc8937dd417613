//! What the writer of an image and those who compress for it have in common: batches of data, in memory that they share.
//!
//! Async-signal-safe: see `signal`. A batch belongs to one of them at any time; its state says to whom.

use core::cell::UnsafeCell;
use core::slice;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use ckpt_image::container;
use ckpt_image::extents::MAX_PAGES;
use ckpt_image::{PAGE, page_up};
use ckpt_sys::calls;

/// Processors that are used at most: with more, reading and writing, which is done by one, is what takes the time.
pub const PROCESSORS: usize = 8;

/// Batches for each processor, so that one that is late keeps nobody waiting.
pub const BATCHES_EACH: usize = 4;

/// Bytes of a batch: the longest extent.
pub const SIZE: usize = (MAX_PAGES * PAGE) as usize;

/// Room for its blocks: where the last one is made there has to be more than is left of it.
pub const ROOM: usize = page_up(container::room(SIZE) as u64) as usize;

/// Blocks of a batch at most.
pub const BLOCKS: usize = MAX_PAGES as usize;

/// Data that becomes blocks.
pub struct Batch {
    /// [`COLLECTING`], [`FULL`], [`DONE`], or the id of the process that compresses it.
    pub state: AtomicU32,
    /// For whom it belongs to.
    pub content: UnsafeCell<Content>,
}

/// It belongs to the writer, who adds to it, or writes its blocks.
pub const COLLECTING: u32 = 0;
/// It belongs to who makes it his own.
pub const FULL: u32 = u32::MAX;
/// It belongs to the writer.
pub const DONE: u32 = u32::MAX - 1;

/// What is in a batch.
pub struct Content {
    /// How many blocks there are.
    pub blocks: usize,
    /// Of how many bytes each is made.
    pub lengths: [u32; BLOCKS],
    /// How many bytes that are.
    pub bytes: usize,
    /// How many bytes each block has.
    pub made: [u32; BLOCKS],
    /// How many bytes all of them have.
    pub all_made: usize,
    /// Whether there is only one, which is the bytes as they are, and where they are.
    pub is_stored: bool,
}

/// All batches. All zeros are a valid value.
pub struct Batches {
    /// Each of them.
    pub all: [Batch; PROCESSORS * BATCHES_EACH],
    /// How many of them there really are.
    pub count: usize,
    /// The process that writes the image.
    pub writer: i32,
    /// Where the bytes of the first one begin, and behind them the room for its blocks. Those of the others follow.
    pub memory: usize,
    /// The batch that is needed first.
    pub oldest: AtomicU32,
    /// Changes whenever there is something new to do, or nothing any more.
    pub news: AtomicU32,
    /// Whether there will be nothing more to do.
    pub ended: AtomicBool,
}

impl Batches {
    /// Compresses a batch that is full, for the process `own_id`. Says whether there was one.
    pub fn compress_one(&self, own_id: u32) -> bool {
        let oldest = self.oldest.load(Ordering::Relaxed) as usize;
        let mut in_order = (oldest..oldest + self.count).map(|number| number % self.count);
        let taken = in_order.find(|&number| {
            let state = &self.all[number].state;
            let result = state.compare_exchange(FULL, own_id, Ordering::Acquire, Ordering::Relaxed);
            result.is_ok()
        });
        let Some(number) = taken else {
            return false;
        };
        // SAFETY: it has become ours.
        unsafe { self.compress(number) };
        let state = &self.all[number].state;
        state.store(DONE, Ordering::Release);
        calls::wake_all(state);
        true
    }

    /// Compresses the batch `number`, anew if that was begun before.
    ///
    /// # Safety
    /// It belongs to the caller.
    pub unsafe fn compress(&self, number: usize) {
        // SAFETY: the caller has the batch, so nobody else uses what is in it.
        let (content, bytes, room) = unsafe {
            let (bytes, room) = self.memory_of(number);
            (&mut *self.all[number].content.get(), bytes, room)
        };
        let (mut from, mut to) = (0, 0);
        let lengths = &content.lengths[..content.blocks];
        content.is_stored = false;
        for (&length, made) in lengths.iter().zip(&mut content.made) {
            let bytes = &bytes[from..from + length as usize];
            let room = &mut room[to..];
            let packed = container::pack(bytes, room).unwrap_or_else(|| {
                content.is_stored = lengths.len() == 1;
                if !content.is_stored {
                    room[..bytes.len()].copy_from_slice(bytes);
                }
                bytes.len()
            });
            *made = packed as u32;
            from += bytes.len();
            to += packed;
        }
        content.all_made = to;
    }

    /// Tells those who help that there is something new.
    pub fn tell(&self) {
        self.news.fetch_add(1, Ordering::Release);
        calls::wake_all(&self.news);
    }

    /// The bytes of the batch `number`, and the room for its blocks.
    ///
    /// # Safety
    /// It belongs to the caller, who asks only once at a time.
    #[expect(clippy::mut_from_ref, reason = "each batch has memory of its own")]
    pub unsafe fn memory_of(&self, number: usize) -> (&mut [u8], &mut [u8]) {
        let at = (self.memory + number * (SIZE + ROOM)) as *mut u8;
        // SAFETY: the memory lives as long as this, and the caller answers for the rest.
        unsafe {
            (
                slice::from_raw_parts_mut(at, SIZE),
                slice::from_raw_parts_mut(at.add(SIZE), ROOM),
            )
        }
    }
}
