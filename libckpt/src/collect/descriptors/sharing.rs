//! Which descriptors share an open file description.

use core::cmp::Ordering;

use ckpt_image::descriptors::Descriptor;
use ckpt_sys::{Errno, MapVec, calls};
use linux_raw_sys::general as n;

use super::Found;
use crate::failure::{Doing, Failure};

/// `KCMP_FILE` (include/uapi/linux/kcmp.h).
const KCMP_FILE: u32 = 0;

/// Finds out which descriptors share an open file description. kcmp(2) not only says whether two are one, but orders
/// them, so thousands of descriptors of one file take a search each and not a comparison with each.
pub fn find(all: &mut [Found]) -> Result<(), Failure> {
    // Those that share with no earlier one, in the order of `compare`.
    let mut originals = MapVec::<Descriptor<'static>>::new();
    let ordered = all.first().is_some_and(|first| {
        kcmp(first.descriptor.number, first.descriptor.number) == Some(Ordering::Equal)
    });
    for found in all.iter_mut() {
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
    // Not the process id: a main thread that has ended has no descriptors any more.
    let tid = calls::tid();
    match calls::kcmp(tid, tid, KCMP_FILE, first as usize, second as usize) {
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
