//! Files without a name: deleted ones (and directories), files in memory (memfd_create(2)), and System V shared memory. They live
//! as long as somebody has them open or mapped shared, so their content goes into the image.

use core::ffi::CStr;

use ckpt_image::descriptors::{Descriptor, Kind};
use ckpt_image::objects::deleted_files::{DeletedFile, ExtendedAttribute, MAX_LENGTH, MAX_VALUE};
use ckpt_image::objects::memory_files::MemoryFile;
use ckpt_image::objects::system_v::DEVICE;
use ckpt_image::regions::{Backing, FileIdentity, Region};
use ckpt_image::segments::Span;
use ckpt_sys::line::Text;
use ckpt_sys::{Errno, Fd, Line, MapVec, calls, files};
use linux_raw_sys::general as n;

use super::objects::Objects;
use super::system_v::Attached;
use super::{Descriptors, mapped_files, system_v};
use crate::apart;
use crate::collect::content::Run;
use crate::collect::memory::{self, Memory};
use crate::collect::regions::Regions;
use crate::failure::{Doing, Failure, failure};
use crate::report;

/// What `/proc` shows before the name of a file in memory, and behind that of every file without a name (`prepend_path` in
/// fs/d_path.c).
pub const PREFIX: &[u8] = b"/memfd:";
/// And before the key of System V shared memory (`newseg` in ipc/shm.c).
const SYSTEM_V: &[u8] = b"/SYSV";
const MARK: &[u8] = b" (deleted)";

/// Whether a mapping with this name in maps is one of System V shared memory.
#[must_use]
pub fn is_system_v(name: &[u8]) -> bool {
    name.starts_with(SYSTEM_V)
}

/// Whether a mapping with this name in maps, which leads nowhere, is one of a file without a name.
#[must_use]
pub fn is_one(name: &[u8]) -> bool {
    without_mark(name).is_some()
}

/// The name that it had, or has if the file is itself called so.
pub fn without_mark(name: &[u8]) -> Option<&[u8]> {
    name.strip_suffix(MARK)
}

/// A stretch of such a file that holds data.
#[derive(Clone, Copy, Debug)]
pub struct FileRun {
    /// Which file of the image, counted from 0.
    pub file: u32,
    /// Its device and inode.
    pub identity: FileIdentity,
    /// Where it is read.
    pub from: From,
    /// Where it begins in the file.
    pub offset: u64,
    /// Length in bytes, at most [`MAX_LENGTH`].
    pub length: u32,
}

impl FileRun {
    /// Whether it is read from a disk, through a descriptor.
    #[must_use]
    pub fn is_on_disk(&self) -> bool {
        matches!(self.from, From::Disk(_))
    }
}

/// Where a stretch of a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// From the disk, through a descriptor.
    Disk(Access),
    /// From memory, through a descriptor.
    Memory(Access),
    /// At this address, since there is no descriptor.
    Mapping(u64),
}

/// A descriptor through which a file can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    number: u32,
    /// Whether the program has locks on the file that it would lose if any descriptor of it were closed here (fcntl(2), `F_SETLK`).
    has_locks: bool,
}

impl Access {
    /// Lets `work` have the file, open for reading, since seeking in an open file description of the program's would move its
    /// offset, for others who share it, too.
    fn opened<T>(self, work: impl FnOnce(&Fd) -> Result<T, Failure>) -> Result<T, Failure> {
        let number = self.number;
        let work = || work(&open(number)?);
        if self.has_locks {
            apart::call(work).doing(format_args!(
                "descriptor {number}: a process that reads the locked file"
            ))?
        } else {
            work()
        }
    }
}

/// A file, and how it is reached.
#[derive(Clone, Copy, Debug)]
struct Unnamed<'t> {
    /// Its device and inode.
    file: FileIdentity,
    /// A descriptor of it.
    access: Option<Access>,
    /// What `/proc` shows.
    path: &'t [u8],
}

/// What such a file is, in the order in which the image has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sort {
    Deleted,
    InMemory,
    SystemV,
}

impl Unnamed<'_> {
    fn sort(&self) -> Sort {
        if self.path.starts_with(PREFIX) {
            Sort::InMemory
        } else if self.file.device == DEVICE {
            Sort::SystemV
        } else {
            Sort::Deleted
        }
    }
}

/// Those of the program.
#[derive(Debug, Default)]
pub struct UnnamedFiles {
    /// How many there are.
    pub count: usize,
    /// Where they hold data.
    pub runs: MapVec<FileRun>,
    /// What `runs` refer to.
    pub attached: Attached,
}

/// Finds those that `all` or `regions` refer to, and where they hold data. Of deleted files, all together may have no more than
/// `limit` bytes (`CKPT_DELETED`). The regions then have the same identities as the descriptors.
///
/// # Errors
/// [`Failure`] names the first that cannot be saved.
pub fn collect(
    all: &Descriptors,
    regions: &mut Regions,
    limit: u64,
    objects: &mut Objects,
) -> Result<UnnamedFiles, Failure> {
    regions.for_each_mut(|region| {
        if !region.backing().is_unnamed_file() {
            return;
        }
        let mut open = all.iter().filter(is_unnamed);
        match open.find(|one| is_shown_by(one, region)) {
            Some(one) => region.file = nameless(&one.file),
            // What it shows of the file can only be read here, so the region has all of it, without a file behind it.
            None if region.backing() == Backing::PrivateUnnamedFile => {
                region.backing_number = Backing::PrivateFile as u32;
                region.file = FileIdentity::default();
            }
            None => {}
        }
    });
    let files = find(all, regions)?;
    let (mut runs, mut attached) = (MapVec::new(), Attached::default());
    let mut stored = 0;
    for (index, file) in (0..).zip(files.iter()) {
        let first = runs.len();
        let size = match file.access {
            Some(access) => {
                let number = access.number;
                let stat =
                    calls::fstat(number as i32).doing(format_args!("descriptor {number}"))?;
                let is_file = stat.st_mode & n::S_IFMT == n::S_IFREG;
                if is_file {
                    access.opened(|fd| {
                        find_data(index, access, fd, file, stat.st_size as u64, &mut runs)
                    })?;
                }
                describe(file, access, &stat, objects)?;
                add_attributes(index, file, access, objects)?;
                stat.st_size as u64
            }
            None if file.sort() == Sort::SystemV => {
                let file = &file.file;
                system_v::collect(index, file, regions, &mut attached, objects, &mut runs)?;
                0
            }
            None => {
                let size = mapped_files::find_data(index, &file.file, regions, &mut runs)?;
                describe_mapped(file, size, objects)?;
                size
            }
        };
        if file.sort() == Sort::Deleted {
            let found = runs[first..].iter();
            stored += found.map(|run| u64::from(run.length)).sum::<u64>();
        }
        if stored > limit {
            let path = Text(file.path);
            return Err(failure!(
                "{path}: with this deleted file of {size} bytes, {stored} bytes would go into the image, and CKPT_DELETED is \
                 {limit}; raise it, or close the file first"
            ));
        }
    }
    Ok(UnnamedFiles {
        count: files.len(),
        runs,
        attached,
    })
}

fn is_unnamed(descriptor: &Descriptor<'_>) -> bool {
    matches!(descriptor.kind(), Kind::DeletedFile | Kind::MemoryFile)
}

/// What does not change while the file does.
fn nameless(file: &FileIdentity) -> FileIdentity {
    FileIdentity {
        device: file.device,
        inode: file.inode,
        ..FileIdentity::default()
    }
}

/// Whether `region` shows the file that `open` refers to. btrfs has a device number for each subvolume, which stat(2) shows and
/// maps does not; both have major 0.
fn is_shown_by(open: &Descriptor<'_>, region: &Region<'_>) -> bool {
    let (file, mapped) = (&open.file, &region.file);
    let without_device = calls::major(file.device) == 0 && calls::major(mapped.device) == 0;
    let same_device = file.device == mapped.device || (without_device && open.path == region.name);
    file.inode == mapped.inode && same_device
}

/// All of them, by what they are.
fn find<'t>(all: &'t Descriptors, regions: &'t Regions) -> Result<MapVec<Unnamed<'t>>, Failure> {
    let open = all.iter().filter(is_unnamed).map(|one| Unnamed {
        file: nameless(&one.file),
        access: Some(Access {
            number: one.number,
            has_locks: all.has_locks_lost_by_closing(&one.file),
        }),
        path: one.path,
    });
    let regions = regions.list().iter().map(|mapped| &mapped.region);
    let mapped = regions
        .filter(|region| region.backing().is_shared_unnamed_file())
        .map(|region| Unnamed {
            file: region.file,
            access: None,
            path: region.name,
        });
    let mut files: MapVec<Unnamed<'t>> = MapVec::new();
    for file in open.chain(mapped) {
        if !files.iter().any(|known| known.file == file.file) {
            files
                .push(file)
                .doing(format_args!("memory for the list of descriptors"))?;
        }
    }
    files.sort_unstable_by_key(|file| (file.sort(), file.file.device, file.file.inode));
    Ok(files)
}

fn name_in_memory(path: &[u8]) -> &[u8] {
    let name = path.strip_prefix(PREFIX).unwrap_or_default();
    name.strip_suffix(MARK).unwrap_or(name)
}

/// Adds what is known of a file with a descriptor.
fn describe(
    file: &Unnamed<'_>,
    access: Access,
    stat: &calls::Stat,
    objects: &mut Objects,
) -> Result<(), Failure> {
    let FileIdentity { device, inode, .. } = file.file;
    if file.sort() == Sort::Deleted {
        return objects.add(&DeletedFile {
            device,
            inode,
            mode: stat.st_mode,
            uid: stat.st_uid,
            gid: stat.st_gid,
            size: stat.st_size as u64,
            accessed: files::accessed(stat),
            modified: files::modified(stat),
        });
    }
    let seals = access.opened(|fd| {
        let number = access.number;
        calls::fcntl(fd.number(), n::F_GET_SEALS, 0)
            .map_err(|_| failure!("descriptor {number}: a memfd on huge pages is not supported"))
    })?;
    objects.add(&MemoryFile {
        device,
        inode,
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        seals: seals as u32,
        size: stat.st_size as u64,
        accessed: files::accessed(stat),
        modified: files::modified(stat),
        name: name_in_memory(file.path),
    })
}

/// Those whose attributes are the program's own (xattr(7)), and not what the system makes of its labels.
const OF_PROGRAMS: [&[u8]; 2] = [b"user.", b"trusted."];

/// Adds the extended attributes of a file with a descriptor. Those that cannot be read are told of.
fn add_attributes(
    index: u32,
    file: &Unnamed<'_>,
    access: Access,
    objects: &mut Objects,
) -> Result<(), Failure> {
    let number = access.number;
    let at = Line::<64>::format(format_args!("/proc/thread-self/fd/{number}"));
    let lost = |errno| {
        report::line(format_args!(
            "warning: descriptor {number}: the extended attributes of {} cannot be read: {errno}; a restored process has none of them",
            Text(file.path)
        ));
    };
    let length = match calls::attributes(at.as_c_str(), &mut []) {
        Ok(length) => length,
        // Many file systems know none.
        Err(Errno::EOPNOTSUPP) => 0,
        Err(errno) => {
            lost(errno);
            0
        }
    };
    if length == 0 {
        return Ok(());
    }
    let no_memory = || format_args!("memory for the attributes of a file");
    let mut names = MapVec::zeroed(length).doing(no_memory())?;
    let mut room = MapVec::zeroed(MAX_VALUE).doing(no_memory())?;
    let length = calls::attributes(at.as_c_str(), &mut names).unwrap_or(0);
    let names = names[..length].split_inclusive(|&byte| byte == 0);
    for name in names.filter_map(|name| CStr::from_bytes_with_nul(name).ok()) {
        let is_the_programs = |prefix: &&[u8]| name.to_bytes().starts_with(prefix);
        if !OF_PROGRAMS.iter().any(is_the_programs) {
            continue;
        }
        match calls::attribute(at.as_c_str(), name, &mut room) {
            Ok(length) => {
                let attribute = ExtendedAttribute {
                    file: index,
                    name: name.to_bytes(),
                    value: &room[..length],
                };
                objects.add_large(&attribute, length)?;
            }
            Err(errno) => {
                lost(errno);
                break;
            }
        }
    }
    Ok(())
}

/// Adds what can be known of a file that is only mapped. Nobody can look at its owner, its permissions, its seals
/// and its times, so they are what a new one could have.
fn describe_mapped(file: &Unnamed<'_>, size: u64, objects: &mut Objects) -> Result<(), Failure> {
    let FileIdentity { device, inode, .. } = file.file;
    let uid = calls::geteuid().unwrap_or(0) as u32;
    let gid = calls::getegid().unwrap_or(0) as u32;
    if file.sort() == Sort::InMemory {
        return objects.add(&MemoryFile {
            device,
            inode,
            mode: 0o777,
            uid,
            gid,
            seals: n::F_SEAL_SEAL,
            size,
            accessed: 0,
            modified: 0,
            name: name_in_memory(file.path),
        });
    }
    objects.add(&DeletedFile {
        device,
        inode,
        mode: n::S_IFREG | 0o600,
        uid,
        gid,
        size,
        accessed: 0,
        modified: 0,
    })
}

/// Opens the file behind the descriptor `number` for reading.
fn open(number: u32) -> Result<Fd, Failure> {
    let path = Line::<64>::format(format_args!("/proc/thread-self/fd/{number}"));
    let open = |flags| calls::open(path.as_c_str(), flags | n::O_RDONLY | n::O_NONBLOCK);
    // The last access is to stay the program's own, where the file is the user's.
    let opened = open(n::O_NOATIME).or_else(|_| open(0));
    opened.map_err(|errno| {
        failure!(
            "descriptor {number}: a file without a name that cannot be read: {errno}; close it first"
        )
    })
}

/// Reads stretches of files.
#[derive(Debug)]
pub struct Reader {
    memory: Memory,
    /// The file that was read last: its stretches follow each other.
    last: Option<(u32, Fd)>,
}

impl Reader {
    /// One that has read nothing yet.
    ///
    /// # Errors
    /// [`Failure`] if the memory cannot be read.
    pub fn new() -> Result<Self, Failure> {
        Ok(Self {
            memory: Memory::open()?,
            last: None,
        })
    }

    /// Reads `run` into `to`, which is as long. What is not there any more, since another process has the file, too, and has
    /// cut it meanwhile, is zero.
    ///
    /// # Errors
    /// [`Failure`] if it cannot be read.
    pub fn read(&mut self, run: &FileRun, to: &mut [u8]) -> Result<(), Failure> {
        let count = match run.from {
            From::Mapping(address) => {
                let span = Span::new(address, address + u64::from(run.length));
                let same_as_file = true;
                let run = Run { span, same_as_file };
                self.memory.copy(run, memory::Access::Shared, to)?
            }
            From::Disk(access) | From::Memory(access) if access.has_locks => {
                access.opened(|fd| read_at(fd, access, to, run.offset))?
            }
            From::Disk(access) | From::Memory(access) => {
                let fd = match self.last.take() {
                    Some((last, fd)) if last == access.number => fd,
                    _ => open(access.number)?,
                };
                let count = read_at(&fd, access, to, run.offset)?;
                self.last = Some((access.number, fd));
                count
            }
        };
        to[count..].fill(0);
        Ok(())
    }
}

fn read_at(fd: &Fd, access: Access, to: &mut [u8], offset: u64) -> Result<usize, Failure> {
    files::read_at(fd, to, offset).doing(format_args!("descriptor {}", access.number))
}

/// Appends the stretches that hold data to `runs`; `fd` is ours.
fn find_data(
    index: u32,
    access: Access,
    fd: &Fd,
    file: &Unnamed<'_>,
    size: u64,
    runs: &mut MapVec<FileRun>,
) -> Result<(), Failure> {
    let from = if file.sort() == Sort::InMemory {
        From::Memory(access)
    } else {
        From::Disk(access)
    };
    let number = access.number;
    let seek = |from: u64, whence: u32| calls::lseek(fd.number(), from as i64, whence);
    let mut at = 0;
    while at < size {
        // lseek(2): ENXIO if there is no data behind.
        let start = match seek(at, n::SEEK_DATA) {
            Err(Errno::ENXIO) => break,
            start => start.doing(format_args!("descriptor {number}"))? as u64,
        };
        let end = (seek(start, n::SEEK_HOLE).doing(format_args!("descriptor {number}"))? as u64)
            .min(size);
        for offset in (start..end).step_by(MAX_LENGTH as usize) {
            let length = (end - offset).min(u64::from(MAX_LENGTH)) as u32;
            runs.push(FileRun {
                file: index,
                identity: file.file,
                from,
                offset,
                length,
            })
            .doing(format_args!("memory for the list of descriptors"))?;
        }
        at = end;
    }
    Ok(())
}
