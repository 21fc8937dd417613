//! Descriptors through which changes of files are read (inotify(7)).

use ckpt_image::objects::watchers::{MAX_WATCH, Watch, Watcher};
use ckpt_image::wire::Encoder;
use ckpt_sys::bytes::{fields, hex};
use ckpt_sys::line::Path;
use ckpt_sys::{MapVec, calls};
use linux_raw_sys::general as n;
use linux_raw_sys::ioctl::FIONREAD;

use super::info::Info;
use super::objects::Objects;
use crate::failure::{Doing, Failure, failure};
use crate::interpose::watched_paths;

/// What an entry takes beside its path, in bytes.
const ENTRY: usize = 64;

/// Reads the one behind the descriptor `number` (`inotify_fdinfo` in fs/notify/fdinfo.c).
///
/// # Errors
/// [`Failure`] if it watches something of which no path is known, or that has moved.
pub fn collect(number: u32, objects: &mut Objects) -> Result<(), Failure> {
    let info = Info::read(number)?;
    let mut found = MapVec::new();
    for line in info.all(b"inotify ") {
        let watch = parse(line).ok_or_else(|| {
            failure!("descriptor {number}: the kernel does not tell what it watches")
        })?;
        found
            .push(watch)
            .doing(format_args!("memory for the list of watches"))?;
    }
    found.sort_unstable();
    let mut watches = MapVec::new();
    let mut buffer = [0; ENTRY + size_of::<Path>()];
    for &(watch, inode, mask) in found.iter() {
        let path = path_to(inode).ok_or_else(|| {
            failure!(
                "descriptor {number}: it watches a file (inode {inode}) that cannot be reached by the path that was \
                 given to inotify_add_watch; remove that watch first"
            )
        })?;
        if watch > MAX_WATCH {
            return Err(failure!(
                "descriptor {number}: it has used more than {MAX_WATCH} watches; close it first"
            ));
        }
        let mut to = Encoder::new(&mut buffer);
        let watch = Watch {
            number: watch,
            mask,
            path,
        };
        // The buffer has room for every path.
        let _ = to.put(&watch);
        watches
            .extend(to.written())
            .doing(format_args!("memory for the list of watches"))?;
    }
    let mut unread = 0u32;
    // SAFETY: the kernel writes one number.
    unsafe { calls::ioctl(number as i32, FIONREAD, &raw mut unread as usize) }
        .doing(format_args!("descriptor {number}"))?;
    let watcher = Watcher {
        description: number,
        unread: u32::from(unread != 0),
        watches: &watches,
    };
    objects.add_large(&watcher, watches.len())
}

/// Number, inode and mask of a line such as `wd:3 ino:13 sdev:fe00000 mask:fff ignored_mask:0 ...`.
fn parse(line: &[u8]) -> Option<(u32, u64, u32)> {
    let value = |key: &[u8]| fields(line).find_map(|field| hex(field.strip_prefix(key)?));
    Some((
        value(b"wd:")? as u32,
        value(b"ino:")?,
        value(b"mask:")? as u32,
    ))
}

/// A path that was watched and still leads to what it led to then.
fn path_to(inode: u64) -> Option<&'static [u8]> {
    let leads_there = |&(device, path): &(u64, &[u8])| {
        let mut text = Path::new();
        text.push(path);
        calls::stat_at(calls::AT_FDCWD, text.as_c_str(), n::AT_SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| stat.st_dev == device && stat.st_ino == inode)
    };
    watched_paths(inode).find(leads_there).map(|(_, path)| path)
}
