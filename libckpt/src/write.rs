//! Writes the image: the data, then the notes that say what it is, then the headers in front.
//!
//! Async-signal-safe: see `signal`.

mod owner_search;
mod unnamed_files;

use ckpt_image::core_notes::{self, Ids, MappedFile, Thread};
use ckpt_image::elf::{
    FileHeader, PF_R, PT_LOAD, PT_NOTE, ProgramHeader, SectionHeader, head_size,
};
use ckpt_image::extents::{Extent, MAX_PAGES, SAME_AS_FILE};
use ckpt_image::guards::Guard;
use ckpt_image::header::{Checksums, Header};
use ckpt_image::note::{Kind, append_own};
use ckpt_image::objects::deleted_files::FileExtent;
use ckpt_image::owners::OwnerWord;
use ckpt_image::reader::segment_flags;
use ckpt_image::regions::{Backing, PROT_WRITE, Region};
use ckpt_image::segments::{Piece, Span, choose_gap, cut};
use ckpt_image::signals::{Actions, Pending};
use ckpt_image::wire::{Encoder, NoSpace};
use ckpt_image::{
    PAGE, checksum, clocks::Clocks, context::Context, cpu::Cpu, credentials::Credentials, page_up,
    process::Process,
};
use ckpt_sys::crc::crc32c;
use ckpt_sys::{Fd, MapVec, files};

use crate::collect::content::{PageTables, Pages, Run};
use crate::collect::descriptors::Descriptors;
use crate::collect::memory::Memory;
use crate::collect::regions::{Mapped, Regions};
use crate::failure::{Doing, Failure, failure};
use crate::snapshot::Kept;
use owner_search::OwnerSearch;

/// Everything that goes into an image but memory.
#[derive(Debug)]
pub struct State<'s> {
    /// Where the image comes from.
    pub header: Header<'s>,
    /// The processor.
    pub cpu: Cpu,
    /// Attributes of the process.
    pub process: Process<'s>,
    /// The clocks that count from a boot.
    pub clocks: Clocks,
    /// Who the process is.
    pub credentials: Credentials<'s>,
    /// Where the threads of the restored process begin, the main thread first.
    pub contexts: &'s [Context],
    /// Descriptors and locks.
    pub descriptors: &'s Descriptors,
    /// Dispositions.
    pub actions: &'s Actions,
    /// Pending signals.
    pub pending: &'s [Pending],
    /// For debuggers: ids, the interrupted threads, the command line, and the signal.
    pub ids: Ids,
    /// See [`Self::ids`].
    pub threads: &'s [Thread<'s>],
    /// See [`Self::ids`].
    pub arguments: &'s [u8],
    /// See [`Self::ids`].
    pub siginfo: &'s [u8],
}

/// What the notes need for a thread beside its XSAVE area, in bytes: status, legacy registers, context, and their headers.
const THREAD_BOUND: usize = 1536;

/// Longest extent in bytes, and so the size of the buffer through which the data goes.
const CHUNK: usize = (MAX_PAGES * PAGE) as usize;

/// A file that is being written. Nothing is written behind the limit of file sizes, since that would raise SIGXFSZ.
struct Output<'f> {
    file: &'f Fd,
    limit: u64,
    path: &'f dyn core::fmt::Display,
    /// Bytes really written, without holes.
    written: u64,
}

impl Output<'_> {
    fn write(&mut self, bytes: &[u8], offset: u64) -> Result<(), Failure> {
        self.check_limit(offset + bytes.len() as u64)?;
        self.written += bytes.len() as u64;
        files::write_at(self.file, bytes, offset).doing(format_args!("{}", self.path))
    }

    fn check_limit(&self, size: u64) -> Result<(), Failure> {
        if size <= self.limit {
            return Ok(());
        }
        Err(failure!(
            "{}: the image needs {size} bytes, and the limit of file sizes is {}; raise it (ulimit -f) before the program \
             starts",
            self.path,
            self.limit
        ))
    }
}

/// Writes the image of the process to `file`, whose path is for messages only; the number of bytes written.
///
/// # Errors
/// [`Failure`] if something cannot be read or written.
pub fn image(
    state: &State<'_>,
    regions: &Regions,
    kept: &Kept,
    file: &Fd,
    path: &dyn core::fmt::Display,
    file_size_limit: u64,
) -> Result<u64, Failure> {
    let mut output = Output {
        file,
        limit: file_size_limit,
        path,
        written: 0,
    };
    let mut layout = Layout::plan(regions, kept)?;
    output.check_limit(layout.data_end)?;
    let mut search = OwnerSearch::new(owners_of(state.contexts)?)?;
    let mut found = layout.write_data(regions.list(), kept, &mut search, &mut output)?;
    let stored = unnamed_files::write(
        state.descriptors.file_runs(),
        kept,
        regions.list(),
        &mut search,
        &mut found.owners,
        layout.data_end,
        &mut output,
    )?;
    found.sort_owners(&layout.pages.guards);
    found.file_extents = stored.extents;
    layout.data_end = stored.end;
    layout.write_notes_and_head(state, regions.list(), &found, &mut output)?;
    Ok(output.written)
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

    /// Writes all runs; what was found in them.
    fn write_data(
        &self,
        regions: &[Mapped<'_>],
        kept: &Kept,
        search: &mut OwnerSearch,
        output: &mut Output<'_>,
    ) -> Result<Found, Failure> {
        let mut writer = DataWriter {
            memory: Memory::open()?,
            kept,
            search,
            found: Found::default(),
        };
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
                let mut from = run.span.start;
                while from < run.span.end {
                    let span = Span::new(from, run.span.end.min(from + CHUNK as u64));
                    let offset = segment.offset + (from - segment.address);
                    writer.write(region, Run { span, ..*run }, offset, output)?;
                    from = span.end;
                }
            }
        }
        Ok(writer.found)
    }

    fn write_notes_and_head(
        mut self,
        state: &State<'_>,
        regions: &[Mapped<'_>],
        found: &Found,
        output: &mut Output<'_>,
    ) -> Result<(), Failure> {
        let memory = format_args!("memory for the notes");
        let names: usize = regions.iter().map(|mapped| mapped.region.name.len()).sum();
        let xsave: usize = state.threads.iter().map(|thread| thread.xsave.len()).sum();
        let bound = (64 << 10)
            + (state.contexts.len() + state.threads.len()) * THREAD_BOUND
            + regions.len() * 160
            + names * 2
            + size_of_val(&found.extents[..])
            + size_of_val(&found.owners[..])
            + size_of_val(&found.file_extents[..])
            + size_of_val(&self.pages.guards[..])
            + state.descriptors.encoded_bound()
            + size_of_val(state.pending)
            + state.credentials.groups.len()
            + xsave;
        let mut buffer = MapVec::zeroed(bound).doing(memory)?;
        let mut notes = Encoder::new(&mut buffer);
        encode_notes(&mut notes, state, regions, &self.pages.guards, found)
            .map_err(|NoSpace| failure!("internal error: the notes are larger than expected"))?;

        // The note that closes the segment has a fixed size, of which the last field is the sum over all before it.
        let mut closing = [0; 64];
        let checksums = |head, notes| Checksums {
            file_size: 0,
            head,
            notes,
        };
        let mut sized = Encoder::new(&mut closing);
        let _ = append_own(&mut sized, Kind::Checksums, |to| to.put(&checksums(0, 0)));
        let notes_size = (notes.len() + sized.len()) as u64;
        let file_size = self.data_end + notes_size;
        output.check_limit(file_size)?;
        self.segments[0].offset = self.data_end;
        self.segments[0].file_size = notes_size;

        let mut head = MapVec::zeroed(self.data_start as usize).doing(memory)?;
        encode_head(&mut Encoder::new(&mut head), &self.segments)
            .map_err(|NoSpace| failure!("internal error: the headers are larger than expected"))?;
        let checksums = Checksums {
            file_size,
            head: checksum::crc32c(&head),
            notes: 0,
        };
        append_own(&mut notes, Kind::Checksums, |to| to.put(&checksums))
            .map_err(|NoSpace| failure!("internal error: the notes are larger than expected"))?;
        let sum_at = notes.len() - size_of::<u32>();
        let sum = crc32c(&notes.written()[..sum_at]);
        let _ = notes.patch_u32(sum_at, sum);

        output.write(notes.written(), self.data_end)?;
        output.write(&head, 0)
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

/// Copies memory into the file.
struct DataWriter<'k> {
    memory: Memory,
    /// What was copied before.
    kept: &'k Kept,
    search: &'k mut OwnerSearch,
    found: Found,
}

/// What came of writing the data.
#[derive(Debug, Default)]
struct Found {
    extents: MapVec<Extent>,
    owners: MapVec<OwnerWord>,
    file_extents: MapVec<FileExtent>,
}

impl Found {
    /// Puts the words in order, and leaves out those that only guard pages show, since they cannot be written there. Others see
    /// the same memory at another address.
    fn sort_owners(&mut self, guards: &[Guard]) {
        self.owners.sort_unstable_by_key(|word| word.address);
        let mut guards = guards.iter().peekable();
        let mut kept = 0;
        for index in 0..self.owners.len() {
            let word = self.owners[index];
            while guards.next_if(|guard| guard.end <= word.address).is_some() {}
            let hidden = guards
                .peek()
                .is_some_and(|guard| guard.start <= word.address);
            if !hidden {
                self.owners[kept] = word;
                kept += 1;
            }
        }
        self.owners.truncate(kept);
    }
}

impl DataWriter<'_> {
    /// Writes `run`, which is at most one chunk, to `offset`.
    fn write(
        &mut self,
        region: &Region<'_>,
        run: Run,
        offset: u64,
        output: &mut Output<'_>,
    ) -> Result<(), Failure> {
        let copied = self.copy(run, region.is_shared())?;
        if region.protection & PROT_WRITE != 0 && !run.same_as_file {
            self.find_owners(run.span.start, copied)?;
        }
        let pages = copied / PAGE as usize;
        // Where the file's own pages lie below, a page of zeros is content, too.
        let keep_zeros = region.backing() == Backing::PrivateFile && !run.same_as_file;
        let mut page = 0;
        while page < pages {
            let is_zero = |page: usize| !keep_zeros && is_zero(self.pages(page, page + 1));
            if is_zero(page) {
                page += 1;
                continue;
            }
            let first = page;
            while page < pages && !is_zero(page) {
                page += 1;
            }
            let bytes = self.pages(first, page);
            output.write(bytes, offset + first as u64 * PAGE)?;
            let extent = Extent {
                address: run.span.start + first as u64 * PAGE,
                pages: (page - first) as u16,
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

    /// The copied pages from `first` up to, not including, `end`.
    fn pages(&self, first: usize, end: usize) -> &[u8] {
        &self.search.piece()[first * PAGE as usize..end * PAGE as usize]
    }

    /// Looks for held mutexes in the `length` bytes that were copied from `address`.
    fn find_owners(&mut self, address: u64, length: usize) -> Result<(), Failure> {
        let owners = &mut self.found.owners;
        let mut result = Ok(());
        self.search.find(address, length, |address| {
            // Two shapes that overlap are none of them likelier than the other; the word is the same.
            if result.is_ok() && owners.last().is_none_or(|last| last.address < address) {
                result = owners.push(OwnerWord { address });
            }
        });
        result.doing(format_args!("memory for the list of mutexes"))
    }

    /// Copies a run into the buffer; the number of bytes that were there, in whole pages.
    fn copy(&mut self, run: Run, is_shared: bool) -> Result<usize, Failure> {
        let to = self.search.room(run.span.len() as usize);
        match self.kept.bytes_of(run.span) {
            Some(bytes) => {
                to[..bytes.len()].copy_from_slice(bytes);
                Ok(bytes.len())
            }
            None => self.memory.copy(run, is_shared, to),
        }
    }
}

/// Whether a page, or a stretch of a file, is all zeros.
fn is_zero(page: &[u8]) -> bool {
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

fn encode_head(to: &mut Encoder<'_>, segments: &[ProgramHeader]) -> Result<(), NoSpace> {
    let header = FileHeader::for_image(segments.len());
    to.put(&header)?;
    segments.iter().try_for_each(|segment| to.put(segment))?;
    if header.section_header_count != 0 {
        to.put(&SectionHeader::carrying_segment_count(segments.len() as u32))?;
    }
    Ok(())
}

fn encode_notes(
    to: &mut Encoder<'_>,
    state: &State<'_>,
    regions: &[Mapped<'_>],
    guards: &[Guard],
    found: &Found,
) -> Result<(), NoSpace> {
    append_own(to, Kind::Header, |to| to.put(&state.header))?;

    let mut threads = state.threads.iter();
    if let Some(first) = threads.next() {
        core_notes::append_thread(to, &state.ids, first)?;
    }
    let (name, auxv) = (state.process.name, state.process.auxv);
    core_notes::append_process(to, &state.ids, name, state.arguments, auxv, state.siginfo)?;
    threads.try_for_each(|thread| core_notes::append_thread(to, &state.ids, thread))?;
    let is_file = |region: &Region<'_>| {
        matches!(
            region.backing(),
            Backing::PrivateFile | Backing::SharedFile | Backing::SharedReadOnlyFile
        )
    };
    let mapped_files = regions
        .iter()
        .map(|mapped| mapped.region)
        .filter(is_file)
        .map(|region| MappedFile {
            start: region.start,
            end: region.end,
            offset: region.offset,
            path: region.name,
        });
    core_notes::append_files(to, mapped_files)?;

    append_own(to, Kind::Cpu, |to| to.put(&state.cpu))?;
    append_own(to, Kind::Process, |to| to.put(&state.process))?;
    append_own(to, Kind::Credentials, |to| to.put(&state.credentials))?;
    append_own(to, Kind::Context, |to| {
        state
            .contexts
            .iter()
            .try_for_each(|context| to.put(context))
    })?;
    append_own(to, Kind::Regions, |to| {
        regions.iter().try_for_each(|mapped| to.put(&mapped.region))
    })?;
    append_own(to, Kind::Extents, |to| {
        found.extents.iter().try_for_each(|extent| to.put(extent))
    })?;
    append_own(to, Kind::Descriptors, |to| {
        state
            .descriptors
            .iter()
            .try_for_each(|descriptor| to.put(&descriptor))
    })?;
    append_own(to, Kind::Locks, |to| {
        state
            .descriptors
            .locks()
            .iter()
            .try_for_each(|lock| to.put(lock))
    })?;
    append_own(to, Kind::Signals, |to| {
        to.put(state.actions)?;
        state.pending.iter().try_for_each(|pending| to.put(pending))
    })?;
    append_own(to, Kind::Owners, |to| {
        found.owners.iter().try_for_each(|word| to.put(word))
    })?;
    append_own(to, Kind::Clocks, |to| to.put(&state.clocks))?;
    // Notes ascend by their types.
    let behind_guards = |kind: Kind| kind as u32 > Kind::Guards as u32;
    let put_objects = |to: &mut Encoder<'_>, behind: bool| {
        let mut objects = state.descriptors.objects().notes();
        objects.try_for_each(|(kind, content)| {
            if behind_guards(kind) == behind {
                append_own(to, kind, |to| to.bytes(content))
            } else {
                Ok(())
            }
        })
    };
    put_objects(to, false)?;
    if !guards.is_empty() {
        append_own(to, Kind::Guards, |to| {
            guards.iter().try_for_each(|guard| to.put(guard))
        })?;
    }
    put_objects(to, true)?;
    if found.file_extents.is_empty() {
        return Ok(());
    }
    append_own(to, Kind::FileExtents, |to| {
        let mut extents = found.file_extents.iter();
        extents.try_for_each(|extent| to.put(extent))
    })
}
