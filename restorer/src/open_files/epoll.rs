//! Epoll instances and what they watch (epoll(7)).

use ckpt_image::descriptors::Descriptor;
use ckpt_image::objects::epoll_entries::EpollEntry;
use ckpt_image::reader::Image;
use ckpt_sys::{Errno, Fd, calls};
use linux_raw_sys::general as n;
use restart::report::{Cause, Error, Exit, Object};

use super::opener::{Problem, failed, set_status};
use crate::{Result, output};

/// Makes the instance that `descriptor` referred to, without entries.
pub fn make(descriptor: &Descriptor<'_>) -> core::result::Result<Fd, Problem> {
    let fd = calls::epoll().map_err(failed("cannot be made again"))?;
    set_status(&fd, descriptor)?;
    Ok(fd)
}

/// In which order the entries of an instance are made: while events are taken out of it, no others may be in it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// Those that have reported their one event.
    Disarmed,
    /// Edge-triggered ones whose events have all been reported.
    Reported,
    Others,
}

/// Makes all entries. Everything is on its number.
pub fn watch(image: &Image<'static>) -> Result<()> {
    let mut rest = image.objects::<EpollEntry>().peekable();
    while let Some(EpollEntry { instance, .. }) = rest.peek().copied() {
        let entries = rest.clone().take_while(|entry| entry.instance == instance);
        for turn in [Turn::Disarmed, Turn::Reported, Turn::Others] {
            for entry in entries.clone().filter(|entry| turn_of(entry) == turn) {
                add(image, &entry, turn).map_err(|errno| {
                    Error::new(
                        Exit::Resource,
                        Object::Thing("epoll"),
                        Cause::Failed("cannot watch what the program watched", errno),
                        "raise fs.epoll.max_user_watches",
                    )
                })?;
            }
        }
        while rest.next_if(|entry| entry.instance == instance).is_some() {}
    }
    Ok(())
}

fn turn_of(entry: &EpollEntry) -> Turn {
    if entry.is_disarmed() {
        return Turn::Disarmed;
    }
    let now = calls::poll_now(entry.target as i32, entry.events & POLLED).unwrap_or(0);
    if entry.is_edge_triggered() && !entry.is_one_shot() && now & !entry.reported == 0 {
        Turn::Reported
    } else {
        Turn::Others
    }
}

/// Events that poll(2) knows, too.
const POLLED: u32 = 0xffff;

/// Events of which one is there nearly always.
const ANY: u32 = n::EPOLLIN | n::EPOLLOUT;

fn add(image: &Image<'_>, entry: &EpollEntry, turn: Turn) -> core::result::Result<(), Errno> {
    let instance = entry.instance as i32;
    let is_there = entry.number == entry.target || is_duplicate(image, entry);
    let borrowed = if is_there {
        None
    } else {
        Some(Borrowed::take(entry)?)
    };
    let change = |operation, events| {
        calls::epoll_watch(instance, operation, entry.number as i32, events, entry.data)
    };
    let result = match turn {
        Turn::Disarmed => change(n::EPOLL_CTL_ADD, entry.events | ANY).and_then(|()| {
            // The kernel disarms an entry that reports an event, and in no other way. One that has none will report at
            // most that the other side has gone.
            match calls::epoll_take(instance)? {
                true => Ok(()),
                false => change(n::EPOLL_CTL_MOD, entry.events),
            }
        }),
        Turn::Reported => change(n::EPOLL_CTL_ADD, entry.events)
            .and_then(|()| calls::epoll_take(instance).map(drop)),
        Turn::Others => change(n::EPOLL_CTL_ADD, entry.events),
    };
    borrowed.map_or(Ok(()), Borrowed::give_back)?;
    if result == Err(Errno::EPERM) {
        output::warn(format_args!(
            "descriptor {} cannot be watched by epoll any more; the program goes on without",
            entry.number
        ));
        return Ok(());
    }
    result
}

/// Whether the number of an entry is another one of what it watches.
fn is_duplicate(image: &Image<'_>, entry: &EpollEntry) -> bool {
    image.descriptors().any(|descriptor| {
        descriptor.number == entry.number && descriptor.description == entry.target
    })
}

/// The number under which an entry was made and that is free now, or another file's. It refers to what the entry watches
/// for as long as the entry is made.
struct Borrowed {
    number: i32,
    /// What the number belongs to otherwise, and its flags.
    owner: Option<(Fd, u32)>,
}

impl Borrowed {
    fn take(entry: &EpollEntry) -> core::result::Result<Self, Errno> {
        let number = entry.number as i32;
        let owner = match calls::fcntl(number, n::F_GETFD, 0) {
            Ok(flags) => Some((
                calls::fcntl(number, n::F_DUPFD_CLOEXEC, 0).map(|copy| Fd::owning(copy as i32))?,
                flags as u32,
            )),
            Err(_) => None,
        };
        calls::dup3(entry.target as i32, number, n::O_CLOEXEC)?;
        Ok(Self { number, owner })
    }

    fn give_back(self) -> core::result::Result<(), Errno> {
        match self.owner {
            None => calls::close(self.number).map(drop),
            Some((owner, flags)) => {
                let flags = if flags & n::FD_CLOEXEC != 0 {
                    n::O_CLOEXEC
                } else {
                    0
                };
                calls::dup3(owner.number(), self.number, flags).map(drop)
            }
        }
    }
}
