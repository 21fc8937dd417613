//! System V semaphores and message queues.

use super::Object;
use crate::note::Kind;
use crate::record;
use crate::wire::Malformed;

/// The highest value of a semaphore (`SEMVMX` in include/uapi/linux/sem.h).
const MAX_VALUE: u16 = 32767;

/// Whether there can be something with this id and these permissions.
fn is_possible(id: i32, mode: u32) -> bool {
    id >= 0 && mode <= 0o777
}

record! {
    /// A set of semaphores.
    pub struct SemaphoreSet<'a> {
        /// Its id.
        pub id: i32,
        /// Its key; 0 if it has none.
        pub key: i32,
        /// Permissions.
        pub mode: u32,
        /// Owner.
        pub uid: u32,
        /// Group.
        pub gid: u32,
        /// The user who has made it.
        pub creator_uid: u32,
        /// The values of its semaphores, each two bytes, little-endian.
        pub values: &'a [u8],
    }
}

impl<'a> Object<'a> for SemaphoreSet<'a> {
    const NOTE: Kind = Kind::SemaphoreSets;

    fn check(&self) -> Result<(), Malformed> {
        let (values, rest) = self.values.as_chunks::<2>();
        let fits = |&raw: &[u8; 2]| u16::from_le_bytes(raw) <= MAX_VALUE;
        let whole = !values.is_empty() && rest.is_empty() && values.iter().all(fits);
        if is_possible(self.id, self.mode) && whole {
            Ok(())
        } else {
            Err(Malformed::Field("a set of System V semaphores"))
        }
    }
}

record! {
    /// What the kernel adds to a semaphore when the process ends (`SEM_UNDO` in semop(2)), where that is not 0.
    pub struct Adjustment {
        /// Id of the set.
        pub set: i32,
        /// Number of the semaphore in it.
        pub semaphore: u16,
        /// What is added.
        pub adjustment: i16,
    }
}

impl Object<'_> for Adjustment {
    const NOTE: Kind = Kind::Adjustments;

    fn check(&self) -> Result<(), Malformed> {
        if self.adjustment == 0 {
            Err(Malformed::Field("the adjustment of a semaphore"))
        } else {
            Ok(())
        }
    }
}

record! {
    /// A message queue.
    pub struct Queue {
        /// Its id.
        pub id: i32,
        /// Its key; 0 if it has none.
        pub key: i32,
        /// Permissions.
        pub mode: u32,
        /// Owner.
        pub uid: u32,
        /// Group.
        pub gid: u32,
        /// The user who has made it.
        pub creator_uid: u32,
        /// How many bytes it takes (`msg_qbytes`).
        pub capacity: u64,
        /// How many messages were in it.
        pub messages: u64,
    }
}

impl Object<'_> for Queue {
    const NOTE: Kind = Kind::Queues;

    fn check(&self) -> Result<(), Malformed> {
        if is_possible(self.id, self.mode) {
            Ok(())
        } else {
            Err(Malformed::Field("a System V message queue"))
        }
    }
}

record! {
    /// A message in a queue. Those of one queue stand in the order in which they are in it.
    pub struct QueuedMessage<'a> {
        /// Id of the queue.
        pub queue: i32,
        /// Its type, and its text.
        pub message: &'a [u8],
    }
}

impl<'a> Object<'a> for QueuedMessage<'a> {
    const NOTE: Kind = Kind::QueuedMessages;

    fn check(&self) -> Result<(), Malformed> {
        let kind = self.message.first_chunk().copied().map(i64::from_le_bytes);
        if kind.is_some_and(|kind| kind > 0) {
            Ok(())
        } else {
            Err(Malformed::Field("a message in a System V queue"))
        }
    }
}
