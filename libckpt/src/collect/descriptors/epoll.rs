//! What epoll instances watch (epoll(7)).

use ckpt_image::descriptors::{Descriptor, Kind};
use ckpt_image::objects::epoll_entries::EpollEntry;
use ckpt_sys::bytes::{decimal, fields, hex};
use ckpt_sys::{MapVec, calls};
use linux_raw_sys::general as n;

use super::Descriptors;
use super::info::Info;
use super::objects::Objects;
use super::sockets::Sockets;
use crate::failure::{Doing, Failure, failure};

/// Reads the entries of all instances.
///
/// # Errors
/// [`Failure`] names the first that cannot be restored.
pub fn collect(all: &Descriptors, sockets: &Sockets, objects: &mut Objects) -> Result<(), Failure> {
    let mut found = MapVec::new();
    let instances = all
        .iter()
        .filter(|one| one.kind() == Kind::Epoll && !one.is_duplicate());
    for instance in instances {
        read(instance.number, all, &mut found)?;
    }
    let mut nested = MapVec::new();
    for entry in found.iter() {
        if [entry.instance, entry.target]
            .into_iter()
            .any(|number| sockets.is_in_flight(number))
        {
            return Err(failure!(
                "epoll with a descriptor that is in flight in a Unix socket, as what watches or what is watched, is not \
                 supported; send the signal again when it has been received"
            ));
        }
        let watched = all.with_number(entry.target);
        if watched.is_some_and(|watched| watched.kind() == Kind::Epoll) {
            nested
                .push(*entry)
                .doing(format_args!("memory for the entries of epoll"))?;
        }
    }
    found.sort_unstable_by_key(|entry| {
        let depth = depth(entry.instance, &nested, DEEPEST);
        (depth, entry.instance, entry.number)
    });
    found.iter().try_for_each(|entry| objects.add(entry))
}

/// The kernel lets instances nest no deeper (`EP_MAX_NESTS` in fs/eventpoll.c).
const DEEPEST: u32 = 4;

/// How deep instances nest in `instance`, given the entries that watch other instances.
fn depth(instance: u32, nested: &[EpollEntry], deepest: u32) -> u32 {
    if deepest == 0 {
        return 0;
    }
    let inner = nested.iter().filter(|entry| entry.instance == instance);
    inner
        .map(|entry| depth(entry.target, nested, deepest - 1) + 1)
        .max()
        .unwrap_or(0)
}

/// Reads the entries of one instance (`ep_show_fdinfo` in fs/eventpoll.c).
fn read(instance: u32, all: &Descriptors, found: &mut MapVec<EpollEntry>) -> Result<(), Failure> {
    // If there is nothing to report, then every edge that there was has been reported.
    let quiet = calls::poll_now(instance as i32, n::POLLIN).is_ok_and(|events| events == 0);
    let info = Info::read(instance)?;
    let mut numbers = MapVec::new();
    for line in info.all(b"tfd:") {
        let (number, events, data, inode) = parse(line).ok_or_else(|| {
            failure!("descriptor {instance}: the kernel does not tell what it watches")
        })?;
        // Entries of one number are told apart by their order.
        let same_number = numbers.iter().filter(|&&before| before == number).count();
        numbers
            .push(number)
            .doing(format_args!("memory for the entries of epoll"))?;
        let slot = Slot {
            instance,
            number,
            index: same_number as u32,
        };
        // What another process holds, and this one does not any more, does not come back.
        let Some(target) = slot.find(inode, all) else {
            continue;
        };
        let mut entry = EpollEntry {
            instance,
            number,
            target,
            events,
            data,
            reported: 0,
        };
        if quiet && entry.is_edge_triggered() {
            entry.reported = calls::poll_now(target as i32, events & 0xffff).unwrap_or(0);
        }
        found
            .push(entry)
            .doing(format_args!("memory for the entries of epoll"))?;
    }
    Ok(())
}

/// Number, events, data and inode of a line such as `5 events: 19 data: ffff pos:0 ino:254c6b sdev:f`.
fn parse(line: &[u8]) -> Option<(u32, u32, u64, u64)> {
    let mut fields = fields(line);
    let number = decimal(fields.next()?)?;
    let events = hex(fields.nth(1)?)?;
    let data = hex(fields.nth(1)?)?;
    let inode = fields.find_map(|field| hex(field.strip_prefix(b"ino:")?))?;
    Some((number as u32, events as u32, data, inode))
}

/// `struct kcmp_epoll_slot` (include/uapi/linux/kcmp.h): where an entry stands.
#[repr(C)]
struct Slot {
    instance: u32,
    number: u32,
    index: u32,
}

/// `KCMP_EPOLL_TFD` (include/uapi/linux/kcmp.h).
const KCMP_EPOLL_TFD: u32 = 7;

impl Slot {
    /// The lowest descriptor that refers to what the entry watches: most often the number under which it was made. That may
    /// have been closed since, and belong to something else, while a duplicate lives.
    fn find(&self, inode: u64, all: &Descriptors) -> Option<u32> {
        let is_it = |descriptor: &Descriptor<'_>| {
            descriptor.file.inode == inode && self.watches(descriptor)
        };
        all.with_number(self.number)
            .filter(is_it)
            .or_else(|| all.iter().filter(|one| !one.is_duplicate()).find(is_it))
            .map(|descriptor| descriptor.description)
    }

    fn watches(&self, descriptor: &Descriptor<'_>) -> bool {
        let tid = calls::tid();
        let slot = &raw const *self as usize;
        match calls::kcmp(tid, tid, KCMP_EPOLL_TFD, descriptor.number as usize, slot) {
            Ok(order) => order == 0,
            // Where kcmp(2) is forbidden, as sandboxes like to do.
            Err(_) => descriptor.number == self.number,
        }
    }
}
