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
    /// Whether the image does not hold what the file holds.
    pub is_thin: bool,
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
    /// Expect much to be filled in anonymous memory in which there is nothing yet.
    Fresh(Span),
    /// Have what follows, which fills all of it, get huge pages.
    Enlarge(Span),
    /// Read bytes out of the image and check them. That may take until [`Step::Filled`], in any order.
    Fill {
        /// Where to; its length is that of the extent.
        to: Span,
        /// Where they lie in the image, in bytes from its beginning.
        offset: u64,
        /// CRC32C.
        checksum: u32,
    },
    /// Wait until all is filled.
    Filled,
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
    /// Set the protection, and the protection key if it is not 0.
    Protect {
        /// Where.
        span: Span,
        /// `PROT_*`.
        protection: u32,
        /// The protection key.
        key: u32,
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

/// Advice that is given before there is content, so that it is laid out accordingly: the flag of the region, and the advice.
const EARLY_ADVICE: [(u32, u32); 2] = [
    (vm_flags::HUGE_PAGE, n::MADV_HUGEPAGE),
    (vm_flags::NO_HUGE_PAGE, n::MADV_NOHUGEPAGE),
];

/// Other advice: the flag of the region, the advice, and whether the program's meaning depends on it.
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

/// A region, with what it is made of.
struct Part<'a, I> {
    region: Region<'a>,
    place: u64,
    content: Content,
    /// Whether it is mapped from the image where that is worth it.
    is_lazy: bool,
    /// What the image has of it and is needed.
    extents: I,
}

impl<'a, I: Iterator<Item = (Extent, u64)> + Clone> Part<'a, I> {
    /// Where it is mapped.
    fn span(&self) -> Span {
        Span::new(self.place, self.place + self.region.len())
    }

    /// What is mapped from the image.
    fn pieces(&self) -> Pieces<impl Iterator<Item = (Extent, u64)> + Clone + use<'a, I>> {
        let is_lazy = self.is_lazy;
        Pieces::of(self.extents.clone().filter(move |_| is_lazy))
    }

    /// What is read from the image.
    fn fills(&self) -> impl Iterator<Item = (Extent, u64)> + Clone {
        lazy::outside(self.extents.clone(), self.pieces())
    }

    /// The address at which `address` is mapped.
    fn moved(&self, address: u64) -> u64 {
        address - self.region.start + self.place
    }
}

impl Plan<'_> {
    /// Hands all steps to `execute`, in their order.
    ///
    /// Everything is mapped before anything is filled, and everything is filled before anything is finished, so that filling can
    /// be shared out.
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
        let extents = within.extents;
        let parts = || self.parts(regions.clone(), extents.clone());
        let wholes = self.layout.objects.iter().filter(|object| object.whole);
        for object in wholes.clone() {
            execute(Step::Map {
                span: Span::new(object.at, object.at + object.length),
                protection: PROT_READ | PROT_WRITE,
                flags: n::MAP_SHARED | n::MAP_ANONYMOUS | reservation(object.flags),
                file: None,
            })?;
        }
        let mut policies = within.policies.peekable();
        let mut early = EARLY_ADVICE.map(EarlyAdvice::new);
        for part in parts() {
            let end = part.region.end;
            self.map(&part, &mut execute)?;
            for advice in &mut early {
                advice.note(&part.region, part.span(), &mut execute)?;
            }
            while let Some(policy) = policies.next_if(|policy| policy.start < end) {
                execute(Step::Policy(MemoryPolicy {
                    start: part.moved(policy.start),
                    end: part.moved(policy.end),
                    ..policy
                }))?;
            }
        }
        for advice in &mut early {
            advice.give(&mut execute)?;
        }
        for part in parts() {
            fill(&part, &mut execute)?;
        }
        execute(Step::Filled)?;
        let mut owners = within.owners.peekable();
        let mut guards = within.guards.peekable();
        for part in parts() {
            let end = part.region.end;
            let owners = iter::from_fn(|| owners.next_if(|word| word.address < end));
            let guards = iter::from_fn(|| guards.next_if(|guard| guard.start < end));
            self.finish(&part, owners, guards, &mut execute)?;
        }
        for object in wholes {
            let span = Span::new(object.at, object.at + object.length);
            execute(Step::Unmap(span))?;
        }
        Ok(())
    }

    /// All regions but those of a vdso that is the kernel's own.
    fn parts<'a>(
        &self,
        regions: impl Iterator<Item = Region<'a>>,
        extents: impl Iterator<Item = (Extent, u64)> + Clone,
    ) -> impl Iterator<Item = Part<'a, impl Iterator<Item = (Extent, u64)> + Clone>> {
        let mut extents = extents.peekable();
        let with_content = regions.zip(self.layout.places.iter().zip(self.contents));
        with_content
            .filter(|(region, _)| !self.situation.vdso_is_same || region.backing() != Backing::Vdso)
            .map(move |(region, (&place, &content))| {
                while extents
                    .next_if(|(extent, _)| extent.address < region.start)
                    .is_some()
                {}
                let is_private_file = region.backing().is_private_file();
                Part {
                    region,
                    place,
                    content,
                    is_lazy: self.lazy && lazy::is_possible(&region, place, content),
                    extents: extents
                        .clone()
                        .take_while(move |(extent, _)| extent.address < region.end)
                        .filter(move |(extent, _)| {
                            content == Content::Image || is_private_file && !extent.same_as_file()
                        }),
                }
            })
    }

    /// Maps a region.
    fn map<'a, E>(
        &self,
        part: &Part<'a, impl Iterator<Item = (Extent, u64)> + Clone>,
        execute: &mut impl FnMut(Step<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        let (region, span) = (&part.region, part.span());
        if part.is_lazy {
            let protection = protection_until_filled(part);
            return map_around(region, part.pieces(), protection, execute);
        }
        if let Some(start) = self.place_in_whole(region) {
            return execute(Step::Duplicate {
                from: Span::new(start, start + region.len()),
                to: span.start,
            });
        }
        let anonymous = n::MAP_ANONYMOUS | reservation(region.flags);
        let (flags, file) = match (region.backing(), part.content) {
            (backing, Content::File) if backing.is_private_file() => {
                (n::MAP_PRIVATE | reservation(region.flags), true)
            }
            (
                Backing::SharedReadOnlyFile
                | Backing::SharedFile
                | Backing::SharedReadOnlyUnnamedFile
                | Backing::SharedUnnamedFile,
                Content::File,
            ) => (n::MAP_SHARED | reservation(region.flags), true),
            (Backing::SharedAnonymous, _) => (n::MAP_SHARED | anonymous, false),
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
            is_thin: region.is_thin(),
        });
        execute(Step::Map {
            span,
            protection: protection_until_filled(part),
            flags,
            file,
        })
    }

    /// Where a region of shared memory lies in the mapping of all of that memory, if there is one.
    fn place_in_whole(&self, region: &Region<'_>) -> Option<u64> {
        let is_shared = region.backing() == Backing::SharedAnonymous;
        let object = self.layout.object(region).filter(|_| is_shared)?;
        object.whole.then_some(object.at + region.offset)
    }

    /// What comes after a region has its content.
    fn finish<'a, E>(
        &self,
        part: &Part<'a, impl Iterator<Item = (Extent, u64)> + Clone>,
        owners: impl Iterator<Item = OwnerWord>,
        mut guards: impl Iterator<Item = Guard>,
        execute: &mut impl FnMut(Step<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        let (region, span) = (&part.region, part.span());
        // The words lie in extents; where those are not used, the memory is a file's, and others may use it.
        let has_content = part.extents.clone().next().is_some();
        let is_ours = has_content || region.backing().is_shared_unnamed_file();
        let mut owners = owners.filter(|_| is_ours);
        owners.try_for_each(|word| {
            execute(Step::NoteOwner {
                at: part.moved(word.address),
            })
        })?;
        if region.is_vdso_code() {
            for redirection in self.redirections {
                execute(Step::Write {
                    at: part.place + redirection.offset,
                    code: redirection.code,
                })?;
            }
        }
        let protection = match self.place_in_whole(region) {
            Some(_) => PROT_READ | PROT_WRITE,
            None => protection_until_filled(part),
        };
        let key = region.protection_key();
        if protection != region.protection || key != 0 {
            execute(Step::Protect {
                span,
                protection: region.protection,
                key,
            })?;
        }
        advise(region, span, execute)?;
        // Memory that is locked takes none.
        guards.try_for_each(|guard| {
            let start = part.moved(guard.start);
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
}

/// Filling takes write permission; asking for it without need would make the kernel account for the memory.
fn protection_until_filled(part: &Part<'_, impl Iterator<Item = (Extent, u64)> + Clone>) -> u32 {
    let last = part.region.protection;
    // A file without a name may be where nothing may be executed, which shows when it is mapped.
    let is_kept = part.region.backing() == Backing::PrivateUnnamedFile;
    let kept = if is_kept { last } else { last & !PROT_EXEC };
    if part.fills().next().is_some() {
        kept | PROT_READ | PROT_WRITE
    } else {
        last
    }
}

/// Fills a region. What is filled without a gap is made huge pages before: only that, or the process would need more memory than
/// before. The place of a region is congruent to its own address, so the one's huge pages are the other's.
fn fill<'a, E>(
    part: &Part<'a, impl Iterator<Item = (Extent, u64)> + Clone>,
    execute: &mut impl FnMut(Step<'a>) -> Result<(), E>,
) -> Result<(), E> {
    let can_be_enlarged = can_be_enlarged(&part.region, part.content);
    let is_fresh = part.region.backing() == Backing::Anonymous
        && part.region.flags & vm_flags::HUGETLB == 0
        && !part.is_lazy;
    let length = part.fills().map(|(extent, _)| extent.len()).sum::<u64>();
    if is_fresh && length >= MUCH {
        execute(Step::Fresh(part.span()))?;
    }
    let mut rest = part.fills();
    while let Some(batch) = Batch::first_of(rest.clone()) {
        if can_be_enlarged && !batch.huge.is_empty() {
            let moved = |start, end| Span::new(part.moved(start), part.moved(end));
            execute(Step::Enlarge(moved(batch.huge.start, batch.huge.end)))?;
        }
        for (extent, offset) in rest.by_ref().take(batch.extents) {
            execute(Step::Fill {
                to: Span::new(part.moved(extent.address), part.moved(extent.end())),
                offset,
                checksum: extent.checksum,
            })?;
        }
    }
    Ok(())
}

/// What is worth a [`Step::Fresh`], in bytes.
const MUCH: u64 = 128 << 10;

/// How much is made huge pages at one time, in bytes: what was made is still in the cache when it is filled.
const BATCH: u64 = 8 << 20;

/// The most that [`Step::Enlarge`] names, in bytes.
pub const MOST_ENLARGED: u64 = BATCH + 2 * HUGE_PAGE;

/// Extents without a gap between them, about as many as [`BATCH`] holds.
struct Batch {
    extents: usize,
    /// The huge pages that they fill completely. Extents that libckpt has written lie within one huge page each; of others,
    /// those count that begin and end with one.
    huge: Span,
}

impl Batch {
    /// The first of `extents`; `None` at their end.
    fn first_of(extents: impl Iterator<Item = (Extent, u64)>) -> Option<Self> {
        let mut extents = extents.map(|(extent, _)| extent).peekable();
        let start = extents.peek()?.address;
        let (mut count, mut filled_to, mut huge) = (0, start, None);
        while let Some(extent) = extents.next_if(|next| next.address == filled_to) {
            if extent.address.is_multiple_of(HUGE_PAGE) && huge.is_none() {
                huge = Some(Span::new(extent.address, extent.address));
            }
            (count, filled_to) = (count + 1, extent.end());
            let ends_huge_page = filled_to.is_multiple_of(HUGE_PAGE);
            if let Some(huge) = &mut huge
                && ends_huge_page
            {
                huge.end = filled_to;
            }
            let length = filled_to - start;
            if length >= BATCH && (ends_huge_page || length > BATCH + HUGE_PAGE) {
                break;
            }
        }
        Some(Self {
            extents: count,
            huge: huge.unwrap_or(Span::new(start, start)),
        })
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

/// With one of these flags, memory is to have no huge pages, or has others.
const NO_HUGE_PAGES: u32 = vm_flags::NO_HUGE_PAGE | vm_flags::SMALL_PAGES | vm_flags::HUGETLB;

/// Whether huge pages change nothing for the program but its speed.
fn can_be_enlarged(region: &Region<'_>, content: Content) -> bool {
    let is_private = match region.backing() {
        Backing::Anonymous => true,
        Backing::PrivateFile => content == Content::Image,
        _ => false,
    };
    is_private && region.flags & NO_HUGE_PAGES == 0
}

/// One of [`EARLY_ADVICE`]. Regions that follow each other get it by one step: since Linux 6.7 every stack of a thread has
/// it, and its guard page.
struct EarlyAdvice {
    flag: u32,
    advice: u32,
    span: Span,
}

impl EarlyAdvice {
    fn new((flag, advice): (u32, u32)) -> Self {
        Self {
            flag,
            advice,
            span: Span::new(0, 0),
        }
    }

    /// Remembers it for `region`, which is mapped at `span`, if the region had it.
    fn note<'a, E>(
        &mut self,
        region: &Region<'_>,
        span: Span,
        execute: &mut impl FnMut(Step<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        if region.flags & self.flag == 0 {
            return Ok(());
        }
        if self.span.end == span.start {
            self.span.end = span.end;
            return Ok(());
        }
        self.give(execute)?;
        self.span = span;
        Ok(())
    }

    /// Gives it to what is remembered.
    fn give<'a, E>(
        &mut self,
        execute: &mut impl FnMut(Step<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.span.is_empty() {
            return Ok(());
        }
        execute(Step::Advise {
            span: self.span,
            advice: self.advice,
            needed: false,
        })
    }
}

fn advise<'a, E>(
    region: &Region<'_>,
    span: Span,
    execute: &mut impl FnMut(Step<'a>) -> Result<(), E>,
) -> Result<(), E> {
    LATE_ADVICE
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
