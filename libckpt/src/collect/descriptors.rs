//! Descriptors and the locks held on files.

use core::cmp::Ordering;

use ckpt_image::descriptors::{Descriptor, Kind, Lock, LockKind};
use ckpt_image::regions::FileIdentity;
use ckpt_sys::bytes::{decimal, fields, lines};
use ckpt_sys::line::{Path, Text};
use ckpt_sys::{Errno, Line, MapVec, calls, files};
use linux_raw_sys::general as n;

use crate::failure::{Doing, Failure, failure};

/// `KCMP_FILE` (include/uapi/linux/kcmp.h).
const KCMP_FILE: u32 = 0;

/// Major numbers of character devices (Documentation/admin-guide/devices.txt).
const MEMORY_DEVICES: u64 = 1;
const TERMINALS: u64 = 4;
const TERMINAL_AND_CONSOLE: u64 = 5;
const PSEUDO_TERMINALS: core::ops::RangeInclusive<u64> = 136..=143;

/// `/dev/null`, `/dev/zero`, `/dev/full`, `/dev/random`, `/dev/urandom`: devices without a state of their own.
const STATELESS: [u64; 5] = [3, 5, 7, 8, 9];

/// One descriptor, with its path kept elsewhere.
#[derive(Clone, Copy, Debug)]
struct Found {
    descriptor: Descriptor<'static>,
    path_at: usize,
    path_length: usize,
}

/// All descriptors of the program and the locks on its files.
#[derive(Debug, Default)]
pub struct Descriptors {
    found: MapVec<Found>,
    paths: MapVec<u8>,
    locks: MapVec<Lock>,
}

impl Descriptors {
    /// Reads them.
    ///
    /// # Errors
    /// [`Failure`] names the first descriptor that cannot be restored.
    pub fn collect() -> Result<Self, Failure> {
        let mut all = Self::default();
        let directory = calls::open(c"/proc/thread-self/fd", n::O_RDONLY | n::O_DIRECTORY)
            .doing(format_args!("/proc/thread-self/fd"))?;
        let mut result = Ok(());
        files::for_each_entry(&directory, |name| {
            let number = decimal(name.to_bytes()).unwrap_or(u64::MAX) as i32;
            // The directory itself is ours.
            if number != directory.number() {
                result = all.add(number);
            }
            result.is_ok()
        })
        .doing(format_args!("/proc/thread-self/fd"))?;
        result?;
        all.found
            .sort_unstable_by_key(|found| found.descriptor.number);
        all.find_duplicates()?;
        all.check_pipes()?;
        all.find_locks()?;
        Ok(all)
    }

    /// The descriptors, in ascending order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = Descriptor<'_>> + Clone {
        self.found.iter().map(|found| Descriptor {
            path: &self.paths[found.path_at..found.path_at + found.path_length],
            ..found.descriptor
        })
    }

    /// The locks.
    pub fn locks(&self) -> &[Lock] {
        &self.locks
    }

    /// An upper bound of the bytes that they take up in the image.
    pub fn encoded_bound(&self) -> usize {
        self.found.len() * 128 + self.paths.len() + self.locks.len() * 64
    }

    fn add(&mut self, number: i32) -> Result<(), Failure> {
        let stat = calls::fstat(number).doing(format_args!("descriptor {number}"))?;
        let link = Line::<64>::format(format_args!("/proc/thread-self/fd/{number}"));
        let path: Path =
            files::read_link(link.as_c_str()).doing(format_args!("descriptor {number}"))?;
        let kind = classify(number, &stat, &path)?;
        let flags = calls::fcntl(number, n::F_GETFL, 0).unwrap_or(0) as u32;
        let seekable = matches!(kind, Kind::File | Kind::Directory) && flags & n::O_PATH == 0;
        let offset = if seekable {
            calls::lseek(number, 0, n::SEEK_CUR).unwrap_or(0)
        } else {
            0
        };
        let identity = files::identity(&stat);
        let descriptor = Descriptor {
            number: number as u32,
            description: number as u32,
            kind_number: kind as u32,
            flags,
            close_on_exec: calls::fcntl(number, n::F_GETFD, 0).unwrap_or(0) as u32 & n::FD_CLOEXEC,
            offset: offset as u64,
            file: match kind {
                Kind::File => identity,
                _ => FileIdentity {
                    device: identity.device,
                    inode: identity.inode,
                    ..FileIdentity::default()
                },
            },
            device: stat.st_rdev,
            path: b"",
        };
        let (path_at, path_length) = (self.paths.len(), path.as_bytes().len());
        self.paths
            .extend(path.as_bytes())
            .and_then(|()| {
                self.found.push(Found {
                    descriptor,
                    path_at,
                    path_length,
                })
            })
            .doing(format_args!("memory for the list of descriptors"))
    }

    /// Finds out which descriptors share an open file description. kcmp(2) not only says whether two are one, but orders
    /// them, so thousands of descriptors of one file take a search each and not a comparison with each.
    fn find_duplicates(&mut self) -> Result<(), Failure> {
        // Those that share with no earlier one, in the order of `compare`.
        let mut originals = MapVec::<Descriptor<'static>>::new();
        let ordered = self.found.first().is_some_and(|first| {
            kcmp(first.descriptor.number, first.descriptor.number) == Some(Ordering::Equal)
        });
        for found in self.found.iter_mut() {
            let this = &mut found.descriptor;
            let place = if ordered {
                originals.binary_search_by(|other| compare(other, this))
            } else {
                let place = originals.iter().position(|other| is_same(other, this));
                place.ok_or(originals.len())
            };
            match place {
                Ok(place) => {
                    this.description = originals[place].number;
                    this.kind_number = originals[place].kind_number;
                }
                Err(place) => originals
                    .push(*this)
                    .map(|()| originals[place..].rotate_right(1))
                    .doing(format_args!("memory for the list of descriptors"))?,
            }
        }
        Ok(())
    }

    /// Refuses pipes whose both ends are inside the program: what is in them is not saved yet.
    fn check_pipes(&self) -> Result<(), Failure> {
        let is_pipe = |found: &&Found| {
            let path = &self.paths[found.path_at..found.path_at + found.path_length];
            path.starts_with(b"pipe:[")
        };
        let access = |found: &Found| found.descriptor.flags & n::O_ACCMODE;
        for pipe in self.found.iter().filter(is_pipe) {
            let other_end = self.found.iter().find(|other| {
                other.descriptor.file.same_file(&pipe.descriptor.file)
                    && access(other) != access(pipe)
            });
            if let Some(other_end) = other_end {
                return Err(failure!(
                    "descriptors {} and {}: a pipe within the program is not supported yet; send the signal when it is \
                     closed",
                    pipe.descriptor.number,
                    other_end.descriptor.number
                ));
            }
        }
        Ok(())
    }

    fn find_locks(&mut self) -> Result<(), Failure> {
        for index in 0..self.found.len() {
            let descriptor = self.found[index].descriptor;
            if descriptor.kind() != Kind::File || descriptor.is_duplicate() {
                continue;
            }
            let path = Line::<64>::format(format_args!(
                "/proc/thread-self/fdinfo/{}",
                descriptor.number
            ));
            let info: Line<4096> = files::read_small(path.as_c_str())
                .doing(format_args!("descriptor {}", descriptor.number))?;
            if info.is_cut() {
                return Err(failure!(
                    "descriptor {}: it holds too many locks",
                    descriptor.number
                ));
            }
            for line in lines(info.as_bytes()) {
                if let Some(lock) = line.strip_prefix(b"lock:") {
                    let lock = parse_lock(descriptor.number, lock)?;
                    self.locks
                        .push(lock)
                        .doing(format_args!("memory for the list of locks"))?;
                }
            }
        }
        Ok(())
    }
}

/// Sorts a descriptor out.
fn classify(number: i32, stat: &calls::Stat, path: &Path) -> Result<Kind, Failure> {
    let standard = (0..=2).contains(&number);
    let refuse = |what: &str| {
        Err(failure!(
            "descriptor {number} ({path}): {what}; close it first"
        ))
    };
    match stat.st_mode & n::S_IFMT {
        n::S_IFREG if path.as_bytes().starts_with(b"/memfd:") => {
            refuse("a memfd is not supported yet")
        }
        n::S_IFREG | n::S_IFDIR if stat.st_nlink == 0 => {
            refuse("a deleted file is not supported yet")
        }
        kind @ (n::S_IFREG | n::S_IFDIR) => {
            let by_name = calls::stat_at(calls::AT_FDCWD, path.as_c_str(), 0);
            if !by_name.is_ok_and(|found| files::identity(&found).same_file(&files::identity(stat)))
            {
                return refuse("the file cannot be reached by this name any more");
            }
            Ok(if kind == n::S_IFREG {
                Kind::File
            } else {
                Kind::Directory
            })
        }
        n::S_IFCHR => match (calls::major(stat.st_rdev), calls::minor(stat.st_rdev)) {
            (MEMORY_DEVICES, minor) if STATELESS.contains(&minor) => Ok(Kind::Device),
            _ if standard => Ok(Kind::Standard),
            (TERMINALS, _) | (TERMINAL_AND_CONSOLE, 0 | 1) => Ok(Kind::Terminal),
            (major, _) if PSEUDO_TERMINALS.contains(&major) => Ok(Kind::Terminal),
            _ => refuse("a device is not supported"),
        },
        _ if standard => Ok(Kind::Standard),
        n::S_IFIFO if path.as_bytes().starts_with(b"pipe:[") => Ok(Kind::OutsidePipe),
        n::S_IFIFO => refuse("a named pipe is not supported yet"),
        n::S_IFSOCK => refuse("a socket is not supported yet"),
        n::S_IFBLK => refuse("a block device is not supported"),
        _ => refuse("this kind of descriptor is not supported yet"),
    }
}

/// What two descriptors of one open file description have in common.
fn looks(descriptor: &Descriptor<'_>) -> (u64, u64, u32, u64) {
    let Descriptor {
        file,
        flags,
        offset,
        ..
    } = descriptor;
    (file.device, file.inode, *flags, *offset)
}

/// An order in which only descriptors of one open file description are equal. For where kcmp(2) is permitted.
fn compare(first: &Descriptor<'_>, second: &Descriptor<'_>) -> Ordering {
    let by_kcmp = || kcmp(first.number, second.number).unwrap_or(first.number.cmp(&second.number));
    looks(first).cmp(&looks(second)).then_with(by_kcmp)
}

/// How kcmp(2) orders the open file descriptions of two descriptors.
fn kcmp(first: u32, second: u32) -> Option<Ordering> {
    let pid = calls::pid();
    match calls::kcmp(pid, pid, KCMP_FILE, first as usize, second as usize) {
        Ok(0) => Some(Ordering::Equal),
        Ok(1) => Some(Ordering::Less),
        Ok(2) => Some(Ordering::Greater),
        _ => None,
    }
}

/// Whether two descriptors are one open file description, where kcmp(2) is forbidden, as sandboxes like to do.
fn is_same(first: &Descriptor<'_>, second: &Descriptor<'_>) -> bool {
    // Since Linux 6.10 fcntl(2) can tell.
    looks(first) == looks(second)
        && match calls::fcntl(
            first.number as i32,
            n::F_DUPFD_QUERY,
            second.number as usize,
        ) {
            Ok(answer) => answer == 1,
            // Same file, same flags, same offset: `>out 2>&1` is far more common than two openings.
            Err(errno) => errno == Errno::EINVAL,
        }
}

/// One `lock:` line, such as `1: POSIX  ADVISORY  WRITE 4711 fe:00:2634 0 EOF`.
fn parse_lock(descriptor: u32, line: &[u8]) -> Result<Lock, Failure> {
    let mut fields = fields(line);
    let mut next = || fields.next().unwrap_or_default();
    let (_, kind, _, mode, _, _, start, end) = (
        next(),
        next(),
        next(),
        next(),
        next(),
        next(),
        next(),
        next(),
    );
    let kind = match kind {
        b"POSIX" => LockKind::Posix,
        b"FLOCK" => LockKind::Flock,
        b"OFDLCK" => LockKind::OpenFileDescription,
        other => {
            let other = Text(other);
            return Err(failure!(
                "descriptor {descriptor}: a lock of the kind {other} is not supported; release it first"
            ));
        }
    };
    let start = decimal(start).unwrap_or(0);
    let length = decimal(end).map_or(0, |last| last + 1 - start);
    Ok(Lock {
        descriptor,
        kind_number: kind as u32,
        exclusive: u32::from(mode == b"WRITE"),
        start,
        length,
    })
}
