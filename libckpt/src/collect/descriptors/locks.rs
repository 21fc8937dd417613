//! The locks held on files.

use ckpt_image::descriptors::{Descriptor, Kind, Lock, LockKind};
use ckpt_image::regions::FileIdentity;
use ckpt_sys::MapVec;
use ckpt_sys::bytes::{decimal, fields};
use ckpt_sys::line::Text;

use super::info::Info;
use crate::failure::{Doing, Failure, failure};

/// The locks on the files behind `descriptors`.
pub fn find<'d>(
    descriptors: impl Iterator<Item = Descriptor<'d>>,
) -> Result<MapVec<Lock>, Failure> {
    let mut locks = MapVec::new();
    let mut info = Info::none();
    for descriptor in descriptors {
        let has_locks = matches!(
            descriptor.kind(),
            Kind::File | Kind::Directory | Kind::DeletedFile | Kind::MemoryFile
        );
        if !has_locks || descriptor.is_duplicate() {
            continue;
        }
        info.read_next(descriptor.number)?;
        for line in info.all(b"lock:") {
            locks
                .push(parse(descriptor.number, line)?)
                .doing(format_args!("memory for the list of locks"))?;
        }
    }
    Ok(locks)
}

/// The files of those `locks` that the program loses when any descriptor of the file is closed (fcntl(2), `F_SETLK`).
pub fn lost_by_closing<'d>(
    locks: &[Lock],
    descriptors: impl Iterator<Item = Descriptor<'d>> + Clone,
) -> impl Iterator<Item = FileIdentity> {
    let of_process = |lock: &&Lock| lock.kind() == Some(LockKind::Posix);
    locks.iter().filter(of_process).filter_map(move |lock| {
        let mut descriptors = descriptors.clone();
        let locked = descriptors.find(|descriptor| descriptor.number == lock.descriptor);
        locked.map(|locked| locked.file)
    })
}

/// One `lock:` line, such as `1: POSIX  ADVISORY  WRITE 4711 fe:00:2634 0 EOF`.
fn parse(descriptor: u32, line: &[u8]) -> Result<Lock, Failure> {
    let mut fields = fields(line);
    let mut next = || fields.next().unwrap_or_default();
    let (_, kind, state, mode, _, _, start, end) = (
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
        b"LEASE" if state == b"ACTIVE" => LockKind::Lease,
        b"LEASE" => {
            return Err(failure!(
                "descriptor {descriptor}: somebody waits for the program to give up its lease on this file; give it up first, or \
                 send the signal again later"
            ));
        }
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
