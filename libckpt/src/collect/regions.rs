//! The address space: `/proc/thread-self/maps`, and from `/proc/thread-self/smaps` what maps does not say.
//!
//! The kernel counts every page of the process for smaps, which takes as long as a fork. So it is read by the copy of the process
//! that writes the image, wherever that can know what it says of the program.

mod linked_files;
mod policies;

use core::ffi::CStr;

use ckpt_image::PAGE;
use ckpt_image::memory_settings::{FutureLocks, PROTECTION_KEYS, ProtectionKeys};
use ckpt_image::objects::system_v;
use ckpt_image::regions::{Backing, FileIdentity, Region, vm_flags};
use ckpt_image::segments::Span;
use ckpt_sys::bytes::{decimal, fields, lines};
use ckpt_sys::line::Text;
use ckpt_sys::line_reader::LineReader;
use ckpt_sys::maps::{MapsLine, path_of};
use ckpt_sys::proc::{self, ProcessStat, Status};
use ckpt_sys::{Fd, Line, MapVec, calls, files, protection_keys};
use linux_raw_sys::general as n;

use crate::collect::descriptors::objects::Objects;
use crate::collect::descriptors::{hidden_files, unnamed_files};
use crate::collect::process_settings;
use crate::failure::{Doing, Failure, failure};
use crate::{interpose, lazy, snapshot};

/// A region, and what only the checkpoint wants to know about it.
#[derive(Clone, Copy, Debug)]
pub struct Mapped<'t> {
    /// The region.
    pub region: Region<'t>,
    /// Whether some of it is in swap space.
    pub swapped: bool,
    /// Whether smaps shows it.
    is_in_smaps: bool,
    /// Its memory policy: which one of those that were found, counted from 1; 0 is none.
    policy: usize,
}

/// The text of maps. It is read to its end before anything else is mapped.
#[derive(Debug)]
pub struct MapsText {
    text: MapVec<u8>,
}

/// Room for lines that appear between two readings, in bytes.
const SLACK: usize = 64 << 10;
/// The shortest line of maps, in bytes.
const SHORTEST_LINE: usize = 40;

impl MapsText {
    /// Room for the text as it is now.
    ///
    /// # Errors
    /// [`Failure`] if the file cannot be read or there is no memory.
    fn allocate() -> Result<Self, Failure> {
        let mut length = 0;
        let fd = open_maps()?;
        let mut chunk = [0; 4096];
        loop {
            match files::read_up_to(&fd, &mut chunk)
                .doing(format_args!("/proc/thread-self/maps"))?
            {
                0 => break,
                count => length += count,
            }
        }
        let text =
            MapVec::zeroed(length + SLACK).doing(format_args!("memory for the list of regions"))?;
        Ok(Self { text })
    }

    fn read(&mut self) -> Result<(), Failure> {
        let length = files::read_up_to(&open_maps()?, &mut self.text)
            .doing(format_args!("/proc/thread-self/maps"))?;
        if length == self.text.len() {
            return Err(failure!(
                "/proc/thread-self/maps: it grows while it is read; send the signal again"
            ));
        }
        self.text.truncate(length);
        Ok(())
    }
}

fn open_maps() -> Result<Fd, Failure> {
    calls::open(c"/proc/thread-self/maps", n::O_RDONLY)
        .doing(format_args!("/proc/thread-self/maps"))
}

/// All regions of the program, and the memory that they refer to.
#[derive(Debug)]
pub struct Regions {
    // The regions borrow from the text, which stays where it is; `list` hands them out with its lifetime.
    text: MapsText,
    #[expect(dead_code, reason = "the regions borrow from this, too")]
    names: MapVec<u8>,
    list: MapVec<Mapped<'static>>,
    of_image: MapVec<Span>,
    thin: bool,
    /// What is known of the memory beside the regions.
    objects: Objects,
}

/// Who reads in smaps what maps does not say.
#[derive(Clone, Copy, Debug)]
pub enum Reader {
    /// The program itself, while it stands still.
    Program,
    /// A copy of the process with this id, which goes on meanwhile.
    CopyOf(i32),
}

impl Regions {
    /// Reads what maps says of them, without what lies in `not_programs`, which is mapped for the checkpoint. What mapped files
    /// still hold is left out of the image if `thin`, where the files have names.
    ///
    /// # Errors
    /// [`Failure`] if one is of a kind that cannot be restored.
    pub fn collect(not_programs: Span, thin: bool) -> Result<Self, Failure> {
        let mut maps = MapsText::allocate()?;
        let lines_at_most = maps.text.len() / SHORTEST_LINE;
        let mut list = MapVec::<Mapped<'static>>::with_capacity(lines_at_most)
            .doing(format_args!("memory for the list of regions"))?;
        let mut of_image = if lazy::is_in_use() {
            MapVec::with_capacity(lines_at_most)
                .doing(format_args!("memory for the list of regions"))?
        } else {
            MapVec::new()
        };
        // From here to the end of the reading nothing is mapped: what is ours is known, and is left out.
        let mut ours = [maps.text.span(), list.span(), of_image.span(), not_programs];
        ours.sort_unstable_by_key(|span| span.start);
        maps.read()?;

        // SAFETY: the text lives as long as `self`, is never changed again, and does not move with it.
        let text: &'static [u8] =
            unsafe { core::slice::from_raw_parts(maps.text.as_ptr(), maps.text.len()) };
        let mut last_file = LastFile::default();
        let heap = heap();
        for line in lines(text) {
            let line = MapsLine::parse(line).ok_or_else(|| {
                failure!(
                    "/proc/thread-self/maps: the line `{}` is of an unknown form",
                    Text(line)
                )
            })?;
            if line.is_vsyscall() {
                continue;
            }
            let region = if lazy::is_of_image(&line) {
                of_image
                    .push(line.span)
                    .doing(format_args!("memory for the list of regions"))?;
                as_before(&line, heap)
            } else {
                describe(&line, &mut last_file)?
            };
            for span in without(line.span, &ours) {
                let offset = if region.backing() == Backing::Anonymous {
                    0
                } else {
                    region.offset
                };
                let region = Region {
                    start: span.start,
                    end: span.end,
                    offset,
                    ..region
                };
                list.push(Mapped {
                    region,
                    swapped: false,
                    is_in_smaps: false,
                    policy: 0,
                })
                .doing(format_args!("memory for the list of regions"))?;
            }
        }
        let names = linked_files::find(&mut list)?;
        Ok(Self {
            text: maps,
            names,
            list,
            of_image,
            thin,
            objects: Objects::default(),
        })
    }

    /// Whether a copy of the process can know what smaps says of the program: none of its memory is locked, which the copy's
    /// is not; none of it is missing in the copy; and what the copy is not to read has no pages in swap space.
    pub fn can_be_read_by_copy(&self) -> bool {
        let is_locked = Status::read().is_ok_and(|status| status.decimal("VmLck") != 0);
        let is_in_huge_pages = |mapped: &Mapped<'_>| mapped.region.name == HUGE_PAGES;
        let is_kept = |mapped: &Mapped<'_>| snapshot::fork_loses(&mapped.region);
        let is_something_unknown = is_locked
            || interpose::has_kept_memory_from_forks()
            || self.list.iter().any(is_in_huge_pages)
            || self.list.iter().any(is_kept) && proc::swaps();
        !is_something_unknown
    }

    /// Adds what smaps says, and what the kernel tells of each region by its address.
    ///
    /// # Errors
    /// [`Failure`] if one is of a kind that cannot be restored, or a copy of the process lacks it.
    pub fn add_details(&mut self, reader: Reader) -> Result<(), Failure> {
        let overall = add_smaps(&mut self.list, self.text.text.span())?;
        if overall.has_keys
            && let Some(keys) = find_keys(&mut self.list)
        {
            self.objects.add(&keys)?;
        }
        if let Reader::CopyOf(pid) = reader {
            self.check_copy_of(pid)?;
        }
        if self.thin {
            self.for_each_mut(|region| {
                if region.backing().can_be_thin() && !region.file.is_unknown() {
                    region.flags |= vm_flags::THIN;
                }
            });
        }
        if process_settings::has_no_huge_pages() {
            self.for_each_mut(|region| region.flags |= vm_flags::SMALL_PAGES);
        }
        let policies = policies::find(&mut self.list)?;
        merge(&mut self.list);
        for Mapped { region, policy, .. } in self.list.iter() {
            if let Some(policy) = policies.get(policy.wrapping_sub(1)) {
                self.objects.add(&policy.of(region))?;
            }
        }
        match overall.future_locks {
            0 => Ok(()),
            flags => self.objects.add(&FutureLocks { flags }),
        }
    }

    /// Makes sure that the caller, a copy of process `pid`, has all that is to be saved.
    fn check_copy_of(&self, pid: i32) -> Result<(), Failure> {
        // Droppable memory has no content that is saved.
        let is_missing = |mapped: &&Mapped<'_>| {
            let flags = mapped.region.flags & (vm_flags::WIPE_ON_FORK | vm_flags::DROPPABLE);
            !mapped.is_in_smaps || flags == vm_flags::WIPE_ON_FORK
        };
        if let Some(missing) = self.list.iter().find(is_missing) {
            return Err(failure!(
                "memory at {:#x}: the program has kept it from forked processes by a system call of its own, so it must stand still \
                 for a checkpoint; start it with CKPT_MODE=stop",
                missing.region.start
            ));
        }
        refuse_watched(pid)
    }

    /// What is known of the memory beside the regions.
    pub fn objects(&self) -> &Objects {
        &self.objects
    }

    /// The regions, in ascending order.
    pub fn list(&self) -> &[Mapped<'_>] {
        &self.list
    }

    /// Calls `change` for each region.
    pub fn for_each_mut(&mut self, mut change: impl for<'r> FnMut(&mut Region<'r>)) {
        for mapped in self.list.iter_mut() {
            change(&mut mapped.region);
        }
    }

    /// The parts of them that are mapped from the image since a lazy restart, in ascending order. All of their pages have
    /// content, wherever it is at the moment.
    pub fn of_image(&self) -> &[Span] {
        &self.of_image
    }
}

/// Where the heap is that brk(2) knows.
fn heap() -> Span {
    let start = ProcessStat::of_this_thread().map_or(0, |stat| stat.field(START_BRK));
    Span::new(start, calls::heap_end().unwrap_or(start))
}

/// Field number of proc_pid_stat(5).
const START_BRK: usize = 47;

/// What a region that is mapped from the image was before: memory without a file, whose name, if it was the heap, is the
/// kernel's (`show_map_vma` in fs/proc/task_mmu.c).
fn as_before<'t>(line: &MapsLine<'t>, heap: Span) -> Region<'t> {
    let is_heap = line.span.intersection(&heap).is_some();
    Region {
        start: line.span.start,
        end: line.span.end,
        protection: line.protection,
        backing_number: Backing::Anonymous as u32,
        flags: 0,
        offset: 0,
        file: FileIdentity::default(),
        name: if is_heap { b"[heap]" } else { b"" },
    }
}

/// The parts of `span` that are in none of `holes`, which are in ascending order.
fn without(span: Span, holes: &[Span]) -> impl Iterator<Item = Span> {
    let mut start = span.start;
    let mut holes = holes
        .iter()
        .copied()
        .filter(move |hole| span.intersection(hole).is_some());
    let mut done = false;
    core::iter::from_fn(move || {
        while !done {
            let part = match holes.next() {
                Some(hole) => {
                    let part = Span::new(start, hole.start);
                    start = hole.end;
                    part
                }
                None => {
                    done = true;
                    Span::new(start, span.end)
                }
            };
            if !part.is_empty() {
                return Some(part);
            }
        }
        None
    })
}

/// The file that was looked at last: the regions of a library follow one another.
#[derive(Default)]
struct LastFile<'t> {
    name: &'t [u8],
    stat: Option<calls::Stat>,
}

impl<'t> LastFile<'t> {
    fn stat(&mut self, name: &'t [u8]) -> Option<calls::Stat> {
        if self.name != name {
            self.name = name;
            self.stat = path_of(name)
                .and_then(|path| calls::stat_at(calls::AT_FDCWD, path.as_c_str(), 0))
                .ok();
        }
        self.stat
    }
}

/// What a line of maps says about a region; whether a shared file is writable is only known from smaps.
fn describe<'t>(line: &MapsLine<'t>, last_file: &mut LastFile<'t>) -> Result<Region<'t>, Failure> {
    let mut file = FileIdentity::default();
    let mut name = line.name;
    let backing = if line.is_vdso() {
        Backing::Vdso
    } else if line.inode == 0 && !line.shared {
        Backing::Anonymous
    } else if line.shared && is_shared_memory(line.name) {
        file = line_identity(line);
        Backing::SharedAnonymous
    } else {
        refuse_special(line)?;
        let is_hidden = hidden_files::is_one(line.name);
        let stat = last_file.stat(line.name).filter(|_| !is_hidden);
        match stat.filter(|stat| is_shown_as(stat, line.device_number(), line.inode)) {
            Some(stat) if files::is_kind(&stat, n::S_IFREG) => file = files::identity(&stat),
            Some(_) if line.name == b"/dev/zero" && !line.shared => {}
            Some(_) => {
                return Err(refused(
                    line,
                    "a mapped device is not supported; unmap it first",
                ));
            }
            None => {}
        }
        match (line.shared, file.is_unknown()) {
            (true, true) if is_hidden || unnamed_files::is_one(line.name) => {
                file = line_identity(line);
                if unnamed_files::is_system_v(line.name) {
                    file.device = system_v::DEVICE;
                }
                Backing::SharedUnnamedFile
            }
            (true, _) => Backing::SharedFile,
            (false, false) => Backing::PrivateFile,
            (false, true) if line.name == b"/dev/zero" => Backing::Anonymous,
            (false, true)
                if is_hidden || unnamed_files::is_one(line.name) && line.name != HUGE_PAGES =>
            {
                file = line_identity(line);
                Backing::PrivateUnnamedFile
            }
            (false, true) => Backing::PrivateFile,
        }
    };
    if backing == Backing::Anonymous && line.inode != 0 {
        name = b"";
    }
    Ok(Region {
        start: line.span.start,
        end: line.span.end,
        protection: line.protection,
        backing_number: backing as u32,
        flags: 0,
        offset: line.offset,
        file,
        name,
    })
}

/// Whether what maps shows by this name, and as shared, is memory without a file: with a name, if the program has given it one
/// (`PR_SET_VMA_ANON_NAME`).
fn is_shared_memory(name: &[u8]) -> bool {
    name == b"/dev/zero (deleted)" || name.starts_with(b"[anon_shmem:")
}

/// Whether maps shows the file that `stat` describes as one with this device and inode.
fn is_shown_as(stat: &calls::Stat, device: u64, inode: u64) -> bool {
    // btrfs has a device number for each subvolume, and overlayfs before Linux 6.6 one for all of its files, which stat(2) shows and maps
    // does not. Such numbers have major 0.
    stat.st_ino == inode && (stat.st_dev == device || calls::major(stat.st_dev) == 0)
}

/// What a line says about the file, or the memory, that it shows.
fn line_identity(line: &MapsLine<'_>) -> FileIdentity {
    FileIdentity {
        device: line.device_number(),
        inode: line.inode,
        ..FileIdentity::default()
    }
}

fn refused(line: &MapsLine<'_>, what: &str) -> Failure {
    failure!("{} at {:#x}: {what}", Text(line.name), line.span.start)
}

/// Mappings that look like those of files and are none.
fn refuse_special(line: &MapsLine<'_>) -> Result<(), Failure> {
    let kinds: [(&[u8], &str); 4] = [
        (
            b"anon_inode:[io_uring]",
            "io_uring has work in flight that nobody can see; have the program do without it",
        ),
        (
            b"anon_inode:",
            "a mapping of a kernel object is not supported; unmap it first",
        ),
        (
            b"/[aio]",
            "native asynchronous input/output (io_setup) is not supported; io_destroy the context first, or set the program up \
             to use threads for it",
        ),
        (
            b"/secretmem",
            "secret memory (memfd_secret) can be read by nobody; unmap it first",
        ),
    ];
    for (prefix, what) in kinds {
        if line.name.starts_with(prefix) {
            return Err(refused(line, what));
        }
    }
    Ok(())
}

/// Flags in smaps of mappings that cannot be restored.
const UNSUPPORTED: [(&[u8], &str); 6] = [
    (b"io", "a mapped device"),
    (b"pf", "a mapped device"),
    (b"ss", "a shadow stack"),
    (b"um", WATCHED),
    (b"uw", WATCHED),
    (b"ui", WATCHED),
];
const WATCHED: &str = "memory that userfaultfd watches";

/// What cannot be restored of a mapping that has these flags in smaps.
fn unsupported(flags: &[u8]) -> Option<&'static str> {
    let mut all = UNSUPPORTED.iter();
    let found = all.find(|(unsupported, _)| fields(flags).any(|flag| flag == *unsupported));
    found.map(|&(_, what)| what)
}

fn unsupported_at(name: &[u8], start: u64, what: &str) -> Failure {
    let name = Text(if name.is_empty() { b"memory" } else { name });
    failure!("{name} at {start:#x}: {what} is not supported; unmap it first")
}

/// What smaps says of the process as a whole.
#[derive(Default)]
struct Overall {
    /// What mlockall(2) does to what is mapped in future.
    future_locks: u32,
    /// Whether there are protection keys here.
    has_keys: bool,
}

/// Adds what smaps says to the regions. The kernel tells nobody whether what is mapped in future is locked: that is seen from `probe`,
/// which was mapped only now.
fn add_smaps(list: &mut [Mapped<'_>], probe: Span) -> Result<Overall, Failure> {
    const FILE: &CStr = c"/proc/thread-self/smaps";
    let doing = || format_args!("/proc/thread-self/smaps");
    let mut overall = Overall::default();
    let mut buffer = MapVec::zeroed(SLACK).doing(format_args!("memory for the list of regions"))?;
    let mut reader = LineReader::open(FILE, &mut buffer).doing(doing())?;
    let mut span = Span::new(0, 0);
    // The regions that lie in the current entry; a mapping of ours may have been cut out of its middle.
    let (mut first, mut behind) = (0, 0);
    while let Some(line) = reader.next_line().doing(doing())? {
        // Entries begin like lines of maps, with an address in lower case; what follows begins with a capital.
        if line.first().is_some_and(|byte| !byte.is_ascii_uppercase()) {
            let Some(header) = MapsLine::parse(line) else {
                continue;
            };
            span = header.span;
            first = behind
                + list[behind..]
                    .iter()
                    .take_while(|mapped| mapped.region.end <= span.start)
                    .count();
            behind = first
                + list[first..]
                    .iter()
                    .take_while(|mapped| mapped.region.start < span.end)
                    .count();
            for mapped in &mut list[first..behind] {
                mapped.is_in_smaps = true;
            }
            continue;
        }
        if let Some(flags) = line.strip_prefix(b"VmFlags:")
            && span.intersection(&probe).is_some()
        {
            let has = |name: &[u8]| fields(flags).any(|flag| flag == name);
            overall.future_locks = match (has(b"lo"), has(b"lf")) {
                (false, _) => 0,
                (true, false) => n::MCL_FUTURE,
                (true, true) => n::MCL_FUTURE | n::MCL_ONFAULT,
            };
        }
        let Some(entry) = list
            .get_mut(first..behind)
            .filter(|entry| !entry.is_empty())
        else {
            continue;
        };
        if let Some(size) = line.strip_prefix(b"KernelPageSize:") {
            let size = fields(size).next().and_then(decimal).unwrap_or(0) << 10;
            if size > PAGE {
                let bits = size.trailing_zeros() << vm_flags::HUGETLB_SHIFT;
                entry
                    .iter_mut()
                    .for_each(|mapped| mapped.region.flags |= bits);
            }
        } else if let Some(flags) = line.strip_prefix(b"VmFlags:") {
            entry
                .iter_mut()
                .try_for_each(|mapped| add_flags(&mut mapped.region, flags))?;
        } else if let Some(size) = line.strip_prefix(b"Swap:") {
            let swapped = fields(size)
                .next()
                .and_then(decimal)
                .is_some_and(|kilobytes| kilobytes > 0);
            entry.iter_mut().for_each(|mapped| mapped.swapped = swapped);
        } else if let Some(key) = line.strip_prefix(b"ProtectionKey:")
            && let Some(key) = fields(key).next().and_then(decimal)
        {
            overall.has_keys = true;
            let key = (key as u32) << vm_flags::KEY_SHIFT & vm_flags::KEY;
            entry
                .iter_mut()
                .for_each(|mapped| mapped.region.flags |= key);
        }
    }
    Ok(overall)
}

/// The protection keys of the process, if it uses any: those that it has allocated, and those that regions have. The one that the kernel
/// itself gives to memory that may only be executed (`__arch_override_mprotect_pkey` in arch/x86/mm/pkeys.c) it gives again at a restart.
fn find_keys(list: &mut [Mapped<'_>]) -> Option<ProtectionKeys> {
    let has_key = |mapped: &Mapped<'_>| mapped.region.protection_key() != 0;
    let is_allocated = |key: &u32| protection_keys::is_allocated(*key);
    let mut keys = ProtectionKeys {
        allocated: (1..PROTECTION_KEYS)
            .filter(is_allocated)
            .fold(0, |allocated, key| allocated | 1 << key),
        execute_only: 0,
    };
    for Mapped { region, .. } in list.iter_mut().filter(|mapped| has_key(mapped)) {
        if region.protection == n::PROT_EXEC && !keys.has_allocated(region.protection_key()) {
            keys.execute_only = region.protection_key();
            region.flags &= !vm_flags::KEY;
        }
    }
    let are_used = keys.allocated != 0 || list.iter().any(has_key);
    are_used.then_some(keys)
}

/// Refuses memory of process `pid` that userfaultfd watches. A copy of the process has lost that, and what nobody has brought yet.
fn refuse_watched(pid: i32) -> Result<(), Failure> {
    let path = Line::<32>::format(format_args!("/proc/{pid}/smaps"));
    let mut buffer = MapVec::zeroed(SLACK).doing(format_args!("memory for the list of regions"))?;
    // It may have ended.
    let Ok(mut reader) = LineReader::open(path.as_c_str(), &mut buffer) else {
        return Ok(());
    };
    let mut start = 0;
    while let Ok(Some(line)) = reader.next_line() {
        if let Some(flags) = line.strip_prefix(b"VmFlags:") {
            if unsupported(flags) == Some(WATCHED) {
                return Err(unsupported_at(b"", start, WATCHED));
            }
        } else if let Some(header) = MapsLine::parse(line) {
            start = header.span.start;
        }
    }
    Ok(())
}

fn add_flags(region: &mut Region<'_>, flags: &[u8]) -> Result<(), Failure> {
    if region.backing() == Backing::Vdso {
        return Ok(());
    }
    if let Some(what) = unsupported(flags) {
        return Err(unsupported_at(region.name, region.start, what));
    }
    let mut may_write = false;
    for flag in fields(flags) {
        may_write |= flag == b"mw";
        let known = vm_flags::NAMES
            .iter()
            .find(|(name, _)| name.as_slice() == flag);
        region.flags |= known.map_or(0, |&(_, bit)| bit);
    }
    take_huge_pages(region)?;
    if region.backing() == Backing::SharedUnnamedFile && !may_write {
        region.backing_number = Backing::SharedReadOnlyUnnamedFile as u32;
    }
    if region.backing() == Backing::SharedFile {
        if !may_write {
            region.backing_number = Backing::SharedReadOnlyFile as u32;
        } else if region.file.is_unknown() {
            return Err(failure!(
                "{} at {:#x}: the program writes to this file through a mapping, and it cannot be reached by its name any \
                 more; unmap it first",
                Text(region.name),
                region.start
            ));
        }
    }
    Ok(())
}

/// What maps calls private memory in huge pages that are set aside.
const HUGE_PAGES: &[u8] = b"/anon_hugepage (deleted)";

/// Private memory in huge pages looks like a file without a name (`hugetlb_file_setup` in fs/hugetlbfs/inode.c).
fn take_huge_pages(region: &mut Region<'_>) -> Result<(), Failure> {
    if region.flags & vm_flags::HUGETLB == 0 {
        // Files on some devices have large pages, too.
        region.flags &= !vm_flags::HUGETLB_SIZE;
        return Ok(());
    }
    if region.backing() != Backing::PrivateFile || region.name != HUGE_PAGES {
        return Err(failure!(
            "{} at {:#x}: a file, or shared memory, in huge pages of hugetlbfs is not supported; unmap it first",
            Text(region.name),
            region.start
        ));
    }
    region.backing_number = Backing::Anonymous as u32;
    (region.name, region.offset, region.file) = (b"", 0, FileIdentity::default());
    Ok(())
}

/// Joins neighbours that the kernel keeps apart only because of their history, so that a restored process does not
/// end up with more regions from one generation to the next.
fn merge(list: &mut MapVec<Mapped<'_>>) {
    let mut kept = 0;
    for next in 1..list.len() {
        let mapped = list[next];
        let last = &mut list[kept];
        if last.region.continues_in(&mapped.region) && last.policy == mapped.policy {
            last.region.end = mapped.region.end;
            last.swapped |= mapped.swapped;
        } else {
            kept += 1;
            list[kept] = mapped;
        }
    }
    list.truncate(kept + 1);
}
