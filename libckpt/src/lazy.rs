//! Memory that is mapped from the image since a lazy restart (`restorer --lazy`). The program knows it as memory without a
//! file, and the kernel treats the two alike but for a few calls; those wrappers in `interpose::mappings` make the difference up with what is here.
//!
//! Async-signal-safe, and without any state but the image's identity: what is mapped is asked of the kernel each time,
//! since the program may have unmapped it, and a forked child may be anywhere.

use core::sync::atomic::{AtomicU64, Ordering};

use ckpt_image::segments::Span;
use ckpt_sys::line_reader::LineReader;
use ckpt_sys::maps::MapsLine;
use ckpt_sys::{Errno, calls};
use linux_raw_sys::general as n;

/// Device and inode of the image, as maps has them; the inode is 0 if nothing is mapped from an image. As long as something is,
/// no other file can have that inode, even if the image's name is another file's by now.
static IMAGE: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

/// Room for a line of maps, which may have the longest path there is.
const LINE: usize = 4096 + 128;

/// Learns from which image memory is mapped.
pub fn adopt(image: [u64; 2]) {
    for (word, value) in IMAGE.iter().zip(image) {
        word.store(value, Ordering::Relaxed);
    }
}

fn image() -> [u64; 2] {
    [0, 1].map(|index| IMAGE[index].load(Ordering::Relaxed))
}

/// Whether memory may be mapped from an image.
pub fn is_in_use() -> bool {
    image()[1] != 0
}

/// Whether a line of maps is memory that is mapped from the image.
pub fn is_of_image(line: &MapsLine<'_>) -> bool {
    is_in_use() && !line.shared && [line.device_number(), line.inode] == image()
}

/// A mapping, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub struct Mapping {
    /// The part of it that was asked for.
    pub span: Span,
    /// `PROT_*`
    pub protection: u32,
    /// Whether it is mapped from the image.
    pub is_of_image: bool,
}

/// The first mapping in `span` for which `wanted` holds.
pub fn find(span: Span, wanted: impl Fn(&Mapping) -> bool) -> Result<Option<Mapping>, Errno> {
    let mut buffer = [0; LINE];
    let mut lines = LineReader::open(c"/proc/thread-self/maps", &mut buffer)?;
    while let Some(line) = lines.next_line()? {
        let Some(line) = MapsLine::parse(line) else {
            continue;
        };
        let Some(common) = line.span.intersection(&span) else {
            if line.span.start >= span.end {
                break;
            }
            continue;
        };
        let mapping = Mapping {
            span: common,
            protection: line.protection,
            is_of_image: is_of_image(&line),
        };
        if wanted(&mapping) {
            return Ok(Some(mapping));
        }
    }
    Ok(None)
}

/// Whether any of `span` is mapped from the image.
pub fn is_in_image(span: Span) -> Result<bool, Errno> {
    find(span, |mapping| mapping.is_of_image).map(|found| found.is_some())
}

/// Puts fresh memory in the place of what is mapped from the image in `span`.
///
/// # Safety
/// Nobody needs what is there.
pub unsafe fn replace(span: Span) -> Result<(), Errno> {
    while let Some(mapping) = find(span, |mapping| mapping.is_of_image)? {
        // SAFETY: the caller answers for the memory.
        unsafe { map_fresh(mapping.span, mapping.protection, n::MAP_FIXED)? };
    }
    Ok(())
}

/// Makes `span` fresh memory, and returns where it is.
///
/// # Safety
/// With `MAP_FIXED`, nobody needs what is there.
unsafe fn map_fresh(span: Span, protection: u32, flags: u32) -> Result<u64, Errno> {
    let flags = flags | n::MAP_PRIVATE | n::MAP_ANONYMOUS;
    let (start, length) = (span.start as usize, span.len() as usize);
    // SAFETY: the caller answers for the memory.
    unsafe { calls::map(start, length, protection, flags, -1, 0) }.map(|start| start as u64)
}

/// What mremap(2) does with memory without a file: gives `old` another length, at the address `to` if there is one. The
/// kernel would have a longer mapping of the image show more of the image.
///
/// # Safety
/// As for mremap(2).
pub unsafe fn resize(
    old: Span,
    length: u64,
    may_move: bool,
    to: Option<u64>,
) -> Result<u64, Errno> {
    if to.is_some_and(|to| Span::new(to, to + length).intersection(&old).is_some()) {
        return Err(Errno::EINVAL);
    }
    let Some(last) = find(Span::new(old.end - 1, old.end), |_| true)? else {
        return Err(Errno::EFAULT);
    };
    if to.is_none() && length > old.len() {
        let behind = Span::new(old.end, old.start + length);
        // SAFETY: this flag leaves alone whatever is mapped.
        let at = unsafe { map_fresh(behind, last.protection, n::MAP_FIXED_NOREPLACE) };
        match at {
            Ok(at) if at == behind.start => return Ok(old.start),
            // A kernel before 4.17 takes the address for a hint.
            // SAFETY: it is fresh.
            Ok(at) => drop(unsafe { calls::unmap(at as usize, behind.len() as usize) }),
            Err(Errno::EEXIST) => {}
            Err(errno) => return Err(errno),
        }
    }
    if !may_move {
        return Err(Errno::ENOMEM);
    }
    let end = old.end.min(old.start + length);
    let (from, rest) = (Span::new(old.start, end), Span::new(end, old.end));
    // SAFETY: the caller answers for the memory, and what is fresh is nobody's.
    unsafe {
        if !rest.is_empty() {
            calls::unmap(rest.start as usize, rest.len() as usize)?;
        }
        let flags = if to.is_some() { n::MAP_FIXED } else { 0 };
        let to = to.unwrap_or(0);
        let new = map_fresh(Span::new(to, to + length), last.protection, flags)?;
        let Err((errno, moved)) = move_all(from, new) else {
            return Ok(new);
        };
        // What is fresh goes first, which leaves room for as many mappings as there were.
        let _ = calls::unmap((new + moved) as usize, (length - moved) as usize);
        let _ = move_all(Span::new(new, new + moved), old.start);
        Err(errno)
    }
}

/// Moves what is mapped in `from` to `to` and behind. An error comes with how many bytes were moved before.
///
/// # Safety
/// Nobody uses what is at either place.
unsafe fn move_all(from: Span, to: u64) -> Result<(), (Errno, u64)> {
    let mut moved = 0;
    while moved < from.len() {
        let rest = Span::new(from.start + moved, from.end);
        let Some(Mapping { span, .. }) = find(rest, |_| true).map_err(|errno| (errno, moved))?
        else {
            break;
        };
        let before = span.start - from.start;
        // SAFETY: the caller answers for the memory.
        unsafe {
            calls::remap_to(
                span.start as usize,
                span.len() as usize,
                (to + before) as usize,
            )
        }
        .map_err(|errno| (errno, moved))?;
        moved = span.end - from.start;
    }
    Ok(())
}
