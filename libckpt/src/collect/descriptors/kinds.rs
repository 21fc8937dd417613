//! Sorts descriptors out.

use ckpt_image::descriptors::Kind;
use ckpt_sys::bytes::decimal;
use ckpt_sys::line::Path;
use ckpt_sys::{Errno, calls, files};
use linux_raw_sys::general as n;

use super::info::Info;
use super::{hidden_files, kernel_files, message_queues, unnamed_files};
use crate::collect::other_names;
use crate::failure::{Failure, failure};

/// Major numbers of character devices (Documentation/admin-guide/devices.txt).
const MEMORY_DEVICES: u64 = 1;
const TERMINALS: u64 = 4;
const TERMINAL_AND_CONSOLE: u64 = 5;
pub const PSEUDO_TERMINALS: core::ops::RangeInclusive<u64> = 136..=143;

/// `/dev/ptmx`.
const MASTERS: u64 = 2;

/// Devices without a state of their own: minor number and usual path.
const STATELESS: [(u64, &[u8]); 5] = [
    (3, b"/dev/null"),
    (5, b"/dev/zero"),
    (7, b"/dev/full"),
    (8, b"/dev/random"),
    (9, b"/dev/urandom"),
];

/// Objects of the kernel that no restart could make again, by what `/proc/PID/fd` shows.
const OBJECTS: [(&[u8], &str); 6] = [
    (
        b"anon_inode:[userfaultfd]",
        "what userfaultfd does in place of the kernel cannot be saved",
    ),
    (
        b"anon_inode:[perf_event]",
        "a performance counter cannot be set to what it has counted",
    ),
    (
        b"anon_inode:[fanotify]",
        "fanotify does not tell what it watches",
    ),
    (
        b"anon_inode:bpf",
        "maps, programs and links of BPF belong to the whole system",
    ),
    (
        b"anon_inode:[io_uring]",
        "io_uring has work in flight that nobody can see",
    ),
    (
        b"/secretmem",
        "secret memory (memfd_secret) can be read by nobody",
    ),
];

/// Whether the descriptor `number` refers to this process (pidfd_open(2)).
fn is_itself(number: i32) -> Result<bool, Failure> {
    let info = Info::read(number as u32)?;
    Ok(info.value("Pid").and_then(decimal) == Some(calls::pid() as u64))
}

/// Why `path`, which leads through no link, does not lead to what `stat` describes; `None` if it does.
fn why_lost(stat: &calls::Stat, path: &Path) -> Option<&'static str> {
    match calls::stat_at(calls::AT_FDCWD, path.as_c_str(), n::AT_SYMLINK_NOFOLLOW) {
        Ok(found) if files::identity(&found).same_file(&files::identity(stat)) => None,
        Err(Errno::EACCES) => Some("the program may not reach the file by this name any more"),
        _ => Some("the file cannot be reached by this name any more"),
    }
}

/// The usual path of the device that `stat` describes, if that has no state of its own.
fn stateless(stat: &calls::Stat) -> Option<&'static [u8]> {
    let (major, minor) = (calls::major(stat.st_rdev), calls::minor(stat.st_rdev));
    let mut devices = STATELESS.iter();
    let found = devices.find(|&&(its, _)| (MEMORY_DEVICES, its) == (major, minor));
    found
        .filter(|_| files::is_kind(stat, n::S_IFCHR))
        .map(|&(_, path)| path)
}

/// Whether `path` leads to the device that `stat` describes, in whatever file.
fn leads_to_device(stat: &calls::Stat, path: &Path) -> bool {
    calls::stat_at(calls::AT_FDCWD, path.as_c_str(), 0)
        .is_ok_and(|found| files::is_kind(&found, n::S_IFCHR) && found.st_rdev == stat.st_rdev)
}

/// The name by which the file that `stat` describes can be reached, if that is another one than `path`, by which it was opened.
pub fn other_name(stat: &calls::Stat, path: &Path) -> Option<Path> {
    if let Some(usual) = stateless(stat) {
        let mut other = Path::new();
        other.push(usual);
        return Some(other).filter(|_| !leads_to_device(stat, path));
    }
    if files::is_kind(stat, n::S_IFREG) && !path.as_bytes().starts_with(b"/") {
        return kernel_files::path_of_namespace(stat, path);
    }
    // Directories have no other names.
    let may_have_one = stat.st_nlink != 0 && !files::is_kind(stat, n::S_IFDIR);
    if !may_have_one || !unnamed_files::is_one(path.as_bytes()) || why_lost(stat, path).is_none() {
        return None;
    }
    let is_it = |found: &calls::Stat| files::identity(found).same_file(&files::identity(stat));
    other_names::find(path.as_bytes(), stat.st_ino, is_it).map(|(other, _)| other)
}

/// What the descriptor `number`, which has these status flags, refers to.
///
/// # Errors
/// [`Failure`] if that cannot be restored.
pub fn classify(number: i32, flags: u32, stat: &calls::Stat, path: &Path) -> Result<Kind, Failure> {
    let standard = (0..=2).contains(&number);
    let refuse = |what: &str| {
        Err(failure!(
            "descriptor {number} ({path}): {what}; close it first"
        ))
    };
    let kind = stat.st_mode & n::S_IFMT;
    let special = !matches!(kind, n::S_IFREG | n::S_IFDIR);
    if flags & n::O_PATH != 0 && special && path.as_bytes().starts_with(b"/") {
        return why_lost(stat, path).map_or(Ok(Kind::Reference), refuse);
    }
    if kind == n::S_IFSOCK {
        return Ok(Kind::Socket);
    }
    match path.as_bytes() {
        b"anon_inode:[eventfd]" => return Ok(Kind::EventCounter),
        b"anon_inode:[eventpoll]" => return Ok(Kind::Epoll),
        b"anon_inode:[timerfd]" => return Ok(Kind::Timer),
        b"anon_inode:inotify" => return Ok(Kind::Watcher),
        b"anon_inode:[signalfd]" => return Ok(Kind::Signals),
        b"anon_inode:[pidfd]" if is_itself(number)? => return Ok(Kind::Itself),
        b"anon_inode:[pidfd]" => return refuse("it refers to another process"),
        path => {
            let object = OBJECTS.iter().find(|(prefix, _)| path.starts_with(prefix));
            if let Some((_, what)) = object {
                return refuse(what);
            }
        }
    }
    let lost = || why_lost(stat, path);
    match kind {
        n::S_IFREG if path.as_bytes().starts_with(unnamed_files::PREFIX) => Ok(Kind::MemoryFile),
        n::S_IFREG if message_queues::is_one(number) => Ok(Kind::MessageQueue),
        n::S_IFREG | n::S_IFDIR if kernel_files::is_one(number) => Ok(Kind::KernelFile),
        n::S_IFREG | n::S_IFDIR if stat.st_nlink == 0 => Ok(Kind::DeletedFile),
        n::S_IFREG if hidden_files::is_one(path.as_bytes()) => Ok(Kind::DeletedFile),
        n::S_IFREG => lost().map_or(Ok(Kind::File), refuse),
        n::S_IFDIR => lost().map_or(Ok(Kind::Directory), refuse),
        n::S_IFCHR => match (calls::major(stat.st_rdev), calls::minor(stat.st_rdev)) {
            _ if stateless(stat).is_some() && leads_to_device(stat, path) => Ok(Kind::Device),
            (TERMINAL_AND_CONSOLE, MASTERS) => Ok(Kind::Master),
            _ if standard => Ok(Kind::Standard),
            (TERMINALS, _) | (TERMINAL_AND_CONSOLE, 0 | 1) => Ok(Kind::Terminal),
            (major, _) if PSEUDO_TERMINALS.contains(&major) => Ok(Kind::Terminal),
            _ => refuse("a device is not supported"),
        },
        _ if standard => Ok(Kind::Standard),
        n::S_IFIFO if path.as_bytes().starts_with(b"pipe:[") => Ok(Kind::OutsidePipe),
        n::S_IFIFO => lost().map_or(Ok(Kind::Fifo), refuse),
        n::S_IFBLK => refuse("a block device is not supported"),
        _ => refuse("this kind of descriptor is not supported yet"),
    }
}
