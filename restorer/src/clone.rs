//! Creates the threads beside the main one. They wait in the pad.

use core::arch::global_asm;
use core::sync::atomic::{AtomicU32, Ordering};

use ckpt_image::context::Context;
use ckpt_image::reader::Image;
use ckpt_sys::{Errno, MapVec, calls};
use linux_raw_sys::general as n;
use restart::operations::Slot;
use restart::report::{Cause, Error, Exit, Object, compose};
use restart::threads::Renamed;

use crate::pad::Pad;
use crate::{Result, process_id};

global_asm!(include_str!("../../asm/clone.S"));

unsafe extern "C" {
    /// See `asm/clone.S`.
    pub fn create_thread(number: u32, arguments: &[u64; 5], begin: u64) -> isize;
}

/// What pthread_create(3) has the kernel do, but for what libc registers with it: the thread does that itself.
const FLAGS: u32 = n::CLONE_VM
    | n::CLONE_FS
    | n::CLONE_FILES
    | n::CLONE_SIGHAND
    | n::CLONE_THREAD
    | n::CLONE_SYSVSEM
    | n::CLONE_SETTLS;

const WHAT: Object<'static> = Object::Thing("the program's threads");

/// Old and new ids of the threads.
pub struct Threads {
    ids: MapVec<Renamed>,
}

impl Threads {
    /// Room for the threads of the image.
    pub fn with_room_for(image: &Image<'static>) -> Result<Self> {
        let ids = MapVec::with_capacity(image.threads.len()).map_err(|errno| {
            Error::new(
                Exit::Host,
                WHAT,
                Cause::Failed("no memory for a list of them", errno),
                "free memory or raise `ulimit -v`",
            )
        })?;
        Ok(Self { ids })
    }

    /// Creates them, and waits until all are in the pad and have sent their pending signals. With `insists`, each must get its
    /// old id.
    pub fn create(&mut self, image: &Image<'static>, pad: &Pad, insists: bool) -> Result<()> {
        let pid = calls::pid();
        // A process that has its old id is meant to be the old one as far as that is possible.
        let wants_old_ids = pid == image.header.pid;
        self.note(&image.context, pid);
        for (index, sibling) in image.contexts().skip(1).enumerate() {
            let slot = pad.slot(index);
            let fails = |errno| cannot_create(image.threads.len(), index, errno);
            // SAFETY: (1) the slot is this thread's, and its code needs nothing but the pad; (2) the second attempt is made
            // after the first has failed.
            let tid = unsafe {
                let first = if wants_old_ids {
                    clone_with_id(pad, slot, sibling.fs_base, sibling.tid)
                } else {
                    Err(Errno::EPERM)
                };
                match first {
                    Err(errno) if insists => {
                        let refusal = process_id::refusal(sibling.tid, errno);
                        return Err(refusal.unwrap_or_else(|| fails(errno)));
                    }
                    // No privilege (CAP_CHECKPOINT_RESTORE); the id is taken, or too large; kernels before 5.5 and 5.3, and
                    // filters that do not let clone3 through.
                    Err(
                        Errno::EPERM | Errno::EEXIST | Errno::EINVAL | Errno::E2BIG | Errno::ENOSYS,
                    ) => clone(pad, slot, sibling.fs_base),
                    created => created,
                }
            };
            let tid = tid.map_err(fails)?;
            self.note(&sibling, tid);
        }
        self.ids.sort_unstable_by_key(|thread| thread.old);
        wait_for_all(pad.arrived(), image.threads.len() as u32 - 1);
        for index in 0..image.threads.len() - 1 {
            let slot = pad.slot(index);
            // SAFETY: the slot is in the pad; its thread has written to it before it arrived, and does not write again.
            let error = unsafe { (*slot).error };
            if error != 0 {
                return Err(Error::new(
                    Exit::Host,
                    WHAT,
                    Cause::Failed(
                        "cannot drop capabilities or send their pending signals again",
                        Errno(error.unsigned_abs() as u16),
                    ),
                    "check your limits (ulimit -i)",
                ));
            }
        }
        Ok(())
    }

    /// All threads, ascending by their old ids.
    pub fn ids(&self) -> &[Renamed] {
        &self.ids
    }

    fn note(&mut self, thread: &Context, new: i32) {
        self.ids.push_into_room(Renamed {
            old: thread.tid as u32,
            new: new as u32,
        });
    }
}

fn cannot_create(threads: usize, created: usize, errno: Errno) -> Error<'static> {
    let why = compose(format_args!(
        "there were {threads}, and only {} can be created: {errno}",
        created + 1
    ));
    Error::new(
        Exit::Host,
        WHAT,
        Cause::Composed(why),
        "raise what limits them (ulimit -u, pids.max of the cgroup, kernel.threads-max), or free memory",
    )
}

/// Waits until `wanted` threads have arrived. Only the last of them wakes us.
fn wait_for_all(arrived: &AtomicU32, wanted: u32) {
    loop {
        let count = arrived.load(Ordering::Acquire);
        if count == wanted {
            return;
        }
        // Whatever it returns for, the number decides.
        calls::wait_while(arrived, count, None);
    }
}

/// Creates a thread with the thread pointer `fs_base`, which begins in the pad with `slot`; its id.
///
/// # Safety
/// The slot is ready, and no other thread's.
unsafe fn clone(pad: &Pad, slot: *const Slot, fs_base: u64) -> core::result::Result<i32, Errno> {
    let arguments = [u64::from(FLAGS), slot as u64, 0, 0, fs_base];
    // SAFETY: the caller answers for the slot; the code of the pad uses no other memory of its thread.
    let created = unsafe { create_thread(n::__NR_clone, &arguments, pad.thread_entry()) };
    Errno::check(created).map(|tid| tid as i32)
}

/// The same for a thread that is to have the id `wanted`, if the kernel lets us choose.
///
/// # Safety
/// As for [`clone`].
unsafe fn clone_with_id(
    pad: &Pad,
    slot: *const Slot,
    fs_base: u64,
    wanted: i32,
) -> core::result::Result<i32, Errno> {
    let begin = pad.thread_entry();
    let arguments = n::clone_args {
        flags: u64::from(FLAGS),
        pidfd: 0,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: 0,
        // The stack pointer is their sum, and the kernel wants neither to be zero.
        stack: begin,
        stack_size: slot as u64 - begin,
        tls: fs_base,
        set_tid: &raw const wanted as u64,
        set_tid_size: 1,
        cgroup: 0,
    };
    let size = size_of_val(&arguments) as u64;
    let arguments = [&raw const arguments as u64, size, 0, 0, 0];
    // SAFETY: as for `clone`.
    let created = unsafe { create_thread(n::__NR_clone3, &arguments, begin) };
    Errno::check(created).map(|tid| tid as i32)
}
