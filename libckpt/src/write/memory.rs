//! Copies the program's memory into the image.
//!
//! Where the image is written by a copy of the process, nobody else changes that memory, so it is summed and written where it
//! lies, and given back as soon as it is written: from then on the program has it alone, and writes to it without copying it.
//!
//! A file takes one write at a time, but what has to be done before takes a third as long as writing: so there are two who do all
//! of it, each for other stretches.

use core::cell::Cell;
use core::sync::atomic::{AtomicUsize, Ordering};

use ckpt_image::PAGE;
use ckpt_image::extents::{Extent, MAX_PAGES, SAME_AS_FILE};
use ckpt_image::regions::{Backing, PROT_READ, PROT_WRITE, Region};
use ckpt_image::segments::Span;
use ckpt_sys::crc::crc32c;
use ckpt_sys::processors::Processors;
use ckpt_sys::{MapVec, calls};
use linux_raw_sys::general as n;

use super::helpers::{Helper, end_with};
use super::notes::Found;
use super::output::{Output, Sink};
use super::owner_search::{Borders, OwnerSearch};
use crate::collect::content::Run;
use crate::collect::memory::{Access, Memory};
use crate::failure::{Doing, Failure, failure};
use crate::signal;
use crate::snapshot::Kept;

/// Longest extent in bytes, and so the size of what is read, summed and written at one time: the processor's cache still
/// has it for the second and the third look.
const CHUNK: u64 = MAX_PAGES * PAGE;

/// How much is copied at one time beside a program that goes on: the buffer for it has to be made each time, page by page.
const COPIED: u64 = 256 << 10;

/// Memory is given back in stretches of this size, the largest pages that the kernel uses for it: a part of one would split it.
const HUGE_PAGE: u64 = 2 << 20;

/// What is worth a helper, in bytes.
const WORTH_IT: u64 = 8 << 20;

/// Stack of a helper, in bytes.
const STACK: usize = 128 << 10;

/// By how much the helper is nicer than the writer where the program runs meanwhile.
const NICER: i32 = 10;

/// A stretch of memory that one of those who write takes at one time.
#[derive(Clone, Copy, Debug)]
pub struct Stretch<'r> {
    region: &'r Region<'r>,
    run: Run,
    /// Where it goes in the file.
    offset: u64,
}

impl<'r> Stretch<'r> {
    /// The stretches of a run of `region` that goes to `offset`: each lies in one huge page.
    pub fn of_run(region: &'r Region<'r>, run: Run, offset: u64) -> impl Iterator<Item = Self> {
        let Span { start, end } = run.span;
        let first = start & !(HUGE_PAGE - 1);
        (first..end).step_by(HUGE_PAGE as usize).map(move |page| {
            let span = Span::new(page.max(start), end.min(page + HUGE_PAGE));
            Self {
                region,
                run: Run { span, ..run },
                offset: offset + (span.start - start),
            }
        })
    }
}

/// Writes `stretches`, which ascend, to `output`, and adds to `found` where they are and the words in them that name one of `tids`,
/// which ascend, as the owner of a held lock.
///
/// # Errors
/// [`Failure`] if something cannot be read or written.
pub fn write(
    stretches: &[Stretch<'_>],
    kept: &Kept,
    tids: &[u32],
    found: &mut Found,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let no_memory = format_args!("memory for the list of stretches");
    let mut borders = MapVec::with_capacity(stretches.len()).doing(no_memory)?;
    for _ in stretches {
        borders.push_into_room(Borders::NOTHING);
    }
    let memory = Memory::open()?;
    let all = All {
        stretches,
        borders: Cell::from_mut(&mut borders[..]).as_slice_of_cells(),
        memory: &memory,
        kept,
        tids,
        next: AtomicUsize::new(0),
        failed: AtomicUsize::new(NONE),
    };
    match output.sink_of_extents() {
        Some(sink) => write_together(&all, found, sink)?,
        None => {
            let mut writer = Writer::new(&all)?;
            for index in 0..stretches.len() {
                writer.write(index, &mut |bytes, offset| output.extent(bytes, offset))?;
            }
            found.add(&writer.found)?;
        }
    }
    all.search_between(found)
}

/// What those who write have in common.
struct All<'a> {
    stretches: &'a [Stretch<'a>],
    /// Of each stretch. Only who has taken it changes them.
    borders: &'a [Cell<Borders>],
    memory: &'a Memory,
    kept: &'a Kept,
    tids: &'a [u32],
    /// The first stretch that nobody has taken.
    next: AtomicUsize,
    /// The first one that could not be written; [`NONE`] if there is none.
    failed: AtomicUsize,
}

const NONE: usize = usize::MAX;

impl All<'_> {
    /// Takes the next stretch.
    fn take(&self) -> Option<usize> {
        if self.failed.load(Ordering::Relaxed) != NONE {
            return None;
        }
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        (index < self.stretches.len()).then_some(index)
    }

    /// Looks for locks that lie across two stretches.
    fn search_between(&self, found: &mut Found) -> Result<(), Failure> {
        let search = OwnerSearch::new(self.tids);
        let mut result = Ok(());
        let pairs = self.stretches.windows(2).zip(self.borders.windows(2));
        for (stretches, borders) in pairs {
            let [before, behind] = [0, 1].map(|which| stretches[which].run.span);
            if before.end == behind.start {
                let [before, after] = [0, 1].map(|which| borders[which].get());
                search.find_between(behind.start, &before, &after, |word| {
                    result = result.and_then(|()| found.lock_words.push(word));
                });
            }
        }
        result.doing(format_args!("memory for the list of mutexes"))
    }
}

/// Writes all stretches to `sink`, if it is worth it with a helper.
fn write_together(all: &All<'_>, found: &mut Found, sink: &mut Sink<'_>) -> Result<(), Failure> {
    let size: u64 = all
        .stretches
        .iter()
        .map(|stretch| stretch.run.span.len())
        .sum();
    let mut writer = Writer::new(all)?;
    let help = Help {
        all,
        sink: sink.another(),
        writer: calls::pid(),
        result: Cell::new(None),
    };
    let stack = MapVec::<u8>::zeroed(STACK).doing(format_args!("memory for a helper"))?;
    let helper = if size >= WORTH_IT && Processors::of_this_thread().count() > 1 {
        // If no more processes are permitted, it takes longer.
        // SAFETY: stack and help stay until it was waited for, which is below, whatever happens in between.
        unsafe { Helper::begin(stack.span().end, help_to_write, &help) }.ok()
    } else {
        None
    };
    let by_us = writer.write_all(sink);
    let ended_well = helper.is_none_or(Helper::wait);
    let by_helper = help.result.take();
    let failed = all.failed.load(Ordering::Relaxed);
    if failed != NONE {
        // Once more, to say what is wrong: two of us may have said so at the same time.
        writer.write(failed, &mut |bytes, offset| sink.write(bytes, offset))?;
        return Err(failure!(
            "writing failed for a moment; send the signal again"
        ));
    }
    by_us?;
    if !ended_well {
        return Err(failure!(
            "a process that helps to write the image was killed; send the signal again"
        ));
    }
    found.add(&writer.found)?;
    if let Some(part) = by_helper {
        found.add(&part.found)?;
        sink.add_written(part.written);
        found.extents.sort_unstable_by_key(|extent| extent.address);
    }
    Ok(())
}

/// What a helper is told, and what it has done.
struct Help<'a> {
    all: &'a All<'a>,
    sink: Sink<'a>,
    /// The process that it helps.
    writer: i32,
    result: Cell<Option<Part>>,
}

/// What a helper has done.
struct Part {
    found: Found,
    /// Bytes.
    written: u64,
}

/// Entered in a process that helps.
extern "C" fn help_to_write(help: &Help<'_>) {
    if !end_with(help.writer) {
        return;
    }
    if help.all.kept.is_for_a_copy() {
        let nice = calls::getpriority(n::PRIO_PROCESS, 0).map_or(0, |value| 20 - value as i32);
        let _ = calls::setpriority(n::PRIO_PROCESS, 0, nice + NICER);
    }
    // Who has no memory for it has nothing to do with it.
    let Ok(mut writer) = Writer::new(help.all) else {
        return;
    };
    let mut sink = help.sink.another();
    if writer.write_all(&mut sink).is_ok() {
        help.result.set(Some(Part {
            found: writer.found,
            written: sink.written(),
        }));
    }
}

/// One who writes.
struct Writer<'a> {
    all: &'a All<'a>,
    /// Memory that others may write to is copied before it is summed and written.
    buffer: MapVec<u8>,
    found: Found,
}

impl<'a> Writer<'a> {
    fn new(all: &'a All<'a>) -> Result<Self, Failure> {
        Ok(Self {
            all,
            buffer: MapVec::zeroed(CHUNK as usize).doing(format_args!("memory for a buffer"))?,
            found: Found::default(),
        })
    }

    /// Writes stretches to `sink` as long as there are any, and none has failed.
    fn write_all(&mut self, sink: &mut Sink<'_>) -> Result<(), Failure> {
        while let Some(index) = self.all.take() {
            self.write(index, &mut |bytes, offset| sink.write(bytes, offset))
                .inspect_err(|_| {
                    self.all.failed.fetch_min(index, Ordering::Relaxed);
                })?;
        }
        Ok(())
    }

    /// Writes a stretch, whose extents `store` is given with their places in the file.
    fn write(&mut self, index: usize, store: Store<'_>) -> Result<(), Failure> {
        let Stretch {
            region,
            run,
            offset,
        } = self.all.stretches[index];
        let mut search = OwnerSearch::new(self.all.tids);
        let size = if self.all.kept.is_for_a_copy() && !self.all.lies_here(region, run) {
            COPIED
        } else {
            CHUNK
        };
        for from in (run.span.start..run.span.end).step_by(size as usize) {
            let chunk = Run {
                span: Span::new(from, run.span.end.min(from + size)),
                ..run
            };
            let offset = offset + (from - run.span.start);
            self.write_chunk(region, chunk, offset, &mut search, store)?;
        }
        self.all.borders[index].set(search.borders());
        // Where the copy was not given what was kept, it may have memory of its own by now.
        let kept = self.all.kept;
        let is_in_copy = kept.is_for_a_copy() && kept.runs_of(region).is_none();
        if is_in_copy && may_be_given_back(region, run) {
            let (start, length) = (run.span.start as usize, run.span.len() as usize);
            // SAFETY: this process has nothing more to do with that memory (`may_be_given_back`). If it cannot be given back,
            // that only costs the program a copy.
            let _ = unsafe { calls::advise(start, length, n::MADV_DONTNEED) };
        }
        Ok(())
    }

    fn write_chunk(
        &mut self,
        region: &Region<'_>,
        run: Run,
        offset: u64,
        search: &mut OwnerSearch<'_>,
        store: Store<'_>,
    ) -> Result<(), Failure> {
        let memory = self.all.bytes(region, run, &mut self.buffer)?;
        if region.protection & PROT_WRITE != 0 && !run.same_as_file {
            let (words, mut result) = (&mut self.found.lock_words, Ok(()));
            search.find(run.span.start, memory, |word| {
                result = result.and_then(|()| words.push(word));
            });
            result.doing(format_args!("memory for the list of mutexes"))?;
        }
        // Where the file's own pages lie below, a page of zeros is content, too.
        let keep_zeros = region.backing().is_private_file() && !run.same_as_file;
        let is_left_out = |page: &[u8]| !keep_zeros && is_zero(page);
        let mut pages = memory.chunks(PAGE as usize).enumerate();
        while let Some((first, _)) = pages.find(|(_, page)| !is_left_out(page)) {
            let end = pages.find(|(_, page)| is_left_out(page));
            let end = end.map_or(memory.len(), |(page, _)| page * PAGE as usize);
            let bytes = &memory[first * PAGE as usize..end];
            let start = (first as u64) * PAGE;
            store(bytes, offset + start)?;
            let extent = Extent {
                address: run.span.start + start,
                pages: (bytes.len() / PAGE as usize) as u16,
                flags: if run.same_as_file { SAME_AS_FILE } else { 0 },
                checksum: crc32c(bytes),
            };
            self.found
                .extents
                .push(extent)
                .doing(format_args!("memory for the list of extents"))?;
        }
        Ok(())
    }
}

/// Where the bytes of an extent go, and their place in the file.
type Store<'s> = &'s mut dyn FnMut(&[u8], u64) -> Result<(), Failure>;

/// Whether a copy of the process can do without this memory once it is written. The signal frames of threads may lie in
/// it, which is why what they say is encoded before; what else it needs is libckpt's own.
fn may_be_given_back(region: &Region<'_>, run: Run) -> bool {
    region.backing() == Backing::Anonymous
        && region.protection & PROT_WRITE != 0
        && run.span.len() == HUGE_PAGE
        && !has_own_variables(run)
}

/// Whether variables of libckpt's may lie in a run, which it goes on using.
fn has_own_variables(run: Run) -> bool {
    run.span.intersection(&signal::around_variables()).is_some()
}

impl All<'_> {
    /// Whether the memory of a run is this process's alone, and can be read where it lies.
    fn lies_here(&self, region: &Region<'_>, run: Run) -> bool {
        let is_ours_alone =
            self.kept.is_for_a_copy() && !run.same_as_file && !has_own_variables(run);
        is_ours_alone && region.protection & PROT_READ != 0
    }

    /// The bytes of a run, which is at most one chunk, where they are or copied to `buffer`; fewer where there are fewer, but whole
    /// pages.
    fn bytes<'b>(
        &'b self,
        region: &Region<'_>,
        run: Run,
        buffer: &'b mut [u8],
    ) -> Result<&'b [u8], Failure> {
        if let Some(bytes) = self.kept.bytes_of(run.span) {
            return Ok(bytes);
        }
        let (start, length) = (run.span.start as usize, run.span.len() as usize);
        // What cannot be read is an error then, and not the end of this process.
        if self.lies_here(region, run) && self.memory.is_there(run.span) {
            // SAFETY: (1) the memory is mapped and can be read; (2) who writes and who helps write only to
            // their own memory, of which there is none in the run, and give back only what is theirs.
            return Ok(unsafe { core::slice::from_raw_parts(start as *const u8, length) });
        }
        let copy = &mut buffer[..length];
        let count = self.memory.copy(run, Access::of(region), copy)?;
        Ok(&copy[..count])
    }
}

/// Whether a page, or a stretch of a file, is all zeros.
pub fn is_zero(page: &[u8]) -> bool {
    // Most pages that are not differ early, most that are zero are so throughout: blocks serve both.
    let blocks = page.chunks_exact(64);
    let rest = blocks.remainder();
    let mut blocks = blocks.map(|block| {
        block.chunks_exact(8).fold(0u64, |all, raw| {
            all | u64::from_ne_bytes([
                raw[0], raw[1], raw[2], raw[3], raw[4], raw[5], raw[6], raw[7],
            ])
        })
    });
    blocks.all(|block| block == 0) && rest.iter().all(|&byte| byte == 0)
}
