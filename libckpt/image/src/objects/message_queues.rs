//! POSIX message queues (mq_open(3)).

use super::Object;
use crate::note::Kind;
use crate::record;
use crate::wire::Malformed;

record! {
    /// One queue. The descriptors with this device and inode refer to it.
    pub struct MessageQueue<'a> {
        /// Device.
        pub device: u64,
        /// Inode.
        pub inode: u64,
        /// Permissions.
        pub mode: u32,
        /// Owner.
        pub uid: u32,
        /// Group.
        pub gid: u32,
        /// How many messages it takes (`mq_maxmsg`).
        pub capacity: u64,
        /// Length of the longest one in bytes (`mq_msgsize`).
        pub message_size: u64,
        /// How many messages were in it, which are not in the image.
        pub messages: u64,
        /// Its name without the slash; empty if it was removed.
        pub name: &'a [u8],
    }
}

impl<'a> Object<'a> for MessageQueue<'a> {
    const NOTE: Kind = Kind::MessageQueues;

    fn check(&self) -> Result<(), Malformed> {
        let possible = |number: u64| (1..=i64::MAX as u64).contains(&number);
        let named = !self.name.contains(&0) && !self.name.contains(&b'/');
        if possible(self.capacity) && possible(self.message_size) && named {
            Ok(())
        } else {
            Err(Malformed::Field("a message queue"))
        }
    }
}
