//! Where things go while both address spaces exist: the restorer's own and, growing beside it, the program's.
//!
//! A region whose addresses are free is mapped where it belongs at once. One that the restorer itself is in the way of is
//! *staged*: mapped in the hole, at an address that is congruent to its own so that moving it costs next to nothing,
//! and moved by stage 2 when the restorer is gone. It is staged whole, so that it stays one mapping of the kernel's.

use ckpt_image::regions::{Backing, Region, vm_flags};
use ckpt_image::segments::Span;
use ckpt_image::{TASK_SIZE, page_up};
use ckpt_sys::{Errno, MapVec};

use crate::operations::{Room, pad_length};
use crate::plan::HUGE_PAGE;

/// `mremap` moves congruent memory by whole page tables, each of which maps as much as a huge page.
const TABLE: u64 = HUGE_PAGE;

/// The lowest address that the hole may have: below, `mmap` needs a privilege (`vm.mmap_min_addr`'s default).
const LOWEST: u64 = 64 << 10;

/// Room that is left above the program's heap, in bytes, unless nothing else is free.
const HEAP_ROOM: u64 = 1 << 30;

/// Bounds of the room that is left below a stack, in bytes; its size is the soft limit.
const STACK_ROOM: (u64, u64) = (64 << 20, 1 << 30);

/// What the layout depends on.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'s> {
    /// The restorer's own mappings without the vdso's, ascending.
    pub own: &'s [Span],
    /// Where the kernel has put the vdso with its data areas.
    pub vdso: Span,
    /// Number of these areas.
    pub vdso_areas: usize,
    /// Whether the kernel lets us move it.
    pub vdso_moves: bool,
    /// Whether it takes the place of the one in the image; otherwise that one is ordinary memory.
    pub vdso_is_same: bool,
    /// End of the program's heap.
    pub brk: u64,
    /// Soft limit of the program's stack, in bytes.
    pub stack_limit: u64,
    /// Number of threads beside the main one.
    pub siblings: usize,
    /// Number of signals that are pending for these.
    pub signals: usize,
    /// Words that seem to name the owners of held locks.
    pub lock_words: usize,
    /// Bytes of what the program is to find in its environment.
    pub environment: usize,
}

/// Shared memory without a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object {
    /// Device and inode that its regions name.
    pub identity: (u64, u64),
    /// Length in bytes, as far as regions show it.
    pub length: u64,
    /// [`vm_flags`] of the region that was found first.
    pub flags: u32,
    /// Whether it must be mapped as a whole first, because no single region shows it from its beginning.
    pub whole: bool,
    /// Where it is mapped as a whole while stage 1 duplicates its regions from there.
    pub at: u64,
}

/// Why there is no layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoLayout {
    /// No gap is large enough.
    NoHole,
    /// The vdso, which cannot be moved, is in the way of the program's memory.
    VdsoInTheWay,
    /// No memory for the layout itself.
    Memory(Errno),
}

impl From<Errno> for NoLayout {
    fn from(errno: Errno) -> Self {
        Self::Memory(errno)
    }
}

/// Where things go.
#[derive(Debug)]
pub struct Layout {
    /// The address of each region in stage 1, in the order of the regions; its own unless it is staged.
    pub places: MapVec<u64>,
    /// Shared memory without a file.
    pub objects: MapVec<Object>,
    /// The gap that is free in both address spaces.
    pub hole: Span,
    /// Code and data of stage 2.
    pub pad: Span,
    /// What there is room for in the pad.
    pub room: Room,
    /// Where the vdso's areas wait for stage 2, or stay for good where the image's is another one.
    pub vdso: u64,
    busy: MapVec<Span>,
}

/// Spans that are busy beyond those of the regions: the restorer's own mappings, which are a few dozen.
const OWN_SPANS: usize = 1024;

impl Layout {
    /// A layout without content, with all the memory that it will need: arranging must not change the mappings that
    /// it is about.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn with_room_for<'a>(regions: impl Iterator<Item = Region<'a>>) -> Result<Self, Errno> {
        let count = regions.count();
        Ok(Self {
            places: MapVec::with_capacity(count)?,
            objects: MapVec::with_capacity(count)?,
            hole: Span::new(0, 0),
            pad: Span::new(0, 0),
            room: Room::default(),
            vdso: 0,
            busy: MapVec::with_capacity(count + OWN_SPANS)?,
        })
    }

    /// The object that `region`, which is one of shared memory without a file, shows.
    #[must_use]
    pub fn object(&self, region: &Region<'_>) -> Option<&Object> {
        let identity = (region.file.device, region.file.inode);
        self.objects
            .iter()
            .find(|object| object.identity == identity)
    }

    /// Whether `region`, which has `place`, waits in the hole for stage 2.
    #[must_use]
    pub fn is_staged(region: &Region<'_>, place: u64) -> bool {
        region.start != place
    }

    /// Computes where things go.
    ///
    /// # Errors
    /// [`NoLayout`].
    pub fn arrange<'a>(
        &mut self,
        regions: impl Iterator<Item = Region<'a>> + Clone,
        situation: &Situation<'_>,
    ) -> Result<(), NoLayout> {
        self.collect_objects(regions.clone())?;
        self.places.truncate(0);
        let (mut staged, mut sealed) = (0, 0);
        for region in regions.clone() {
            let span = Span::new(region.start, region.end);
            if !situation.vdso_moves && span.intersection(&situation.vdso).is_some() {
                return Err(NoLayout::VdsoInTheWay);
            }
            let is_moved = situation.vdso_is_same && region.backing() == Backing::Vdso;
            let in_the_way = |own: &Span| own.intersection(&span).is_some();
            let is_staged = !is_moved && situation.own.iter().any(in_the_way);
            staged += usize::from(is_staged);
            sealed += usize::from(region.flags & vm_flags::SEALED != 0);
            self.places
                .push(if is_staged { STAGED } else { span.start })?;
        }
        self.room = Room {
            operations: situation.own.len() + situation.vdso_areas + staged + sealed,
            siblings: situation.siblings,
            signals: situation.signals,
            lock_words: situation.lock_words,
            environment: situation.environment,
        };

        // First as though the hole began at 0: what counts is congruence modulo `TABLE`, and the hole begins at a multiple.
        let mut cursor = Cursor(0);
        let pad_length = pad_length(self.room);
        let pad = cursor.take(pad_length, None)?;
        let vdso = cursor.take(situation.vdso.len(), None)?;
        for (region, place) in regions.clone().zip(self.places.iter_mut()) {
            if *place == STAGED {
                *place = STAGED + cursor.take(region.len(), Some(region.start))?;
            }
        }
        for object in self.objects.iter_mut().filter(|object| object.whole) {
            object.at = cursor.take(object.length, None)?;
        }

        let length = cursor.0;
        let hole = self
            .find_hole(regions, situation, length)?
            .ok_or(NoLayout::NoHole)?;
        for place in self.places.iter_mut().filter(|place| **place >= STAGED) {
            *place = *place - STAGED + hole;
        }
        for object in self.objects.iter_mut() {
            object.at += hole;
        }
        self.hole = Span::new(hole, hole + length);
        self.pad = Span::new(hole + pad, hole + pad + pad_length);
        self.vdso = if situation.vdso_moves {
            hole + vdso
        } else {
            situation.vdso.start
        };
        Ok(())
    }

    fn collect_objects<'a>(
        &mut self,
        regions: impl Iterator<Item = Region<'a>>,
    ) -> Result<(), NoLayout> {
        self.objects.truncate(0);
        for region in regions.filter(|region| region.backing() == Backing::SharedAnonymous) {
            let identity = (region.file.device, region.file.inode);
            let length = region.offset + region.len();
            let known = self
                .objects
                .iter_mut()
                .find(|object| object.identity == identity);
            match known {
                Some(object) => {
                    object.length = object.length.max(length);
                    object.whole = true;
                }
                None => self.objects.push(Object {
                    identity,
                    length,
                    flags: region.flags,
                    whole: region.offset != 0,
                    at: 0,
                })?,
            }
        }
        Ok(())
    }

    /// The address of a hole of `length` bytes: the middle of the largest gap, far from all that may want to grow.
    fn find_hole<'a>(
        &mut self,
        regions: impl Iterator<Item = Region<'a>>,
        situation: &Situation<'_>,
        length: u64,
    ) -> Result<Option<u64>, Errno> {
        let stack_room = situation.stack_limit.clamp(STACK_ROOM.0, STACK_ROOM.1);
        let busy = &mut self.busy;
        busy.truncate(0);
        busy.extend(situation.own)?;
        busy.push(situation.vdso)?;
        for region in regions {
            let grows = region.flags & vm_flags::GROWS_DOWN != 0;
            let room = if grows { stack_room } else { 0 };
            busy.push(Span::new(region.start.saturating_sub(room), region.end))?;
        }
        busy.sort_unstable_by_key(|span| span.start);
        let without_heap_room = middle_of_largest_gap(busy.iter().copied(), length);

        let heap_end = situation.brk.saturating_add(HEAP_ROOM);
        busy.push(Span::new(situation.brk, heap_end))?;
        busy.sort_unstable_by_key(|span| span.start);
        Ok(middle_of_largest_gap(busy.iter().copied(), length).or(without_heap_room))
    }
}

/// Marks a place that is still relative to the hole: no address is that high.
const STAGED: u64 = 1 << 63;

/// Deals out addresses one after the other.
struct Cursor(u64);

impl Cursor {
    /// Takes `length` bytes, at the next address that is congruent to `like` if there is one. Memory that is shown many times
    /// may take more than all there is.
    fn take(&mut self, length: u64, like: Option<u64>) -> Result<u64, NoLayout> {
        let skipped = like.map_or(0, |like| like.wrapping_sub(self.0) % TABLE);
        let at = self.0 + skipped;
        self.0 = at
            .checked_add(page_up(length))
            .filter(|&end| end <= TASK_SIZE)
            .ok_or(NoLayout::NoHole)?;
        Ok(at)
    }
}

/// The middle of the largest gap between the `busy` spans, which ascend by their beginnings and may overlap.
fn middle_of_largest_gap(busy: impl Iterator<Item = Span>, length: u64) -> Option<u64> {
    let (mut free_from, mut largest) = (LOWEST, Span::new(0, 0));
    let end = Span::new(TASK_SIZE, TASK_SIZE);
    for span in busy.chain([end]) {
        let gap = Span::new(free_from, span.start.min(TASK_SIZE));
        if gap.len() > largest.len() {
            largest = gap;
        }
        free_from = free_from.max(span.end);
    }
    let spare = largest.len().checked_sub(length)?;
    let at = (largest.start + spare / 2).next_multiple_of(TABLE);
    (at + length <= largest.end).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ckpt_image::regions::FileIdentity;

    const RESTORER: [Span; 2] = [
        Span::new(0x500_0000, 0x501_0000),
        Span::new(0x530_0000, 0x540_0000),
    ];

    fn region(start: u64, end: u64, backing: Backing, flags: u32) -> Region<'static> {
        Region {
            start,
            end,
            protection: 3,
            backing_number: backing as u32,
            flags,
            offset: 0,
            file: FileIdentity::default(),
            name: b"",
        }
    }

    fn situation() -> Situation<'static> {
        Situation {
            own: &RESTORER,
            vdso: Span::new(0x7fff_0000_0000, 0x7fff_0000_8000),
            vdso_areas: 3,
            vdso_moves: true,
            vdso_is_same: true,
            brk: 0x700_0000,
            stack_limit: 8 << 20,
            siblings: 2,
            signals: 1,
            lock_words: 10,
            environment: 100,
        }
    }

    fn arranged(regions: &[Region<'_>], here: &Situation<'_>) -> Result<Layout, NoLayout> {
        let mut layout = Layout::with_room_for(regions.iter().copied()).unwrap();
        layout.arrange(regions.iter().copied(), here)?;
        Ok(layout)
    }

    fn overlaps(a: Span, b: Span) -> bool {
        a.intersection(&b).is_some()
    }

    #[test]
    fn what_the_restorer_covers_is_staged_whole_and_congruent() {
        let heap = region(0x4f0_3000, 0x700_0000, Backing::Anonymous, 0);
        let library = region(0x7f00_0000_0000, 0x7f00_0010_0000, Backing::PrivateFile, 0);
        let regions = [heap, library];
        let layout = arranged(&regions, &situation()).unwrap();
        assert_eq!(layout.places[1], library.start);
        let staged = layout.places[0];
        assert_ne!(staged, heap.start);
        assert_eq!(staged % TABLE, heap.start % TABLE);
        let staged = Span::new(staged, staged + heap.len());
        assert!(layout.hole.start <= staged.start && staged.end <= layout.hole.end);
        assert!(!overlaps(staged, layout.pad));
        let vdso = Span::new(layout.vdso, layout.vdso + 0x8000);
        assert!(!overlaps(vdso, layout.pad) && !overlaps(vdso, staged));
    }

    #[test]
    fn the_hole_is_free_in_both_and_keeps_clear_of_what_grows() {
        let stack = region(
            0x7ffc_0000_0000,
            0x7ffc_0002_0000,
            Backing::Anonymous,
            vm_flags::GROWS_DOWN,
        );
        // Everything but 1 GiB and a bit below the stack, and 2 GiB above the heap, is taken.
        let rest = region(
            0x700_0000 + (2 << 30),
            stack.start - (1 << 30) - (4 << 20),
            Backing::Anonymous,
            0,
        );
        let mut here = situation();
        here.stack_limit = u64::MAX;
        let low = region(0x1_0000, 0x500_0000, Backing::Anonymous, 0);
        let above = region(stack.end, TASK_SIZE, Backing::Anonymous, 0);
        let layout = arranged(&[low, rest, stack, above], &here).unwrap();
        let heap_room = Span::new(here.brk, here.brk + HEAP_ROOM);
        assert!(!overlaps(layout.hole, heap_room));
        assert!(layout.hole.end <= rest.start);
        for busy in here.own {
            assert!(!overlaps(layout.hole, *busy));
        }
    }

    #[test]
    fn the_pad_has_room_for_thirty_thousand_threads() {
        let heap = region(0x4f0_3000, 0x700_0000, Backing::Anonymous, 0);
        let mut here = situation();
        (here.siblings, here.signals) = (30_000, 1000);
        let layout = arranged(&[heap], &here).unwrap();
        assert!(layout.pad.len() > 30_000 * 144 + 1000 * 128);
        let staged = Span::new(layout.places[0], layout.places[0] + heap.len());
        let vdso = Span::new(layout.vdso, layout.vdso + here.vdso.len());
        assert!(!overlaps(layout.pad, staged) && !overlaps(layout.pad, vdso));
        assert!(layout.hole.start <= layout.pad.start && layout.pad.end <= layout.hole.end);
    }

    #[test]
    fn without_room_there_is_no_layout() {
        let all = region(0x1_0000, TASK_SIZE, Backing::Anonymous, 0);
        assert_eq!(arranged(&[all], &situation()).err(), Some(NoLayout::NoHole));
    }

    #[test]
    fn no_more_is_dealt_out_than_there_are_addresses() {
        let mut cursor = Cursor(0);
        assert_eq!(cursor.take(TASK_SIZE, None), Ok(0));
        assert_eq!(cursor.take(1, None), Err(NoLayout::NoHole));
        assert_eq!(Cursor(0).take(1 << 63, None), Err(NoLayout::NoHole));
    }

    #[test]
    fn a_vdso_that_stays_must_not_be_in_the_way() {
        let mut here = situation();
        (here.vdso_moves, here.vdso_is_same) = (false, false);
        let there = region(0x7fff_0000_1000, 0x7fff_0000_2000, Backing::Anonymous, 0);
        assert_eq!(
            arranged(&[there], &here).err(),
            Some(NoLayout::VdsoInTheWay)
        );
        let beside = region(0x7ffe_0000_1000, 0x7ffe_0000_2000, Backing::Anonymous, 0);
        let layout = arranged(&[beside], &here).unwrap();
        assert_eq!(layout.vdso, here.vdso.start);
    }

    #[test]
    fn regions_of_one_object_are_found_together() {
        let mut first = region(0x10_0000, 0x10_2000, Backing::SharedAnonymous, 0);
        first.file.inode = 7;
        let mut second = region(0x20_0000, 0x20_1000, Backing::SharedAnonymous, 0);
        second.file.inode = 7;
        second.offset = 0x5000;
        let mut alone = region(0x30_0000, 0x30_1000, Backing::SharedAnonymous, 0);
        alone.file.inode = 8;
        let layout = arranged(&[first, second, alone], &situation()).unwrap();
        assert_eq!(layout.objects.len(), 2);
        assert_eq!(layout.object(&second).map(|o| o.length), Some(0x6000));
        assert!(!layout.object(&alone).unwrap().whole);
        assert!(layout.object(&first).unwrap().whole);
    }
}
