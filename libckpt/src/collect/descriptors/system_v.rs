//! System V shared memory.

use ckpt_image::objects::deleted_files::MAX_LENGTH;
use ckpt_image::objects::system_v::Segment;
use ckpt_image::page_up;
use ckpt_image::regions::FileIdentity;
use ckpt_image::segments::Span;
use ckpt_sys::{MapVec, system_v};

use super::objects::Objects;
use super::unnamed_files::{FileRun, From};
use crate::collect::content::{Run, RunList, in_core};
use crate::collect::regions::Regions;
use crate::failure::{Doing, Failure, failure};

/// Segments that are attached a second time, as a whole, for the time of the checkpoint: what the program has attached may be
/// a part, or hidden.
#[derive(Debug, Default)]
pub struct Attached {
    addresses: MapVec<usize>,
}

impl Attached {
    /// Detaches them, in this process: the writer has them, too.
    pub fn detach(&self) {
        for &address in self.addresses.iter() {
            // SAFETY: it was attached for us.
            let _ = unsafe { system_v::detach(address) };
        }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.detach();
    }
}

/// Adds the segment with this identity, which is the file number `index`, and the stretches of it that hold data.
///
/// # Errors
/// [`Failure`] if it cannot be read.
pub fn collect(
    index: u32,
    identity: &FileIdentity,
    regions: &Regions,
    attached: &mut Attached,
    objects: &mut Objects,
    runs: &mut MapVec<FileRun>,
) -> Result<(), Failure> {
    let id = identity.inode as i32;
    let cannot = |errno| {
        failure!(
            "System V shared memory {id}: it cannot be read: {errno}; detach it first, or give the program permission to read it"
        )
    };
    let segment = system_v::segment(id).map_err(cannot)?;
    objects.add(&Segment {
        device: identity.device,
        inode: identity.inode,
        key: segment.key,
        mode: segment.mode,
        uid: segment.uid,
        gid: segment.gid,
        creator: segment.creator,
        size: segment.size,
    })?;
    let no_memory = format_args!("memory for the list of pages");
    attached
        .addresses
        .reserve(attached.addresses.len() + 1)
        .doing(no_memory)?;
    let address = system_v::attach(id, system_v::READ_ONLY).map_err(cannot)?;
    attached.addresses.push(address).doing(no_memory)?;
    let start = address as u64;
    let whole = Span::new(start, start + page_up(segment.size));
    let mut found = MapVec::new();
    let mut list = RunList::new(&mut found);
    // What is in swap space is not in core.
    let swapped = |identity| {
        let mut all = regions.list().iter();
        all.any(|one| {
            one.region.backing().is_shared_unnamed_file()
                && one.region.file == identity
                && one.swapped
        })
    };
    if swapped(*identity) {
        list.add(whole, false).doing(no_memory)?;
    } else {
        in_core(whole, |span| list.add(span, false)).doing(no_memory)?;
    }
    for Run { span, .. } in found.iter() {
        for from in (span.start..span.end).step_by(MAX_LENGTH as usize) {
            let end = span.end.min(start + segment.size);
            runs.push(FileRun {
                file: index,
                identity: *identity,
                from: From::Mapping(from),
                offset: from - start,
                length: (end - from).min(u64::from(MAX_LENGTH)) as u32,
            })
            .doing(no_memory)?;
        }
    }
    Ok(())
}
