//! Who gets which signal when something can be done with a descriptor (`F_SETOWN_EX` and `F_SETSIG` in fcntl(2)).

use ckpt_image::objects::signal_owners::{SignalOwner, Whom};
use ckpt_image::reader::Image;
use ckpt_sys::{Errno, calls};
use linux_raw_sys::general as n;
use restart::descriptors::status_flags;
use restart::report::{Cause, Error, Exit, Object};
use restart::threads::{Renamed, new_id};

use crate::Result;

/// Sets all of them. The threads have their new ids, which `threads` says, and everything that takes a lease, which makes its
/// taker the owner, is done.
pub fn set(image: &Image<'static>, threads: &[Renamed]) -> Result<()> {
    for owner in image.objects::<SignalOwner>() {
        set_one(image, &owner, threads).map_err(|errno| {
            Error::new(
                Exit::Resource,
                Object::Thing("descriptors that raise signals"),
                Cause::Failed("cannot set the signal of one, or who gets it", errno),
                "use a newer kernel",
            )
        })?;
    }
    Ok(())
}

fn set_one(
    image: &Image<'_>,
    owner: &SignalOwner,
    threads: &[Renamed],
) -> core::result::Result<(), Errno> {
    let fd = owner.description as i32;
    calls::fcntl(fd, n::F_SETSIG, owner.signal as usize)?;
    let (kind, id) = match owner.whom() {
        Whom::Nobody => (n::F_OWNER_PID, 0),
        Whom::Process => (n::F_OWNER_PID, calls::pid()),
        Whom::Thread => {
            let id = new_id(owner.thread, threads).ok_or(Errno::ESRCH)?;
            (n::F_OWNER_TID, id as i32)
        }
        Whom::Group => (n::F_OWNER_PGRP, calls::getpgid(0)? as i32),
    };
    let owner_now = n::f_owner_ex {
        type_: kind as i32,
        pid: id,
    };
    calls::set_signal_owner(fd, owner_now)?;
    let mut descriptors = image.descriptors();
    let asynchronous = descriptors
        .find(|one| one.number == owner.description && one.flags & n::FASYNC != 0)
        .and_then(|one| status_flags(one.flags));
    if let Some(flags) = asynchronous {
        calls::fcntl(fd, n::F_SETFL, (flags | n::FASYNC) as usize)?;
    }
    Ok(())
}
