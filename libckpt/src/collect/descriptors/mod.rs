//! Descriptors, the objects behind them that have a state of their own, and the locks held on files. One module per kind
//! of object.

mod epoll;
mod event_counters;
pub mod hidden_files;
mod info;
mod ipc;
mod kernel_files;
mod kinds;
mod locks;
mod mapped_files;
mod message_queues;
pub mod objects;
mod pipes;
mod pseudo_terminals;
mod sharing;
mod signal_owners;
mod signals;
mod sockets;
mod system_v;
mod terminal;
mod timers;
pub mod unnamed_files;
mod watchers;

use ckpt_image::descriptors::{Descriptor, Kind, Lock, limit_needed, lowest_above};
use ckpt_image::regions::FileIdentity;
use ckpt_sys::bytes::decimal;
use ckpt_sys::line::Path;
use ckpt_sys::{Line, MapVec, calls, files};
use linux_raw_sys::general as n;

use crate::collect::regions::Regions;
use crate::failure::{Doing, Failure};
use crate::report;
use objects::Objects;
use sockets::Sockets;
use unnamed_files::{FileRun, UnnamedFiles};

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
    objects: Objects,
    unnamed: UnnamedFiles,
    /// What `unnamed` refers to may be only in flight: it stays open as long as this is there.
    sockets: Sockets,
}

impl Descriptors {
    /// Reads them, and the files without a name that `regions` show; of deleted files, up to `deleted_limit` bytes are saved.
    ///
    /// # Errors
    /// [`Failure`] names the first descriptor that cannot be restored.
    pub fn collect(deleted_limit: u64, regions: &mut Regions) -> Result<Self, Failure> {
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
        message_queues::refuse_notified(&all)?;
        all.sockets = Sockets::look(&mut all)?;
        all.found
            .sort_unstable_by_key(|found| found.descriptor.number);
        pseudo_terminals::find(&mut all)?;
        sharing::find(&mut all.found)?;
        pipes::find(&mut all)?;
        all.locks = locks::find(all.iter())?;
        let mut objects = objects::collect(&all, &all.sockets)?;
        all.unnamed = unnamed_files::collect(&all, regions, deleted_limit, &mut objects)?;
        all.objects = objects;
        all.warn_of_limit();
        Ok(all)
    }

    /// Says so if a restart needs more descriptors than this process may have. The restorer may be permitted more.
    fn warn_of_limit(&self) {
        let others = self.unnamed.count + self.sockets.far_ends();
        let above = lowest_above(self.iter(), core::iter::empty());
        let needed = limit_needed(above, self.iter(), others);
        if let Ok([_, hard]) = calls::limit(n::RLIMIT_NOFILE as usize, None)
            && hard < needed
        {
            report::line(format_args!(
                "warning: a restart takes {needed} descriptors, and the hard limit here is {hard}: the restorer needs a higher one (ulimit -Hn)"
            ));
        }
    }

    /// The descriptors, in ascending order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = Descriptor<'_>> + Clone {
        self.found.iter().map(|found| self.with_path(found))
    }

    /// The descriptor with this number.
    fn with_number(&self, number: u32) -> Option<Descriptor<'_>> {
        let place = self
            .found
            .binary_search_by_key(&number, |found| found.descriptor.number);
        place.ok().map(|place| self.with_path(&self.found[place]))
    }

    fn with_path(&self, found: &Found) -> Descriptor<'_> {
        Descriptor {
            path: &self.paths[found.path_at..found.path_at + found.path_length],
            ..found.descriptor
        }
    }

    /// The locks.
    pub fn locks(&self) -> &[Lock] {
        &self.locks
    }

    /// Whether the program has locks on a file that it loses when any descriptor of the file is closed.
    fn has_locks_lost_by_closing(&self, file: &FileIdentity) -> bool {
        locks::lost_by_closing(&self.locks, self.iter()).any(|locked| locked.same_file(file))
    }

    /// The objects that have a state of their own.
    pub fn objects(&self) -> &Objects {
        &self.objects
    }

    /// The same, for more of them.
    pub fn objects_mut(&mut self) -> &mut Objects {
        &mut self.objects
    }

    /// Detaches what was attached to read [`Self::file_runs`], which have been copied.
    pub fn detach(&self) {
        self.unnamed.attached.detach();
    }

    /// Where files without a name hold data.
    pub fn file_runs(&self) -> &[FileRun] {
        &self.unnamed.runs
    }

    /// An upper bound of the bytes that they take up in the image.
    pub fn encoded_bound(&self) -> usize {
        self.found.len() * 128
            + self.paths.len()
            + self.locks.len() * 64
            + self.objects.encoded_bound()
    }

    fn add(&mut self, number: i32) -> Result<(), Failure> {
        let stat = calls::fstat(number).doing(format_args!("descriptor {number}"))?;
        let link = Line::<64>::format(format_args!("/proc/thread-self/fd/{number}"));
        let mut path: Path =
            files::read_link(link.as_c_str()).doing(format_args!("descriptor {number}"))?;
        let flags = calls::fcntl(number, n::F_GETFL, 0).unwrap_or(0) as u32;
        if let Some(other) = kinds::other_name(&stat, &path) {
            path = other;
        }
        let kind = kinds::classify(number, flags, &stat, &path)?;
        if kind == Kind::KernelFile {
            let what = Line::format(format_args!("descriptor {number}"));
            path = kernel_files::lasting_path(&what, &path)?;
        }
        let has_offset = matches!(
            kind,
            Kind::File | Kind::Directory | Kind::DeletedFile | Kind::MemoryFile | Kind::KernelFile
        );
        let seekable = has_offset && flags & n::O_PATH == 0;
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
                Kind::File | Kind::DeletedFile => identity,
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
}
