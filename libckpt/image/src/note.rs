//! Notes: the ELF note header, our owner name, and the types of our notes.

use crate::wire::{Decoder, Encoder, Malformed, NoSpace};

/// Owner of our notes.
pub const OWNER: &[u8] = b"CKPT";
/// Owner of the notes that every core file has.
pub const CORE: &[u8] = b"CORE";
/// Owner of the notes that Linux added.
pub const LINUX: &[u8] = b"LINUX";

/// Bit 0 of a note's flags: a reader that does not know the note may skip it. Without it the image is refused.
pub const MAY_SKIP: u16 = 1;

/// Types of our notes. They begin at 0x434B0000 because gdb looks at the type and not at the owner, and took small
/// numbers for a thread's registers or an auxiliary vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// [`crate::header::Header`].
    Header = 0x434B_0000,
    /// [`crate::cpu::Cpu`].
    Cpu = 0x434B_0001,
    /// [`crate::process::Process`].
    Process = 0x434B_0002,
    /// [`crate::credentials::Credentials`].
    Credentials = 0x434B_0003,
    /// [`crate::context::Context`], repeated, one per thread.
    Context = 0x434B_0004,
    /// [`crate::regions::Region`], repeated.
    Regions = 0x434B_0005,
    /// [`crate::extents::Extent`], repeated.
    Extents = 0x434B_0006,
    /// [`crate::descriptors::Descriptor`], repeated.
    Descriptors = 0x434B_0007,
    /// [`crate::descriptors::Lock`], repeated.
    Locks = 0x434B_0008,
    /// [`crate::signals::Actions`] and the pending signals behind it.
    Signals = 0x434B_0009,
    /// [`crate::owners::OwnerWord`], repeated.
    Owners = 0x434B_000A,
    /// [`crate::clocks::Clocks`].
    Clocks = 0x434B_000B,
    /// [`crate::objects::event_counters::EventCounter`], repeated.
    EventCounters = 0x434B_0010,
    /// [`crate::objects::pipes::Pipe`], repeated.
    Pipes = 0x434B_0011,
    /// [`crate::objects::epoll_entries::EpollEntry`], repeated.
    EpollEntries = 0x434B_0012,
    /// [`crate::objects::timer_descriptors::TimerDescriptor`], repeated.
    TimerDescriptors = 0x434B_0013,
    /// [`crate::objects::signal_descriptors::SignalDescriptor`], repeated.
    SignalDescriptors = 0x434B_0014,
    /// [`crate::objects::watchers::Watcher`], repeated.
    Watchers = 0x434B_0015,
    /// [`crate::objects::memory_files::MemoryFile`], repeated.
    MemoryFiles = 0x434B_0016,
    /// [`crate::objects::sockets::Socket`], repeated.
    Sockets = 0x434B_0020,
    /// [`crate::objects::sockets::Message`], repeated.
    Messages = 0x434B_0021,
    /// [`crate::objects::sockets::InFlight`], repeated.
    InFlight = 0x434B_0022,
    /// [`crate::objects::sockets::SocketFilter`], repeated.
    SocketFilters = 0x434B_0023,
    /// [`crate::objects::deleted_files::DeletedFile`], repeated.
    DeletedFiles = 0x434B_0030,
    /// [`crate::objects::signal_owners::SignalOwner`], repeated.
    SignalOwners = 0x434B_0031,
    /// [`crate::owners::LockWord`], repeated.
    LockWords = 0x434B_0032,
    /// [`crate::objects::deleted_files::ExtendedAttribute`], repeated.
    ExtendedAttributes = 0x434B_0033,
    /// [`crate::guards::Guard`], repeated.
    Guards = 0x434B_0040,
    /// [`crate::memory_settings::MemoryPolicy`], repeated.
    MemoryPolicies = 0x434B_0041,
    /// [`crate::memory_settings::FutureLocks`].
    FutureLocks = 0x434B_0042,
    /// [`crate::objects::system_v::Segment`], repeated.
    Segments = 0x434B_0043,
    /// [`crate::objects::message_queues::MessageQueue`], repeated.
    MessageQueues = 0x434B_0044,
    /// [`crate::objects::ipc::SemaphoreSet`], repeated.
    SemaphoreSets = 0x434B_0045,
    /// [`crate::objects::ipc::Queue`], repeated.
    Queues = 0x434B_0046,
    /// [`crate::objects::ipc::QueuedMessage`], repeated.
    QueuedMessages = 0x434B_0047,
    /// [`crate::objects::ipc::Adjustment`], repeated.
    Adjustments = 0x434B_0048,
    /// [`crate::memory_settings::ProtectionKeys`].
    ProtectionKeys = 0x434B_0049,
    /// [`crate::objects::posix_timers::PosixTimer`], repeated.
    PosixTimers = 0x434B_0050,
    /// [`crate::objects::terminal::Terminal`].
    Terminal = 0x434B_0051,
    /// [`crate::objects::pseudo_terminals::PseudoTerminal`], repeated.
    PseudoTerminals = 0x434B_0052,
    /// [`crate::objects::deleted_files::FileExtent`], repeated.
    FileExtents = 0x434B_00F0,
    /// [`crate::header::Checksums`], always the last note.
    Checksums = 0x434B_00FF,
}

impl Kind {
    /// Every kind, in the order in which they stand in an image.
    pub const ALL: [Self; 42] = [
        Self::Header,
        Self::Cpu,
        Self::Process,
        Self::Credentials,
        Self::Context,
        Self::Regions,
        Self::Extents,
        Self::Descriptors,
        Self::Locks,
        Self::Signals,
        Self::Owners,
        Self::Clocks,
        Self::EventCounters,
        Self::Pipes,
        Self::EpollEntries,
        Self::TimerDescriptors,
        Self::SignalDescriptors,
        Self::Watchers,
        Self::MemoryFiles,
        Self::Sockets,
        Self::Messages,
        Self::InFlight,
        Self::SocketFilters,
        Self::DeletedFiles,
        Self::SignalOwners,
        Self::LockWords,
        Self::ExtendedAttributes,
        Self::Guards,
        Self::MemoryPolicies,
        Self::FutureLocks,
        Self::Segments,
        Self::MessageQueues,
        Self::SemaphoreSets,
        Self::Queues,
        Self::QueuedMessages,
        Self::Adjustments,
        Self::ProtectionKeys,
        Self::PosixTimers,
        Self::Terminal,
        Self::PseudoTerminals,
        Self::FileExtents,
        Self::Checksums,
    ];

    /// Its place in [`Self::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        let index = Self::ALL.iter().position(|&known| known == self);
        index.unwrap_or_default()
    }

    fn from_type(kind: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|&known| known as u32 == kind)
    }

    /// The version of the note's content that this program writes and reads.
    #[must_use]
    pub const fn version(self) -> u16 {
        1
    }
}

/// Appends one note whose content `fill` writes.
///
/// # Errors
/// [`NoSpace`] if the buffer has no room for it.
pub fn append(
    to: &mut Encoder<'_>,
    owner: &[u8],
    kind: u32,
    fill: impl FnOnce(&mut Encoder<'_>) -> Result<(), NoSpace>,
) -> Result<(), NoSpace> {
    let owner_size = u32::try_from(owner.len() + 1).map_err(|_| NoSpace)?;
    to.put(&owner_size)?;
    let content_size_at = to.len();
    to.put(&0u32)?;
    to.put(&kind)?;
    to.bytes(owner)?;
    to.bytes(&[0])?;
    to.align(4)?;
    let content_at = to.len();
    fill(to)?;
    to.patch_u32(
        content_size_at,
        u32::try_from(to.len() - content_at).map_err(|_| NoSpace)?,
    )?;
    to.align(4)
}

/// Appends one of our own notes: version, flags, and what `fill` writes.
///
/// # Errors
/// [`NoSpace`] if the buffer has no room for it.
pub fn append_own(
    to: &mut Encoder<'_>,
    kind: Kind,
    fill: impl FnOnce(&mut Encoder<'_>) -> Result<(), NoSpace>,
) -> Result<(), NoSpace> {
    append(to, OWNER, kind as u32, |to| {
        to.put(&kind.version())?;
        to.put(&0u16)?;
        fill(to)
    })
}

/// One note as it lies in the image.
#[derive(Clone, Copy, Debug)]
pub struct Note<'a> {
    /// Owner name without its closing NUL.
    pub owner: &'a [u8],
    /// The type; its meaning depends on the owner.
    pub kind: u32,
    /// The content.
    pub content: &'a [u8],
}

/// What a reader makes of a note.
#[derive(Clone, Copy, Debug)]
pub enum Meaning<'a> {
    /// One of ours, and the content behind version and flags.
    Ours(Kind, Decoder<'a>),
    /// A note for debuggers, or one that may be skipped.
    Skip,
}

impl<'a> Note<'a> {
    /// Takes the next note.
    ///
    /// # Errors
    /// [`Malformed`] if the bytes do not hold one.
    pub fn take(from: &mut Decoder<'a>) -> Result<Self, Malformed> {
        let (owner_size, content_size, kind): (u32, u32, u32) =
            (from.get()?, from.get()?, from.get()?);
        let owner = padded(from, owner_size)?
            .strip_suffix(&[0])
            .ok_or(Malformed::Field("a note's owner"))?;
        Ok(Self {
            owner,
            kind,
            content: padded(from, content_size)?,
        })
    }

    /// Sorts the note out by owner, type and version.
    ///
    /// # Errors
    /// [`Malformed`] if it is a note of ours that this program does not know and must not skip.
    pub fn meaning(&self) -> Result<Meaning<'a>, Malformed> {
        if self.owner != OWNER {
            return Ok(Meaning::Skip);
        }
        let mut content = Decoder::new(self.content);
        let (version, flags): (u16, u16) = (content.get()?, content.get()?);
        match Kind::from_type(self.kind) {
            Some(kind) if kind.version() == version => Ok(Meaning::Ours(kind, content)),
            _ if flags & MAY_SKIP != 0 => Ok(Meaning::Skip),
            Some(_) => Err(Malformed::Field(
                "the version of a note (written by another libckpt?)",
            )),
            None => Err(Malformed::Field(
                "the type of a note (written by a newer libckpt?)",
            )),
        }
    }
}

fn padded<'a>(from: &mut Decoder<'a>, size: u32) -> Result<&'a [u8], Malformed> {
    let bytes = from.bytes(size as usize)?;
    from.bytes((size as usize).wrapping_neg() % 4)?;
    Ok(bytes)
}
