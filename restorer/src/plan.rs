//! Stage 1 as data: what is done with the address space, step by step.

use core::iter;

use ckpt_image::extents::Extent;
use ckpt_image::guards::Guard;
use ckpt_image::memory_settings::MemoryPolicy;
use ckpt_image::owners::OwnerWord;
use ckpt_image::regions::{
    Backing, FileIdentity, PROT_EXEC, PROT_READ, PROT_WRITE, Region, vm_flags,
};
use ckpt_image::segments::Span;
use linux_raw_sys::general as n;

use crate::layout::{Layout, Situation};
use crate::lazy::{self, Piece, Pieces};
use crate::vdso::{CODE_SIZE, Redirection};

/// A file to be mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MappedFile<'a> {
    /// Its path.
    pub path: &'a [u8],
    /// Offset in bytes.
    pub offset: u64,
    /// What it looked like at the checkpoint.
    pub identity: FileIdentity,
    /// How the program uses it.
    pub backing: Backing,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Map fresh memory, or a file, where nothing is mapped yet.
    Map {
        /// Where.
        span: Span,
        /// `PROT_*`.
        protection: u32,
        /// `MAP_*`.
        flags: u32,
        /// The file, if there is one.
        file: Option<MappedFile<'a>>,
    },
    /// Map the image itself, privately, where nothing is mapped yet.
    MapImage {
        /// Where, and what.
        piece: Piece,
        /// `PROT_*`.
        protection: u32,
        /// `MAP_*`.
        flags: u32,
    },
    /// Map shared memory that is mapped already a second time.
    Duplicate {
        /// Where it is mapped.
        from: Span,
        /// Where it is to be mapped as well.
        to: u64,
    },
    /// Back fresh memory, all of which is going to be filled, by huge pages.
    Enlarge(Span),
    /// Read bytes out of the image and check them.
    Fill {
        /// Where to; its length is that of the extent.
        to: Span,
        /// Where they lie in the image, in bytes from its beginning.
        offset: u64,
        /// CRC32C.
        checksum: u32,
    },
    /// Overwrite code.
    Write {
        /// Where.
        at: u64,
        /// The code.
        code: [u8; CODE_SIZE],
    },
    /// Remember a word that holds a thread id: the new one is put there when it is known.
    NoteOwner {
        /// Where.
        at: u64,
    },
    /// Set the protection.
    Protect {
        /// Where.
        span: Span,
        /// `PROT_*`.
        protection: u32,
    },
    /// Give the kernel advice.
    Advise {
        /// Where.
        span: Span,
        /// `MADV_*`.
        advice: u32,
        /// Whether the program's meaning depends on it, rather than only its speed.
        needed: bool,
    },
    /// Set the memory policy.
    Policy(MemoryPolicy),
    /// Make guard pages.
    Guard(Span),
    /// Lock in memory.
    Lock {
        /// Where.
        span: Span,
        /// Whether only what comes into memory.
        on_fault: bool,
    },
    /// Name anonymous memory.
    Name(Span, &'a [u8]),
    /// Unmap.
    Unmap(Span),
}

/// Advice that is given before there is content, so that it is laid out accordingly: the flag of the region, the advice,
/// and whether the program's meaning depends on it.
const EARLY_ADVICE: [(u32, u32, bool); 2] = [
    (vm_flags::HUGE_PAGE, n::MADV_HUGEPAGE, false),
    (vm_flags::NO_HUGE_PAGE, n::MADV_NOHUGEPAGE, false),
];

/// Other advice.
const LATE_ADVICE: [(u32, u32, bool); 6] = [
    (vm_flags::SEQUENTIAL, n::MADV_SEQUENTIAL, false),
    (vm_flags::RANDOM, n::MADV_RANDOM, false),
    (vm_flags::MERGEABLE, n::MADV_MERGEABLE, false),
    (vm_flags::DONT_DUMP, n::MADV_DONTDUMP, false),
    (vm_flags::DONT_FORK, n::MADV_DONTFORK, true),
    (vm_flags::WIPE_ON_FORK, n::MADV_WIPEONFORK, true),
];

/// What lies within regions, each in ascending order.
#[derive(Clone, Debug)]
pub struct Within<X, O, G, P> {
    /// Extents, with their offsets in the image.
    pub extents: X,
    /// Words that hold a thread id.
    pub owners: O,
    /// Guard pages.
    pub guards: G,
    /// Memory policies.
    pub policies: P,
}

/// Size of a huge page, in bytes.
pub const HUGE_PAGE: u64 = 2 << 20;

/// What a region is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Its file, which is mapped, and extents that differ from it.
    File,
    /// Extents only.
    Image,
}

/// What the steps are computed from.
#[derive(Debug)]
pub struct Plan<'p> {
    /// Where things go.
    pub layout: &'p Layout,
    /// What that depends on.
    pub situation: &'p Situation<'p>,
    /// What each region is made of, in the order of the regions.
    pub contents: &'p [Content],
    /// Redirections of a vdso that this kernel does not have.
    pub redirections: &'p [Redirection],
    /// Whether the image is mapped rather than read, where that is possible.
    pub lazy: bool,
}

impl Plan<'_> {
    /// Hands all steps to `execute`, in their order.
    ///
    /// # Errors
    /// The first one that `execute` returns.
    pub fn steps<'a, E>(
        &self,
        regions: impl Iterator<Item = Region<'a>> + Clone,
        within: Within<
            impl Iterator<Item = (Extent, u64)> + Clone,
            impl Iterator<Item = OwnerWord>,
            impl Iterator<Item = Guard>,
            impl Iterator<Item = MemoryPolicy>,
        >,
        mut execute: impl FnMut(Step<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        let wholes = self.layout.objects.iter().filter(|object| object.whole);
        for object in wholes.clone() {
            execute(Step::Map {
                span: Span::new(object.at, object.at + object.length),
                protection: PROT_READ | PROT_WRITE,
                flags: n::MAP_SHARED | n::MAP_ANONYMOUS | reservation(object.flags),
                file: None,
            })?;
        }
        let mut extents = within.extents.peekable();
        let mut owners = within.owners.peekable();
        let mut guards = within.guards.peekable();
        let mut policies = within.policies.peekable();
        let with_content = regions
            .clone()
            .zip(self.layout.places.iter().zip(self.contents));
        for (region, (&place, &content)) in with_content {
            while extents
                .peek()
                .is_some_and(|(extent, _)| extent.address < region.start)
            {
                extents.next();
            }
            if self.situation.vdso_is_same && region.backing() == Backing::Vdso {
                continue;
            }
            let its_extents = extents
                .clone()
                .take_while(|(extent, _)| extent.address < region.end)
                .filter(|(extent, _)| content == Content::Image || !extent.same_as_file())
                .filter(|_| content == Content::Image || region.backing() == Backing::PrivateFile);
            let inside = Within {
                extents: its_extents,
                owners: iter::from_fn(|| owners.next_if(|word| word.address < region.end)),
                guards: iter::from_fn(|| guards.next_if(|guard| guard.start < region.end)),
                policies: iter::from_fn(|| policies.next_if(|policy| policy.start < region.end)),
            };
            self.region(&region, place, content, inside, &mut execute)?;
        }
        for object in wholes {
            let span = Span::new(object.at, object.at + object.length);
            execute(Step::Unmap(span))?;
        }
        Ok(())
    }

    /// The steps of one region, which is mapped at `place`.
    fn region<'a, E>(
        &self,
        region: &Region<'a>,
        place: u64,
        content: Content,
        within: Within<
            impl Iterator<Item = (Extent, u64)> + Clone,
            impl Iterator<Item = OwnerWord>,
            impl Iterator<Item = Guard>,
            impl Iterator<Item = MemoryPolicy>,
        >,
        execute: &mut impl FnMut(Step<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Within {
            extents,
            owners,
            mut guards,
            mut policies,
        } = within;
        let span = Span::new(place, place + region.len());
        let is_lazy = self.lazy && lazy::is_possible(region, place, content);
        let has_content = extents.clone().next().is_some();
        let pieces = Pieces::of(extents.clone().filter(move |_| is_lazy));
        let mut extents = lazy::outside(extents, pieces.clone());
        // Filling takes write permission; asking for it without need would make the kernel account for the memory.
        let is_filled = extents.clone().next().is_some();
        let last = region.protection;
        let first = if is_filled {
            last & !PROT_EXEC | PROT_READ | PROT_WRITE
        } else {
            last
        };
        let mapped = if is_lazy {
            map_around(region, pieces, first, execute)?;
            first
        } else {
            self.map(region, span, first, content, execute)?
        };
        advise(region, span, &EARLY_ADVICE, execute)?;
        policies.try_for_each(|policy| {
            let start = policy.start - region.start + place;
            let end = policy.end - region.start + place;
            execute(Step::Policy(MemoryPolicy {
                start,
                end,
                ..policy
            }))
        })?;
        if is_filled && can_be_enlarged(region, content) {
            enlarge(region.start, place, extents.clone(), execute)?;
        }
        extents.try_for_each(|(extent, offset)| {
            let to = extent.address - region.start + place;
            execute(Step::Fill {
                to: Span::new(to, to + extent.len()),
                offset,
                checksum: extent.checksum,
            })
        })?;
        // The words lie in extents; where those are not used, the memory is a file's, and others may use it.
        let is_ours = has_content || region.backing().is_unnamed_file();
        owners.filter(|_| is_ours).try_for_each(|word| {
            execute(Step::NoteOwner {
                at: word.address - region.start + place,
            })
        })?;
        if region.name == b"[vdso]" {
            for redirection in self.redirections {
                execute(Step::Write {
                    at: place + redirection.offset,
                    code: redirection.code,
                })?;
            }
        }
        if mapped != last {
            execute(Step::Protect {
                span,
                protection: last,
            })?;
        }
        advise(region, span, &LATE_ADVICE, execute)?;
        // Memory that is locked takes none.
        guards.try_for_each(|guard| {
            let start = guard.start - region.start + place;
            execute(Step::Guard(Span::new(start, start + guard.span().len())))
        })?;
        if region.flags & vm_flags::LOCKED != 0 {
            let on_fault = region.flags & vm_flags::LOCKED_ON_FAULT != 0;
            execute(Step::Lock { span, on_fault })?;
        }
        match given_name(region.name) {
            Some(name) => execute(Step::Name(span, name)),
            None => Ok(()),
        }
    }

    /// Maps a region at `span`, and returns the protection that it then has.
    fn map<'a, E>(
        &self,
        region: &Region<'a>,
        span: Span,
        protection: u32,
        content: Content,
        execute: &mut impl FnMut(Step<'a>) -> Result<(), E>,
    ) -> Result<u32, E> {
        let anonymous = n::MAP_ANONYMOUS | reservation(region.flags);
        let (flags, file) = match (region.backing(), content) {
            (Backing::PrivateFile, Content::File) => {
                (n::MAP_PRIVATE | reservation(region.flags), true)
            }
            (
                Backing::SharedReadOnlyFile
                | Backing::SharedFile
                | Backing::SharedReadOnlyUnnamedFile
                | Backing::SharedUnnamedFile,
                Content::File,
            ) => (n::MAP_SHARED | reservation(region.flags), true),
            (Backing::SharedAnonymous, _) => {
                let object = self.layout.object(region);
                if let Some(object) = object.filter(|object| object.whole) {
                    let start = object.at + region.offset;
                    execute(Step::Duplicate {
                        from: Span::new(start, start + region.len()),
                        to: span.start,
                    })?;
                    return Ok(PROT_READ | PROT_WRITE);
                }
                (n::MAP_SHARED | anonymous, false)
            }
            _ if region.flags & vm_flags::GROWS_DOWN != 0 => {
                (n::MAP_PRIVATE | n::MAP_GROWSDOWN | anonymous, false)
            }
            _ if region.flags & vm_flags::DROPPABLE != 0 => {
                (n::MAP_DROPPABLE | n::MAP_ANONYMOUS, false)
            }
            _ if region.flags & vm_flags::HUGETLB != 0 => {
                let size = region.flags & vm_flags::HUGETLB_SIZE;
                (n::MAP_PRIVATE | anonymous | n::MAP_HUGETLB | size, false)
            }
            _ => (n::MAP_PRIVATE | anonymous, false),
        };
        let file = file.then_some(MappedFile {
            path: region.name,
            offset: region.offset,
            identity: region.file,
            backing: region.backing(),
        });
        execute(Step::Map {
            span,
            protection,
            flags,
            file,
        })?;
        Ok(protection)
    }
}

/// Maps `pieces` from the image with the region's own protection, and memory with `protection` around them.
fn map_around<'a, E>(
    region: &Region<'a>,
    pieces: impl Iterator<Item = Piece>,
    protection: u32,
    execute: &mut impl FnMut(Step<'a>) -> Result<(), E>,
) -> Result<(), E> {
    let flags = n::MAP_PRIVATE | reservation(region.flags);
    let map_memory = |span: Span, execute: &mut dyn FnMut(Step<'a>) -> Result<(), E>| {
        if span.is_empty() {
            return Ok(());
        }
        execute(Step::Map {
            span,
            protection,
            flags: flags | n::MAP_ANONYMOUS,
            file: None,
        })
    };
    let mut from = region.start;
    for piece in pieces {
        map_memory(Span::new(from, piece.span.start), execute)?;
        execute(Step::MapImage {
            piece,
            protection: region.protection,
            flags,
        })?;
        from = piece.span.end;
    }
    map_memory(Span::new(from, region.end), execute)
}

/// Whether huge pages change nothing for the program but its speed.
fn can_be_enlarged(region: &Region<'_>, content: Content) -> bool {
    let is_private = match region.backing() {
        Backing::Anonymous => true,
        Backing::PrivateFile => content == Content::Image,
        _ => false,
    };
    is_private && region.flags & (vm_flags::NO_HUGE_PAGE | vm_flags::HUGETLB) == 0
}

/// Enlarges what the extents fill without a gap. Only that, or the process would need more memory than before. The
/// place of a region is congruent to its own address, so the one's huge pages are the other's.
fn enlarge<'a, E>(
    start: u64,
    place: u64,
    extents: impl Iterator<Item = (Extent, u64)>,
    execute: &mut impl FnMut(Step<'a>) -> Result<(), E>,
) -> Result<(), E> {
    let mut finish = |run: Span| {
        let whole = Span::new(
            run.start.next_multiple_of(HUGE_PAGE),
            run.end - run.end % HUGE_PAGE,
        );
        if whole.is_empty() {
            return Ok(());
        }
        let moved = Span::new(whole.start - start + place, whole.end - start + place);
        execute(Step::Enlarge(moved))
    };
    let mut run = Span::new(start, start);
    for (extent, _) in extents {
        if extent.address != run.end {
            finish(run)?;
            run.start = extent.address;
        }
        run.end = extent.end();
    }
    finish(run)
}

fn advise<'a, E>(
    region: &Region<'_>,
    span: Span,
    table: &[(u32, u32, bool)],
    execute: &mut impl FnMut(Step<'a>) -> Result<(), E>,
) -> Result<(), E> {
    table
        .iter()
        .filter(|(flag, ..)| region.flags & flag != 0)
        .try_for_each(|&(_, advice, needed)| {
            execute(Step::Advise {
                span,
                advice,
                needed,
            })
        })
}

fn reservation(flags: u32) -> u32 {
    if flags & vm_flags::NO_RESERVE != 0 {
        n::MAP_NORESERVE
    } else {
        0
    }
}

/// The name that the program has given to anonymous memory (`PR_SET_VMA_ANON_NAME`).
fn given_name(name: &[u8]) -> Option<&[u8]> {
    name.strip_prefix(b"[anon:")
        .or_else(|| name.strip_prefix(b"[anon_shmem:"))?
        .strip_suffix(b"]")
}

#[cfg(test)]
mod tests;
