//! Which descriptors share an open file description.

use core::cmp::Ordering;

use ckpt_image::descriptors::Descriptor;
use ckpt_sys::{MapVec, calls};
use linux_raw_sys::general as n;

use super::Found;
use crate::failure::{Doing, Failure};

/// `KCMP_FILE` (include/uapi/linux/kcmp.h).
const KCMP_FILE: u32 = 0;

/// Finds out which of `all`, which are in ascending order of their numbers, share an open file description. kcmp(2) not only says
/// whether two are one, but orders them, so thousands of descriptors of one file are sorted and not compared each with each.
pub fn find(all: &mut [Found]) -> Result<(), Failure> {
    let no_memory = format_args!("memory for the list of descriptors");
    // Not the process id: a main thread that has ended has no descriptors any more.
    let tid = calls::tid();
    let ordered = all.first().is_some_and(|first| {
        let number = first.descriptor.number;
        kcmp(tid, number, number) == Some(Ordering::Equal)
    });
    let (mut sorted, mut spare) = (MapVec::new(), MapVec::new());
    for index in 0..all.len() {
        sorted
            .push(index)
            .and_then(|()| spare.push(index))
            .doing(no_memory)?;
    }
    let compare = |first: usize, second: usize| {
        let (first, second) = (&all[first].descriptor, &all[second].descriptor);
        let by_kcmp = || {
            ordered
                .then(|| kcmp(tid, first.number, second.number))
                .flatten()
        };
        let by_looks = looks(first, ordered).cmp(&looks(second, ordered));
        by_looks.then_with(|| by_kcmp().unwrap_or(Ordering::Equal))
    };
    merge_sort(&mut sorted, &mut spare, compare);
    // Those that share with no earlier one, of all that look the same.
    let mut originals = MapVec::<Descriptor<'static>>::new();
    for &index in sorted.iter() {
        let this = &mut all[index].descriptor;
        if originals
            .last()
            .is_some_and(|last| looks(last, ordered) != looks(this, ordered))
        {
            originals.truncate(0);
        }
        let shared = if ordered {
            let is_last = |last: &&Descriptor<'_>| {
                kcmp(tid, last.number, this.number) == Some(Ordering::Equal)
            };
            originals.last().filter(is_last)
        } else {
            originals.iter().find(|other| is_same(other, this))
        };
        match shared {
            Some(original) => {
                this.description = original.number;
                this.kind_number = original.kind_number;
            }
            None => originals.push(*this).doing(no_memory)?,
        }
    }
    Ok(())
}

/// Sorts `sorted` by `compare`, with `spare`, which is as long. What is equal keeps its order. Unlike that of `core`, it never panics:
/// whoever shares the descriptors could close some meanwhile.
fn merge_sort<'s>(
    mut sorted: &'s mut [usize],
    mut spare: &'s mut [usize],
    compare: impl Fn(usize, usize) -> Ordering,
) {
    let count = sorted.len();
    let mut width = 1;
    let mut is_in_spare = false;
    while width < count {
        for start in (0..count).step_by(2 * width) {
            let (middle, end) = ((start + width).min(count), (start + 2 * width).min(count));
            let (mut left, mut right) = (start, middle);
            for to in &mut spare[start..end] {
                let takes_left =
                    left < middle && (right == end || compare(sorted[left], sorted[right]).is_le());
                let from = if takes_left { &mut left } else { &mut right };
                *to = sorted[*from];
                *from += 1;
            }
        }
        core::mem::swap(&mut sorted, &mut spare);
        is_in_spare = !is_in_spare;
        width *= 2;
    }
    if is_in_spare {
        spare.copy_from_slice(sorted);
    }
}

/// What two descriptors of one open file description have in common; where kcmp(2) tells all else, only what nobody can change
/// meanwhile. Another process may have the same description, and write.
fn looks(descriptor: &Descriptor<'_>, is_file_enough: bool) -> (u64, u64, u32, u64) {
    let Descriptor {
        file,
        flags,
        offset,
        ..
    } = descriptor;
    if is_file_enough {
        (file.device, file.inode, 0, 0)
    } else {
        (file.device, file.inode, *flags, *offset)
    }
}

/// How kcmp(2), of thread `tid`, orders the open file descriptions of two descriptors.
fn kcmp(tid: i32, first: u32, second: u32) -> Option<Ordering> {
    match calls::kcmp(tid, tid, KCMP_FILE, first as usize, second as usize) {
        Ok(0) => Some(Ordering::Equal),
        Ok(1) => Some(Ordering::Less),
        Ok(2) => Some(Ordering::Greater),
        _ => None,
    }
}

/// Whether two descriptors are one open file description, where kcmp(2) is forbidden, as sandboxes like to do.
fn is_same(first: &Descriptor<'_>, second: &Descriptor<'_>) -> bool {
    let (one, other) = (first.number as i32, second.number);
    // Since Linux 6.10 fcntl(2) can tell.
    looks(first, false) == looks(second, false)
        && match calls::fcntl(one, n::F_DUPFD_QUERY, other as usize) {
            Ok(answer) => answer == 1,
            Err(_) => shows_on(one, other as i32),
        }
}

/// Whether what is set on one descriptor shows on the other: the signal for when something can be done with it (`F_SETSIG`), which every
/// open file description has, and hardly any uses. While it is another one, it is one that is ignored without a handler.
fn shows_on(one: i32, other: i32) -> bool {
    let signal_of = |number| calls::fcntl(number, n::F_GETSIG, 0);
    let give = |signal| calls::fcntl(one, n::F_SETSIG, signal);
    // One that is there for its path alone (`O_PATH`) has none, and nothing that could be shared.
    let Ok(before) = signal_of(one) else {
        return false;
    };
    let mark = if before == n::SIGURG as usize {
        n::SIGCHLD as usize
    } else {
        n::SIGURG as usize
    };
    let shows =
        signal_of(other) == Ok(before) && give(mark).is_ok() && signal_of(other) == Ok(mark);
    let _ = give(before);
    shows
}
