//! System V semaphores and message queues. What is still there may be in use by others, and is left as it is. What is gone is made
//! again, under its id: the program knows it by nothing else.

use ckpt_image::objects::ipc::{Adjustment, Queue, QueuedMessage, SemaphoreSet};
use ckpt_image::reader::Image;
use ckpt_sys::{Errno, Line, MapVec, adjustments, calls, ipc};
use core::ffi::CStr;
use linux_raw_sys::general as n;
use restart::report::{Cause, Error, Exit, Object, compose};

use crate::host::Machine;
use crate::{Result, output};

/// Those that were made; they go again if the restart fails.
#[derive(Default)]
pub struct SetsAndQueues {
    made: MapVec<Made>,
}

#[derive(Clone, Copy)]
struct Made {
    id: i32,
    remove: fn(i32) -> core::result::Result<(), Errno>,
}

/// One that is gone, as messages name it.
struct Gone {
    what: &'static str,
    id: i32,
    key: i32,
    /// Where root says which id the next one gets.
    next_id: &'static CStr,
    remove: fn(i32) -> core::result::Result<(), Errno>,
}

impl Gone {
    fn error(&self, cannot: &'static str, errno: Errno, remedy: &'static str) -> Error<'static> {
        let Self { id, key, .. } = self;
        let why = compose(format_args!(
            "the one with id {id} and key {key:#x} is gone, and {cannot}: {errno}"
        ));
        Error::new(
            Exit::Resource,
            Object::Thing(self.what),
            Cause::Composed(why),
            remedy,
        )
    }

    fn failed(
        &self,
        cannot: &'static str,
        remedy: &'static str,
    ) -> impl Fn(Errno) -> Error<'static> {
        move |errno| self.error(cannot, errno, remedy)
    }
}

impl SetsAndQueues {
    /// Finds or makes all that the program had.
    pub fn find_or_make(image: &Image<'static>, machine: &Machine) -> Result<Self> {
        let same_ids = machine.same_ipc_ids;
        let mut all = Self::default();
        for saved in image.objects::<SemaphoreSet<'_>>() {
            let adjustments = image.objects::<Adjustment>();
            let mut adjustments = adjustments.filter(|one| one.set == saved.id);
            if same_ids && set_is_there(&saved) {
                adjustments.try_for_each(|one| take_again(&saved, &one))?;
            } else {
                all.make_set(&saved, adjustments)?;
            }
        }
        for saved in image.objects::<Queue>() {
            if !(same_ids && queue_is_there(&saved)) {
                all.make_queue(&saved, image)?;
            }
        }
        Ok(all)
    }

    fn make_set(
        &mut self,
        saved: &SemaphoreSet<'_>,
        adjustments: impl Iterator<Item = Adjustment>,
    ) -> Result<()> {
        let gone = Gone {
            what: "System V semaphores",
            id: saved.id,
            key: saved.key,
            next_id: c"/proc/sys/kernel/sem_next_id",
            remove: ipc::remove_set,
        };
        self.make(&gone, || ipc::make_set(saved.key, saved.values.len() / 2))?;
        fill_set(saved, adjustments).map_err(gone.failed(
            "a new one does not take its values and permissions",
            "restore as root",
        ))
    }

    fn make_queue(&mut self, saved: &Queue, image: &Image<'_>) -> Result<()> {
        let gone = Gone {
            what: "System V message queues",
            id: saved.id,
            key: saved.key,
            next_id: c"/proc/sys/kernel/msg_next_id",
            remove: ipc::remove_queue,
        };
        self.make(&gone, || ipc::make_queue(saved.key))?;
        let messages = image.objects::<QueuedMessage<'_>>();
        let messages = messages.filter(|one| one.queue == saved.id);
        fill_queue(saved, messages.clone()).map_err(gone.failed(
            "a new one does not take its messages and permissions",
            "restore as root, and raise kernel.msgmax to what it was",
        ))?;
        let lost = saved.messages.saturating_sub(messages.count() as u64);
        if lost != 0 {
            output::warn(format_args!(
                "System V message queue {}: it was gone, and with it {lost} messages, which are not in the image",
                saved.id
            ));
        }
        Ok(())
    }

    /// Makes one with `make`, under its old id.
    fn make(
        &mut self,
        gone: &Gone,
        make: impl FnOnce() -> core::result::Result<i32, Errno>,
    ) -> Result<()> {
        self.made
            .reserve(self.made.len() + 1)
            .map_err(gone.failed("its id cannot be kept", "free memory"))?;
        let text = Line::<16>::format(format_args!("{}", gone.id));
        calls::open(gone.next_id, n::O_WRONLY)
            .and_then(|next| calls::write(next.number(), text.as_bytes()))
            .map_err(gone.failed("no new one can be given its id", "restore as root"))?;
        let id = make().map_err(|errno| match errno {
            Errno::EEXIST => gone.error(
                "another one has its key now",
                errno,
                "remove that one (ipcrm)",
            ),
            errno => gone.error("it cannot be made again", errno, "see `ipcs -l`"),
        })?;
        let made = Made {
            id,
            remove: gone.remove,
        };
        self.made
            .push(made)
            .map_err(gone.failed("its id cannot be kept", "free memory"))?;
        if id == gone.id {
            Ok(())
        } else {
            // The kernel gives the next one that is free.
            Err(gone.error(
                "another one has its place now",
                Errno::EEXIST,
                "remove that one (ipcrm)",
            ))
        }
    }

    /// Nothing can fail any more.
    pub fn keep(mut self) {
        self.made.truncate(0);
    }
}

impl Drop for SetsAndQueues {
    fn drop(&mut self) {
        for made in self.made.iter() {
            let _ = (made.remove)(made.id);
        }
    }
}

/// Whether something was made by who had made what was saved, or, at an earlier restart, by us.
fn is_same(now: &ipc::Permissions, key: i32, creator: u32) -> bool {
    let ours = calls::geteuid() == Ok(now.creator_uid as usize);
    now.key == key && (now.creator_uid == creator || ours)
}

fn set_is_there(saved: &SemaphoreSet<'_>) -> bool {
    ipc::set(saved.id).is_ok_and(|now| {
        let same = is_same(&now.permissions, saved.key, saved.creator_uid);
        same && now.count as usize == saved.values.len() / 2
    })
}

fn queue_is_there(saved: &Queue) -> bool {
    ipc::queue(saved.id).is_ok_and(|now| is_same(&now.permissions, saved.key, saved.creator_uid))
}

/// The end of the old process has undone what it did to a semaphore with `SEM_UNDO`: does that again.
fn take_again(saved: &SemaphoreSet<'_>, one: &Adjustment) -> Result<()> {
    let Adjustment { set, semaphore, .. } = *one;
    adjustments::take_again(set, semaphore, one.adjustment).map_err(|errno| {
        let (cannot, remedy) = match errno {
            Errno::EAGAIN => (
                "another process has what the program had of it",
                "end that process first",
            ),
            Errno::ERANGE => (
                "its value is too high for what the program had added to it",
                "end what has raised it first",
            ),
            _ => (
                "what SEM_UNDO had to undo cannot be done again",
                "see `ipcs -s` and `ipcs -l`",
            ),
        };
        let why = compose(format_args!(
            "semaphore {semaphore} of those with id {set} and key {:#x}: {cannot}: {errno}",
            saved.key
        ));
        let what = Object::Thing("System V semaphores");
        Error::new(Exit::Resource, what, Cause::Composed(why), remedy)
    })
}

fn fill_set(
    saved: &SemaphoreSet<'_>,
    mut adjustments: impl Iterator<Item = Adjustment>,
) -> core::result::Result<(), Errno> {
    ipc::set_values(saved.id, saved.values)?;
    let (values, _) = saved.values.as_chunks();
    // Before the permissions, which may forbid it.
    adjustments.try_for_each(|one| {
        let value = i16::from_le_bytes(values[usize::from(one.semaphore)]);
        adjustments::set(saved.id, one.semaphore, value, one.adjustment)
    })?;
    let mut set = ipc::set(saved.id)?;
    set.permissions.mode = saved.mode;
    ipc::change_set(saved.id, &set)?;
    // Only root can give it away.
    (set.permissions.uid, set.permissions.gid) = (saved.uid, saved.gid);
    let _ = ipc::change_set(saved.id, &set);
    Ok(())
}

fn fill_queue<'i>(
    saved: &Queue,
    messages: impl Iterator<Item = QueuedMessage<'i>>,
) -> core::result::Result<(), Errno> {
    let mut queue = ipc::queue(saved.id)?;
    queue.capacity = saved.capacity;
    ipc::change_queue(saved.id, &queue)?;
    for message in messages {
        ipc::send(saved.id, message.message)?;
    }
    queue.permissions.mode = saved.mode;
    ipc::change_queue(saved.id, &queue)?;
    // Only root can give it away.
    (queue.permissions.uid, queue.permissions.gid) = (saved.uid, saved.gid);
    let _ = ipc::change_queue(saved.id, &queue);
    Ok(())
}
