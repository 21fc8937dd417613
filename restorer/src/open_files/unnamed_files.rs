//! Files and directories without a name, made again with their content: deleted ones, files in memory, and System V shared
//! memory.

use ckpt_image::descriptors::Descriptor;
use ckpt_image::objects::deleted_files::{
    DeletedFile, ExtendedAttribute, FileExtent, MAX_LENGTH, MAX_NAME,
};
use ckpt_image::objects::memory_files::MemoryFile;
use ckpt_image::objects::system_v::Segment;
use ckpt_image::reader::Image;
use ckpt_image::regions::FileIdentity;
use ckpt_sys::bytes::decimal;
use ckpt_sys::line::{Path, Text};
use ckpt_sys::{Errno, Fd, Line, MapVec, calls, files};
use linux_raw_sys::general as n;
use restart::descriptors::{is_of_memory_file, open_flags};

use super::made;
use super::opener::{Problem, failed, set_status};
use super::system_v::Segments;
use crate::host::Machine;
use crate::image_file::{ImageFile, kernel_path};
use crate::output;

/// What the kernel puts behind the path of what has no name (`prepend_path` in fs/d_path.c).
const MARK: &[u8] = b" (deleted)";

/// Those that have been made: they stay open, for reading and writing, until all that shows them is mapped.
pub struct UnnamedFiles {
    /// Lowest number that the program does not have.
    above: u32,
    made: MapVec<Unnamed>,
    segments: Segments,
}

#[derive(Clone, Copy)]
struct Unnamed {
    device: u64,
    inode: u64,
    /// Which one it is in the image.
    index: u32,
    saved: Saved,
    found: Found,
    /// Whether a descriptor of the program's shares the open file description of ours.
    handed_over: bool,
}

/// How a file is reached.
#[derive(Clone, Copy)]
pub enum Found {
    /// Through this descriptor of ours.
    File(i32),
    /// It is System V shared memory with this id.
    Segment(i32),
}

/// What the image knows of such a file beside its content.
#[derive(Clone, Copy)]
enum Saved {
    Deleted(DeletedFile),
    InMemory(MemoryFile<'static>),
    Segment(Segment),
}

impl UnnamedFiles {
    /// None yet. They get numbers from `above` on.
    pub fn above(above: u32, machine: &Machine, image: &Image<'_>) -> Self {
        Self {
            above,
            made: MapVec::new(),
            segments: Segments::of(machine, image),
        }
    }

    /// Opens the file that `descriptor` referred to.
    pub fn open(&mut self, descriptor: &Descriptor<'_>, file: &ImageFile) -> Result<Fd, Problem> {
        let Found::File(any) = self.make_once(&descriptor.file, descriptor.path, file)? else {
            return Err(Problem::NoState);
        };
        let fd = if self.is_first_of_memory(any, descriptor.flags) {
            made::duplicate(any, self.above)
        } else {
            open_again(any, open_flags(descriptor.flags))
        }
        .map_err(failed("cannot be opened once more"))?;
        set_status(&fd, descriptor)?;
        if descriptor.flags & n::O_PATH == 0 {
            calls::lseek(fd.number(), descriptor.offset as i64, n::SEEK_SET)
                .map_err(failed("cannot be moved to its offset"))?;
        }
        Ok(fd)
    }

    /// Whether a descriptor with these status flags may be the one that memfd_create(2) has returned, which `any` is for the file made
    /// again. The kernel executes no file that somebody has opened for writing, and that one does not count (`alloc_file_pseudo` in
    /// fs/file_table.c).
    fn is_first_of_memory(&mut self, any: i32, flags: u32) -> bool {
        let is_it = |one: &&mut Unnamed| matches!(one.found, Found::File(fd) if fd == any);
        let may_be = |one: &Unnamed| {
            let is_in_memory = matches!(one.saved, Saved::InMemory(_));
            is_in_memory && !one.handed_over && is_of_memory_file(flags)
        };
        match self.made.iter_mut().find(is_it) {
            Some(one) if may_be(one) => {
                one.handed_over = true;
                true
            }
            _ => false,
        }
    }

    /// The file with this identity and path, which is made unless it was before.
    pub fn make_once(
        &mut self,
        identity: &FileIdentity,
        path: &[u8],
        file: &ImageFile,
    ) -> Result<Found, Problem> {
        if let Some(found) = self.find(identity) {
            return Ok(found);
        }
        let (index, saved) = saved(identity, file).ok_or(Problem::NoState)?;
        let cannot = failed("cannot be made again");
        let found = match &saved {
            Saved::Segment(segment) => {
                Found::Segment(self.segments.find_or_make(segment, index, file)?)
            }
            Saved::Deleted(deleted) if deleted.is_directory() => {
                self.keep(make_directory(path).map_err(cannot)?)?
            }
            Saved::Deleted(deleted) => {
                let fd = make_file(path).map_err(cannot)?;
                put_content(&fd, index, deleted.size, file)?;
                self.keep(fd)?
            }
            Saved::InMemory(in_memory) => {
                let fd = make_in_memory(in_memory).map_err(cannot)?;
                put_content(&fd, index, in_memory.size, file)?;
                self.keep(fd)?
            }
        };
        self.made
            .push(Unnamed {
                device: identity.device,
                inode: identity.inode,
                index,
                saved,
                found,
                handed_over: false,
            })
            .map_err(failed("cannot be kept"))?;
        Ok(found)
    }

    fn keep(&self, fd: Fd) -> Result<Found, Problem> {
        let fd = made::out_of_the_way(fd, self.above).map_err(failed("cannot be kept"))?;
        Ok(Found::File(fd.into_number()))
    }

    /// The file with this identity.
    pub fn find(&self, identity: &FileIdentity) -> Option<Found> {
        let is_it = |one: &&Unnamed| one.device == identity.device && one.inode == identity.inode;
        self.made.iter().find(is_it).map(|one| one.found)
    }

    /// All descriptors.
    pub fn numbers(&self) -> impl Iterator<Item = i32> + Clone {
        self.made.iter().filter_map(|one| match one.found {
            Found::File(fd) => Some(fd),
            Found::Segment(_) => None,
        })
    }

    /// Gives the files attributes, owner, permissions, times and seals that they had, and closes them: late, since the program may have had more
    /// access to a file that it has made itself than these allow, and have mapped it before it was sealed.
    ///
    /// System V shared memory that was made goes again unless it is kept.
    pub fn finish(mut self, image: &Image<'_>) -> Result<Segments, Errno> {
        self.made.sort_unstable_by_key(|one| one.index);
        let mut attributes = image.objects::<ExtendedAttribute<'_>>().peekable();
        for one in self.made.iter() {
            let fd = match one.found {
                Found::File(fd) => Fd::owning(fd),
                Found::Segment(_) => continue,
            };
            while attributes.next_if(|next| next.file < one.index).is_some() {}
            while let Some(attribute) = attributes.next_if(|next| next.file == one.index) {
                set_attribute(&fd, &attribute);
            }
            match &one.saved {
                Saved::Deleted(file) => {
                    // Only root can give files away; nobody can find this one by a name in any case.
                    let _ = calls::fchown(fd.number(), file.uid, file.gid);
                    let _ = calls::fchmod(fd.number(), file.permissions());
                    let _ = calls::set_times(fd.number(), [file.accessed, file.modified]);
                }
                Saved::InMemory(file) => {
                    let _ = calls::fchown(fd.number(), file.uid, file.gid);
                    calls::fchmod(fd.number(), file.mode)?;
                    calls::set_times(fd.number(), [file.accessed, file.modified])?;
                    calls::fcntl(fd.number(), n::F_ADD_SEALS, file.seals as usize)?;
                }
                Saved::Segment(_) => {}
            }
        }
        Ok(self.segments)
    }
}

/// Gives a file an extended attribute. Where it is now, there may be none.
fn set_attribute(fd: &Fd, attribute: &ExtendedAttribute<'_>) {
    let mut name = Line::<{ MAX_NAME + 1 }>::new();
    name.push(attribute.name);
    if let Err(errno) = calls::set_attribute(fd.number(), name.as_c_str(), attribute.value) {
        output::warn(format_args!(
            "a file without a name has lost its extended attribute {}: {errno}",
            Text(attribute.name)
        ));
    }
}

/// A description of its own for the file behind `fd`.
pub fn open_again(fd: i32, flags: u32) -> Result<Fd, Errno> {
    let path = Line::<32>::format(format_args!("/proc/self/fd/{fd}"));
    calls::open(path.as_c_str(), flags)
}

/// What the image knows of the file with this identity, and which number it has.
fn saved(identity: &FileIdentity, file: &ImageFile) -> Option<(u32, Saved)> {
    let is_it = |device, inode| device == identity.device && inode == identity.inode;
    let deleted = file.image.objects::<DeletedFile>().map(|one| {
        let fits = is_it(one.device, one.inode);
        (fits, Saved::Deleted(one))
    });
    let in_memory = file.image.objects::<MemoryFile<'static>>().map(|one| {
        let fits = is_it(one.device, one.inode);
        (fits, Saved::InMemory(one))
    });
    let segments = file.image.objects::<Segment>().map(|one| {
        let fits = is_it(one.device, one.inode);
        (fits, Saved::Segment(one))
    });
    (0..)
        .zip(deleted.chain(in_memory).chain(segments))
        .find(|(_, (fits, _))| *fits)
        .map(|(index, (_, saved))| (index, saved))
}

fn make_in_memory(saved: &MemoryFile<'_>) -> Result<Fd, Errno> {
    let mut name = Path::new();
    name.push(saved.name);
    calls::memory_file(name.as_c_str(), n::MFD_CLOEXEC | n::MFD_ALLOW_SEALING)
}

/// The directory that the file was in, and its name.
fn parts(path: &[u8]) -> (&[u8], &[u8]) {
    let path = path.strip_suffix(MARK).unwrap_or(path);
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(at) => (&path[..at.max(1)], &path[at + 1..]),
        None => (b"/", path),
    }
}

/// Where files without a name can be: where it was, or where there is room for temporary files.
fn directories(path: &[u8]) -> [&[u8]; 3] {
    [parts(path).0, b"/tmp", b"/dev/shm"]
}

/// A file without a name. It shows its old name under `/proc`, unless that is in use or it never had one.
fn make_file(path: &[u8]) -> Result<Fd, Errno> {
    let flags = n::O_RDWR | n::O_CREAT | n::O_EXCL | n::O_NOFOLLOW;
    let name = parts(path).1;
    // The kernel shows what was made without a name by its inode (`d_mark_tmpfile` in fs/dcache.c).
    let never_named = name.strip_prefix(b"#").and_then(decimal).is_some();
    let mut result = Err(Errno::ENOENT);
    for directory in directories(path) {
        let path = joined(directory, name)?;
        if !never_named
            && let Ok(fd) = calls::open_at(calls::AT_FDCWD, path.as_c_str(), flags, 0o600)
        {
            calls::unlink_at(calls::AT_FDCWD, path.as_c_str())?;
            return Ok(fd);
        }
        let directory = kernel_path(directory)?;
        let unnamed = n::O_RDWR | n::O_TMPFILE;
        result = calls::open_at(calls::AT_FDCWD, directory.as_c_str(), unnamed, 0o600);
        if result.is_ok() {
            break;
        }
    }
    result
}

/// A directory without a name, in the place of the one that the kernel has shown as `path`.
pub fn make_directory(path: &[u8]) -> Result<Fd, Errno> {
    let name = parts(path).1;
    let mut result = Err(Errno::ENOENT);
    for directory in directories(path) {
        let path = joined(directory, name)?;
        result = calls::make_directory(path.as_c_str(), 0o700).and_then(|()| {
            let fd = calls::open(path.as_c_str(), n::O_RDONLY | n::O_DIRECTORY);
            calls::remove_directory(path.as_c_str())?;
            fd
        });
        if result.is_ok() {
            break;
        }
    }
    result
}

fn joined(directory: &[u8], name: &[u8]) -> Result<Path, Errno> {
    let mut path = kernel_path(directory)?;
    if directory != b"/" {
        path.push(b"/");
    }
    path.push(name);
    if path.is_cut() || name.contains(&0) {
        Err(Errno::ENAMETOOLONG)
    } else {
        Ok(path)
    }
}

/// Writes what the file with this index had in it.
fn put_content(to: &Fd, index: u32, size: u64, file: &ImageFile) -> Result<(), Problem> {
    let no_room = failed("cannot be given its content");
    calls::ftruncate(to.number(), size).map_err(&no_room)?;
    let mut buffer = MapVec::zeroed(MAX_LENGTH as usize).map_err(&no_room)?;
    let mut room = file.room().map_err(&no_room)?;
    let extents = file.image.objects::<FileExtent>();
    for extent in extents.filter(|extent| extent.file == index) {
        let bytes = &mut buffer[..extent.length as usize];
        file.read_extent(bytes, extent.place, extent.checksum, &mut room)
            .map_err(Problem::Image)?;
        files::write_at(to, bytes, extent.offset).map_err(&no_room)?;
    }
    Ok(())
}
