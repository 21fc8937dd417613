//! POSIX message queues: opened again by their names, and made again where they are gone.

use ckpt_image::descriptors::Descriptor;
use ckpt_image::objects::message_queues::MessageQueue;
use ckpt_image::reader::Image;
use ckpt_sys::line::{Path, Text};
use ckpt_sys::message_queues::{self, Attributes};
use ckpt_sys::{Errno, Fd, Line, calls};
use linux_raw_sys::general as n;
use restart::descriptors::open_flags;

use super::made::Made;
use super::open_again;
use super::opener::{Problem, failed, set_status};
use crate::output;

/// What [`Made`] keeps of a queue: any descriptor of it.
const QUEUE: u32 = 0;

/// Opens the queue that `descriptor` referred to.
pub fn open(
    descriptor: &Descriptor<'_>,
    image: &Image<'_>,
    made: &mut Made,
) -> Result<Fd, Problem> {
    let any = match made.find(descriptor, QUEUE) {
        Some(fd) => fd,
        None => {
            let of_this = |queue: &MessageQueue<'_>| {
                queue.device == descriptor.file.device && queue.inode == descriptor.file.inode
            };
            let queue = image
                .objects::<MessageQueue<'_>>()
                .find(of_this)
                .ok_or(Problem::NoState)?;
            let fd = find_or_make(&queue)?;
            made.keep(descriptor, QUEUE, fd)
                .map_err(failed("cannot be kept"))?
        }
    };
    let fd = open_again(any, open_flags(descriptor.flags))
        .map_err(failed("cannot be opened once more"))?;
    set_status(&fd, descriptor)?;
    Ok(fd)
}

fn find_or_make(queue: &MessageQueue<'_>) -> Result<Fd, Problem> {
    let new = Attributes::new(queue.capacity as i64, queue.message_size as i64);
    if queue.name.is_empty() {
        // Any name will do for a moment.
        let name = Line::<64>::format(format_args!("ckpt-{}-{}", calls::pid(), queue.inode));
        let name = name.as_c_str();
        let fd = message_queues::open(name, n::O_RDWR, Some((0o600, &new)))
            .map_err(failed("cannot be made again"))?;
        message_queues::unlink(name).map_err(failed("cannot be removed again"))?;
        give_back(&fd, queue);
        return Ok(fd);
    }
    let mut name = Path::new();
    name.push(queue.name);
    // With whatever access there is; it is opened for the program once more.
    let open = |access| message_queues::open(name.as_c_str(), access, None);
    let found = match open(n::O_RDWR) {
        Err(Errno::EACCES) => open(n::O_RDONLY).or_else(|_| open(n::O_WRONLY)),
        result => result,
    };
    match found {
        Ok(fd) => {
            let now =
                message_queues::attributes(fd.number()).map_err(failed("cannot be looked at"))?;
            let same = now.capacity == new.capacity && now.message_size == new.message_size;
            if same {
                Ok(fd)
            } else {
                Err(Problem::OtherKind)
            }
        }
        Err(Errno::ENOENT) => {
            let fd = message_queues::open(name.as_c_str(), n::O_RDWR, Some((0o600, &new)))
                .map_err(failed("cannot be made again"))?;
            give_back(&fd, queue);
            if queue.messages != 0 {
                output::warn(format_args!(
                    "message queue {}: it was gone, and with it {} messages; it is empty now",
                    Text(queue.name),
                    queue.messages
                ));
            }
            Ok(fd)
        }
        Err(errno) => Err(Problem::Failed("cannot be opened", errno)),
    }
}

/// Gives a new queue owner and permissions.
fn give_back(fd: &Fd, queue: &MessageQueue<'_>) {
    // Only root can give it away.
    let _ = calls::fchown(fd.number(), queue.uid, queue.gid);
    let _ = calls::fchmod(fd.number(), queue.mode);
}
