//! Regions: what `/proc/PID/maps` and `/proc/PID/smaps` say about the address space, one record per line of maps.

use crate::record;
use crate::wire::Malformed;
use crate::{PAGE, TASK_SIZE};

record! {
    /// Which file something refers to, and what it looked like at the checkpoint. All zero where there was none.
    #[derive(Default)]
    pub struct FileIdentity {
        /// `st_dev`.
        pub device: u64,
        /// `st_ino`.
        pub inode: u64,
        /// Length in bytes.
        pub size: u64,
        /// Last change of the content, in nanoseconds since 1970.
        pub modified: i64,
        /// Last change of content or attributes, in nanoseconds since 1970.
        pub changed: i64,
    }
}

impl FileIdentity {
    /// Whether nothing was known about the file.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }

    /// Whether both are the same file on the same device.
    #[must_use]
    pub fn same_file(&self, other: &Self) -> bool {
        self.device == other.device && self.inode == other.inode
    }

    /// Whether content that was written at the time of `self` is still what `now` holds, as far as length and time tell.
    #[must_use]
    pub fn same_content(&self, now: &Self) -> bool {
        self.size == now.size && self.modified == now.modified
    }
}

/// What stands behind a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Backing {
    /// Private memory without a file. Also file mappings whose file was already gone at the checkpoint.
    Anonymous = 0,
    /// A file, mapped privately.
    PrivateFile = 1,
    /// A file, mapped shared, that was opened only for reading.
    SharedReadOnlyFile = 2,
    /// A file, mapped shared, that the program can write through the mapping.
    SharedFile = 3,
    /// Shared memory without a file (`/dev/zero (deleted)`); regions with the same identity are the same memory.
    SharedAnonymous = 4,
    /// The vdso or one of its data areas: the kernel's, never filled from the image.
    Vdso = 5,
    /// A file that has no name, mapped shared, that cannot be written through the mapping; the image has the file.
    SharedReadOnlyUnnamedFile = 6,
    /// Likewise, and the program can write it through the mapping.
    SharedUnnamedFile = 7,
    /// A file that has no name, which the image has, mapped privately.
    PrivateUnnamedFile = 8,
}

impl Backing {
    fn from_number(number: u32) -> Option<Self> {
        [
            Self::Anonymous,
            Self::PrivateFile,
            Self::SharedReadOnlyFile,
            Self::SharedFile,
            Self::SharedAnonymous,
            Self::Vdso,
            Self::SharedReadOnlyUnnamedFile,
            Self::SharedUnnamedFile,
            Self::PrivateUnnamedFile,
        ]
        .into_iter()
        .find(|&known| known as u32 == number)
    }

    /// Whether what is as in its file need not be in the image: the file has a name, and the program does not change it through
    /// the mapping.
    #[must_use]
    pub fn can_be_thin(self) -> bool {
        matches!(self, Self::PrivateFile | Self::SharedReadOnlyFile)
    }

    /// Whether a file is mapped privately: what the program has not changed is the file's.
    #[must_use]
    pub fn is_private_file(self) -> bool {
        matches!(self, Self::PrivateFile | Self::PrivateUnnamedFile)
    }

    /// Whether a file that has no name is behind it, which the image has.
    #[must_use]
    pub fn is_unnamed_file(self) -> bool {
        self.is_shared_unnamed_file() || self == Self::PrivateUnnamedFile
    }

    /// Whether such a file is mapped shared.
    #[must_use]
    pub fn is_shared_unnamed_file(self) -> bool {
        matches!(
            self,
            Self::SharedReadOnlyUnnamedFile | Self::SharedUnnamedFile
        )
    }
}

/// Bits of [`Region::protection`], as for `mmap(2)`.
pub const PROT_READ: u32 = 1;
/// See [`PROT_READ`].
pub const PROT_WRITE: u32 = 2;
/// See [`PROT_READ`].
pub const PROT_EXEC: u32 = 4;

/// Flags of a region beyond its protection, from the `VmFlags` line of `/proc/PID/smaps`
/// (`show_smap_vma_flags`, fs/proc/task_mmu.c).
pub mod vm_flags {
    /// Grows towards lower addresses (a stack).
    pub const GROWS_DOWN: u32 = 1 << 0;
    /// Mapped with `MAP_NORESERVE`.
    pub const NO_RESERVE: u32 = 1 << 1;
    /// Locked in memory.
    pub const LOCKED: u32 = 1 << 2;
    /// `MADV_DONTFORK`.
    pub const DONT_FORK: u32 = 1 << 3;
    /// `MADV_WIPEONFORK`.
    pub const WIPE_ON_FORK: u32 = 1 << 4;
    /// `MADV_DONTDUMP`.
    pub const DONT_DUMP: u32 = 1 << 5;
    /// `MADV_HUGEPAGE`.
    pub const HUGE_PAGE: u32 = 1 << 6;
    /// `MADV_NOHUGEPAGE`.
    pub const NO_HUGE_PAGE: u32 = 1 << 7;
    /// `MADV_SEQUENTIAL`.
    pub const SEQUENTIAL: u32 = 1 << 8;
    /// `MADV_RANDOM`.
    pub const RANDOM: u32 = 1 << 9;
    /// `MADV_MERGEABLE`.
    pub const MERGEABLE: u32 = 1 << 10;
    /// Locked as far as it comes into memory (`MLOCK_ONFAULT`), together with [`LOCKED`].
    pub const LOCKED_ON_FAULT: u32 = 1 << 11;
    /// `MAP_DROPPABLE`: the kernel may throw its content away at any time, and a restart does. A random number generator's state
    /// is there (vgetrandom), which no two processes may have.
    pub const DROPPABLE: u32 = 1 << 12;
    /// `mseal`
    pub const SEALED: u32 = 1 << 13;
    /// `MAP_HUGETLB`: in huge pages that the machine has set aside.
    pub const HUGETLB: u32 = 1 << 14;
    /// The size of these pages, as `mmap` takes it: its logarithm to base 2 (`MAP_HUGE_SHIFT`).
    pub const HUGETLB_SIZE: u32 = 63 << HUGETLB_SHIFT;
    /// See [`HUGETLB_SIZE`].
    pub const HUGETLB_SHIFT: u32 = 26;

    /// The protection key (pkeys(7)), shifted by [`KEY_SHIFT`]; 0 is what memory has that was given none.
    pub const KEY: u32 = 15 << KEY_SHIFT;
    /// See [`KEY`].
    pub const KEY_SHIFT: u32 = 20;

    /// Not one of the kernel's: the process has no huge pages (`PR_SET_THP_DISABLE`).
    pub const SMALL_PAGES: u32 = 1 << 24;

    /// Not one of the kernel's: the image does not hold the pages that are as in the file (`CKPT_THIN`).
    pub const THIN: u32 = 1 << 25;

    /// The flags that a restart puts back, with their names in `VmFlags`.
    pub const NAMES: [(&[u8; 2], u32); 15] = [
        (b"gd", GROWS_DOWN),
        (b"nr", NO_RESERVE),
        (b"lo", LOCKED),
        (b"dc", DONT_FORK),
        (b"wf", WIPE_ON_FORK),
        (b"dd", DONT_DUMP),
        (b"hg", HUGE_PAGE),
        (b"nh", NO_HUGE_PAGE),
        (b"sr", SEQUENTIAL),
        (b"rr", RANDOM),
        (b"mg", MERGEABLE),
        (b"lf", LOCKED_ON_FAULT),
        (b"dp", DROPPABLE),
        (b"sl", SEALED),
        (b"ht", HUGETLB),
    ];

    /// All of them.
    pub const ALL: u32 = (1 << NAMES.len()) - 1;

    /// All flags that there are.
    pub const KNOWN: u32 = ALL | HUGETLB_SIZE | KEY | SMALL_PAGES | THIN;
}

record! {
    /// One region.
    pub struct Region<'a> {
        /// First address.
        pub start: u64,
        /// One past the last address.
        pub end: u64,
        /// `PROT_*` bits.
        pub protection: u32,
        /// [`Backing`] as a number; [`Region::backing`] gives the checked value.
        pub backing_number: u32,
        /// [`vm_flags`].
        pub flags: u32,
        /// Offset in the file or shared memory, in bytes.
        pub offset: u64,
        /// The file, or the shared memory's inode.
        pub file: FileIdentity,
        /// The last column of maps: path of the file, or `[heap]` and its like, or nothing.
        pub name: &'a [u8],
    }
}

/// The vdso's code is never longer than this, in bytes: it has a few pages.
const MAX_VDSO: u64 = 1 << 20;

impl Region<'_> {
    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.end - self.start
    }

    /// Whether the region has no pages, which no valid one has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.end == self.start
    }

    /// What stands behind the region; [`Region::check`] has refused unknown numbers.
    #[must_use]
    pub fn backing(&self) -> Backing {
        Backing::from_number(self.backing_number).unwrap_or(Backing::Anonymous)
    }

    /// Whether writes are seen by others who map the same memory.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        matches!(
            self.backing(),
            Backing::SharedReadOnlyFile
                | Backing::SharedFile
                | Backing::SharedAnonymous
                | Backing::SharedReadOnlyUnnamedFile
                | Backing::SharedUnnamedFile
        )
    }

    /// Its protection key.
    #[must_use]
    pub fn protection_key(&self) -> u32 {
        (self.flags & vm_flags::KEY) >> vm_flags::KEY_SHIFT
    }

    /// Whether the image does not hold what is as in the region's file.
    #[must_use]
    pub fn is_thin(&self) -> bool {
        self.flags & vm_flags::THIN != 0
    }

    /// Whether this is the vdso's code.
    #[must_use]
    pub fn is_vdso_code(&self) -> bool {
        self.backing() == Backing::Vdso && self.name == b"[vdso]"
    }

    /// Whether `address` lies in the region.
    #[must_use]
    pub fn contains(&self, address: u64) -> bool {
        (self.start..self.end).contains(&address)
    }

    /// Whether `next` goes on where this region ends, in every respect: the kernel would show one line for both.
    #[must_use]
    pub fn continues_in(&self, next: &Region<'_>) -> bool {
        self.end == next.start
            && self.protection == next.protection
            && self.backing_number == next.backing_number
            && self.flags == next.flags
            && self.file == next.file
            && self.name == next.name
            && (self.backing() == Backing::Anonymous || self.offset + self.len() == next.offset)
            && self.backing() != Backing::Vdso
    }

    /// Checks what can be wrong with the region by itself.
    ///
    /// # Errors
    /// [`Malformed`] names the field.
    pub fn check(&self) -> Result<(), Malformed> {
        if !self.start.is_multiple_of(PAGE)
            || !self.end.is_multiple_of(PAGE)
            || !self.offset.is_multiple_of(PAGE)
        {
            return Err(Malformed::Field("the alignment of a region"));
        }
        if self.start == 0 || self.start >= self.end || self.end > TASK_SIZE {
            return Err(Malformed::Field("the address of a region"));
        }
        if self.offset > (i64::MAX as u64) - self.len() {
            return Err(Malformed::Field("the offset of a region"));
        }
        if self.protection & !(PROT_READ | PROT_WRITE | PROT_EXEC) != 0
            || self.flags & !vm_flags::KNOWN != 0
            || self.is_thin() && !self.backing().can_be_thin()
            || (self.flags & vm_flags::HUGETLB == 0) != (self.flags & vm_flags::HUGETLB_SIZE == 0)
        {
            return Err(Malformed::Field("the flags of a region"));
        }
        let Some(backing) = Backing::from_number(self.backing_number) else {
            return Err(Malformed::Field("the backing of a region"));
        };
        // It was mapped as a whole once, and is again.
        if backing == Backing::SharedAnonymous && self.offset + self.len() > TASK_SIZE {
            return Err(Malformed::Field("the offset of a region"));
        }
        if self.is_vdso_code() && self.len() > MAX_VDSO {
            return Err(Malformed::Field("the size of the vdso"));
        }
        if self.name.contains(&0) {
            return Err(Malformed::Field("the name of a region"));
        }
        Ok(())
    }
}
