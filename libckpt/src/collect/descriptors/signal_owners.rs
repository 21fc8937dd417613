//! Who gets which signal when something can be done with a descriptor (`F_SETOWN_EX` and `F_SETSIG` in fcntl(2)).

use ckpt_image::descriptors::Kind;
use ckpt_image::objects::signal_owners::{SignalOwner, Whom};
use ckpt_sys::calls;
use ckpt_sys::line::Text;
use linux_raw_sys::general as n;

use super::Descriptors;
use super::objects::Objects;
use crate::failure::Failure;
use crate::report;

/// Reads what was set for any of them.
///
/// # Errors
/// [`Failure`] if there is no memory for it.
pub fn collect(all: &Descriptors, objects: &mut Objects) -> Result<(), Failure> {
    let originals = all.iter().filter(|one| !one.is_duplicate());
    // What is open with O_PATH has no owner.
    for one in originals.filter(|one| one.flags & n::O_PATH == 0) {
        let number = one.number as i32;
        let signal = calls::fcntl(number, n::F_GETSIG, 0).unwrap_or(0) as u32;
        let owner = calls::signal_owner(number).unwrap_or(n::f_owner_ex { type_: 0, pid: 0 });
        if one.kind() == Kind::Directory && owner.pid != 0 {
            // Nothing else tells of it (`fcntl_dirnotify` in fs/notify/dnotify/dnotify.c).
            report::line(format_args!(
                "warning: descriptor {number} ({}): if the program is notified of what happens in this directory (F_NOTIFY), a restored process is not",
                Text(one.path)
            ));
        }
        if signal != 0 || owner.pid != 0 || one.flags & n::FASYNC != 0 {
            let whom = whom(owner);
            objects.add(&SignalOwner {
                description: one.number,
                whom_number: whom as u32,
                thread: if whom == Whom::Thread {
                    owner.pid as u32
                } else {
                    0
                },
                signal,
            })?;
        }
    }
    Ok(())
}

fn whom(owner: n::f_owner_ex) -> Whom {
    let is_own_group = || calls::getpgid(0) == Ok(owner.pid as usize);
    match owner.type_ as u32 {
        n::F_OWNER_PID if owner.pid == calls::pid() => Whom::Process,
        n::F_OWNER_TID if calls::tgkill(calls::pid(), owner.pid, 0).is_ok() => Whom::Thread,
        n::F_OWNER_PGRP if is_own_group() => Whom::Group,
        _ => Whom::Nobody,
    }
}
