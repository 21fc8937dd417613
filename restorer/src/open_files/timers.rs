//! Timers that are read through a descriptor (timerfd_create(2)).

use ckpt_image::descriptors::Descriptor;
use ckpt_image::objects::timer_descriptors::TimerDescriptor;
use ckpt_image::reader::Image;
use ckpt_sys::{Errno, Fd, calls};
use linux_raw_sys::general as n;
use restart::report::{Cause, Error, Exit, Object};
use restart::timers::Next;

use super::opener::{Problem, failed, set_status};
use crate::Result;
use crate::host::Machine;

/// Makes the one that `descriptor` referred to. It does not run yet.
pub fn make(descriptor: &Descriptor<'_>, image: &Image<'_>) -> core::result::Result<Fd, Problem> {
    let saved = image
        .objects::<TimerDescriptor>()
        .find(|saved| saved.description == descriptor.number)
        .ok_or(Problem::NoState)?;
    let fd = calls::timer_descriptor(saved.clock).map_err(failed("cannot be made again"))?;
    set_status(&fd, descriptor)?;
    Ok(fd)
}

/// Sets all of them. Everything is on its number.
pub fn set(image: &Image<'static>, machine: &Machine) -> Result<()> {
    let same_clocks = machine.has_clocks_of(image);
    for saved in image.objects::<TimerDescriptor>() {
        set_one(&saved, same_clocks).map_err(|errno| {
            Error::new(
                Exit::Resource,
                Object::Thing("timers of the program"),
                Cause::Failed("cannot set one that is read through a descriptor", errno),
                "use a newer kernel",
            )
        })?;
    }
    Ok(())
}

fn set_one(saved: &TimerDescriptor, same_clocks: bool) -> core::result::Result<(), Errno> {
    let fd = saved.description as i32;
    if saved.left != 0 {
        let next = Next {
            clock: saved.clock as i32,
            absolute: saved.flags & n::TFD_TIMER_ABSTIME != 0,
            left: saved.left,
            due: saved.due,
        };
        let first = next.first(same_clocks, calls::clock(saved.clock));
        calls::set_timer_of_descriptor(fd, saved.flags, [saved.interval, first])?;
    }
    if saved.ticks == 0 || set_ticks(fd, saved.ticks).is_ok() {
        return Ok(());
    }
    // The kernel is built without support for that: at least one expiration is there.
    calls::set_timer_of_descriptor(fd, 0, [saved.interval, 1])
}

/// `TFD_IOC_SET_TICKS` (include/uapi/linux/timerfd.h).
const TFD_IOC_SET_TICKS: u32 = 0x4008_5400;

fn set_ticks(fd: i32, ticks: u64) -> core::result::Result<(), Errno> {
    // SAFETY: the kernel reads one number.
    unsafe { calls::ioctl(fd, TFD_IOC_SET_TICKS, &raw const ticks as usize).map(drop) }
}
