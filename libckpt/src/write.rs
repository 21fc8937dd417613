//! Writes the image: the data, then the notes that say what it is, then the headers in front.
//!
//! Async-signal-safe: see `signal`.

mod batches;
mod helpers;
mod memory;
mod notes;
mod output;
mod owner_search;
mod packer;
mod unnamed_files;

use ckpt_image::elf::{
    FileHeader, PF_R, PT_LOAD, PT_NOTE, ProgramHeader, SectionHeader, head_size,
};
use ckpt_image::reader::segment_flags;
use ckpt_image::regions::{Backing, PROT_WRITE, Region};
use ckpt_image::segments::{Piece, Span, choose_gap, cut};
use ckpt_image::wire::{Encoder, NoSpace};
use ckpt_image::{PAGE, context::Context, page_up};
use ckpt_sys::MapVec;
use ckpt_sys::crc::crc32c;

use crate::collect::content::{PageTables, Pages, Run};
use crate::collect::regions::{Mapped, Regions};
use crate::failure::{Doing, Failure, failure};
use crate::snapshot::Kept;
use memory::Stretch;
pub use notes::State;
use notes::{Found, Notes};
pub use output::Output;
use owner_search::OwnerSearch;

/// How large an image is.
pub struct Written {
    /// Bytes, without holes.
    pub size: u64,
    /// Bytes of memory in it that files hold as well.
    pub held_by_files: u64,
}

/// Writes the image of the process to `output`.
///
/// # Errors
/// [`Failure`] if something cannot be read or written.
pub fn image(
    state: &State<'_>,
    regions: &Regions,
    kept: &Kept,
    mut output: Output<'_>,
) -> Result<Written, Failure> {
    let mut layout = Layout::plan(regions, kept)?;
    output.begin(layout.data_start, layout.data_end)?;
    let mut notes = Notes::begin(state, regions.list())?;
    let owners = owners_of(state.contexts)?;
    let mut found = Found::default();
    let stretches = layout.stretches(regions.list())?;
    memory::write(&stretches, kept, &owners, &mut found, &mut output)?;
    layout.data_end = unnamed_files::write(
        state.descriptors.file_runs(),
        kept,
        regions.list(),
        &mut OwnerSearch::new(&owners),
        &mut found,
        layout.data_end,
        &mut output,
    )?;
    let mut ours = state
        .id_words
        .iter()
        .filter(|word| is_ours_to_change(regions.list(), word.address));
    ours.try_for_each(|&word| found.owners.push(word))
        .doing(format_args!("memory for the threads"))?;
    found.sort_owners(&layout.pages.guards);
    found.sort_lock_words(state.lock_words)?;
    notes.add_found(state, regions.objects(), &layout.pages.guards, &found)?;
    let held = layout.pages.runs.iter().filter(|run| run.same_as_file);
    Ok(Written {
        held_by_files: held.map(|run| run.span.len()).sum(),
        size: layout.write_notes_and_head(notes, output)?,
    })
}

/// Whether a restart may change what is at `address` in one of `regions`, which ascend: not where the program has made it
/// read-only, nor in a file that others see.
fn is_ours_to_change(regions: &[Mapped<'_>], address: u64) -> bool {
    let index = regions.partition_point(|mapped| mapped.region.end <= address);
    regions.get(index).is_some_and(|Mapped { region, .. }| {
        region.contains(address)
            && region.protection & PROT_WRITE != 0
            && region.backing() != Backing::SharedFile
    })
}

/// The ids that held locks can name, in ascending order.
fn owners_of(contexts: &[Context]) -> Result<MapVec<u32>, Failure> {
    let mut tids = MapVec::new();
    contexts
        .iter()
        .try_for_each(|context| tids.push(context.tid as u32))
        .doing(format_args!("memory for the threads"))?;
    tids.sort_unstable();
    Ok(tids)
}

/// Which memory goes where in the file.
struct Layout {
    pages: Pages,
    /// The first is the note segment; those that hold memory follow, in ascending order.
    segments: MapVec<ProgramHeader>,
    data_start: u64,
    data_end: u64,
}

impl Layout {
    fn plan(regions: &Regions, kept: &Kept) -> Result<Self, Failure> {
        let no_memory = format_args!("memory for the list of pages");
        let mut pages = Pages::default();
        let mut page_tables = PageTables::open(regions)?;
        let regions = regions.list();
        for mapped in regions {
            match kept.runs_of(&mapped.region) {
                Some(known) => pages.runs.extend(known).doing(no_memory)?,
                None => page_tables.pages_of(mapped, &mut pages)?,
            }
        }
        pages.guards.extend(kept.guards()).doing(no_memory)?;
        pages.guards.sort_unstable_by_key(|guard| guard.start);
        let gap = choose_gap(regions.len(), |gap| {
            let mut pieces = 0;
            for_each_piece(regions, &pages.runs, gap, |_, _| pieces += 1);
            pieces
        });
        let mut segments = MapVec::new();
        let note = ProgramHeader {
            kind: PT_NOTE,
            flags: PF_R,
            offset: 0,
            address: 0,
            physical: 0,
            file_size: 0,
            memory_size: 0,
            alignment: 4,
        };
        let mut result = segments.push(note);
        for_each_piece(regions, &pages.runs, gap, |region, piece| {
            let size = piece.span.len();
            let segment = ProgramHeader {
                kind: PT_LOAD,
                flags: segment_flags(region.protection),
                offset: 0,
                address: piece.span.start,
                physical: 0,
                file_size: if piece.stored { size } else { 0 },
                memory_size: size,
                alignment: PAGE,
            };
            result = result.and_then(|()| segments.push(segment));
        });
        result.doing(format_args!("memory for the list of segments"))?;
        let data_start = page_up(head_size(segments.len()) as u64);
        let mut offset = data_start;
        for segment in segments.iter_mut().skip(1) {
            segment.offset = offset;
            offset += segment.file_size;
        }
        Ok(Self {
            pages,
            segments,
            data_start,
            data_end: offset,
        })
    }

    /// What has to be written, and where it goes.
    fn stretches<'r>(&self, regions: &'r [Mapped<'_>]) -> Result<MapVec<Stretch<'r>>, Failure> {
        let mut stretches = MapVec::new();
        let mut segments = self.segments[1..].iter().peekable();
        let mut runs = self.pages.runs.iter().peekable();
        for Mapped { region, .. } in regions {
            while let Some(run) = runs.next_if(|run| run.span.start < region.end) {
                // A run lies within one segment: segments are cut only where there are no runs.
                while segments
                    .next_if(|segment| segment.end() <= run.span.start)
                    .is_some()
                {}
                let segment = segments
                    .peek()
                    .ok_or_else(|| failure!("internal error: a run without a segment"))?;
                let offset = segment.offset + (run.span.start - segment.address);
                Stretch::of_run(region, *run, offset)
                    .try_for_each(|stretch| stretches.push(stretch))
                    .doing(format_args!("memory for the list of stretches"))?;
            }
        }
        Ok(stretches)
    }

    fn write_notes_and_head(mut self, notes: Notes, output: Output<'_>) -> Result<u64, Failure> {
        let notes_size = notes.len() as u64;
        let file_size = self.data_end + notes_size;
        self.segments[0].offset = self.data_end;
        self.segments[0].file_size = notes_size;
        let mut head = MapVec::zeroed(self.data_start as usize)
            .doing(format_args!("memory for the headers"))?;
        encode_head(&mut Encoder::new(&mut head), &self.segments)
            .map_err(|NoSpace| failure!("internal error: the headers are larger than expected"))?;
        let notes = notes.close(file_size, crc32c(&head))?;
        output.close(&head, &notes, self.data_end)
    }
}

/// Calls `each` for every piece of every region.
fn for_each_piece(
    regions: &[Mapped<'_>],
    runs: &[Run],
    gap: u64,
    mut each: impl FnMut(&Region<'_>, Piece),
) {
    let mut rest = runs;
    for Mapped { region, .. } in regions {
        let count = rest
            .iter()
            .take_while(|run| run.span.start < region.end)
            .count();
        let (own, behind) = rest.split_at(count);
        rest = behind;
        let span = Span::new(region.start, region.end);
        cut(span, own.iter().map(|run| run.span), gap, |piece| {
            each(region, piece)
        });
    }
}

fn encode_head(to: &mut Encoder<'_>, segments: &[ProgramHeader]) -> Result<(), NoSpace> {
    let header = FileHeader::for_image(segments.len());
    to.put(&header)?;
    segments.iter().try_for_each(|segment| to.put(segment))?;
    if header.section_header_count != 0 {
        to.put(&SectionHeader::carrying_segment_count(segments.len() as u32))?;
    }
    Ok(())
}
