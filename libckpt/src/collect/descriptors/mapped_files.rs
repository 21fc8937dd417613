//! Where a file that no descriptor refers to holds data, as far as mappings show it.

use ckpt_image::PAGE;
use ckpt_image::objects::deleted_files::MAX_LENGTH;
use ckpt_image::regions::{FileIdentity, Region};
use ckpt_image::segments::Span;
use ckpt_sys::maps::path_of;
use ckpt_sys::{MapVec, calls};
use linux_raw_sys::general as n;

use super::unnamed_files::{FileRun, From, PREFIX};
use crate::collect::content::{Run, RunList, in_core};
use crate::collect::memory::{Access, Memory};
use crate::collect::regions::{Mapped, Regions};
use crate::failure::{Doing, Failure};

/// Appends the stretches that hold data of the file number `index`, which has this identity, to `runs`. The length of the file
/// in bytes, which nobody can know better than by whole pages.
///
/// # Errors
/// [`Failure`] if the memory cannot be read.
pub fn find_data(
    index: u32,
    identity: &FileIdentity,
    regions: &Regions,
    runs: &mut MapVec<FileRun>,
) -> Result<u64, Failure> {
    let no_memory = format_args!("memory for the list of pages");
    let mut shown = MapVec::new();
    let shows = |mapped: &&Mapped<'_>| {
        mapped.region.backing().is_shared_unnamed_file() && mapped.region.file == *identity
    };
    for mapped in regions.list().iter().filter(shows) {
        shown.push(*mapped).doing(no_memory)?;
    }
    shown.sort_unstable_by_key(|mapped| mapped.region.offset);
    let memory = Memory::open()?;
    let (mut size, mut done) = (0, 0);
    let mut found = MapVec::new();
    for Mapped {
        region, swapped, ..
    } in shown.iter()
    {
        let there = readable(&memory, region)?;
        if there.is_empty() {
            continue;
        }
        let end = region.offset + there.len();
        size = end.max(size);
        // Where two regions show the same pages, one of them is enough.
        let first = region.offset.max(done);
        if first >= end {
            continue;
        }
        done = end;
        let rest = Span::new(there.start + (first - region.offset), there.end);
        found.truncate(0);
        let mut list = RunList::new(&mut found);
        // What is in swap space is not in core, and what is on a disk need not be.
        if *swapped || !is_in_memory(region) {
            list.add(rest, false).doing(no_memory)?;
        } else {
            in_core(rest, |span| list.add(span, false)).doing(no_memory)?;
        }
        for Run { span, .. } in found.iter() {
            for address in (span.start..span.end).step_by(MAX_LENGTH as usize) {
                runs.push(FileRun {
                    file: index,
                    identity: *identity,
                    from: From::Mapping(address),
                    offset: region.offset + (address - region.start),
                    length: (span.end - address).min(u64::from(MAX_LENGTH)) as u32,
                })
                .doing(no_memory)?;
            }
        }
    }
    Ok(size)
}

/// The part of a region that is not behind the end of its file.
fn readable(memory: &Memory, region: &Region<'_>) -> Result<Span, Failure> {
    let mut page = [0; PAGE as usize];
    let mut is_there = |address| {
        let span = Span::new(address, address + PAGE);
        let run = Run {
            span,
            same_as_file: true,
        };
        let count = memory.copy(run, Access::Shared, &mut page)?;
        Ok(count != 0)
    };
    // What is known to be there, and where it is known to end: mostly with the region.
    let (mut end, mut limit) = (region.start, region.end);
    let mut probe = region.end - PAGE;
    while end < limit {
        if is_there(probe)? {
            end = probe + PAGE;
        } else {
            limit = probe;
        }
        probe = end + (limit - end) / PAGE / 2 * PAGE;
    }
    Ok(Span::new(region.start, end))
}

/// Whether the file of a region is on no disk, so that a page that is not in core and not in swap space does not exist, and
/// reading it would make it.
fn is_in_memory(region: &Region<'_>) -> bool {
    if region.name.starts_with(PREFIX) {
        return true;
    }
    let Some(slash) = region.name.iter().rposition(|&byte| byte == b'/') else {
        return false;
    };
    let directory = path_of(&region.name[..slash.max(1)])
        .and_then(|path| calls::open(path.as_c_str(), n::O_PATH | n::O_DIRECTORY));
    directory.is_ok_and(|directory| {
        let number = directory.number();
        let same = calls::fstat(number).is_ok_and(|stat| stat.st_dev == region.file.device);
        same && calls::file_system(number) == Ok(n::TMPFS_MAGIC)
    })
}
