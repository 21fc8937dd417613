//! A process of its own that holds the program's memory as it was at one instant, and writes the image beside the program.
//!
//! Async-signal-safe: see `signal`. What fork(2) does not freeze, or does not copy, is copied before. So are files in memory,
//! which are memory already.

use core::sync::atomic::{AtomicU64, Ordering};

use ckpt_image::PAGE;
use ckpt_image::guards::Guard;
use ckpt_image::regions::{Backing, Region, vm_flags};
use ckpt_image::segments::Span;
use ckpt_sys::{Errno, MapVec, calls, proc};
use linux_raw_sys::general as n;
use linux_raw_sys::prctl as p;

use crate::apart;
use crate::collect::content::{PageTables, Pages, Run};
use crate::collect::descriptors::unnamed_files::{FileRun, Reader};
use crate::collect::memory::{Access, Memory};
use crate::collect::regions::{Mapped, Regions};
use crate::failure::{Doing, Failure};
use crate::report;
use crate::signal::Owned;

/// Memory that a forked process does not have as it was: shared with others who go on writing to it, not handed down
/// (`MADV_DONTFORK`), handed down empty (`MADV_WIPEONFORK`), taken away when the machine has no page for a copy (`MAP_HUGETLB`), or given up by
/// [`leave_unnamed_files`].
pub fn fork_loses(region: &Region<'_>) -> bool {
    region.backing() == Backing::SharedAnonymous
        || region.backing().is_shared_unnamed_file()
        || region.flags & (vm_flags::DONT_FORK | vm_flags::WIPE_ON_FORK | vm_flags::HUGETLB) != 0
}

/// Copies of such memory.
#[derive(Debug, Default)]
pub struct Kept {
    /// What was found.
    pages: Pages,
    /// The bytes of all runs, one after the other.
    bytes: MapVec<u8>,
    /// For each run, where its bytes begin and how many of them were there.
    places: MapVec<(usize, usize)>,
    /// The bytes of the stretches of files without a name, one after the other, and where each begins and ends.
    file_bytes: MapVec<u8>,
    file_places: MapVec<(usize, usize)>,
    /// Whether it is a copy of the process that writes the image, in which nothing else runs; otherwise the program stands
    /// still, and its own memory is read.
    for_a_copy: bool,
}

/// How much copies may take. The kernel promises more memory than there is, and would end the program when it is used.
struct Room {
    left: u64,
}

impl Room {
    /// A copy that takes more than this part of what is available leaves the rest of the machine too little.
    const PART: u64 = 2;

    /// What this machine has; no limit if it does not tell.
    fn here() -> Self {
        let available = proc::memory_info("MemAvailable");
        Self {
            left: available.map_or(u64::MAX, |bytes| bytes / Self::PART),
        }
    }

    fn take(&mut self, bytes: u64) -> Result<(), Failure> {
        let left = self.left.checked_sub(bytes).ok_or(Errno::ENOMEM);
        self.left = left.doing(format_args!("memory for a copy of what is shared"))?;
        Ok(())
    }
}

impl Kept {
    /// Copies all of it, and the stretches of files without a name.
    ///
    /// # Errors
    /// [`Failure`] if it cannot be read, or there is no memory for it.
    pub fn copy(regions: &Regions, file_runs: &[FileRun]) -> Result<Self, Failure> {
        let mut kept = Self {
            for_a_copy: true,
            ..Self::default()
        };
        let memory = Memory::open()?;
        let mut page_tables = PageTables::open(regions)?;
        let no_memory = format_args!("memory for a copy of what is shared");
        let mut room = Room::here();
        let list = regions.list().iter();
        for mapped in list.filter(|mapped| fork_loses(&mapped.region)) {
            let first = kept.pages.runs.len();
            page_tables.pages_of(mapped, &mut kept.pages)?;
            let access = Access::of(&mapped.region);
            for run in &kept.pages.runs[first..] {
                let (start, length) = (kept.bytes.len(), run.span.len() as usize);
                room.take(run.span.len())?;
                kept.bytes.extend_zeroed(length).doing(no_memory)?;
                let copied = memory.copy(*run, access, &mut kept.bytes[start..])?;
                kept.places.push((start, copied)).doing(no_memory)?;
            }
        }
        kept.copy_files(file_runs, &mut room)?;
        Ok(kept)
    }

    fn copy_files(&mut self, runs: &[FileRun], room: &mut Room) -> Result<(), Failure> {
        room.take(runs.iter().map(|run| u64::from(run.length)).sum())?;
        let no_memory = format_args!("memory for a copy of files in memory");
        let mut reader = Reader::new()?;
        for run in runs {
            let start = self.file_bytes.len();
            self.file_bytes
                .extend_zeroed(run.length as usize)
                .doing(no_memory)?;
            reader.read(run, &mut self.file_bytes[start..])?;
            self.file_places
                .push((start, self.file_bytes.len()))
                .doing(no_memory)?;
        }
        Ok(())
    }

    /// The bytes of the stretch number `index` of the files without a name, if they were copied before.
    pub fn file_bytes(&self, index: usize) -> Option<&[u8]> {
        let &(start, end) = self.file_places.get(index)?;
        Some(&self.file_bytes[start..end])
    }

    /// Whether it is a copy of the process that writes the image: then nobody else changes its private memory.
    pub fn is_for_a_copy(&self) -> bool {
        self.for_a_copy
    }

    /// The runs of a region, if they were looked for before.
    pub fn runs_of(&self, region: &Region<'_>) -> Option<&[Run]> {
        if !self.for_a_copy || !fork_loses(region) {
            return None;
        }
        let runs = &self.pages.runs;
        let first = runs.partition_point(|run| run.span.start < region.start);
        let end = runs.partition_point(|run| run.span.start < region.end);
        Some(&runs[first..end])
    }

    /// The guard pages of all regions whose runs were looked for before.
    pub fn guards(&self) -> &[Guard] {
        &self.pages.guards
    }

    /// The bytes of `span`, a part of one run, if they were copied before; fewer where there were fewer.
    pub fn bytes_of(&self, span: Span) -> Option<&[u8]> {
        let runs = &self.pages.runs;
        let index = runs.partition_point(|run| run.span.end <= span.start);
        let run = runs.get(index).filter(|run| run.span.start <= span.start)?;
        let (start, length) = self.places[index];
        let from = (span.start - run.span.start) as usize;
        let end = (from + span.len() as usize).min(length);
        Some(&self.bytes[start + from.min(end)..start + end])
    }
}

/// Something that the program tells the writer after the fork: how long it stood still, in nanoseconds.
#[derive(Debug)]
pub struct Pause {
    page: usize,
}

impl Pause {
    /// Before it is known.
    ///
    /// # Errors
    /// [`Failure`] if there is no memory for it.
    pub fn unknown() -> Result<Self, Failure> {
        let flags = n::MAP_SHARED | n::MAP_ANONYMOUS;
        // SAFETY: nothing that exists is changed.
        let page =
            unsafe { calls::map(0, PAGE as usize, n::PROT_READ | n::PROT_WRITE, flags, -1, 0) };
        page.map(|page| Self { page })
            .doing(format_args!("memory that is shared with the writer"))
    }

    fn word(&self) -> &AtomicU64 {
        // SAFETY: the page is ours as long as `self` lives, aligned, and used for nothing else.
        unsafe { &*(self.page as *const AtomicU64) }
    }

    /// Makes it known.
    pub fn is(&self, nanoseconds: u64) {
        self.word().store(nanoseconds, Ordering::Relaxed);
    }

    /// What is known, unless the program has not come so far.
    pub fn get(&self) -> Option<u64> {
        Some(self.word().load(Ordering::Relaxed)).filter(|&pause| pause != 0)
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours alone.
        let _ = unsafe { calls::unmap(self.page, PAGE as usize) };
    }
}

/// A process that writes an image.
#[derive(Clone, Copy, Debug)]
pub struct Writer {
    pid: i32,
    /// Since a process id may belong to somebody else by now: when it was started, in clock ticks since boot.
    start_time: u64,
}

impl Writer {
    const NOBODY: Self = Self {
        pid: 0,
        start_time: 0,
    };

    /// Waits until it has ended.
    pub fn wait(self) {
        while self.pid != 0 && proc::is_alive(self.pid, self.start_time) {
            if calls::wait_for_end_of(self.pid).is_err() {
                calls::sleep(MILLISECOND);
            }
        }
    }
}

const MILLISECOND: u64 = 1_000_000;

/// The last two writers, the newer one last. One may wait for the other, so that the newest image wins; before a third
/// is made, the program waits, or a program that is signalled all the time would pile up copies of its memory.
static WRITERS: Owned<[Writer; 2]> = Owned::new([Writer::NOBODY; 2]);

/// Forgets the writers: a restored process has none.
pub fn forget_writers() {
    // SAFETY: we run on libckpt's stack.
    unsafe { *WRITERS.get() = [Writer::NOBODY; 2] };
}

/// Makes a process that calls `write` and ends. When this returns, the process has a copy of all memory and none of the
/// program's descriptors but standard error, where it is still libckpt's.
///
/// # Errors
/// [`Failure`] if there is no memory for a copy, or no process is permitted.
pub fn fork(write: &mut dyn FnMut(Writer)) -> Result<(), Failure> {
    let doing = format_args!("a process that writes the image");
    // SAFETY: we run on libckpt's stack.
    let writers = unsafe { WRITERS.get() };
    let [before, predecessor] = *writers;
    before.wait();
    // The writer's parent is a process that ends at once, so that the writer is init's child and no zombie of the program's.
    let forked = apart::call(|| {
        // SAFETY: it is the only thread of its process; the others of the program are parked.
        let forked = close_descriptors().and_then(|()| unsafe { calls::fork_quietly() });
        if forked == Ok(0) {
            become_writer();
            write(predecessor);
            calls::exit(0);
        }
        forked
    });
    let pid = forked.and_then(|forked| forked).doing(doing)?;
    let start_time = proc::ProcessStat::of(pid).map_or(0, |stat| stat.start_time());
    *writers = [predecessor, Writer { pid, start_time }];
    Ok(())
}

/// Before the program goes on: a descriptor that stays open elsewhere keeps locks held, and pipes from ending.
fn close_descriptors() -> Result<(), Errno> {
    const STDERR: u32 = 2;
    if report::speaks() {
        calls::close_range(0, STDERR - 1, 0)?;
        calls::close_range(STDERR + 1, u32::MAX, 0)?;
    } else {
        calls::close_range(0, u32::MAX, 0)?;
    }
    Ok(())
}

/// Unmaps the files without a name that the program has mapped, of which the writer has copies: the kernel counts who has System V
/// shared memory attached, and a restart that counts the writer would take it for somebody with whom to share.
///
/// # Safety
/// The caller is the writer.
pub unsafe fn leave_unnamed_files(regions: &[Mapped<'_>]) {
    let regions = regions.iter().map(|mapped| &mapped.region);
    for region in regions.filter(|region| region.backing().is_shared_unnamed_file()) {
        // SAFETY: this is the writer's own copy of the address space, and it does not use the program's memory.
        let _ = unsafe { calls::unmap(region.start as usize, region.len() as usize) };
    }
}

/// What the writer may do without gets in nobody's way. None of it matters if it fails.
fn become_writer() {
    let name = c"ckpt-writer";
    // SAFETY: the option takes the address of a string.
    let _ = unsafe { calls::prctl(p::PR_SET_NAME, [name.as_ptr() as usize, 0, 0, 0]) };
    // A process that must not wait would keep others waiting.
    if matches!(
        calls::scheduler(0).map(|policy| policy as u32),
        Ok(n::SCHED_FIFO | n::SCHED_RR)
    ) {
        let _ = calls::schedule_ordinarily();
    }
    // Where memory runs out it is the copy that goes, and not the program.
    if let Ok(file) = calls::open(c"/proc/thread-self/oom_score_adj", n::O_WRONLY) {
        let _ = calls::write(file.number(), b"1000");
    }
}
