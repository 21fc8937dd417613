//! Reads an image: everything that can be wrong with headers and notes is found here, once, before any of it is used.

use core::fmt;

use crate::clocks::Clocks;
use crate::container;
use crate::context::{Context, Contexts};
use crate::cpu::Cpu;
use crate::credentials::Credentials;
use crate::descriptors::{Descriptor, Kind as DescriptorKind, Lock};
use crate::elf::{
    self, FILE_HEADER_SIZE, NotAnImage, PF_R, PF_W, PF_X, PROGRAM_HEADER_SIZE, PT_LOAD, PT_NOTE,
    ProgramHeader, head_size,
};
use crate::extents::Extent;
use crate::guards::Guard;
use crate::header::{Checksums, FORMAT, Header};
use crate::memory_settings::{FutureLocks, MemoryPolicy, ProtectionKeys};
use crate::note::{Kind, Meaning, Note};
use crate::objects::Object;
use crate::objects::deleted_files::{DeletedFile, ExtendedAttribute, FileExtent};
use crate::objects::epoll_entries::EpollEntry;
use crate::objects::event_counters::EventCounter;
use crate::objects::ipc::{Adjustment, Queue, QueuedMessage, SemaphoreSet};
use crate::objects::memory_files::MemoryFile;
use crate::objects::message_queues::MessageQueue;
use crate::objects::pipes::Pipe;
use crate::objects::posix_timers::PosixTimer;
use crate::objects::pseudo_terminals::PseudoTerminal;
use crate::objects::signal_descriptors::SignalDescriptor;
use crate::objects::signal_owners::SignalOwner;
use crate::objects::sockets::{InFlight, Message, Socket, SocketFilter};
use crate::objects::system_v::{self, Segment};
use crate::objects::terminal::Terminal;
use crate::objects::timer_descriptors::TimerDescriptor;
use crate::objects::watchers::Watcher;
use crate::owners::{LockWord, OwnerWord};
use crate::process::Process;
use crate::regions::{PROT_EXEC, PROT_READ, PROT_WRITE, Region};
use crate::signals::{Actions, Pending};
use crate::wire::{Decoder, Malformed, Wire};
use crate::{PAGE, page_up};

/// The note segment of an image is never larger than this, in bytes: the extents of a process with a terabyte in use.
pub const MAX_NOTES: u64 = 16 << 30;

/// Why a file is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadImage {
    /// The file header is not one of an image.
    NotAnImage(NotAnImage),
    /// A core file without our notes.
    OrdinaryCore,
    /// Another version of the format.
    OtherVersion(u32),
    /// Another version of the container of a compressed image.
    OtherContainer(u32),
    /// The file ends early or has something appended: its length, and what it should be, in bytes.
    WrongLength(u64, u64),
    /// Headers or notes are not what was written.
    ChecksumOf(&'static str),
    /// A note is missing.
    Missing(Kind),
    /// Headers or notes are whole but do not make sense.
    Malformed(Malformed),
}

impl From<Malformed> for BadImage {
    fn from(cause: Malformed) -> Self {
        Self::Malformed(cause)
    }
}

impl fmt::Display for BadImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnImage(NotAnImage::NotElf) => f.write_str("not a checkpoint image"),
            Self::NotAnImage(NotAnImage::NotCore) => {
                f.write_str("a program or library, not a checkpoint image")
            }
            Self::NotAnImage(NotAnImage::OtherMachine) => {
                f.write_str("made on another kind of machine than x86-64")
            }
            Self::NotAnImage(NotAnImage::Damaged) => {
                f.write_str("damaged: its file header is not valid")
            }
            Self::OrdinaryCore => f.write_str("an ordinary core file, not a checkpoint image"),
            Self::OtherVersion(version) => {
                write!(
                    f,
                    "written in format {version}, and this restorer reads format {FORMAT}"
                )
            }
            Self::OtherContainer(version) => {
                write!(
                    f,
                    "compressed in format {version}, and this restorer reads format {}",
                    container::VERSION
                )
            }
            Self::WrongLength(is, wanted) => {
                write!(f, "damaged: it has {is} bytes and should have {wanted}")
            }
            Self::ChecksumOf(what) => write!(f, "damaged: the checksum of its {what} is wrong"),
            Self::Missing(kind) => write!(f, "damaged: it has no {kind:?} note"),
            Self::Malformed(cause) => write!(f, "damaged: {cause}"),
        }
    }
}

/// The program headers of an image, which follow the file header.
#[derive(Clone, Copy, Debug)]
pub struct Segments<'a> {
    raw: &'a [u8],
}

impl<'a> Segments<'a> {
    /// The program headers in `head`, the beginning of the file, of which there are `count`.
    ///
    /// # Errors
    /// [`Malformed::Truncated`] if `head` is too short.
    pub fn new(head: &'a [u8], count: usize) -> Result<Self, Malformed> {
        let end = count
            .checked_mul(PROGRAM_HEADER_SIZE)
            .and_then(|size| size.checked_add(FILE_HEADER_SIZE))
            .ok_or(Malformed::Truncated)?;
        Ok(Self {
            raw: head
                .get(FILE_HEADER_SIZE..end)
                .ok_or(Malformed::Truncated)?,
        })
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = ProgramHeader> + Clone + use<'a> {
        // A chunk has exactly the size of a header, so decoding it does not fail.
        self.raw
            .chunks_exact(PROGRAM_HEADER_SIZE)
            .filter_map(|raw| Decoder::new(raw).get().ok())
    }

    /// Those that hold memory.
    pub fn loads(&self) -> impl Iterator<Item = ProgramHeader> + Clone + use<'a> {
        self.iter().filter(|segment| segment.kind == PT_LOAD)
    }

    /// The one that holds the notes, if its place in the file is possible.
    ///
    /// # Errors
    /// [`Malformed`] if there is none, or it lies outside of a file of `file_size` bytes.
    pub fn notes(&self, file_size: u64) -> Result<ProgramHeader, Malformed> {
        let notes = self
            .iter()
            .next()
            .filter(|first| first.kind == PT_NOTE)
            .ok_or(Malformed::Field("the note segment"))?;
        let end = notes
            .offset
            .checked_add(notes.file_size)
            .ok_or(Malformed::Field("the note segment"))?;
        if end > file_size || notes.file_size > MAX_NOTES {
            Err(Malformed::Truncated)
        } else {
            Ok(notes)
        }
    }
}

/// Values of one type, one after the other; reading has checked that all of them decode.
#[derive(Clone, Copy, Debug)]
pub struct List<'a> {
    content: Decoder<'a>,
}

impl<'a> List<'a> {
    fn checked<T: Wire<'a>>(
        content: Decoder<'a>,
        mut check: impl FnMut(T) -> Result<(), Malformed>,
    ) -> Result<Self, Malformed> {
        let mut rest = content;
        while !rest.is_empty() {
            check(rest.get()?)?;
        }
        Ok(Self { content })
    }

    fn iter<T: Wire<'a>>(&self) -> impl Iterator<Item = T> + Clone + use<'a, T> {
        let mut rest = self.content;
        core::iter::from_fn(move || {
            if rest.is_empty() {
                None
            } else {
                rest.get().ok()
            }
        })
    }
}

/// An image whose headers and notes were checked. The data is checked extent by extent, while it is read.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    /// Program headers.
    pub segments: Segments<'a>,
    /// Where the image comes from.
    pub header: Header<'a>,
    /// What the processor had.
    pub cpu: Cpu,
    /// Attributes of the process.
    pub process: Process<'a>,
    /// The clocks that count from a boot.
    pub clocks: Clocks,
    /// Who the process was.
    pub credentials: Credentials<'a>,
    /// The main thread.
    pub context: Context,
    /// All threads.
    pub threads: Contexts<'a>,
    /// Dispositions.
    pub actions: Actions,
    regions: List<'a>,
    extents: List<'a>,
    descriptors: List<'a>,
    locks: List<'a>,
    pending: List<'a>,
    owners: List<'a>,
    notes: Found<'a>,
}

/// Notes of ours, as found.
#[derive(Clone, Copy, Debug)]
struct Found<'a> {
    contents: [Option<Decoder<'a>>; Kind::ALL.len()],
}

impl<'a> Found<'a> {
    fn collect(notes: &'a [u8]) -> Result<Self, BadImage> {
        let mut contents = [None; Kind::ALL.len()];
        let mut rest = Decoder::new(notes);
        while !rest.is_empty() {
            if contents[Kind::Checksums.index()].is_some() {
                return Err(Malformed::Field("a note behind the last one").into());
            }
            if let Meaning::Ours(kind, content) = Note::take(&mut rest)?.meaning()?
                && contents[kind.index()].replace(content).is_some()
            {
                return Err(Malformed::Field("a note that stands there twice").into());
            }
        }
        Ok(Self { contents })
    }

    fn get(&self, kind: Kind) -> Result<Decoder<'a>, BadImage> {
        self.contents[kind.index()].ok_or(BadImage::Missing(kind))
    }

    /// The objects of one kind, of which there may be none.
    fn objects<T: Object<'a>>(&self) -> List<'a> {
        List {
            content: self.get(T::NOTE).unwrap_or(Decoder::new(&[])),
        }
    }

    fn check_objects<T: Object<'a>>(&self) -> Result<(), Malformed> {
        List::checked(self.objects::<T>().content, |object: T| object.check()).map(drop)
    }

    /// Checks an object of which there is at most one.
    fn check_object<T: Object<'a>>(&self) -> Result<(), BadImage> {
        if self.contents[T::NOTE.index()].is_some() {
            self.whole::<T>(T::NOTE)?.check()?;
        }
        Ok(())
    }

    fn whole<T: Wire<'a>>(&self, kind: Kind) -> Result<T, BadImage> {
        let mut content = self.get(kind)?;
        let value = content.get()?;
        if content.is_empty() {
            Ok(value)
        } else {
            Err(Malformed::Field("the length of a note").into())
        }
    }
}

/// Says whether `notes` hold an image of ours at all, before anything else is complained about.
fn check_origin(notes: &[u8]) -> Result<(), BadImage> {
    let mut rest = Decoder::new(notes);
    while !rest.is_empty() {
        let Ok(note) = Note::take(&mut rest) else {
            break;
        };
        if note.owner == crate::note::OWNER && note.kind == Kind::Header as u32 {
            let format: u32 = Decoder::new(note.content.get(4..).unwrap_or_default()).get()?;
            return if format == FORMAT {
                Ok(())
            } else {
                Err(BadImage::OtherVersion(format))
            };
        }
    }
    Err(BadImage::OrdinaryCore)
}

/// Where in the notes the field lies that closes them: the checksum of all that precedes it.
const NOTES_CHECKSUM_SIZE: usize = 4;

impl<'a> Image<'a> {
    /// Reads an image from `head`, its bytes up to the first page of data, and `notes`, its note segment; the file has
    /// `segment_count` segments and `file_size` bytes. `crc32c` is [`crate::checksum::crc32c`], or a faster form of it.
    ///
    /// # Errors
    /// [`BadImage`] says what is wrong with it.
    pub fn read(
        head: &'a [u8],
        segment_count: usize,
        notes: &'a [u8],
        file_size: u64,
        crc32c: fn(&[u8]) -> u32,
    ) -> Result<Self, BadImage> {
        let segments = Segments::new(head, segment_count)?;
        check_origin(notes)?;

        let (summed, sum) = notes
            .split_at_checked(notes.len().wrapping_sub(NOTES_CHECKSUM_SIZE))
            .ok_or(Malformed::Truncated)?;
        if Decoder::new(sum).get() != Ok(crc32c(summed)) {
            return Err(BadImage::ChecksumOf("notes"));
        }
        let found = Found::collect(notes)?;
        let checksums: Checksums = found.whole(Kind::Checksums)?;
        if checksums.file_size != file_size {
            return Err(BadImage::WrongLength(file_size, checksums.file_size));
        }
        if head.len() as u64 != page_up(head_size(segment_count) as u64)
            || checksums.head != crc32c(head)
        {
            return Err(BadImage::ChecksumOf("headers"));
        }

        let mut signals = found.get(Kind::Signals)?;
        let actions: Actions = signals.get()?;
        let header: Header<'_> = found.whole(Kind::Header)?;
        let threads = Contexts::read(found.get(Kind::Context)?, header.pid)?;
        let image = Self {
            segments,
            header,
            cpu: found.whole(Kind::Cpu)?,
            process: found.whole(Kind::Process)?,
            clocks: found.whole(Kind::Clocks)?,
            credentials: found.whole(Kind::Credentials)?,
            context: threads.main()?,
            threads,
            actions,
            regions: List::checked(found.get(Kind::Regions)?, |region: Region<'_>| {
                region.check()
            })?,
            extents: List::checked(found.get(Kind::Extents)?, |extent: Extent| extent.check())?,
            descriptors: List::checked(
                found.get(Kind::Descriptors)?,
                |descriptor: Descriptor<'_>| descriptor.check(),
            )?,
            locks: List::checked(found.get(Kind::Locks)?, |lock: Lock| {
                lock.kind().map(drop).ok_or(Malformed::Field("a lock"))
            })?,
            pending: List::checked(signals, |pending: Pending| {
                if pending.tid == 0 || threads.has(pending.tid) {
                    pending.check()
                } else {
                    Err(Malformed::Field("the thread of a pending signal"))
                }
            })?,
            owners: List::checked(found.get(Kind::Owners)?, |_: OwnerWord| Ok(()))?,
            notes: found,
        };
        found.check_objects::<EventCounter>()?;
        found.check_objects::<Pipe<'_>>()?;
        found.check_objects::<EpollEntry>()?;
        found.check_objects::<TimerDescriptor>()?;
        found.check_objects::<SignalDescriptor>()?;
        found.check_objects::<Watcher<'_>>()?;
        found.check_objects::<MemoryFile<'_>>()?;
        found.check_objects::<Socket<'_>>()?;
        found.check_objects::<Message<'_>>()?;
        found.check_objects::<InFlight>()?;
        found.check_objects::<SocketFilter<'_>>()?;
        found.check_objects::<DeletedFile>()?;
        found.check_objects::<SignalOwner>()?;
        found.check_objects::<LockWord>()?;
        found.check_objects::<ExtendedAttribute<'_>>()?;
        found.check_objects::<Guard>()?;
        found.check_objects::<MemoryPolicy>()?;
        found.check_object::<FutureLocks>()?;
        found.check_objects::<Segment>()?;
        found.check_objects::<MessageQueue<'_>>()?;
        found.check_objects::<SemaphoreSet<'_>>()?;
        found.check_objects::<Queue>()?;
        found.check_objects::<QueuedMessage<'_>>()?;
        found.check_objects::<Adjustment>()?;
        found.check_object::<ProtectionKeys>()?;
        found.check_objects::<PosixTimer>()?;
        found.check_object::<Terminal>()?;
        found.check_objects::<PseudoTerminal<'_>>()?;
        found.check_objects::<FileExtent>()?;
        image.process.check()?;
        if image.pending().count() != image.actions.pending as usize {
            return Err(Malformed::Field("the number of pending signals").into());
        }
        image.check_file_extents(file_size)?;
        image.check_attributes()?;
        image.check_unnamed_files()?;
        image.check_memory(file_size)?;
        image.check_contexts()?;
        image.check_clocks()?;
        image.check_owners()?;
        image.check_lock_words()?;
        image.check_guards()?;
        let policies = image.objects::<MemoryPolicy>();
        let spans = policies.map(|policy| (policy.start, policy.end));
        image.check_stretches(spans, "the address of a memory policy")?;
        image.check_descriptors()?;
        image.check_users_of_descriptors()?;
        image.check_sockets()?;
        image.check_queued_messages()?;
        image.check_adjustments()?;
        image.check_posix_timers()?;
        Ok(image)
    }

    /// All threads: the main thread, then the others in ascending order of their ids.
    pub fn contexts(&self) -> impl Iterator<Item = Context> + Clone + use<'a> {
        self.threads.iter()
    }

    /// The words that hold a thread id, in ascending order of their addresses.
    pub fn owners(&self) -> impl Iterator<Item = OwnerWord> + Clone + use<'a> {
        self.owners.iter()
    }

    /// The regions, in ascending order.
    pub fn regions(&self) -> impl Iterator<Item = Region<'a>> + Clone + use<'a> {
        self.regions.iter()
    }

    /// The extents, in ascending order.
    pub fn extents(&self) -> impl Iterator<Item = Extent> + Clone + use<'a> {
        self.extents.iter()
    }

    /// The extents with their offsets in the file, in ascending order.
    pub fn placed_extents(&self) -> impl Iterator<Item = (Extent, u64)> + Clone + use<'a> {
        let mut segments = self.segments.loads();
        let mut segment = segments.next();
        self.extents().filter_map(move |extent| {
            while segment.is_some_and(|segment| segment.end() <= extent.address) {
                segment = segments.next();
            }
            segment.map(|segment| (extent, segment.offset + (extent.address - segment.address)))
        })
    }

    /// The descriptors, in ascending order of their numbers.
    pub fn descriptors(&self) -> impl Iterator<Item = Descriptor<'a>> + Clone + use<'a> {
        self.descriptors.iter()
    }

    /// The objects of one kind.
    pub fn objects<T: Object<'a>>(&self) -> impl Iterator<Item = T> + Clone + use<'a, T> {
        self.notes.objects::<T>().iter()
    }

    /// The locks.
    pub fn locks(&self) -> impl Iterator<Item = Lock> + Clone + use<'a> {
        self.locks.iter()
    }

    /// The pending signals, in the order in which they arrived.
    pub fn pending(&self) -> impl Iterator<Item = Pending> + Clone + use<'a> {
        self.pending.iter()
    }

    /// The stretches of the content of files without a name stand in ascending order of the files, and lie within them and
    /// the image.
    fn check_file_extents(&self, image_size: u64) -> Result<(), Malformed> {
        let deleted = self.objects::<DeletedFile>().map(|file| file.size);
        let in_memory = self.objects::<MemoryFile<'_>>().map(|file| file.size);
        let segments = self.objects::<Segment>().map(|segment| segment.size);
        let mut files = (0..).zip(deleted.chain(in_memory).chain(segments));
        let mut file = files.next();
        for extent in self.objects::<FileExtent>() {
            while file.is_some_and(|(number, _)| number < extent.file) {
                file = files.next();
            }
            let fits = file.is_some_and(|(number, size)| {
                number == extent.file && extent.fits(size, image_size)
            });
            if !fits {
                return Err(Malformed::Field("the content of a file without a name"));
            }
        }
        Ok(())
    }

    /// Attributes ascend by the files that they are of.
    fn check_attributes(&self) -> Result<(), Malformed> {
        let attributes = self.objects::<ExtendedAttribute<'_>>();
        if attributes.is_sorted_by_key(|attribute| attribute.file) {
            Ok(())
        } else {
            Err(Malformed::Field("the order of the attributes"))
        }
    }

    /// What a region without a file's name shows is in the image. What shows a part of System V shared memory is shared, and shows
    /// nothing behind its end.
    fn check_unnamed_files(&self) -> Result<(), Malformed> {
        let mut sizes = UnnamedSizes::of(self);
        for region in self
            .regions()
            .filter(|region| region.backing().is_unnamed_file())
        {
            let fits = sizes.get(&region).is_some_and(|size| {
                let in_segment = region.backing().is_shared_unnamed_file()
                    && region.offset + region.len() <= size;
                region.file.device != system_v::DEVICE || in_segment
            });
            if !fits {
                return Err(Malformed::Field("the file of a region"));
            }
        }
        Ok(())
    }

    /// Regions ascend without overlap, one of them at most is the vdso's code, the segments cover exactly them, and every extent
    /// lies within one segment, none of them in memory whose content is that of a file without a name.
    fn check_memory(&self, file_size: u64) -> Result<(), Malformed> {
        let mut segments = self.segments.loads();
        let mut last_end = 0;
        let has_keys = self.objects::<ProtectionKeys>().next().is_some();
        if self.regions().filter(Region::is_vdso_code).nth(1).is_some() {
            return Err(Malformed::Field("a second vdso"));
        }
        for region in self.regions() {
            if region.start < last_end {
                return Err(Malformed::Field("the order of the regions"));
            }
            last_end = region.end;
            if region.protection_key() != 0 && !has_keys {
                return Err(Malformed::Field("the protection key of a region"));
            }
            let mut covered = region.start;
            while covered < region.end {
                let segment = segments
                    .next()
                    .ok_or(Malformed::Field("the number of segments"))?;
                let in_file = segment
                    .offset
                    .checked_add(segment.file_size)
                    .is_some_and(|end| end <= file_size);
                let whole = segment.file_size == 0 || segment.file_size == segment.memory_size;
                let fits =
                    segment.address == covered && segment.memory_size <= region.end - covered;
                if !in_file
                    || !whole
                    || !fits
                    || segment.memory_size == 0
                    || segment.offset % PAGE != 0
                {
                    return Err(Malformed::Field("a segment"));
                }
                if segment.flags != segment_flags(region.protection) {
                    return Err(Malformed::Field("the flags of a segment"));
                }
                covered = segment.end();
            }
        }
        if segments.next().is_some() {
            return Err(Malformed::Field("the number of segments"));
        }

        let mut segments = self
            .segments
            .loads()
            .filter(|segment| segment.file_size != 0);
        let mut segment = segments.next();
        let mut regions = self.regions().peekable();
        let mut last_end = 0;
        for extent in self.extents() {
            let ends_before = |region: &Region<'_>| region.end <= extent.address;
            while regions.next_if(ends_before).is_some() {}
            let is_elsewhere = regions
                .peek()
                .is_some_and(|region| region.backing().is_shared_unnamed_file());
            while segment.is_some_and(|segment| segment.end() <= extent.address) {
                segment = segments.next();
            }
            let inside = segment.is_some_and(|segment| {
                segment.address <= extent.address && extent.end() <= segment.end()
            });
            if !inside || is_elsewhere || extent.address < last_end {
                return Err(Malformed::Field("the place of an extent"));
            }
            last_end = extent.end();
        }
        Ok(())
    }

    /// Code, stack and signal frame of every context lie in memory of the image that can be used as such.
    fn check_contexts(&self) -> Result<(), Malformed> {
        let mut needs = Needs::new();
        for context in self.contexts() {
            context.check()?;
            if needs.is_full() {
                needs.check(self.regions())?;
            }
            let registers = &context.registers;
            let code = "the instruction pointer";
            needs.add(registers.rip, PROT_READ | PROT_EXEC, code);
            // The stack pointer may stand at the very end of its region.
            let stack = "the stack pointer";
            needs.add(registers.rsp - 1, PROT_READ | PROT_WRITE, stack);
            needs.add(context.frame, PROT_READ, stack);
        }
        needs.check(self.regions())
    }

    /// The function that takes the vdso's place is code of the program.
    fn check_clocks(&self) -> Result<(), Malformed> {
        let mut needs = Needs::new();
        let code = "the function for the clocks";
        needs.add(self.clocks.entry, PROT_READ | PROT_EXEC, code);
        needs.check(self.regions())
    }

    /// Every word lies in memory that can be written and is filled from the image: in an extent, or in a file without a name,
    /// before its end; words ascend.
    fn check_owners(&self) -> Result<(), Malformed> {
        let mut extents = self.extents().peekable();
        let mut regions = self.regions().peekable();
        let mut sizes = UnnamedSizes::of(self);
        let mut last = None;
        for OwnerWord { address } in self.owners() {
            while extents.next_if(|extent| extent.end() <= address).is_some() {}
            let inside = extents
                .peek()
                .is_some_and(|extent| extent.address <= address && !extent.same_as_file());
            while regions.next_if(|region| region.end <= address).is_some() {}
            let region = regions
                .peek()
                .filter(|region| region.contains(address) && region.protection & PROT_WRITE != 0);
            let filled = region.is_some_and(|region| {
                let offset = region.offset + (address - region.start);
                inside
                    || region.backing().is_shared_unnamed_file()
                        && sizes.get(region).is_some_and(|size| offset < size)
            });
            let ascends = last.is_none_or(|last| last < address);
            if !filled || !address.is_multiple_of(4) || !ascends {
                return Err(Malformed::Field("the address of a mutex"));
            }
            last = Some(address);
        }
        Ok(())
    }

    /// Words of locks ascend and name threads that are there. Whether there is a lock shows when somebody uses it.
    fn check_lock_words(&self) -> Result<(), Malformed> {
        let words = self.objects::<LockWord>();
        let ascend = words.clone().is_sorted_by(|a, b| a.address < b.address);
        if ascend && words.clone().all(|word| self.threads.has(word.tid as i32)) {
            Ok(())
        } else {
            Err(Malformed::Field("the word of a lock"))
        }
    }

    /// Stretches of whole pages ascend, each within one region.
    fn check_stretches(
        &self,
        stretches: impl Iterator<Item = (u64, u64)>,
        what: &'static str,
    ) -> Result<(), Malformed> {
        let mut regions = self.regions().peekable();
        let mut last_end = 0;
        for (start, end) in stretches {
            while regions.next_if(|region| region.end <= start).is_some() {}
            let inside = regions
                .peek()
                .is_some_and(|region| region.start <= start && end <= region.end);
            let whole = start.is_multiple_of(PAGE) && end.is_multiple_of(PAGE) && start < end;
            if !inside || !whole || start < last_end {
                return Err(Malformed::Field(what));
            }
            last_end = end;
        }
        Ok(())
    }

    /// No guard is where a word is to be written.
    fn check_guards(&self) -> Result<(), Malformed> {
        let what = "the address of a guard page";
        let guards = self.objects::<Guard>();
        self.check_stretches(guards.clone().map(|guard| (guard.start, guard.end)), what)?;
        let mut owners = self.owners().peekable();
        for Guard { start, end } in guards {
            while owners.next_if(|word| word.address < start).is_some() {}
            if owners.peek().is_some_and(|word| word.address < end) {
                return Err(Malformed::Field(what));
            }
        }
        Ok(())
    }

    /// Numbers ascend, and a duplicate names an earlier one that is none.
    fn check_descriptors(&self) -> Result<(), Malformed> {
        let mut last = None;
        for descriptor in self.descriptors() {
            if last.is_some_and(|last| descriptor.number <= last) {
                return Err(Malformed::Field("the order of the descriptors"));
            }
            last = Some(descriptor.number);
            if !descriptor.is_duplicate() {
                continue;
            }
            let original = self
                .descriptors()
                .take_while(|earlier| earlier.number <= descriptor.description)
                .last();
            if !original.is_some_and(|earlier| {
                earlier.number == descriptor.description && !earlier.is_duplicate()
            }) {
                return Err(Malformed::Field("the description of a descriptor"));
            }
        }
        let known = |lock: &Lock| {
            self.descriptors()
                .any(|descriptor| descriptor.number == lock.descriptor)
        };
        if self.locks().all(|lock| known(&lock)) {
            Ok(())
        } else {
            Err(Malformed::Field("the descriptor of a lock"))
        }
    }

    /// What is done to a descriptor by its number is done to one that is there, and can be.
    fn check_users_of_descriptors(&self) -> Result<(), Malformed> {
        let entries = self.objects::<EpollEntry>();
        let instances = entries.clone().map(|entry| entry.instance);
        self.check_numbers(
            instances,
            Some(DescriptorKind::Epoll),
            "the instance of an epoll entry",
        )?;
        let targets = entries.map(|entry| entry.target);
        self.check_numbers(targets, None, "the target of an epoll entry")?;
        let timers = self.objects::<TimerDescriptor>();
        let timers = timers.map(|timer| timer.description);
        self.check_numbers(
            timers,
            Some(DescriptorKind::Timer),
            "the descriptor of a timer",
        )?;
        let watchers = self.objects::<Watcher<'_>>();
        let watchers = watchers.map(|watcher| watcher.description);
        self.check_numbers(
            watchers,
            Some(DescriptorKind::Watcher),
            "the descriptor of watches",
        )?;
        let owners = self.objects::<SignalOwner>().map(|owner| owner.description);
        self.check_numbers(owners, None, "the descriptor of an owner")
    }

    /// All of `numbers` are descriptors, of that kind if one is given. They are taken together, so that not every one of them
    /// costs a walk over all descriptors.
    fn check_numbers(
        &self,
        mut numbers: impl Iterator<Item = u32>,
        kind: Option<DescriptorKind>,
        what: &'static str,
    ) -> Result<(), Malformed> {
        let mut together = [0; 1024];
        loop {
            let mut count = 0;
            for (place, number) in together.iter_mut().zip(numbers.by_ref()) {
                *place = number;
                count += 1;
            }
            if count == 0 {
                return Ok(());
            }
            together[..count].sort_unstable();
            let mut descriptors = self.descriptors().peekable();
            for &number in &together[..count] {
                while descriptors.next_if(|one| one.number < number).is_some() {}
                let is_there = descriptors.peek().is_some_and(|one| {
                    one.number == number && kind.is_none_or(|kind| one.kind() == kind)
                });
                if !is_there {
                    return Err(Malformed::Field(what));
                }
            }
        }
    }

    /// Sockets ascend.
    fn check_sockets(&self) -> Result<(), Malformed> {
        let descriptions = self.objects::<Socket<'_>>();
        if descriptions
            .map(|socket| socket.description)
            .is_sorted_by(|earlier, later| earlier < later)
        {
            Ok(())
        } else {
            Err(Malformed::Field("the order of the sockets"))
        }
    }

    /// Messages are in queues that are there.
    fn check_queued_messages(&self) -> Result<(), Malformed> {
        let mut last = None;
        for message in self.objects::<QueuedMessage<'_>>() {
            // Those of one queue follow each other.
            if last.replace(message.queue) == Some(message.queue) {
                continue;
            }
            if !self
                .objects::<Queue>()
                .any(|queue| queue.id == message.queue)
            {
                return Err(Malformed::Field("the queue of a message"));
            }
        }
        Ok(())
    }

    /// Adjustments are of semaphores that are there.
    fn check_adjustments(&self) -> Result<(), Malformed> {
        let has = |set: &SemaphoreSet<'_>, one: &Adjustment| {
            set.id == one.set && usize::from(one.semaphore) < set.values.len() / 2
        };
        for adjustment in self.objects::<Adjustment>() {
            if !self
                .objects::<SemaphoreSet<'_>>()
                .any(|set| has(&set, &adjustment))
            {
                return Err(Malformed::Field("the semaphore of an adjustment"));
            }
        }
        Ok(())
    }

    /// POSIX timers ascend, and those that are for a thread name one that is there.
    fn check_posix_timers(&self) -> Result<(), Malformed> {
        let timers = self.objects::<PosixTimer>();
        let has_thread = |timer: PosixTimer| timer.thread == 0 || self.threads.has(timer.thread);
        if !timers
            .clone()
            .map(|timer| timer.id)
            .is_sorted_by(|earlier, later| earlier < later)
        {
            Err(Malformed::Field("the order of the POSIX timers"))
        } else if !timers.clone().all(has_thread) {
            Err(Malformed::Field("the thread of a POSIX timer"))
        } else {
            Ok(())
        }
    }
}

/// The sizes of the files without a name that regions show. The parts of one file follow each other, so that one is remembered.
struct UnnamedSizes<'i, 'a> {
    image: &'i Image<'a>,
    last: Option<((u64, u64), u64)>,
}

impl<'i, 'a> UnnamedSizes<'i, 'a> {
    fn of(image: &'i Image<'a>) -> Self {
        Self { image, last: None }
    }

    /// What of its file `region`, whose file has no name, can show, in bytes: whole pages; `None` if the image does not have it.
    fn get(&mut self, region: &Region<'_>) -> Option<u64> {
        let wanted = (region.file.device, region.file.inode);
        if let Some((_, size)) = self.last.filter(|(identity, _)| *identity == wanted) {
            return Some(size);
        }
        let deleted = self.image.objects::<DeletedFile>();
        let deleted = deleted.filter(|file| !file.is_directory());
        let in_memory = self.image.objects::<MemoryFile<'_>>();
        let segments = self.image.objects::<Segment>();
        self.last = deleted
            .map(|file| ((file.device, file.inode), file.size))
            .chain(in_memory.map(|file| ((file.device, file.inode), file.size)))
            .chain(segments.map(|segment| ((segment.device, segment.inode), segment.size)))
            .find(|(identity, _)| *identity == wanted)
            .map(|(identity, size)| (identity, page_up(size)));
        self.last.map(|(_, size)| size)
    }
}

/// Addresses that must lie in memory with certain rights. They are collected, so that not every one of them costs a walk
/// over all regions: a process may have thousands of threads and tens of thousands of regions.
struct Needs {
    /// Address, rights, and what the address is.
    needs: [(u64, u32, &'static str); Self::ROOM],
    used: usize,
}

impl Needs {
    /// 6 KiB of the stack, of which each page that is new costs a restart more than a look at some dozens of regions.
    const ROOM: usize = 192;
    /// As many as are added for one thread.
    const AT_ONCE: usize = 3;

    fn new() -> Self {
        Self {
            needs: [(0, 0, ""); Self::ROOM],
            used: 0,
        }
    }

    fn is_full(&self) -> bool {
        self.used + Self::AT_ONCE > Self::ROOM
    }

    /// Adds a need, for which there is room.
    fn add(&mut self, address: u64, protection: u32, what: &'static str) {
        self.needs[self.used] = (address, protection, what);
        self.used += 1;
    }

    /// Checks what was added, and forgets it.
    fn check<'r>(&mut self, regions: impl Iterator<Item = Region<'r>>) -> Result<(), Malformed> {
        let needs = &mut self.needs[..self.used];
        needs.sort_unstable();
        self.used = 0;
        let mut regions = regions.peekable();
        for &mut (address, protection, what) in needs {
            while regions.next_if(|region| region.end <= address).is_some() {}
            let met = regions.peek().is_some_and(|region| {
                region.contains(address) && region.protection & protection == protection
            });
            if !met {
                return Err(Malformed::Field(what));
            }
        }
        Ok(())
    }
}

/// `p_flags` of a segment whose region has `protection`.
#[must_use]
pub fn segment_flags(protection: u32) -> u32 {
    [(PROT_READ, PF_R), (PROT_WRITE, PF_W), (PROT_EXEC, PF_X)]
        .into_iter()
        .filter(|(bit, _)| protection & bit != 0)
        .fold(0, |flags, (_, flag)| flags | flag)
}

/// Reads the number of segments out of `bytes`, the beginning of the file; `section` is handed the offset of the section
/// header when the number stands there and returns its bytes.
///
/// # Errors
/// [`BadImage`] says why the file is none of ours.
pub fn segment_count<'s>(
    bytes: &[u8],
    section: impl FnOnce(u64) -> Option<&'s [u8]>,
) -> Result<usize, BadImage> {
    let count = match elf::check_file_header(bytes).map_err(BadImage::NotAnImage)? {
        elf::SegmentCount::Known(count) => count,
        elf::SegmentCount::InSectionHeader(offset) => {
            let raw = section(offset).ok_or(Malformed::Truncated)?;
            Decoder::new(raw).get::<elf::SectionHeader>()?.info as usize
        }
    };
    if (1..=elf::MAX_SEGMENTS).contains(&count) {
        Ok(count)
    } else {
        Err(Malformed::Field("the number of segments").into())
    }
}
