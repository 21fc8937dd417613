//! What an image says beside the memory.

use ckpt_image::core_notes::{self, Ids, MappedFile, Thread};
use ckpt_image::guards::Guard;
use ckpt_image::header::{Checksums, Header};
use ckpt_image::note::{Kind, append_own};
use ckpt_image::owners::{LockWord, OwnerWord};
use ckpt_image::regions::{Backing, Region};
use ckpt_image::signals::{Actions, Pending};
use ckpt_image::wire::{Encoder, NoSpace};
use ckpt_image::{
    clocks::Clocks, context::Context, cpu::Cpu, credentials::Credentials, extents::Extent,
    objects::deleted_files::FileExtent, process::Process,
};
use ckpt_sys::MapVec;
use ckpt_sys::crc::crc32c;

use crate::collect::descriptors::Descriptors;
use crate::collect::descriptors::objects::Objects;
use crate::collect::regions::Mapped;
use crate::failure::{Doing, Failure, failure};

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
    /// Where the ids of the threads stand in libc's memory and in ours.
    pub id_words: &'s [OwnerWord],
    /// Words that have named the owners of held locks since before an earlier restart, in ascending order of their addresses.
    pub lock_words: &'s [LockWord],
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

/// Room for the notes whose size hardly varies, in bytes.
const FIXED_BOUND: usize = 64 << 10;

/// The notes of an image, which are encoded in two parts.
#[derive(Debug)]
pub struct Notes {
    bytes: MapVec<u8>,
}

impl Notes {
    /// Those that can be known before the memory is written. What they say of threads lies in the program's memory.
    ///
    /// # Errors
    /// [`Failure`] if there is no memory for them.
    pub fn begin(state: &State<'_>, regions: &[Mapped<'_>]) -> Result<Self, Failure> {
        let names: usize = regions.iter().map(|mapped| mapped.region.name.len()).sum();
        let xsave: usize = state.threads.iter().map(|thread| thread.xsave.len()).sum();
        let bound = FIXED_BOUND
            + (state.contexts.len() + state.threads.len()) * THREAD_BOUND
            + regions.len() * 160
            + names * 2
            + state.credentials.groups.len()
            + xsave;
        let mut notes = Self {
            bytes: MapVec::new(),
        };
        notes.append(bound, |to| encode_what_is_known(to, state, regions))?;
        Ok(notes)
    }

    /// Those that can only be known when it is written; `memory` is what is known beside the regions.
    ///
    /// # Errors
    /// [`Failure`] if there is no memory for them.
    pub fn add_found(
        &mut self,
        state: &State<'_>,
        memory: &Objects,
        guards: &[Guard],
        found: &Found,
    ) -> Result<(), Failure> {
        let bound = FIXED_BOUND
            + size_of_val(&found.extents[..])
            + size_of_val(&found.owners[..])
            + size_of_val(&found.lock_words[..])
            + size_of_val(&found.file_extents[..])
            + size_of_val(guards)
            + state.descriptors.encoded_bound()
            + memory.encoded_bound()
            + size_of_val(state.pending);
        self.append(bound, |to| {
            encode_what_was_found(to, state, memory, guards, found)
        })
    }

    fn append(
        &mut self,
        bound: usize,
        encode: impl FnOnce(&mut Encoder<'_>) -> Result<(), NoSpace>,
    ) -> Result<(), Failure> {
        let used = self.bytes.len();
        self.bytes
            .extend_zeroed(bound)
            .doing(format_args!("memory for the notes"))?;
        // Each note has a length that is a multiple of 4, so the place of the next one does not depend on where they begin.
        let mut to = Encoder::new(&mut self.bytes[used..]);
        encode(&mut to)
            .map_err(|NoSpace| failure!("internal error: the notes are larger than expected"))?;
        let length = to.len();
        self.bytes.truncate(used + length);
        Ok(())
    }

    /// Their length in bytes, with the one that closes them.
    pub fn len(&self) -> usize {
        let mut closing = [0; 64];
        let mut sized = Encoder::new(&mut closing);
        let checksums = Checksums {
            file_size: 0,
            head: 0,
            notes: 0,
        };
        let _ = append_own(&mut sized, Kind::Checksums, |to| to.put(&checksums));
        self.bytes.len() + sized.len()
    }

    /// Closes them with the checksums; the one of the notes is put in here.
    ///
    /// # Errors
    /// [`Failure`] if there is no memory.
    pub fn close(mut self, file_size: u64, head: u32) -> Result<MapVec<u8>, Failure> {
        let checksums = Checksums {
            file_size,
            head,
            notes: 0,
        };
        self.append(64, |to| {
            append_own(to, Kind::Checksums, |to| to.put(&checksums))
        })?;
        let sum_at = self.bytes.len() - size_of::<u32>();
        let sum = crc32c(&self.bytes[..sum_at]);
        self.bytes[sum_at..].copy_from_slice(&sum.to_le_bytes());
        Ok(self.bytes)
    }
}

/// What came of writing the data.
#[derive(Debug, Default)]
pub struct Found {
    /// Where memory was stored.
    pub extents: MapVec<Extent>,
    /// Words that hold the id of a thread.
    pub owners: MapVec<OwnerWord>,
    /// Words that seem to name the owners of held locks.
    pub lock_words: MapVec<LockWord>,
    /// Where files without a name were stored.
    pub file_extents: MapVec<FileExtent>,
}

impl Found {
    /// Adds what somebody else who writes has found in memory.
    ///
    /// # Errors
    /// [`Failure`] if there is no memory for it.
    pub fn add(&mut self, other: &Self) -> Result<(), Failure> {
        self.extents
            .extend(&other.extents)
            .and_then(|()| self.lock_words.extend(&other.lock_words))
            .doing(format_args!("memory for the list of extents"))
    }

    /// Puts the words in order, once each, and leaves out those that only guard pages show, since they cannot be written
    /// there. Others see the same memory at another address.
    pub fn sort_owners(&mut self, guards: &[Guard]) {
        self.owners.sort_unstable_by_key(|word| word.address);
        let mut guards = guards.iter().peekable();
        let mut kept = 0;
        for index in 0..self.owners.len() {
            let word = self.owners[index];
            while guards.next_if(|guard| guard.end <= word.address).is_some() {}
            let hidden = guards
                .peek()
                .is_some_and(|guard| guard.start <= word.address);
            let is_there = kept != 0 && self.owners[kept - 1] == word;
            if !hidden && !is_there {
                self.owners[kept] = word;
                kept += 1;
            }
        }
        self.owners.truncate(kept);
    }

    /// Puts the words of locks in order. Where there are two with one address, the one of `earlier`, which were there before, is
    /// right: nobody has used that lock since, and the id that stands there is another thread's by now.
    pub fn sort_lock_words(&mut self, earlier: &[LockWord]) -> Result<(), Failure> {
        let words = &mut self.lock_words;
        words.sort_unstable_by_key(|word| word.address);
        let is_earlier =
            |word: &LockWord| earlier.binary_search_by_key(&word.address, |word| word.address);
        let mut kept = 0;
        for index in 0..words.len() {
            let word = words[index];
            let is_there = kept != 0 && words[kept - 1].address == word.address;
            if !is_there && is_earlier(&word).is_err() {
                words[kept] = word;
                kept += 1;
            }
        }
        words.truncate(kept);
        words
            .extend(earlier)
            .doing(format_args!("memory for the list of locks"))?;
        words.sort_unstable_by_key(|word| word.address);
        Ok(())
    }
}

fn encode_what_is_known(
    to: &mut Encoder<'_>,
    state: &State<'_>,
    regions: &[Mapped<'_>],
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
    })
}

fn encode_what_was_found(
    to: &mut Encoder<'_>,
    state: &State<'_>,
    memory: &Objects,
    guards: &[Guard],
    found: &Found,
) -> Result<(), NoSpace> {
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
        let kinds = Kind::ALL.into_iter();
        let mut objects = kinds
            .filter(|&kind| behind_guards(kind) == behind)
            .flat_map(|kind| {
                [state.descriptors.objects(), memory].map(|objects| (kind, objects.note(kind)))
            })
            .filter(|(_, content)| !content.is_empty());
        objects.try_for_each(|(kind, content)| append_own(to, kind, |to| to.bytes(content)))
    };
    put_objects(to, false)?;
    if !found.lock_words.is_empty() {
        append_own(to, Kind::LockWords, |to| {
            found.lock_words.iter().try_for_each(|word| to.put(word))
        })?;
    }
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
