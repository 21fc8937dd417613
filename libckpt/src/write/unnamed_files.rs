//! The content of files without a name, behind the memory.

use ckpt_image::objects::deleted_files::FileExtent;
use ckpt_image::owners::OwnerWord;
use ckpt_image::page_up;
use ckpt_image::regions::{PROT_WRITE, Region};
use ckpt_sys::MapVec;
use ckpt_sys::crc::crc32c;

use super::owner_search::OwnerSearch;
use super::{Output, is_zero};
use crate::collect::descriptors::unnamed_files::{FileRun, Reader};
use crate::collect::regions::Mapped;
use crate::failure::{Doing, Failure};
use crate::snapshot::Kept;

/// What was written.
pub struct Stored {
    /// Where it lies.
    pub extents: MapVec<FileExtent>,
    /// Where it ends in the image, a multiple of the page size.
    pub end: u64,
}

/// Copies `runs` to the image, one behind the other, from `start` on. Words of held mutexes that some of `regions` show are
/// appended to `owners`.
///
/// # Errors
/// [`Failure`] if something cannot be read or written.
pub fn write(
    runs: &[FileRun],
    kept: &Kept,
    regions: &[Mapped<'_>],
    search: &mut OwnerSearch,
    owners: &mut MapVec<OwnerWord>,
    start: u64,
    output: &mut Output<'_>,
) -> Result<Stored, Failure> {
    let mut stored = Stored {
        extents: MapVec::new(),
        end: start,
    };
    if runs.is_empty() {
        return Ok(stored);
    }
    let mut reader = Reader::new()?;
    let mut file = None;
    for (index, run) in runs.iter().enumerate() {
        if file.replace(run.file) != Some(run.file) {
            search.forget();
        }
        let bytes = search.room(run.length as usize);
        match kept.file_bytes(index) {
            Some(kept) => bytes.copy_from_slice(kept),
            None => reader.read(run, bytes)?,
        }
        if is_zero(bytes) {
            continue;
        }
        output.write(bytes, stored.end)?;
        let extent = FileExtent {
            file: run.file,
            length: run.length,
            offset: run.offset,
            place: stored.end,
            checksum: crc32c(bytes),
        };
        stored
            .extents
            .push(extent)
            .doing(format_args!("memory for the list of extents"))?;
        stored.end = page_up(stored.end + u64::from(run.length));
        let mut result = Ok(());
        search.find(run.offset, run.length as usize, |offset| {
            if let Some(address) = shown_at(regions, run, offset)
                && result.is_ok()
            {
                result = owners.push(OwnerWord { address });
            }
        });
        result.doing(format_args!("memory for the list of mutexes"))?;
    }
    Ok(stored)
}

/// Where the program can write to the byte of the file at `offset`.
fn shown_at(regions: &[Mapped<'_>], run: &FileRun, offset: u64) -> Option<u64> {
    let shows = |region: &Region<'_>| {
        region.backing().is_unnamed_file()
            && region.file == run.identity
            && region.protection & PROT_WRITE != 0
            && (region.offset..region.offset + region.len()).contains(&offset)
    };
    let mut regions = regions.iter().map(|mapped| mapped.region);
    let region = regions.find(shows)?;
    Some(region.start + (offset - region.offset))
}
