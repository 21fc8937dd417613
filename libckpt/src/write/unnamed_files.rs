//! The content of files without a name, behind the memory.

use ckpt_image::objects::deleted_files::{FileExtent, MAX_LENGTH};
use ckpt_image::owners::LockWord;
use ckpt_image::page_up;
use ckpt_image::regions::{PROT_WRITE, Region};
use ckpt_sys::MapVec;
use ckpt_sys::crc::crc32c;

use super::Output;
use super::memory::is_zero;
use super::notes::Found;
use super::owner_search::OwnerSearch;
use crate::collect::descriptors::unnamed_files::{FileRun, Reader};
use crate::collect::regions::Mapped;
use crate::failure::{Doing, Failure};
use crate::snapshot::Kept;

/// Copies `runs` to the image, one behind the other, from `start` on; where they end, a multiple of the page size. Where they lie,
/// and words of held mutexes that some of `regions` show, are added to `found`.
///
/// # Errors
/// [`Failure`] if something cannot be read or written.
pub fn write(
    runs: &[FileRun],
    kept: &Kept,
    regions: &[Mapped<'_>],
    search: &mut OwnerSearch<'_>,
    found: &mut Found,
    start: u64,
    output: &mut Output<'_>,
) -> Result<u64, Failure> {
    let mut end = start;
    if runs.is_empty() {
        return Ok(end);
    }
    let mut buffer =
        MapVec::zeroed(MAX_LENGTH as usize).doing(format_args!("memory for a buffer"))?;
    let mut reader = Reader::new()?;
    let mut file = None;
    for (index, run) in runs.iter().enumerate() {
        if file.replace(run.file) != Some(run.file) {
            search.forget();
        }
        let bytes = match kept.file_bytes(index) {
            Some(kept) => kept,
            None => {
                let bytes = &mut buffer[..run.length as usize];
                reader.read(run, bytes)?;
                bytes
            }
        };
        if is_zero(bytes) {
            continue;
        }
        output.extent(bytes, end)?;
        let extent = FileExtent {
            file: run.file,
            length: run.length,
            offset: run.offset,
            place: end,
            checksum: crc32c(bytes),
        };
        found
            .file_extents
            .push(extent)
            .doing(format_args!("memory for the list of extents"))?;
        end = page_up(end + u64::from(run.length));
        let mut result = Ok(());
        search.find(run.offset, bytes, |word| {
            for address in shown_at(regions, run, word.address) {
                result = result.and_then(|()| found.lock_words.push(LockWord { address, ..word }));
            }
        });
        result.doing(format_args!("memory for the list of mutexes"))?;
    }
    Ok(end)
}

/// All addresses at which the program can write to the byte of the file at `offset`.
fn shown_at(regions: &[Mapped<'_>], run: &FileRun, offset: u64) -> impl Iterator<Item = u64> {
    let shows = move |region: &Region<'_>| {
        region.backing().is_shared_unnamed_file()
            && region.file == run.identity
            && region.protection & PROT_WRITE != 0
            && (region.offset..region.offset + region.len()).contains(&offset)
    };
    let regions = regions.iter().map(|mapped| mapped.region).filter(shows);
    regions.map(move |region| region.start + (offset - region.offset))
}
