//! System V semaphores and message queues that the program has asked for. What is gone, or the program may not read, is left out.

use ckpt_image::objects::ipc::{Adjustment, Queue, QueuedMessage, SemaphoreSet};
use ckpt_sys::{Errno, MapVec, adjustments, ipc};

use super::objects::Objects;
use crate::failure::{Doing, Failure};
use crate::interpose::{noted_queues, noted_sets};

/// Reads them all. Nothing is taken out of them, and none shows that it was read.
///
/// # Errors
/// [`Failure`] if there is no memory for them.
pub fn collect(objects: &mut Objects) -> Result<(), Failure> {
    noted_sets().try_for_each(|id| collect_set(id, objects))?;
    noted_queues().try_for_each(|id| collect_queue(id, objects))
}

fn collect_set(id: i32, objects: &mut Objects) -> Result<(), Failure> {
    let Ok(set) = ipc::set(id) else {
        return Ok(());
    };
    let mut values = MapVec::zeroed(2 * set.count as usize)
        .doing(format_args!("memory for the values of semaphores"))?;
    if ipc::values(id, &mut values).is_err() {
        return Ok(());
    }
    let saved = SemaphoreSet {
        id,
        key: set.permissions.key,
        mode: set.permissions.mode,
        uid: set.permissions.uid,
        gid: set.permissions.gid,
        creator_uid: set.permissions.creator_uid,
        values: &values,
    };
    objects.add_large(&saved, values.len())?;
    // A set on which no operation has ever succeeded is left alone: asking makes the end of the process look like a use.
    if set.used == 0 {
        return Ok(());
    }
    (0..set.count as u16).try_for_each(|semaphore| collect_adjustment(id, semaphore, objects))
}

fn collect_adjustment(set: i32, semaphore: u16, objects: &mut Objects) -> Result<(), Failure> {
    let adjustment = match adjustments::get(set, semaphore) {
        // Nothing is told of what the program may not change any more, and nothing is left of what is gone.
        Ok(0) | Err(Errno::EACCES | Errno::EINVAL | Errno::EIDRM) => return Ok(()),
        found => found.doing(format_args!(
            "System V semaphores {set}: the kernel does not tell what SEM_UNDO has to undo"
        ))?,
    };
    objects.add(&Adjustment {
        set,
        semaphore,
        adjustment,
    })
}

fn collect_queue(id: i32, objects: &mut Objects) -> Result<(), Failure> {
    let Ok(queue) = ipc::queue(id) else {
        return Ok(());
    };
    objects.add(&Queue {
        id,
        key: queue.permissions.key,
        mode: queue.permissions.mode,
        uid: queue.permissions.uid,
        gid: queue.permissions.gid,
        creator_uid: queue.permissions.creator_uid,
        capacity: queue.capacity,
        messages: queue.messages,
    })?;
    // None is longer than all together.
    let mut message = MapVec::zeroed(ipc::TYPE_SIZE + queue.bytes as usize)
        .doing(format_args!("memory for the messages of a queue"))?;
    for index in 0..queue.messages as usize {
        // Some kernels let nobody look; a restart that needs the messages says so.
        let Ok(length) = ipc::look_at_message(id, index, &mut message) else {
            break;
        };
        let message = &message[..ipc::TYPE_SIZE + length];
        objects.add_large(&QueuedMessage { queue: id, message }, message.len())?;
    }
    Ok(())
}
