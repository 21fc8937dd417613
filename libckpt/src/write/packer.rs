//! Makes blocks of the data of an image, on as many processors as there are.
//!
//! Async-signal-safe: see `signal`. Data is collected in batches. Processes that share our memory compress those that are full, and
//! so do we when all are in use; the blocks of the oldest one are written when it is done. A batch says who compresses it, so one
//! that was in the hands of a process that somebody has killed is compressed again, and nobody waits for the dead.

use core::sync::atomic::Ordering;

use ckpt_sys::processors::Processors;
use ckpt_sys::{MapVec, calls};

use super::batches::{
    BATCHES_EACH, BLOCKS, Batches, COLLECTING, Content, DONE, FULL, PROCESSORS, ROOM, SIZE,
};
use super::helpers::{Helper, end_with};
use super::output::Sink;
use crate::failure::{Doing, Failure};

/// Stack of a process that helps, in bytes. The compressor has a table of 16 KiB on it.
const STACK: usize = 128 << 10;

/// How long a batch may take before it is looked up whether who has it lives, in nanoseconds.
const PATIENCE: u64 = 100_000_000;

/// What collects data, and makes blocks of it.
pub struct Packer {
    /// The [`Batches`], which stay where they are.
    shared: MapVec<u8>,
    /// Their memory.
    memory: MapVec<u8>,
    stacks: MapVec<u8>,
    /// The processes that help, how many there are, and may be.
    helpers: [Option<Helper>; PROCESSORS],
    helping: usize,
    wanted: usize,
    /// How many batches were written, and how many were full.
    written: usize,
    full: usize,
    /// The lengths of all blocks that were written, as the container has them.
    index: MapVec<u8>,
    /// Where the first block lies in the file, and where the next one will.
    start: u64,
    end: u64,
}

impl Packer {
    /// One that has nothing yet.
    ///
    /// # Errors
    /// [`Failure`] if there is no memory for its buffers.
    pub fn new() -> Result<Self, Failure> {
        let no_memory = format_args!("memory to compress in");
        let processors = Processors::of_this_thread().count().clamp(1, PROCESSORS);
        let count = processors * BATCHES_EACH;
        let this = Self {
            shared: MapVec::zeroed(size_of::<Batches>()).doing(no_memory)?,
            memory: MapVec::zeroed(count * (SIZE + ROOM)).doing(no_memory)?,
            stacks: MapVec::zeroed((processors - 1) * STACK).doing(no_memory)?,
            helpers: [None; PROCESSORS],
            helping: 0,
            wanted: processors - 1,
            written: 0,
            full: 0,
            index: MapVec::new(),
            start: 0,
            end: 0,
        };
        let batches = this.shared.span().start as *mut Batches;
        // SAFETY: the memory is as large as that, aligned to pages, all zeros, and nobody else's yet.
        let batches = unsafe { &mut *batches };
        batches.count = count;
        batches.writer = calls::pid();
        batches.memory = this.memory.span().start as usize;
        Ok(this)
    }

    /// Says where the first block goes.
    pub fn begin(&mut self, start: u64) {
        (self.start, self.end) = (start, start);
    }

    /// Takes the bytes of the next block, and writes blocks to `sink` if too many have been collected.
    ///
    /// # Errors
    /// [`Failure`] if blocks cannot be written.
    pub fn add(&mut self, bytes: &[u8], sink: &mut Sink<'_>) -> Result<(), Failure> {
        let (content, _) = self.collecting();
        if content.bytes + bytes.len() > SIZE || content.blocks == BLOCKS {
            self.turn(sink)?;
        }
        let (content, memory) = self.collecting();
        memory[content.bytes..content.bytes + bytes.len()].copy_from_slice(bytes);
        content.lengths[content.blocks] = bytes.len() as u32;
        content.bytes += bytes.len();
        content.blocks += 1;
        Ok(())
    }

    /// Writes the last blocks; how long all of them are together, and their index.
    ///
    /// # Errors
    /// [`Failure`] if they cannot be written.
    pub fn close(mut self, sink: &mut Sink<'_>) -> Result<(u64, MapVec<u8>), Failure> {
        if self.collecting().0.blocks != 0 {
            self.turn(sink)?;
        }
        while self.written != self.full {
            self.write_oldest(sink)?;
        }
        Ok((self.end - self.start, core::mem::take(&mut self.index)))
    }

    /// The batches. Whoever asks does not keep them longer than this lives.
    fn batches<'b>(&self) -> &'b Batches {
        // SAFETY: they are there as long as this is, and only `new` has had them mutably.
        unsafe { &*(self.shared.span().start as *const Batches) }
    }

    /// The batch that data is collected in, and where its bytes are.
    fn collecting(&mut self) -> (&mut Content, &mut [u8]) {
        let batches = self.batches();
        let number = self.full % batches.count;
        // SAFETY: the batch is ours, and nobody else asks for it while `self` is borrowed.
        unsafe {
            let (bytes, _) = batches.memory_of(number);
            (&mut *batches.all[number].content.get(), bytes)
        }
    }

    /// Gives the batch that data was collected in to those who help, and turns to the next one.
    fn turn(&mut self, sink: &mut Sink<'_>) -> Result<(), Failure> {
        let batches = self.batches();
        let state = &batches.all[self.full % batches.count].state;
        state.store(FULL, Ordering::Release);
        batches.tell();
        self.full += 1;
        if self.helping < self.wanted {
            self.begin_helper();
        }
        if self.full - self.written == batches.count {
            self.write_oldest(sink)?;
        }
        Ok(())
    }

    /// Creates one more process that helps.
    fn begin_helper(&mut self) {
        let stack = self.stacks.span().start + ((self.helping + 1) * STACK) as u64;
        // SAFETY: the stack is its own, and stays with everything else until it has ended, since dropping this waits for it.
        match unsafe { Helper::begin(stack, help, self.batches()) } {
            Ok(helper) => {
                self.helpers[self.helping] = Some(helper);
                self.helping += 1;
            }
            // No more processes are permitted: then it takes longer.
            Err(_) => self.wanted = self.helping,
        }
    }

    /// Writes the blocks of the batch that was full first.
    fn write_oldest(&mut self, sink: &mut Sink<'_>) -> Result<(), Failure> {
        let batches = self.batches();
        let number = self.written % batches.count;
        let batch = &batches.all[number];
        batches.oldest.store(number as u32, Ordering::Relaxed);
        let own_id = batches.writer as u32;
        loop {
            let state = batch.state.load(Ordering::Acquire);
            if state == DONE {
                break;
            }
            if batches.compress_one(own_id) {
                continue;
            }
            calls::wait_while(&batch.state, state, Some(PATIENCE));
            if batch.state.load(Ordering::Acquire) == state && calls::has_ended(state as i32) {
                // SAFETY: who had it does nothing more.
                unsafe { batches.compress(number) };
                break;
            }
        }
        // SAFETY: the batch is ours again.
        let (content, bytes, room) = unsafe {
            let (bytes, room) = batches.memory_of(number);
            (&mut *batch.content.get(), bytes, room)
        };
        let blocks = if content.is_stored { bytes } else { room };
        let blocks = &blocks[..content.all_made];
        sink.write(blocks, self.end)?;
        self.end += blocks.len() as u64;
        for made in &content.made[..content.blocks] {
            let entry = made.to_le_bytes();
            self.index
                .extend(&entry)
                .doing(format_args!("memory for the index"))?;
        }
        (content.blocks, content.bytes) = (0, 0);
        batch.state.store(COLLECTING, Ordering::Relaxed);
        self.written += 1;
        Ok(())
    }
}

/// Ends those who help, and waits for them.
impl Drop for Packer {
    fn drop(&mut self) {
        let batches = self.batches();
        batches.ended.store(true, Ordering::Release);
        batches.tell();
        for helper in self.helpers.iter().flatten() {
            // What a killed one has left undone is done by then.
            helper.wait();
        }
    }
}

/// Entered in a process that helps.
extern "C" fn help(batches: &Batches) {
    let is_needed = end_with(batches.writer);
    let own_id = calls::pid() as u32;
    while is_needed && !batches.ended.load(Ordering::Acquire) {
        let news = batches.news.load(Ordering::Acquire);
        if !batches.compress_one(own_id) && !batches.ended.load(Ordering::Acquire) {
            calls::wait_while(&batches.news, news, None);
        }
    }
}
