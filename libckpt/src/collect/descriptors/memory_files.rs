//! Files that are in memory only (memfd_create(2)).

use ckpt_image::descriptors::Kind;
use ckpt_image::objects::memory_files::MemoryFile;
use ckpt_sys::{Errno, Line, MapVec, calls, files};
use linux_raw_sys::general as n;

use super::Descriptors;
use super::objects::Objects;
use crate::failure::{Doing, Failure, failure};

/// What `/proc/PID/fd` shows before the name of such a file, and behind it.
pub const PREFIX: &[u8] = b"/memfd:";
const SUFFIX: &[u8] = b" (deleted)";

/// The most content that such a file may have, in bytes: it goes through memory.
const LARGEST: usize = 256 << 20;

/// Reads all such files, each of which may have several open file descriptions.
///
/// # Errors
/// [`Failure`] names the first that cannot be read.
pub fn collect(all: &Descriptors, objects: &mut Objects) -> Result<(), Failure> {
    let mut done = MapVec::new();
    for descriptor in all.iter() {
        let identity = (descriptor.file.device, descriptor.file.inode);
        if descriptor.kind() != Kind::MemoryFile || done.contains(&identity) {
            continue;
        }
        done.push(identity)
            .doing(format_args!("memory for the list of descriptors"))?;
        let number = descriptor.number as i32;
        let name = descriptor.path.strip_prefix(PREFIX).unwrap_or_default();
        let stat = calls::fstat(number).doing(format_args!("descriptor {number}"))?;
        let seals = calls::fcntl(number, n::F_GET_SEALS, 0)
            .map_err(|_| failure!("descriptor {number}: a memfd on huge pages is not supported"))?;
        let content = Content::read(number)?;
        let file = MemoryFile {
            device: identity.0,
            inode: identity.1,
            mode: stat.st_mode & 0o7777,
            seals: seals as u32,
            size: stat.st_size as u64,
            name: name.strip_suffix(SUFFIX).unwrap_or(name),
            stretches: &content.stretches,
            content: &content.bytes,
        };
        objects.add_large(&file, content.bytes.len() + content.stretches.len())?;
    }
    Ok(())
}

/// What is in a file, without its holes.
#[derive(Default)]
struct Content {
    stretches: MapVec<u8>,
    bytes: MapVec<u8>,
}

impl Content {
    fn read(number: i32) -> Result<Self, Failure> {
        let mut content = Self::default();
        // The program's own would be moved.
        let path = Line::<64>::format(format_args!("/proc/thread-self/fd/{number}"));
        let own =
            calls::open(path.as_c_str(), n::O_RDONLY).doing(format_args!("descriptor {number}"))?;
        let mut end = 0;
        loop {
            let start = match calls::lseek(own.number(), end as i64, n::SEEK_DATA) {
                Ok(start) => start,
                Err(Errno::ENXIO) => return Ok(content),
                Err(errno) => Err(errno).doing(format_args!("descriptor {number}"))?,
            };
            end = calls::lseek(own.number(), start as i64, n::SEEK_HOLE)
                .doing(format_args!("descriptor {number}"))?;
            let (at, length) = (content.bytes.len(), end - start);
            if at + length > LARGEST {
                let most = LARGEST >> 20;
                return Err(failure!(
                    "descriptor {number}: a memfd with more than {most} MiB is not supported; close it first"
                ));
            }
            let no_memory = "memory for the content of a memfd";
            let stretch = [start as u64, length as u64].map(u64::to_le_bytes);
            content
                .stretches
                .extend(stretch.as_flattened())
                .doing(format_args!("{no_memory}"))?;
            content
                .bytes
                .extend_zeroed(length)
                .doing(format_args!("{no_memory}"))?;
            files::read_at(&own, &mut content.bytes[at..], start as u64)
                .doing(format_args!("descriptor {number}"))?;
        }
    }
}
