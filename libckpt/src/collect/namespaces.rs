//! Namespaces that the program has gone into since its start, or has made (namespaces(7)): a restored process would be outside of
//! them, with more rights and another view of the machine. A thread can have some of its own; whether any has is only looked up if the
//! program has gone into one through libc, since it takes as long as stopping the thread.

use ckpt_image::credentials::NAMESPACE_NAMES;
use ckpt_sys::proc;

use crate::failure::{Failure, failure};
use crate::interpose;
use crate::signal::Owned;
use crate::threads::Thread;

/// Those that are asked for beside the ones that an image has: they count for the clocks, and for children.
const OTHERS: [&str; 3] = ["time", "pid_for_children", "time_for_children"];

const COUNT: usize = NAMESPACE_NAMES.len() + OTHERS.len();

/// Inode of each, 0 if the kernel has none of that name, or did not tell.
static AT_START: Owned<[u64; COUNT]> = Owned::new([0; COUNT]);

fn names() -> impl Iterator<Item = &'static str> {
    NAMESPACE_NAMES.into_iter().chain(OTHERS)
}

/// Notes those in which the process begins, also a restored one.
pub fn settle_in() {
    // SAFETY: the caller is the constructor, or runs on libckpt's stack.
    let all = unsafe { AT_START.get() };
    for (inode, name) in all.iter_mut().zip(names()) {
        *inode = proc::namespace(name);
    }
}

/// Refuses a program that is in others now, with the `initiator` of the checkpoint or one of the `others`.
///
/// # Errors
/// [`Failure`] names the first.
pub fn check<'t>(
    initiator: &'t Thread,
    others: impl Iterator<Item = &'t Thread>,
) -> Result<(), Failure> {
    // SAFETY: the caller runs on libckpt's stack.
    let all = unsafe { AT_START.get() };
    let others = others.filter(|_| interpose::has_changed_namespaces());
    for thread in [initiator].into_iter().chain(others) {
        let mut known = all.iter().zip(names()).filter(|(inode, _)| **inode != 0);
        let is_other = |&(&inode, name): &(&u64, _)| inode != proc::namespace_of(thread.tid, name);
        if let Some((_, name)) = known.find(is_other) {
            return Err(failure!(
                "the program has a namespace of its own ({name}; unshare(2), setns(2)): that is not supported; have it start \
                 in one (unshare(1))"
            ));
        }
    }
    Ok(())
}
