//! Copies the program's memory into the image.
//!
//! Where the image is written by a copy of the process, nobody else changes that memory, so it is summed and written where it
//! lies, and given back as soon as it is written: from then on the program has it alone, and writes to it without copying it.

use ckpt_image::PAGE;
use ckpt_image::extents::{Extent, MAX_PAGES, SAME_AS_FILE};
use ckpt_image::owners::OwnerWord;
use ckpt_image::regions::{Backing, PROT_READ, PROT_WRITE, Region};
use ckpt_image::segments::Span;
use ckpt_sys::crc::crc32c;
use ckpt_sys::{MapVec, calls};
use linux_raw_sys::general as n;

use super::Output;
use super::notes::Found;
use super::owner_search::OwnerSearch;
use crate::collect::content::Run;
use crate::collect::memory::Memory;
use crate::failure::{Doing, Failure};
use crate::signal;
use crate::snapshot::Kept;

/// Longest extent in bytes, and so the size of what is read, summed and written at one time: the processor's cache still
/// has it for the second and the third look.
const CHUNK: u64 = MAX_PAGES * PAGE;

/// Memory is given back in stretches of this size, the largest pages that the kernel uses for it.
const HUGE_PAGE: u64 = 2 << 20;

/// Writes runs, and notes what there is to say about them.
#[derive(Debug)]
pub struct MemoryWriter<'k> {
    source: Source<'k>,
    /// Where the stretch that is written and not given back begins.
    written_from: u64,
    search: &'k mut OwnerSearch,
    found: &'k mut Found,
}

impl<'k> MemoryWriter<'k> {
    /// One that looks for held locks with `search`, and adds what it finds and writes to `found`.
    ///
    /// # Errors
    /// [`Failure`] if there is no memory for a buffer, or the memory of the process cannot be read.
    pub fn new(
        kept: &'k Kept,
        search: &'k mut OwnerSearch,
        found: &'k mut Found,
    ) -> Result<Self, Failure> {
        Ok(Self {
            source: Source {
                memory: Memory::open()?,
                kept,
                buffer: MapVec::zeroed(CHUNK as usize)
                    .doing(format_args!("memory for a buffer"))?,
            },
            written_from: 0,
            search,
            found,
        })
    }

    /// Writes a run of `region` to `offset`.
    ///
    /// # Errors
    /// [`Failure`] if something cannot be read or written.
    pub fn write(
        &mut self,
        region: &Region<'_>,
        run: Run,
        offset: u64,
        output: &mut Output<'_>,
    ) -> Result<(), Failure> {
        let kept = self.source.kept;
        // Where the copy was not given what was kept, it may have memory of its own by now.
        let is_in_copy = kept.is_for_a_copy() && kept.runs_of(region).is_none();
        let gives_back = is_in_copy && may_be_given_back(region, run);
        self.written_from = run.span.start;
        let mut from = run.span.start;
        while from < run.span.end {
            let chunk = Run {
                span: Span::new(from, run.span.end.min(from + CHUNK)),
                ..run
            };
            let offset = offset + (from - run.span.start);
            self.write_chunk(region, chunk, offset, output)?;
            from = chunk.span.end;
            if gives_back {
                self.give_back(from);
            }
        }
        Ok(())
    }

    fn write_chunk(
        &mut self,
        region: &Region<'_>,
        run: Run,
        offset: u64,
        output: &mut Output<'_>,
    ) -> Result<(), Failure> {
        let memory = self.source.bytes(region, run)?;
        if region.protection & PROT_WRITE != 0 && !run.same_as_file {
            let (owners, mut result) = (&mut self.found.owners, Ok(()));
            self.search.find(run.span.start, memory, |address| {
                result = result.and_then(|()| owners.push(OwnerWord { address }));
            });
            result.doing(format_args!("memory for the list of mutexes"))?;
        }
        // Where the file's own pages lie below, a page of zeros is content, too.
        let keep_zeros = region.backing() == Backing::PrivateFile && !run.same_as_file;
        let is_left_out = |page: &[u8]| !keep_zeros && is_zero(page);
        let mut pages = memory.chunks(PAGE as usize).enumerate();
        while let Some((first, _)) = pages.find(|(_, page)| !is_left_out(page)) {
            let end = pages.find(|(_, page)| is_left_out(page));
            let end = end.map_or(memory.len(), |(page, _)| page * PAGE as usize);
            let bytes = &memory[first * PAGE as usize..end];
            let start = (first as u64) * PAGE;
            output.extent(bytes, offset + start)?;
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

    /// Gives back what is written of a run, as far as whole huge pages of it are: a part of one would split it.
    fn give_back(&mut self, written_to: u64) {
        let end = written_to & !(HUGE_PAGE - 1);
        let Some(length) = end
            .checked_sub(self.written_from)
            .filter(|&length| length > 0)
        else {
            return;
        };
        // SAFETY: this process has nothing more to do with that memory (`may_be_given_back`). If it cannot be given back,
        // that only costs the program a copy.
        let _ = unsafe {
            calls::advise(
                self.written_from as usize,
                length as usize,
                n::MADV_DONTNEED,
            )
        };
        self.written_from = end;
    }
}

/// Whether a copy of the process can do without this memory once it is written. The signal frames of threads may lie in
/// it, which is why what they say is encoded before; what else it needs is libckpt's own.
fn may_be_given_back(region: &Region<'_>, run: Run) -> bool {
    region.backing() == Backing::Anonymous
        && region.protection & PROT_WRITE != 0
        && run.span.len() >= HUGE_PAGE
        && !has_own_variables(run)
}

/// Whether variables of libckpt's may lie in a run, which it goes on using.
fn has_own_variables(run: Run) -> bool {
    run.span.intersection(&signal::around_variables()).is_some()
}

/// Where the bytes of memory come from.
#[derive(Debug)]
struct Source<'k> {
    memory: Memory,
    /// What was copied before.
    kept: &'k Kept,
    /// Memory that others may write to is copied before it is summed and written.
    buffer: MapVec<u8>,
}

impl Source<'_> {
    /// The bytes of a run, which is at most one chunk; fewer where there are fewer, but whole pages.
    fn bytes(&mut self, region: &Region<'_>, run: Run) -> Result<&[u8], Failure> {
        if let Some(bytes) = self.kept.bytes_of(run.span) {
            return Ok(bytes);
        }
        let (start, length) = (run.span.start as usize, run.span.len() as usize);
        let is_ours_alone =
            self.kept.is_for_a_copy() && !run.same_as_file && !has_own_variables(run);
        // SAFETY: reading pages ahead changes nothing. It finds those that cannot be read, which is an error then and not
        // the end of this process.
        let is_there = || unsafe { calls::advise(start, length, n::MADV_POPULATE_READ).is_ok() };
        if is_ours_alone && region.protection & PROT_READ != 0 && is_there() {
            // SAFETY: (1) the memory is mapped and can be read; (2) this process has no other thread, and writes only to
            // its own memory, of which there is none in the run.
            return Ok(unsafe { core::slice::from_raw_parts(start as *const u8, length) });
        }
        let copy = &mut self.buffer[..length];
        let count = self.memory.copy(run, region.is_shared(), copy)?;
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
