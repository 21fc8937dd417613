//! Which pages have content, asked of the page tables without touching a page.
//!
//! Reading memory to find out would make every page of it resident, and a reservation of terabytes would take forever.

use ckpt_image::PAGE;
use ckpt_image::guards::Guard;
use ckpt_image::page_up;
use ckpt_image::regions::{Backing, Region, vm_flags};
use ckpt_image::segments::Span;
use ckpt_sys::{Errno, Fd, MapVec, calls, files, pagemap, proc};
use linux_raw_sys::general as n;

use crate::collect::regions::{Mapped, Regions};
use crate::failure::{Doing, Failure};
use crate::signal;

/// A stretch of pages with content.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// The pages.
    pub span: Span,
    /// Whether they hold what the region's file holds.
    pub same_as_file: bool,
}

/// What was found of some regions.
#[derive(Debug, Default)]
pub struct Pages {
    /// Pages with content, in ascending order.
    pub runs: MapVec<Run>,
    /// Guard pages, in ascending order.
    pub guards: MapVec<Guard>,
}

/// Stretches that one call returns at most.
const BATCH: usize = 256;
/// Pages that one call of mincore(2) covers.
const MINCORE_BATCH: usize = 4096;
/// Pages that one read of pagemap covers.
const PAGEMAP_BATCH: usize = 512;

/// As much memory as is looked through in pagemap because it might be in swap space, in bytes: a larger region is hardly used, and would take long.
const LOOKED_THROUGH: u64 = 32 << 30;

/// Bits of an entry of `/proc/PID/pagemap` (Documentation/admin-guide/mm/pagemap.rst).
const PRESENT: u64 = 1 << 63;
const SWAPPED: u64 = 1 << 62;
const FILE_OR_SHARED: u64 = 1 << 61;

/// Reads page tables.
#[derive(Debug)]
pub struct PageTables<'r> {
    pagemap: Fd,
    has_scan: bool,
    /// Whether the kernel says where guard pages are (Linux 6.16). Those that have neither (before 6.13) have no such pages.
    tells_guards: bool,
    /// Whether the machine has swap space.
    has_swap: bool,
    /// See [`Regions::of_image`].
    of_image: &'r [Span],
}

/// Which pages a scan is to find, as `struct pm_scan_arg` has it.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    inverted: u32,
    mask: u32,
    any_of: u32,
}

/// Neither a file's page nor the page of zeros, and either in memory or in swap space, where guards seem to be.
const OWN: Wanted = Wanted {
    inverted: n::PAGE_IS_FILE | n::PAGE_IS_PFNZERO,
    mask: n::PAGE_IS_FILE | n::PAGE_IS_PFNZERO,
    any_of: n::PAGE_IS_PRESENT | n::PAGE_IS_SWAPPED,
};

const GUARDS: Wanted = Wanted {
    inverted: 0,
    mask: n::PAGE_IS_GUARD,
    any_of: 0,
};

impl<'r> PageTables<'r> {
    /// Opens `/proc/thread-self/pagemap`, for the pages of `regions`.
    ///
    /// # Errors
    /// [`Failure`] if that is not possible.
    pub fn open(regions: &'r Regions) -> Result<Self, Failure> {
        let pagemap = calls::open(c"/proc/thread-self/pagemap", n::O_RDONLY)
            .doing(format_args!("/proc/thread-self/pagemap"))?;
        Ok(Self {
            pagemap,
            has_scan: true,
            tells_guards: true,
            has_swap: proc::memory_info("SwapTotal") != Some(0),
            of_image: regions.of_image(),
        })
    }

    /// Appends the pages of one region to `pages`, in ascending order.
    ///
    /// # Errors
    /// [`Failure`] if the page tables cannot be read or there is no memory.
    pub fn pages_of(&mut self, mapped: &Mapped<'_>, pages: &mut Pages) -> Result<(), Failure> {
        let region = &mapped.region;
        let whole = Span::new(region.start, region.end);
        let mut list = RunList::new(&mut pages.runs);
        let add_from_file = |list: &mut RunList<'_>, span| {
            if region.is_thin() {
                Ok(())
            } else {
                list.add(span, true)
            }
        };
        let guards = &mut pages.guards;
        let found = match region.backing() {
            Backing::Anonymous if whole == signal::stack() => Ok(()),
            Backing::Anonymous if region.flags & vm_flags::DROPPABLE != 0 => {
                self.find_guards(whole, guards)
            }
            Backing::Anonymous => self.anonymous(mapped, |own| match own {
                Own::Content(span) => list.add(span, false),
                Own::Guard(span) => add_guard(guards, span),
            }),
            Backing::PrivateFile => {
                let (mut from, end) = (whole.start, end_of_file(region));
                let own = self.for_each_own(whole, mapped.swapped, |own| {
                    let (Own::Content(span) | Own::Guard(span)) = own;
                    add_from_file(&mut list, Span::new(from, span.start.min(end)))?;
                    from = span.end;
                    match own {
                        Own::Content(span) => list.add(span, false),
                        Own::Guard(span) => add_guard(guards, span),
                    }
                });
                own.and_then(|()| add_from_file(&mut list, Span::new(from, end)))
            }
            // The rest is in the file, which the image has.
            Backing::PrivateUnnamedFile => {
                self.for_each_own(whole, mapped.swapped, |own| match own {
                    Own::Content(span) => list.add(span, false),
                    Own::Guard(span) => add_guard(guards, span),
                })
            }
            // What is behind a guard page is the file's, or whoever's shares the memory.
            Backing::SharedReadOnlyFile => self.find_guards(whole, guards).and_then(|()| {
                add_from_file(&mut list, Span::new(whole.start, end_of_file(region)))
            }),
            Backing::SharedFile
            | Backing::SharedReadOnlyUnnamedFile
            | Backing::SharedUnnamedFile => self.find_guards(whole, guards),
            Backing::SharedAnonymous => self.find_guards(whole, guards).and_then(|()| {
                if mapped.swapped {
                    list.add(whole, false)
                } else {
                    in_core(whole, |span| list.add(span, false))
                }
            }),
            // The data areas cannot be read; the code is kept for debuggers and for kernels that have another one.
            Backing::Vdso if region.name == b"[vdso]" => list.add(whole, false),
            Backing::Vdso => Ok(()),
        };
        found.doing(format_args!(
            "the pages of the region at {:#x}",
            region.start
        ))
    }

    /// Calls `each` for the stretches of a region without a file that have content: what is mapped from the image has, and
    /// of the rest what has pages of its own.
    fn anonymous(
        &mut self,
        mapped: &Mapped<'_>,
        mut each: impl FnMut(Own) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let whole = Span::new(mapped.region.start, mapped.region.end);
        let mut from = whole.start;
        let first = self
            .of_image
            .partition_point(|span| span.end <= whole.start);
        for span in &self.of_image[first..] {
            let Some(span) = span.intersection(&whole) else {
                break;
            };
            self.for_each_own(Span::new(from, span.start), mapped.swapped, &mut each)?;
            self.for_each_of_image(span, &mut each)?;
            from = span.end;
        }
        self.for_each_own(Span::new(from, whole.end), mapped.swapped, each)
    }

    /// Calls `each` for the stretches of `whole` that have pages of their own: private ones, not a file's, and not the
    /// common page of zeros that reading untouched memory leaves there. Some may be in swap space if `swapped`.
    fn for_each_own(
        &mut self,
        whole: Span,
        swapped: bool,
        mut each: impl FnMut(Own) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        while self.has_scan {
            match self.scan(whole, OWN, &mut each) {
                // The first call tells, so nothing was handed out yet.
                Err(Errno::EINVAL) if self.tells_guards => self.tells_guards = false,
                // Kernels before 6.7.
                Err(Errno::ENOTTY | Errno::EINVAL) => self.has_scan = false,
                result => return result,
            }
        }
        let mut each = |span| each(Own::Content(span));
        // That there was nothing in swap space may not be true any more.
        if swapped || self.has_swap && whole.len() <= LOOKED_THROUGH {
            return self.read_pagemap(whole, each);
        }
        // pagemap has eight bytes for every page that does not exist, which takes minutes for terabytes. mincore(2) has
        // one, and passes over them quickly; what it does not know is what is in swap space.
        let mut present = [0u8; MINCORE_BATCH];
        let mut from = whole.start;
        while from < whole.end {
            let block = Span::new(from, whole.end.min(from + MINCORE_BATCH as u64 * PAGE));
            calls::in_core(block.start as usize, block.len() as usize, &mut present)?;
            if present[..(block.len() / PAGE) as usize]
                .iter()
                .any(|page| page & 1 == 1)
            {
                self.read_pagemap(block, &mut each)?;
            }
            from = block.end;
        }
        Ok(())
    }

    /// Calls `each` for the stretches of what is mapped from the image: all of it has content but the guard pages.
    fn for_each_of_image(
        &mut self,
        whole: Span,
        mut each: impl FnMut(Own) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let mut from = whole.start;
        self.for_each_guard(whole, |guard| {
            each(Own::Content(Span::new(from, guard.start)))?;
            from = guard.end;
            each(Own::Guard(guard))
        })?;
        each(Own::Content(Span::new(from, whole.end)))
    }

    /// Appends the guard pages of a region to `guards`.
    fn find_guards(&mut self, whole: Span, guards: &mut MapVec<Guard>) -> Result<(), Errno> {
        self.for_each_guard(whole, |guard| add_guard(guards, guard))
    }

    fn for_each_guard(
        &mut self,
        whole: Span,
        mut each: impl FnMut(Span) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        if !self.has_scan || !self.tells_guards {
            return Ok(());
        }
        match self.scan(whole, GUARDS, |own| match own {
            Own::Content(_) => Ok(()),
            Own::Guard(span) => each(span),
        }) {
            Err(Errno::ENOTTY | Errno::EINVAL) => self.tells_guards = false,
            result => return result,
        }
        Ok(())
    }

    fn scan(
        &self,
        whole: Span,
        wanted: Wanted,
        mut each: impl FnMut(Own) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let guard = if self.tells_guards {
            n::PAGE_IS_GUARD
        } else {
            0
        };
        let mut found = [n::page_region {
            start: 0,
            end: 0,
            categories: 0,
        }; BATCH];
        let mut from = whole.start;
        while from < whole.end {
            let mut arguments = n::pm_scan_arg {
                size: 0,
                flags: 0,
                start: from,
                end: whole.end,
                walk_end: 0,
                vec: found.as_mut_ptr() as u64,
                vec_len: BATCH as u64,
                max_pages: 0,
                category_inverted: u64::from(wanted.inverted),
                category_mask: u64::from(wanted.mask),
                category_anyof_mask: u64::from(wanted.any_of),
                return_mask: u64::from(guard),
            };
            // SAFETY: the kernel writes into the array.
            let count = unsafe { pagemap::scan(&self.pagemap, &mut arguments)? };
            for region in &found[..count] {
                let span = Span::new(region.start, region.end);
                if region.categories & u64::from(guard) != 0 {
                    each(Own::Guard(span))?;
                } else {
                    each(Own::Content(span))?;
                }
            }
            if count < BATCH {
                return Ok(());
            }
            // `walk_end` was seen to be stale and to lead to stretches being reported twice.
            from = arguments.walk_end.max(found[count - 1].end);
        }
        Ok(())
    }

    fn read_pagemap(
        &self,
        whole: Span,
        mut each: impl FnMut(Span) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let mut entries = [0u8; PAGEMAP_BATCH * 8];
        let mut from = whole.start;
        while from < whole.end {
            let pages = ((whole.end - from) / PAGE).min(PAGEMAP_BATCH as u64) as usize;
            let count = files::read_at(&self.pagemap, &mut entries[..pages * 8], from / PAGE * 8)?;
            if count == 0 {
                return Ok(());
            }
            for raw in entries[..count].chunks_exact(8) {
                let entry = u64::from_le_bytes([
                    raw[0], raw[1], raw[2], raw[3], raw[4], raw[5], raw[6], raw[7],
                ]);
                if entry & (PRESENT | SWAPPED) != 0 && entry & FILE_OR_SHARED == 0 {
                    each(Span::new(from, from + PAGE))?;
                }
                from += PAGE;
            }
        }
        Ok(())
    }
}

/// Pages that are a region's own.
#[derive(Clone, Copy, Debug)]
enum Own {
    /// They have content.
    Content(Span),
    /// They are guards.
    Guard(Span),
}

fn add_guard(guards: &mut MapVec<Guard>, span: Span) -> Result<(), Errno> {
    guards.push(Guard {
        start: span.start,
        end: span.end,
    })
}

/// Where the file behind a region ends. Behind that there is nothing; where it is unknown, reading will tell.
fn end_of_file(region: &Region<'_>) -> u64 {
    if region.file.is_unknown() {
        return region.end;
    }
    let in_file = region
        .file
        .size
        .saturating_sub(region.offset)
        .min(region.len());
    region.start + page_up(in_file)
}

/// Appends the runs of one region, joining those that touch.
#[derive(Debug)]
pub struct RunList<'r> {
    runs: &'r mut MapVec<Run>,
    /// Where the region's own runs begin.
    first: usize,
}

impl<'r> RunList<'r> {
    /// Appends to `runs`.
    pub fn new(runs: &'r mut MapVec<Run>) -> Self {
        Self {
            first: runs.len(),
            runs,
        }
    }

    /// Appends a stretch, unless it has no pages.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn add(&mut self, span: Span, same_as_file: bool) -> Result<(), Errno> {
        if span.is_empty() {
            return Ok(());
        }
        match self.runs[self.first..].last_mut() {
            Some(last) if last.span.end == span.start && last.same_as_file == same_as_file => {
                last.span.end = span.end
            }
            _ => self.runs.push(Run { span, same_as_file })?,
        }
        Ok(())
    }
}

/// Calls `each` for the stretches of shared memory that exist, whoever has written them.
///
/// # Errors
/// Those of mincore(2), and those of `each`.
pub fn in_core(whole: Span, mut each: impl FnMut(Span) -> Result<(), Errno>) -> Result<(), Errno> {
    let mut present = [0u8; MINCORE_BATCH];
    let mut from = whole.start;
    while from < whole.end {
        let length = (whole.end - from).min(present.len() as u64 * PAGE);
        calls::in_core(from as usize, length as usize, &mut present)?;
        for &page in &present[..(length / PAGE) as usize] {
            if page & 1 == 1 {
                each(Span::new(from, from + PAGE))?;
            }
            from += PAGE;
        }
    }
    Ok(())
}
