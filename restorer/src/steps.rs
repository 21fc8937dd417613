//! Carries out the steps of stage 1.

use core::slice;

use ckpt_image::memory_settings::MemoryPolicy;
use ckpt_image::page_up;
use ckpt_image::regions::{Backing, FileIdentity};
use ckpt_image::segments::Span;
use ckpt_sys::{Errno, Fd, Line, calls, files, protection_keys, system_v};
use linux_raw_sys::general as n;
use linux_raw_sys::prctl as p;
use restart::files::can_be_mapped;
use restart::moves::Moves;
use restart::plan::{MappedFile, Step};
use restart::report::{Cause, Error, Exit, Object};

use crate::contents::{changing, open_mapped};
use crate::filler::Filler;
use crate::image_file::ImageFile;
use crate::open_files::{Found, UnnamedFiles, open_again};
use crate::owners::Owners;
use crate::{Result, output};

/// Carries out one step after the other.
pub struct Executor<'f> {
    image: &'f ImageFile,
    /// Files without a name.
    unnamed: &'f UnnamedFiles,
    /// Where files are now.
    moves: Moves<'static>,
    /// The file that was mapped last: its parts follow each other.
    mapped: Option<(&'static [u8], FileIdentity, Backing, Fd)>,
    /// The words that hold a thread id.
    owners: &'f mut Owners,
    /// What is to be filled.
    filler: &'f mut Filler,
}

fn failed(span: Span, step: &'static str) -> impl Fn(Errno) -> Error<'static> {
    move |errno| {
        Error::new(
            Exit::Host,
            Object::Memory(span),
            Cause::Failed(step, errno),
            "free memory, or raise its limits (ulimit -v, vm.max_map_count, vm.overcommit_memory)",
        )
    }
}

/// What there is to say when the huge pages that were set aside are used up.
pub fn no_huge_pages(span: Span, errno: Errno) -> Error<'static> {
    Error::new(
        Exit::Host,
        Object::Memory(span),
        Cause::Failed("cannot be had in huge pages", errno),
        "set more of them aside (sysctl vm.nr_hugepages)",
    )
}

fn parts(span: Span) -> (usize, usize) {
    (span.start as usize, span.len() as usize)
}

impl<'f> Executor<'f> {
    /// One that reads from `image` by `filler`, and notes the words that hold a thread id in `owners`.
    pub fn new(
        image: &'f ImageFile,
        unnamed: &'f UnnamedFiles,
        moves: Moves<'static>,
        filler: &'f mut Filler,
        owners: &'f mut Owners,
    ) -> Self {
        Self {
            image,
            unnamed,
            moves,
            mapped: None,
            owners,
            filler,
        }
    }

    /// Carries out `step`.
    ///
    /// # Safety
    /// The step belongs to a plan that was made for this address space as it is: what it writes to or changes was
    /// mapped by an earlier step of that plan.
    pub unsafe fn execute(&mut self, step: Step<'static>) -> Result<()> {
        // SAFETY: of all calls below: the caller answers for the addresses, and MAP_FIXED_NOREPLACE never replaces a mapping.
        unsafe {
            match step {
                Step::Map {
                    span,
                    protection,
                    flags,
                    file,
                } => {
                    if let Some(file) = file
                        && let Some(Found::Segment(id)) = self.unnamed.find(&file.identity)
                        && file.backing.is_unnamed_file()
                    {
                        return attach(id, span, protection, &file)
                            .map_err(failed(span, "cannot be attached: System V shared memory"));
                    }
                    let (fd, offset) = match file {
                        Some(file) => (self.open(&file)?, file.offset),
                        None => (-1, 0),
                    };
                    let map = |flags| match file {
                        Some(_) => map_new(span, protection, flags, fd, offset),
                        None => map_memory(span, protection, flags),
                    };
                    match map(flags) {
                        // A kernel before 6.11 keeps its content, which is empty.
                        Err(Errno::EINVAL | Errno::EOPNOTSUPP) if flags & n::MAP_DROPPABLE != 0 => {
                            map(flags & !n::MAP_DROPPABLE | n::MAP_PRIVATE | n::MAP_NORESERVE)
                        }
                        Err(errno @ Errno::EPERM) if file.is_some() => match &self.mapped {
                            Some((_, _, Backing::PrivateUnnamedFile, fd)) => {
                                copy_of_file(span, protection, fd, offset)
                            }
                            _ => Err(errno),
                        },
                        Err(errno) if flags & n::MAP_HUGETLB != 0 => {
                            return Err(no_huge_pages(span, errno));
                        }
                        result => result,
                    }
                    .map_err(failed(span, "cannot be mapped"))
                }
                Step::MapImage {
                    piece,
                    protection,
                    flags,
                } => {
                    let fd = self.image.fd.number();
                    map_new(piece.span, protection, flags, fd, piece.offset)
                        .map_err(failed(piece.span, "cannot be mapped from the image"))
                }
                Step::Duplicate { from, to } => {
                    let (start, length) = parts(from);
                    let span = Span::new(to, to + from.len());
                    calls::duplicate_mapping(start, length, to as usize)
                        .map_err(failed(span, "cannot be mapped a second time"))
                }
                Step::Fresh(span) => {
                    self.filler.expect(span);
                    Ok(())
                }
                Step::Enlarge(span) => {
                    self.filler.enlarge(span);
                    Ok(())
                }
                Step::Fill {
                    to,
                    offset,
                    checksum,
                } => {
                    self.filler.fill(to, offset, checksum);
                    Ok(())
                }
                Step::Filled => self.filler.run(self.image),
                Step::Write { at, code } => {
                    (at as *mut [u8; restart::vdso::CODE_SIZE]).write_unaligned(code);
                    Ok(())
                }
                Step::NoteOwner { at } => {
                    self.owners.note(at);
                    Ok(())
                }
                Step::Protect {
                    span,
                    protection,
                    key,
                } => {
                    let (start, length) = parts(span);
                    match key {
                        0 => calls::protect(start, length, protection),
                        _ => protection_keys::protect(start, length, protection, key),
                    }
                    .map_err(failed(span, "cannot be given its protection"))
                }
                Step::Advise {
                    span,
                    advice,
                    needed,
                } => {
                    let (start, length) = parts(span);
                    match calls::advise(start, length, advice) {
                        Err(errno) if needed => {
                            Err(failed(span, "cannot be given its flags")(errno))
                        }
                        // A hint that this kernel does not take changes no result.
                        _ => Ok(()),
                    }
                }
                Step::Policy(MemoryPolicy {
                    start,
                    end,
                    mode,
                    nodes,
                }) => {
                    let span = Span::new(start, end);
                    let (start, length) = parts(span);
                    if let Err(errno) = calls::set_memory_policy(start, length, mode, &nodes) {
                        output::warn(format_args!(
                            "{}: cannot be given its memory policy: {errno}; the program goes on without",
                            Object::Memory(span)
                        ));
                    }
                    Ok(())
                }
                Step::Guard(span) => {
                    let (start, length) = parts(span);
                    match calls::advise(start, length, n::MADV_GUARD_INSTALL) {
                        // A kernel before 6.13, or 6.15 where there is a file, can only take the permissions away.
                        Err(Errno::EINVAL) => calls::protect(start, length, n::PROT_NONE),
                        result => result,
                    }
                    .map_err(failed(span, "cannot be made a guard page"))
                }
                Step::Lock { span, on_fault } => {
                    let (start, length) = parts(span);
                    let locked = calls::lock_memory_on_fault(start, length);
                    if !on_fault {
                        // It is locked by now, and only that pages cannot be had, without permissions or behind the end of
                        // a file, is an error (`do_mlock` in mm/mlock.c): so it was for the program.
                        let _ = calls::lock_memory(start, length);
                    }
                    if let Err(errno) = locked {
                        output::warn(format_args!(
                            "{}: cannot be locked: {errno}; the program goes on without",
                            Object::Memory(span)
                        ));
                    }
                    Ok(())
                }
                Step::Name(span, name) => {
                    let (start, length) = parts(span);
                    let mut text = Line::<81>::new();
                    text.push(name);
                    let name = text.as_c_str().as_ptr() as usize;
                    let option = p::PR_SET_VMA_ANON_NAME as usize;
                    // A name is for people only; a kernel without the option shows none.
                    let _ = calls::prctl(p::PR_SET_VMA, [option, start, length, name]);
                    Ok(())
                }
                Step::Unmap(span) => {
                    let (start, length) = parts(span);
                    calls::unmap(start, length).map_err(failed(span, "cannot be unmapped"))
                }
            }
        }
    }

    /// Opens a file to be mapped, unless it is the one that was mapped last.
    fn open(&mut self, file: &MappedFile<'static>) -> Result<i32> {
        if let Some((path, identity, backing, fd)) = &self.mapped
            && *path == file.path
            && *identity == file.identity
            && *backing == file.backing
        {
            return Ok(fd.number());
        }
        let not_opened = |errno| {
            Error::new(
                Exit::Resource,
                Object::Path(file.path),
                Cause::Failed("cannot be opened", errno),
                "leave the file alone and try again",
            )
        };
        let fd = if file.backing.is_unnamed_file() {
            // What cannot be written through the mapping was opened for reading, or sealed, which it will be. Who opens a file in
            // memory for writing once more keeps it from being executed.
            match self.unnamed.find(&file.identity) {
                Some(Found::File(fd)) if file.backing == Backing::SharedUnnamedFile => {
                    calls::fcntl(fd, n::F_DUPFD_CLOEXEC, 0).map(|fd| Fd::owning(fd as i32))
                }
                Some(Found::File(fd)) => open_again(fd, n::O_RDONLY),
                _ => Err(Errno::ENOENT),
            }
            .map_err(not_opened)?
        } else {
            let in_place = file.backing == Backing::SharedFile;
            let (fd, now) = open_mapped(file.path, in_place, self.moves).map_err(not_opened)?;
            if !in_place && !can_be_mapped(&file.identity, &now, file.is_thin) {
                return Err(changing(file.path));
            }
            fd
        };
        let number = fd.number();
        self.mapped = Some((file.path, file.identity, file.backing, fd));
        Ok(number)
    }
}

/// Attaches the part of the System V shared memory `id` that `file` names at `span`, where nothing is mapped yet. The kernel
/// attaches wholes only, and maps what is shared a second time as one likes.
fn attach(
    id: i32,
    span: Span,
    protection: u32,
    file: &MappedFile<'_>,
) -> core::result::Result<(), Errno> {
    let flags = if file.backing == Backing::SharedUnnamedFile {
        0
    } else {
        system_v::READ_ONLY
    };
    let whole = system_v::attach(id, flags)?;
    let (start, length) = parts(span);
    let anonymous = n::MAP_PRIVATE | n::MAP_ANONYMOUS | n::MAP_NORESERVE;
    // SAFETY: (1) the place is ours once it could be mapped; (2) the whole was attached for us, and nobody uses it.
    unsafe {
        let part = map_new(span, n::PROT_NONE, anonymous, -1, 0)
            .and_then(|()| calls::duplicate_mapping(whole + file.offset as usize, length, start))
            .and_then(|()| calls::protect(start, length, protection));
        system_v::detach(whole).and(part)
    }
}

/// Maps memory with what the file holds from `offset` on, in the place of the file, which is where nothing may be executed.
fn copy_of_file(
    span: Span,
    protection: u32,
    fd: &Fd,
    offset: u64,
) -> core::result::Result<(), Errno> {
    let (start, length) = parts(span);
    let writable = n::PROT_READ | n::PROT_WRITE;
    map_new(span, writable, n::MAP_PRIVATE | n::MAP_ANONYMOUS, -1, 0)?;
    // SAFETY: it was just mapped, and nobody uses it.
    let bytes = unsafe { slice::from_raw_parts_mut(start as *mut u8, length) };
    // There is nothing behind its end.
    files::read_at(fd, bytes, offset)?;
    // SAFETY: as above.
    unsafe { calls::protect(start, length, protection) }
}

/// Maps memory without a file at `span`, where nothing is mapped yet: in pieces, which become one, if that is more than the kernel gives
/// at one time. It has at least what the machine has (`__vm_enough_memory` in mm/util.c), and the program has come by it piece by piece.
fn map_memory(span: Span, protection: u32, flags: u32) -> core::result::Result<(), Errno> {
    /// What every machine gives at one time, in bytes.
    const LITTLE: u64 = 256 << 20;
    let becomes_one = flags & (n::MAP_SHARED | n::MAP_GROWSDOWN | n::MAP_HUGETLB) == 0;
    match map_new(span, protection, flags, -1, 0) {
        Err(Errno::ENOMEM) if span.len() > LITTLE && becomes_one => {
            let middle = page_up(span.start + span.len() / 2);
            map_memory(Span::new(span.start, middle), protection, flags)?;
            map_memory(Span::new(middle, span.end), protection, flags)
        }
        result => result,
    }
}

/// Maps `span`, where nothing is mapped yet.
///
/// # Errors
/// `EEXIST` if something is.
pub fn map_new(
    span: Span,
    protection: u32,
    flags: u32,
    fd: i32,
    offset: u64,
) -> core::result::Result<(), Errno> {
    let (start, length) = parts(span);
    // SAFETY: this flag leaves alone whatever is mapped.
    let at = unsafe {
        calls::map(
            start,
            length,
            protection,
            flags | n::MAP_FIXED_NOREPLACE,
            fd,
            offset,
        )?
    };
    if at == start {
        Ok(())
    } else {
        // A kernel before 4.17 takes the address for a hint.
        Err(Errno::EEXIST)
    }
}
