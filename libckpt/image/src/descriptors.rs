//! Open files: descriptors, and the locks held on them.

use crate::record;
use crate::regions::FileIdentity;
use crate::wire::Malformed;

/// What a descriptor refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// A regular file, opened again by its path.
    File = 1,
    /// A directory, opened again by its path.
    Directory = 2,
    /// A character device that has no state of its own (`/dev/null` and its like).
    Device = 3,
    /// Terminal, pipe or socket on one of the numbers 0 to 2: the restorer's own.
    Standard = 4,
    /// A terminal on another number: the restorer's.
    Terminal = 5,
    /// A pipe on another number whose other end is outside: it is closed then.
    OutsidePipe = 6,
    /// An event counter, see [`crate::objects::event_counters`].
    EventCounter = 7,
    /// A pipe whose other end the program has, too, or nobody, see [`crate::objects::pipes`].
    Pipe = 8,
    /// An epoll instance, see [`crate::objects::epoll_entries`].
    Epoll = 9,
    /// A timer, see [`crate::objects::timer_descriptors`].
    Timer = 10,
    /// A descriptor through which signals are read, see [`crate::objects::signal_descriptors`].
    Signals = 11,
    /// A descriptor through which changes of files are read, see [`crate::objects::watchers`].
    Watcher = 12,
    /// A file in memory, see [`crate::objects::memory_files`].
    MemoryFile = 13,
    /// The master side of a pseudo-terminal, see [`crate::objects::pseudo_terminals`].
    Master = 40,
    /// Its slave side, if the program has the master side, too.
    Slave = 41,
    /// A named pipe, see [`crate::objects::pipes`].
    Fifo = 20,
    /// A file or directory without a name, see [`crate::objects::deleted_files`].
    DeletedFile = 21,
    /// What refers to the process itself (`pidfd_open(2)`): it refers to the new one.
    Itself = 23,
    /// A socket, see [`crate::objects::sockets`].
    Socket = 14,
    /// What is open with `O_PATH` only, and is neither file nor directory: opened again by its path.
    Reference = 27,
    /// A file or directory of procfs, sysfs or their like, opened again by its path, see [`crate::kernel_files`].
    KernelFile = 26,
    /// A POSIX message queue, see [`crate::objects::message_queues`].
    MessageQueue = 30,
}

impl Kind {
    fn from_number(number: u32) -> Option<Self> {
        [
            Self::File,
            Self::Directory,
            Self::Device,
            Self::Standard,
            Self::Terminal,
            Self::OutsidePipe,
            Self::EventCounter,
            Self::Pipe,
            Self::Epoll,
            Self::Timer,
            Self::Signals,
            Self::Watcher,
            Self::MemoryFile,
            Self::Master,
            Self::Slave,
            Self::Fifo,
            Self::DeletedFile,
            Self::Reference,
            Self::Itself,
            Self::Socket,
            Self::KernelFile,
            Self::MessageQueue,
        ]
        .into_iter()
        .find(|&known| known as u32 == number)
    }
}

/// No descriptor of an image has a number this high (`NR_OPEN`'s default is 2^20; sysctl fs.nr_open allows 2^30).
pub const MAX_NUMBER: u32 = 1 << 30;

record! {
    /// One descriptor. They stand in ascending order of their numbers.
    pub struct Descriptor<'a> {
        /// The number.
        pub number: u32,
        /// The lowest number that refers to the same open file description; offset and status flags are shared with it.
        pub description: u32,
        /// [`Kind`] as a number; [`Descriptor::kind`] gives the checked value.
        pub kind_number: u32,
        /// `O_*` flags (`F_GETFL`).
        pub flags: u32,
        /// 1 if the descriptor closes on `execve`.
        pub close_on_exec: u32,
        /// Offset in bytes.
        pub offset: u64,
        /// The file; for a pipe or terminal, only device and inode.
        pub file: FileIdentity,
        /// Device number of a character device (`st_rdev`).
        pub device: u64,
        /// Path, or what `/proc/PID/fd` says.
        pub path: &'a [u8],
    }
}

impl Descriptor<'_> {
    /// What the descriptor refers to; [`Descriptor::check`] has refused unknown numbers.
    #[must_use]
    pub fn kind(&self) -> Kind {
        Kind::from_number(self.kind_number).unwrap_or(Kind::Standard)
    }

    /// Whether an earlier descriptor has the same open file description.
    #[must_use]
    pub fn is_duplicate(&self) -> bool {
        self.description != self.number
    }

    /// Checks what can be wrong with the descriptor by itself.
    ///
    /// # Errors
    /// [`Malformed`] names the field.
    pub fn check(&self) -> Result<(), Malformed> {
        let standard_is_low = self.kind_number != Kind::Standard as u32 || self.description <= 2;
        if self.number > MAX_NUMBER || self.description > self.number || !standard_is_low {
            return Err(Malformed::Field("the number of a descriptor"));
        }
        if Kind::from_number(self.kind_number).is_none() {
            return Err(Malformed::Field("the kind of a descriptor"));
        }
        if self.path.contains(&0) {
            return Err(Malformed::Field("the path of a descriptor"));
        }
        Ok(())
    }
}

/// Descriptors that a restart needs at once beyond those of the program's: the image, standard error, those in passing.
const OWN_DESCRIPTORS: u64 = 16;

/// The lowest number that is above all of the program's and above 2. `others` are numbers that are needed, too, if only in passing.
pub fn lowest_above<'a>(
    descriptors: impl Iterator<Item = Descriptor<'a>>,
    others: impl Iterator<Item = u32>,
) -> u32 {
    let numbers = descriptors.map(|descriptor| descriptor.number);
    numbers.chain(others).fold(2, u32::max) + 1
}

/// The limit of descriptors (`RLIMIT_NOFILE`) that a restart needs. What is not on its number yet, and what others are made
/// with, is on numbers from `above` on until everything is open; so are `others`: files without a name, each once, and far ends of
/// sockets.
pub fn limit_needed<'a>(
    above: u32,
    descriptors: impl Iterator<Item = Descriptor<'a>>,
    others: usize,
) -> u64 {
    let kept = |one: Descriptor<'a>| match one.kind() {
        // Both ends are made, and may have to be opened once more.
        Kind::Pipe | Kind::OutsidePipe => 2,
        // All are made before the first is put on its number.
        Kind::Socket
        // The other side is made along, and may be none of the program's.
        | Kind::Master
        // What all that refer to it are opened with.
        | Kind::Fifo | Kind::MessageQueue => 1,
        _ => 0,
    };
    u64::from(above) + descriptors.map(kept).sum::<u64>() + others as u64 + OWN_DESCRIPTORS
}

/// How a lock was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum LockKind {
    /// `fcntl(F_SETLK)`: belongs to the process.
    Posix = 1,
    /// `flock(2)`: belongs to the open file description.
    Flock = 2,
    /// `fcntl(F_OFD_SETLK)`: belongs to the open file description.
    OpenFileDescription = 3,
    /// `fcntl(F_SETLEASE)`: belongs to the open file description, and covers all of the file.
    Lease = 4,
}

record! {
    /// One lock (`lock:` lines of `/proc/PID/fdinfo/FD`).
    pub struct Lock {
        /// A descriptor through which it can be taken again.
        pub descriptor: u32,
        /// [`LockKind`] as a number; [`Lock::kind`] gives the checked value.
        pub kind_number: u32,
        /// 1 for a write (exclusive) lock, 0 for a read (shared) lock.
        pub exclusive: u32,
        /// First byte.
        pub start: u64,
        /// Number of bytes, 0 for all to the end of the file.
        pub length: u64,
    }
}

impl Lock {
    /// How the lock was taken, unless the number is none that the format knows.
    #[must_use]
    pub fn kind(&self) -> Option<LockKind> {
        [
            LockKind::Posix,
            LockKind::Flock,
            LockKind::OpenFileDescription,
            LockKind::Lease,
        ]
        .into_iter()
        .find(|&known| known as u32 == self.kind_number)
    }
}
