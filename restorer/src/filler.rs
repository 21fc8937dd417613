//! Fills memory from the image: reads, and checks what was read while it is still in the cache. On as many processors as there
//! are, since that is what a restart spends its time with.
//!
//! What is filled completely gets huge pages. No region of the program may have a flag for that which it did not have, so they
//! are filled in a mapping of our own that has the flag, and brought to their place (`mover`); where the kernel cannot do that, small
//! pages are made huge ones before they are filled.
//!
//! Who helps is a process that shares our memory and is reaped at the end. A thread would do as well but for its end, of which
//! the kernel does not tell when it is complete, and what follows wants no other thread to be there.

use core::arch::global_asm;
use core::ops::Range;
use core::slice;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use ckpt_image::memory_settings::MemoryPolicy;
use ckpt_image::segments::Span;
use ckpt_sys::processors::Processors;
use ckpt_sys::{Errno, MapVec, calls, files};
use linux_raw_sys::general as n;
use linux_raw_sys::prctl as p;
use restart::plan::HUGE_PAGE;
use restart::report::{Cause, Error, Exit, Object};

use crate::Result;
use crate::clone::create_thread;
use crate::image_file::ImageFile;
use crate::mover::Mover;
use crate::steps::no_huge_pages;

global_asm!(include_str!("../../asm/helper.S"), help = sym help);

unsafe extern "C" {
    /// See `asm/helper.S`.
    static helper_begin: u8;
}

/// Processes that help at most: with more, memory is what limits.
const HELPERS: usize = 3;

/// What is worth a process of its own, in bytes: filling that takes some fifty times as long as making and reaping one.
const WORTH_IT: u64 = 2 << 20;

/// How much of what gets no huge pages one process takes at one time, in bytes.
const SHARE: u64 = 8 << 20;

/// Stack of a helper, in bytes.
const STACK: usize = 64 << 10;

/// What is worth a [`Mover`], in bytes: bringing that much saves more time than setting one up takes.
const WORTH_BRINGING: u64 = 1 << 20;

/// Anonymous memory in which there is nothing yet.
#[derive(Clone, Copy)]
struct Fresh {
    span: Span,
    /// Whether pages are brought there. Nobody may touch what is missing then.
    is_registered: bool,
}

/// One thing to do, in the [`Fresh`] memory with the number `within`, [`NONE`] if in other memory.
#[derive(Clone, Copy)]
enum Job {
    /// What follows fills these huge pages.
    Enlarge { span: Span, within: usize },
    Fill {
        to: Span,
        offset: u64,
        checksum: u32,
        within: usize,
    },
}

impl Job {
    fn length(self) -> u64 {
        match self {
            Self::Enlarge { .. } => 0,
            Self::Fill { to, .. } => to.len(),
        }
    }

    fn enlarged(self) -> Option<Span> {
        match self {
            Self::Enlarge { span, .. } => Some(span),
            Self::Fill { .. } => None,
        }
    }
}

/// What is to be done, and how far it is.
pub struct Filler {
    fresh: MapVec<Fresh>,
    jobs: MapVec<Job>,
    stacks: MapVec<u8>,
    /// Room for each process that fills, for [`ImageFile::read_extent`].
    rooms: MapVec<u8>,
    /// The first job that nobody has taken.
    next: AtomicUsize,
    /// The first job that failed; all ones if none has.
    failed: AtomicUsize,
    /// Whether that was for want of memory.
    lacks_memory: AtomicBool,
    /// Whether the system's owner wants huge pages at all, and the kernel still has some.
    huge_pages: AtomicBool,
    /// Whether it does not matter through which mapping a page comes into being.
    may_move: bool,
}

/// What stands in the file below where huge pages are forbidden.
const NEVER: &[u8] = b"[never]";

const NONE: usize = usize::MAX;

impl Filler {
    /// Room for all that the image may have to fill.
    pub fn with_room_for(file: &ImageFile) -> Result<Self> {
        let no_memory_for_list = |errno| {
            Error::new(
                Exit::Host,
                Object::Thing("the list of what is to be read"),
                Cause::Failed("no memory for it", errno),
                "free memory or raise `ulimit -v`",
            )
        };
        let setting = files::read_small::<64>(c"/sys/kernel/mm/transparent_hugepage/enabled");
        let forbidden = |text: &[u8]| text.windows(NEVER.len()).any(|word| word == NEVER);
        let allowed = setting.is_ok_and(|text| !forbidden(text.as_bytes()));
        // No more are enlarged than filled.
        let count = 2 * file.image.extents().count();
        let regions = file.image.regions().count();
        Ok(Self {
            fresh: MapVec::with_capacity(regions).map_err(no_memory_for_list)?,
            jobs: MapVec::with_capacity(count).map_err(no_memory_for_list)?,
            stacks: MapVec::zeroed(HELPERS * STACK).map_err(no_memory_for_list)?,
            rooms: MapVec::zeroed((1 + HELPERS) * file.room_size()).map_err(no_memory_for_list)?,
            next: AtomicUsize::new(0),
            failed: AtomicUsize::new(NONE),
            lacks_memory: AtomicBool::new(false),
            huge_pages: AtomicBool::new(allowed),
            may_move: file.image.objects::<MemoryPolicy>().next().is_none(),
        })
    }

    /// Remembers anonymous memory in which there is nothing yet. What is remembered next lies there, or in none of that kind.
    pub fn expect(&mut self, span: Span) {
        self.fresh.push_into_room(Fresh {
            span,
            is_registered: false,
        });
    }

    /// Which of that memory `span` is in.
    fn within(&self, span: Span) -> usize {
        match self.fresh.last() {
            Some(last) if contains(last.span, span) => self.fresh.len() - 1,
            _ => NONE,
        }
    }

    /// Remembers memory that is to have huge pages, all of which what follows fills.
    pub fn enlarge(&mut self, span: Span) {
        let within = self.within(span);
        self.jobs.push_into_room(Job::Enlarge { span, within });
    }

    /// Remembers memory that is to be filled.
    pub fn fill(&mut self, to: Span, offset: u64, checksum: u32) {
        self.jobs.push_into_room(Job::Fill {
            to,
            offset,
            checksum,
            within: self.within(to),
        });
    }

    /// Does all that was remembered.
    ///
    /// # Safety
    /// All of it is mapped, writable, and nobody uses it.
    pub unsafe fn run(&mut self, file: &ImageFile) -> Result<()> {
        let length: u64 = self.jobs.iter().map(|job| job.length()).sum();
        let processors = Processors::of_this_thread();
        let useful = processors.count().min((length / WORTH_IT) as usize);
        let mover = self.prepare_to_bring();
        let work = Work::new(self, mover.as_ref(), file, processors);
        let mut helpers = [0; HELPERS];
        for (index, helper) in helpers
            .iter_mut()
            .take(useful.saturating_sub(1))
            .enumerate()
        {
            // SAFETY: the caller answers for the memory, and nothing that helps outlives this function.
            match unsafe { work.helper(index) } {
                Ok(pid) => {
                    *helper = pid;
                    // The kernel may have it wait for this one for longer than all of it takes.
                    let [_, elsewhere] = processors.here_and_elsewhere();
                    let _ = elsewhere.give(pid);
                }
                // No more processes are permitted: then it takes longer.
                Err(_) => break,
            }
        }
        work.until_done();
        let mut all_ended_well = true;
        let helpers = helpers.iter().filter(|&&helper| helper != 0);
        let all_have_begun =
            work.rooms_taken.load(Ordering::Relaxed) == 1 + helpers.clone().count();
        for &helper in helpers {
            if !all_have_begun {
                // Where it is, it may have to wait for others; here it ends at once, since there is nothing more to do.
                let [here, _] = processors.here_and_elsewhere();
                let _ = here.give(helper);
            }
            all_ended_well &= calls::wait_for(helper) == Ok(0);
        }
        match self.failed.load(Ordering::Relaxed) {
            NONE if all_ended_well => {
                self.jobs.truncate(0);
                self.fresh.truncate(0);
                Ok(())
            }
            NONE => Err(Error::new(
                Exit::Host,
                Object::Thing("a process that reads the image"),
                Cause::Because("it was killed"),
                "free memory, or try again",
            )),
            _ if *self.lacks_memory.get_mut() => Err(no_memory(Errno::ENOMEM)),
            // Once more, to say what is wrong.
            index => {
                drop(mover);
                let work = Work::new(self, None, file, processors);
                work.fill(index, &mut work.begin())?;
                Err(file.error(
                    Cause::Because("it changes while it is read"),
                    "leave it alone and try again",
                ))
            }
        }
    }

    /// Finds out where pages can be brought.
    fn prepare_to_bring(&mut self) -> Option<Mover> {
        let is_fresh = |job: &Job| matches!(*job, Job::Fill { within, .. } if within != NONE);
        let jobs = self.jobs.iter().filter(|job| is_fresh(job));
        if !self.may_move || jobs.map(|job| job.length()).sum::<u64>() < WORTH_BRINGING {
            return None;
        }
        let mover = Mover::new(1 + HELPERS).ok()?;
        for fresh in self.fresh.iter_mut() {
            // SAFETY: whoever has them done answers for the memory.
            fresh.is_registered = unsafe { mover.register(fresh.span) };
        }
        Some(mover)
    }
}

/// What those who fill have in common.
struct Work<'w> {
    filler: &'w Filler,
    mover: Option<&'w Mover>,
    file: &'w ImageFile,
    /// Where they may run.
    processors: Processors,
    /// How many of them have taken their room.
    rooms_taken: AtomicUsize,
}

/// What each of them has for itself.
struct Own<'w> {
    /// For [`ImageFile::read_extent`].
    room: &'w mut [u8],
    /// What it has backed by huge pages last.
    enlarged: Span,
    /// What it fills in a room of its own to be moved, and where that is.
    moved: Span,
    mover_room: u64,
    /// Where it fills what is to be copied.
    buffer: u64,
}

impl<'w> Work<'w> {
    fn new(
        filler: &'w Filler,
        mover: Option<&'w Mover>,
        file: &'w ImageFile,
        processors: Processors,
    ) -> Self {
        Self {
            filler,
            mover,
            file,
            processors,
            rooms_taken: AtomicUsize::new(0),
        }
    }

    /// What the process that asks, once, has for itself.
    fn begin(&self) -> Own<'w> {
        let size = self.filler.rooms.len() / (1 + HELPERS);
        let number = self.rooms_taken.fetch_add(1, Ordering::Relaxed);
        let at = self.filler.rooms.as_ptr() as usize + number * size;
        Own {
            // SAFETY: no more than the one who has begun the work and those who help ask for it, and each gets its own.
            room: unsafe { slice::from_raw_parts_mut(at as *mut u8, size) },
            enlarged: Span::new(0, 0),
            moved: Span::new(0, 0),
            mover_room: self.mover.map_or(0, |mover| mover.room_of(number)),
            buffer: self.mover.map_or(0, |mover| mover.buffer_of(number)),
        }
    }

    /// Creates a process that helps; its id.
    ///
    /// # Safety
    /// It is waited for before `self` goes away, and before anybody uses what is filled.
    unsafe fn helper(&self, index: usize) -> core::result::Result<i32, Errno> {
        let stack = self.filler.stacks.span();
        let top = stack.start + ((index + 1) * STACK) as u64 - 16;
        let flags = n::CLONE_VM | n::CLONE_FS | n::CLONE_FILES | n::CLONE_UNTRACED;
        let arguments = [u64::from(flags), top, 0, 0, 0];
        // SAFETY: (1) this part of the stacks is nobody else's, and the address is aligned; (2) the caller answers for the rest.
        let created = unsafe {
            (top as *mut *const Self).write(self);
            create_thread(n::__NR_clone, &arguments, &raw const helper_begin as u64)
        };
        Errno::check(created).map(|pid| pid as i32)
    }

    /// Takes jobs as long as there are any and none has failed.
    fn until_done(&self) {
        let mut own = self.begin();
        while self.filler.failed.load(Ordering::Relaxed) == NONE {
            let Some(share) = self.take() else {
                return;
            };
            for index in share {
                if self.fill(index, &mut own).is_err() {
                    self.filler.failed.fetch_min(index, Ordering::Relaxed);
                    return;
                }
            }
        }
    }

    /// Takes the next jobs.
    fn take(&self) -> Option<Range<usize>> {
        let take = |first| {
            let end = self.end_of_share(first);
            (end != first).then_some(end)
        };
        let next = &self.filler.next;
        let first = next
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .ok()?;
        Some(first..self.end_of_share(first))
    }

    /// Where the share that begins with the job `first` ends: what belongs to the same huge pages stays together.
    fn end_of_share(&self, first: usize) -> usize {
        let jobs = &self.filler.jobs[first..];
        let enlarged = jobs.first().and_then(|job| job.enlarged());
        let belongs_to_first = |job: &Job| match *job {
            Job::Fill { to, .. } => enlarged.is_some_and(|span| contains(span, to)),
            Job::Enlarge { .. } => false,
        };
        let mut length = 0;
        let is_behind = |(index, job): &(usize, &Job)| {
            let is_full = length >= SHARE && !belongs_to_first(job);
            length += job.length();
            is_full || *index != 0 && job.enlarged().is_some()
        };
        let end = jobs.iter().enumerate().find(is_behind);
        first + end.map_or(jobs.len(), |(index, _)| index)
    }

    /// Who brings pages to the memory number `within`, if they have to be.
    fn mover_to(&self, within: usize) -> Option<&'w Mover> {
        let fresh = self.filler.fresh.get(within)?;
        self.mover.filter(|_| fresh.is_registered)
    }

    /// Does one job.
    fn fill(&self, index: usize, own: &mut Own<'_>) -> Result<()> {
        let (to, offset, checksum, mover) = match self.filler.jobs[index] {
            Job::Enlarge { span, within } => {
                self.enlarge(span, self.mover_to(within).is_some(), own);
                return Ok(());
            }
            Job::Fill {
                to,
                offset,
                checksum,
                within,
            } => (to, offset, checksum, self.mover_to(within)),
        };
        let is_moved = contains(own.moved, to);
        let at = match mover {
            Some(_) if is_moved => own.mover_room + (to.start - own.moved.start),
            Some(_) => own.buffer,
            None => to.start,
        };
        // SAFETY: whoever has begun the work answers for the memory, and room and buffer are this process's own; no two jobs
        // have any in common.
        let bytes = unsafe { slice::from_raw_parts_mut(at as *mut u8, to.len() as usize) };
        // Asking for what is there would wait for others, who enlarge theirs.
        let is_there = mover.is_some() || contains(own.enlarged, to);
        // Only huge pages that were not reserved when they were mapped can be missing.
        if !is_there && populate(to) == Err(Errno::EFAULT) {
            return Err(no_huge_pages(to, Errno::EFAULT));
        }
        let read = self.file.read_extent(bytes, offset, checksum, own.room);
        read.map_err(|error| match error.cause {
            Cause::Failed(_, Errno::EFAULT) => no_huge_pages(to, Errno::EFAULT),
            _ => error,
        })?;
        match mover {
            Some(_) if is_moved && to.end == own.moved.end => self.bring(own),
            Some(mover) if !is_moved => {
                mover.copy(at, to).map_err(|errno| self.lacks_memory(errno))
            }
            _ => Ok(()),
        }
    }

    /// Sees to it that what fills `span` next gets huge pages, if there are any.
    fn enlarge(&self, span: Span, is_brought: bool, own: &mut Own<'_>) {
        let wanted = &self.filler.huge_pages;
        (own.enlarged, own.moved) = (Span::new(0, 0), Span::new(0, 0));
        if !wanted.load(Ordering::Relaxed) {
            return;
        }
        if is_brought {
            own.moved = span;
            return;
        }
        // SAFETY: whoever has begun the work answers for the memory.
        if unsafe { collapse(span) } {
            own.enlarged = span;
        } else {
            wanted.store(false, Ordering::Relaxed);
        }
    }

    /// Brings what was filled in the room of the process to where it belongs.
    fn bring(&self, own: &mut Own<'_>) -> Result<()> {
        let span = core::mem::replace(&mut own.moved, Span::new(0, 0));
        if let Some(mover) = self.mover {
            // SAFETY: whoever has begun the work answers for the memory, and the room is this process's own.
            let brought = unsafe { mover.bring(own.mover_room, span) };
            if brought != Ok(true) {
                self.filler.huge_pages.store(false, Ordering::Relaxed);
            }
            brought.map_err(|errno| self.lacks_memory(errno))?;
        }
        Ok(())
    }

    fn lacks_memory(&self, errno: Errno) -> Error<'static> {
        self.filler.lacks_memory.store(true, Ordering::Relaxed);
        no_memory(errno)
    }
}

fn no_memory(errno: Errno) -> Error<'static> {
    Error::new(
        Exit::Host,
        Object::Thing("the program's memory"),
        Cause::Failed("there is none for it", errno),
        "free memory",
    )
}

fn contains(whole: Span, part: Span) -> bool {
    whole.intersection(&part) == Some(part)
}

/// Has the kernel put pages into `span`, all at once: reading into it would fault for each of them, and take a third more time.
/// `EFAULT` says that there are none to be had. Reading would say so, too, but what is decompressed is written without the kernel. A
/// kernel before 5.14 cannot do it (`EINVAL`).
fn populate(span: Span) -> core::result::Result<(), Errno> {
    let (start, length) = (span.start as usize, span.len() as usize);
    // SAFETY: the content stays as it is.
    unsafe { calls::advise(start, length, n::MADV_POPULATE_WRITE) }
}

/// Entered from asm/helper.S in a process that helps.
extern "C" fn help(work: &Work<'_>) -> ! {
    // What it does is of no use without the restorer.
    // SAFETY: the option takes a number.
    let _ = unsafe { calls::prctl(p::PR_SET_PDEATHSIG, [n::SIGKILL as usize, 0, 0, 0]) };
    // Once it runs, it may run anywhere.
    let _ = work.processors.give(0);
    work.until_done();
    calls::exit(0)
}

/// Backs `span`, which is private memory, by huge pages: filling it then takes half of the time. `MADV_COLLAPSE` leaves no
/// flag behind that the program could see, unlike `MADV_HUGEPAGE`. It wants one page of each huge one to be there. One
/// call for all of them, since each call begins with work on all processors (`madvise_collapse` in mm/khugepaged.c).
///
/// # Safety
/// The memory is mapped writable; the first page of each huge one is empty, and nobody else's.
unsafe fn collapse(span: Span) -> bool {
    for at in (span.start..span.end).step_by(HUGE_PAGE as usize) {
        // SAFETY: the caller answers for the memory; writing a zero to empty memory changes nothing.
        unsafe { (at as *mut u8).write_volatile(0) };
    }
    let (start, length) = (span.start as usize, span.len() as usize);
    // SAFETY: this changes no content.
    unsafe { calls::advise(start, length, n::MADV_COLLAPSE) }.is_ok()
}
