//! POSIX message queues. What is in one stays where it is as long as the queue does: nobody can look at messages without taking
//! them, and the program shares them with others.

use ckpt_image::descriptors::{Descriptor, Kind};
use ckpt_image::objects::message_queues::MessageQueue;
use ckpt_sys::bytes::{decimal, fields};
use ckpt_sys::line::Text;
use ckpt_sys::{Line, MapVec, calls, message_queues};
use linux_raw_sys::general as n;

use super::Descriptors;
use super::objects::Objects;
use crate::apart;
use crate::failure::{Doing, Failure, failure};
use crate::report;

/// What the kernel puts behind the name of one that was removed.
const MARK: &[u8] = b" (deleted)";

/// Whether the regular file behind the descriptor `number` is one.
pub fn is_one(number: i32) -> bool {
    calls::file_system(number) == Ok(message_queues::MAGIC)
}

fn refusal(descriptor: &Descriptor<'_>, what: &str) -> Failure {
    let (number, path) = (descriptor.number, Text(descriptor.path));
    failure!("descriptor {number} ({path}): {what}; close it first")
}

/// Refuses a queue that notifies the program of messages. Before anything else is looked at: closing a descriptor of ours, such as one that
/// comes with a message in a socket, would end that.
///
/// # Errors
/// [`Failure`] names the first.
pub fn refuse_notified(all: &Descriptors) -> Result<(), Failure> {
    let mut queues = all.iter().filter(|one| one.kind() == Kind::MessageQueue);
    queues.find(notifies_us).map_or(Ok(()), |queue| {
        Err(refusal(
            &queue,
            "the kernel does not tell how the program is notified of messages (mq_notify)",
        ))
    })
}

/// Reads all that `all` refer to.
///
/// # Errors
/// [`Failure`] names the first that cannot be saved.
pub fn collect(all: &Descriptors, objects: &mut Objects) -> Result<(), Failure> {
    let mut done = MapVec::new();
    for descriptor in all.iter() {
        let identity = (descriptor.file.device, descriptor.file.inode);
        if descriptor.kind() != Kind::MessageQueue || done.contains(&identity) {
            continue;
        }
        done.push(identity)
            .doing(format_args!("memory for the list of descriptors"))?;
        let (number, path) = (descriptor.number as i32, descriptor.path);
        let what = format_args!("descriptor {number}");
        let attributes = message_queues::attributes(number).doing(what)?;
        let stat = calls::fstat(number).doing(what)?;
        let name = match path.strip_suffix(MARK) {
            Some(_) => b"",
            None => path.rsplit(|&byte| byte == b'/').next().unwrap_or_default(),
        };
        if name.is_empty() && attributes.messages != 0 {
            return Err(refusal(
                &descriptor,
                "a message queue that was removed, with messages in it, which nobody can look at",
            ));
        }
        objects.add(&MessageQueue {
            device: identity.0,
            inode: identity.1,
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            capacity: attributes.capacity as u64,
            message_size: attributes.message_size as u64,
            messages: attributes.messages as u64,
            name,
        })?;
    }
    Ok(())
}

/// Whether the program has asked to be notified of a message, by the text that the queue shows (`mqueue_read_file` in ipc/mqueue.c).
fn notifies_us(descriptor: &Descriptor<'_>) -> bool {
    let number = descriptor.number as i32;
    let read = |fd| Line::<128>::fill(|buffer| calls::pread(fd, buffer, 0));
    let text = if descriptor.flags & n::O_ACCMODE == n::O_WRONLY {
        // The kernel forgets the notification when its owner closes any descriptor of the queue (`mqueue_flush_file` there).
        let open_and_read = || {
            let path = Line::<64>::format(format_args!("/proc/thread-self/fd/{number}"));
            calls::open(path.as_c_str(), n::O_RDONLY).and_then(|fd| read(fd.number()))
        };
        apart::call(open_and_read).and_then(|text| text)
    } else {
        read(number)
    };
    let text = text.unwrap_or_else(|errno| {
        report::line(format_args!(
            "warning: descriptor {number} ({}): whether the program is notified of messages cannot be read: {errno}; a restored \
             process is not",
            Text(descriptor.path)
        ));
        Line::new()
    });
    let mut values = fields(text.as_bytes()).filter_map(|field| field.strip_prefix(b"NOTIFY_PID:"));
    values.next().and_then(decimal) == Some(calls::pid() as u64)
}
