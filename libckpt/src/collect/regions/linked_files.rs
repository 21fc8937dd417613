//! Shared mappings of files that have another name than the one that maps shows as deleted. The program shares what it writes there
//! with whoever opens the file, so it must be the same file again.

use ckpt_image::regions::{Backing, FileIdentity, Region};
use ckpt_sys::line::Text;
use ckpt_sys::maps::path_of;
use ckpt_sys::{Errno, Line, MapVec, calls, files};

use super::{Mapped, is_shown_as};
use crate::collect::descriptors::hidden_files;
use crate::collect::descriptors::unnamed_files::{self, PREFIX};
use crate::collect::other_names;
use crate::failure::{Doing, Failure, failure};

/// A file with another name: what stat(2) says by that, and where it stands among the names that were found.
#[derive(Clone, Copy)]
struct Linked {
    now: FileIdentity,
    name_at: usize,
    name_length: usize,
}

/// Gives the regions of such files the names that these have; the text of all names, as maps would have them, from which they
/// borrow. It maps memory, so `list` is complete.
///
/// # Errors
/// [`Failure`] names a file whose name is nowhere to be found.
pub fn find(list: &mut [Mapped<'static>]) -> Result<MapVec<u8>, Failure> {
    let no_memory = format_args!("memory for the list of regions");
    let mut names = MapVec::new();
    // What maps shows of a file, and what has come of looking for it.
    let mut known = MapVec::<(FileIdentity, Option<Linked>)>::new();
    for region in list.iter().map(|mapped| &mapped.region) {
        // The parts of one file mostly follow each other.
        let mut others = known.iter().rev();
        if !may_be_linked(region) || others.any(|(shown, _)| *shown == region.file) {
            continue;
        }
        let links = links(region);
        let found = if links == Some(0) {
            None
        } else {
            let is_it = |stat: &calls::Stat| is_shown(region, stat);
            let path = path_of(region.name).unwrap_or_default();
            other_names::find(path.as_bytes(), region.file.inode, is_it)
        };
        if links.is_some_and(|links| links != 0) && found.is_none() {
            return Err(failure!(
                "{} at {:#x}: the program shares memory with this file, which has another name now, and not in the same \
                 directory; unmap it first",
                Text(region.name),
                region.start
            ));
        }
        let found = found.filter(|(path, _)| !hidden_files::is_one(path.as_bytes()));
        let name_at = names.len();
        if let Some((path, _)) = &found {
            add_name(path.as_bytes(), &mut names).doing(no_memory)?;
        }
        let linked = found.map(|(_, stat)| Linked {
            now: files::identity(&stat),
            name_at,
            name_length: names.len() - name_at,
        });
        known.push((region.file, linked)).doing(no_memory)?;
    }
    // SAFETY: the text is handed out with the regions, is never changed again, and does not move with its owner.
    let text: &'static [u8] = unsafe { core::slice::from_raw_parts(names.as_ptr(), names.len()) };
    for region in list.iter_mut().map(|mapped| &mut mapped.region) {
        if !may_be_linked(region) {
            continue;
        }
        let mut others = known.iter().rev();
        if let Some(&(_, Some(found))) = others.find(|(shown, _)| *shown == region.file) {
            region.backing_number = Backing::SharedFile as u32;
            region.file = found.now;
            region.name = &text[found.name_at..found.name_at + found.name_length];
        }
    }
    Ok(names)
}

/// Appends `path` as maps shows it: with `\012` for a newline.
fn add_name(path: &[u8], names: &mut MapVec<u8>) -> Result<(), Errno> {
    let mut lines = path.split(|&byte| byte == b'\n');
    names.extend(lines.next().unwrap_or_default())?;
    lines.try_for_each(|line| names.extend(b"\\012").and_then(|()| names.extend(line)))
}

/// Whether `region` shows the file that `stat` describes.
fn is_shown(region: &Region<'_>, stat: &calls::Stat) -> bool {
    is_shown_as(stat, region.file.device, region.file.inode)
}

/// Whether `region` may be one of them: not memory that never had a name, or has one only until it is not used any more.
fn may_be_linked(region: &Region<'_>) -> bool {
    let never_had = unnamed_files::is_system_v(region.name) || region.name.starts_with(PREFIX);
    region.backing() == Backing::SharedUnnamedFile
        && !never_had
        && !hidden_files::is_one(region.name)
}

/// How many names the file has, where we may know: this takes `CAP_CHECKPOINT_RESTORE` or `CAP_SYS_ADMIN`
/// (`proc_map_files_get_link` in fs/proc/base.c).
fn links(region: &Region<'_>) -> Option<u64> {
    let Region { start, end, .. } = region;
    let path = Line::<64>::format(format_args!("/proc/self/map_files/{start:x}-{end:x}"));
    let stat = calls::stat_at(calls::AT_FDCWD, path.as_c_str(), 0).ok()?;
    is_shown(region, &stat).then_some(stat.st_nlink)
}
