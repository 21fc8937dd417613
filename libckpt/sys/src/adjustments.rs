//! Adjustments of System V semaphores: what the kernel adds to a semaphore when the process ends, because of operations with
//! `SEM_UNDO` (semop(2)).
//!
//! The kernel tells nobody what they are. But an adjustment has a range, and an operation with which it would leave that range
//! fails with `ERANGE`; so operations are made of which the last one always fails, and the error tells on which side of a
//! number the adjustment is. Those that fail leave no trace in the set (`perform_atomic_semop_slow` in ipc/sem.c).

use crate::calls::Done;
use crate::errno::Errno;
use crate::ipc::{self, IPC_NOWAIT};
use crate::syscall::call;
use linux_raw_sys::general as n;

/// Bounds of an adjustment (`SEMAEM` in include/uapi/linux/sem.h); the higher one is also that of a value, `SEMVMX`.
const LOWEST: i32 = -32768;
const HIGHEST: i32 = 32767;

/// Flag of an operation (include/uapi/linux/sem.h).
const SEM_UNDO: usize = 0x1000;

/// How often it is tried if others change the value meanwhile.
const PATIENCE: u32 = 10_000;

/// `struct sembuf` (include/uapi/linux/sem.h)
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Operation {
    semaphore: u16,
    change: i16,
    flags: i16,
}

const _: () = assert!(size_of::<Operation>() == 6);

/// Operations on one semaphore that are carried out one after the other, all or none.
struct Operations {
    semaphore: u16,
    list: [Operation; Self::ROOM],
    count: usize,
}

impl Operations {
    /// To bring a value to 0 takes two, to move an adjustment by its whole range six, and one is the last.
    const ROOM: usize = 9;

    fn on(semaphore: u16) -> Self {
        Self {
            semaphore,
            list: [Operation::default(); Self::ROOM],
            count: 0,
        }
    }

    /// Adds one that does not wait. A change of 0 fails unless the value is 0.
    fn add(&mut self, change: i32, flags: usize) {
        self.list[self.count] = Operation {
            semaphore: self.semaphore,
            change: change as i16,
            flags: (IPC_NOWAIT | flags) as i16,
        };
        self.count += 1;
    }

    /// Adds what brings the value from `value` to 0, and fails if it was another one.
    fn clear(&mut self, value: i16) {
        self.add(-i32::from(value), 0);
        self.add(0, 0);
    }

    /// Adds what moves the adjustment by `distance` and leaves the value, which is 0.
    fn move_adjustment(&mut self, distance: i32) {
        for step in steps(distance) {
            // The value must not become negative in between.
            if step > 0 {
                self.add(step, 0);
            }
            self.add(-step, SEM_UNDO);
            if step < 0 {
                self.add(step, 0);
            }
        }
    }

    fn perform(&self, set: i32) -> Done {
        let arguments = [set as usize, self.list.as_ptr() as usize, self.count];
        // SAFETY: the kernel reads so many operations.
        unsafe { call(n::__NR_semop, arguments).map(drop) }
    }
}

/// `distance` in pieces that a single operation can have.
fn steps(distance: i32) -> impl Iterator<Item = i32> {
    let mut rest = distance;
    core::iter::from_fn(move || {
        let step = rest.clamp(-HIGHEST, HIGHEST);
        rest -= step;
        (step != 0).then_some(step)
    })
}

/// The adjustment that this process has for a semaphore. From then on, the kernel takes the end of the process for a use of the
/// set (`sem_otime`).
///
/// # Errors
/// Those of semop(2); `EAGAIN` if others change the value all the time.
pub fn get(set: i32, semaphore: u16) -> Result<i16, Errno> {
    // Nearly all are 0.
    if !is_above(set, semaphore, 0)? && is_above(set, semaphore, -1)? {
        return Ok(0);
    }
    let (mut low, mut high) = (LOWEST, HIGHEST);
    while low < high {
        // Less than `high`, also if both are negative.
        let middle = (low + high).div_euclid(2);
        if is_above(set, semaphore, middle)? {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low as i16)
}

/// Whether the adjustment is higher than `bound`, which is less than [`HIGHEST`].
fn is_above(set: i32, semaphore: u16, bound: i32) -> Result<bool, Errno> {
    for _ in 0..PATIENCE {
        let value = ipc::value(set, semaphore)?;
        // If it is, it leaves its range when it is moved so far up; if not, when it is moved so far down.
        if leaves_range(set, semaphore, value, HIGHEST - bound)? {
            return Ok(true);
        }
        if leaves_range(set, semaphore, value, LOWEST - (bound + 1))? {
            return Ok(false);
        }
        // Neither: by then the semaphore had another value.
    }
    Err(Errno::EAGAIN)
}

/// Whether the adjustment would leave its range if it were moved by `distance`. If the semaphore has another value than `value`, the
/// answer is no.
fn leaves_range(set: i32, semaphore: u16, value: i16, distance: i32) -> Result<bool, Errno> {
    let mut operations = Operations::on(semaphore);
    operations.clear(value);
    operations.move_adjustment(distance);
    // Nothing can be taken from 0.
    operations.add(-1, 0);
    match operations.perform(set) {
        Err(Errno::ERANGE) => Ok(true),
        Err(Errno::EAGAIN) | Ok(()) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Gives this process, which has none yet, an adjustment for a semaphore, and leaves its value, which is `value`.
///
/// # Errors
/// Those of semop(2); `EAGAIN` if the value is another one.
pub fn set(set: i32, semaphore: u16, value: i16, adjustment: i16) -> Done {
    let mut operations = Operations::on(semaphore);
    operations.clear(value);
    operations.move_adjustment(adjustment.into());
    operations.add(value.into(), 0);
    operations.perform(set)
}

/// Does again what has left a process with an adjustment, without waiting: what the kernel gives back at the end is taken, or the
/// other way round.
///
/// # Errors
/// Those of semop(2); `EAGAIN` if there is less than that, `ERANGE` if there is no room for it.
pub fn take_again(set: i32, semaphore: u16, adjustment: i16) -> Done {
    let mut operations = Operations::on(semaphore);
    for step in steps(adjustment.into()) {
        operations.add(-step, SEM_UNDO);
    }
    operations.perform(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A set of one semaphore of this value, which goes when this is dropped.
    struct Semaphore(i32);

    impl Semaphore {
        fn new(value: i16) -> Self {
            let made = Self(ipc::make_set(0, 1).expect("there is room for a set"));
            ipc::set_values(made.0, &value.to_ne_bytes()).expect("it is ours");
            made
        }
    }

    impl Drop for Semaphore {
        fn drop(&mut self) {
            let _ = ipc::remove_set(self.0);
        }
    }

    #[test]
    fn every_adjustment_can_be_set_and_found_out() {
        for value in [0, 1, 20_000, i16::MAX] {
            for adjustment in [0, 1, -1, 2, -2, 300, -20_000, i16::MAX, -i16::MAX, i16::MIN] {
                let semaphore = Semaphore::new(value);
                set(semaphore.0, 0, value, adjustment).expect("it is ours");
                let used = ipc::set(semaphore.0);
                assert_eq!(get(semaphore.0, 0), Ok(adjustment));
                assert_eq!(ipc::value(semaphore.0, 0), Ok(value), "{adjustment}");
                assert_eq!(ipc::set(semaphore.0), used, "nothing has happened");
            }
        }
    }

    #[test]
    fn what_is_taken_again_is_given_back() {
        let semaphore = Semaphore::new(5);
        assert_eq!(take_again(semaphore.0, 0, 3), Ok(()));
        assert_eq!(take_again(semaphore.0, 0, 3), Err(Errno::EAGAIN));
        assert_eq!(ipc::value(semaphore.0, 0), Ok(2));
        assert_eq!(get(semaphore.0, 0), Ok(3));
        assert_eq!(take_again(semaphore.0, 0, -10), Ok(()));
        assert_eq!(ipc::value(semaphore.0, 0), Ok(12));
        assert_eq!(get(semaphore.0, 0), Ok(-7));
        let full = take_again(semaphore.0, 0, i16::MIN + 7);
        assert_eq!(full, Err(Errno::ERANGE));
    }

    #[test]
    fn what_others_do_meanwhile_does_not_matter() {
        let semaphore = Semaphore::new(1);
        set(semaphore.0, 0, 1, 4).expect("it is ours");
        let id = semaphore.0;
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    for change in [-1, 1] {
                        let mut operations = Operations::on(0);
                        operations.add(change, 0);
                        operations.perform(id).expect("nobody else takes it");
                    }
                }
            });
            let found: Vec<_> = (0..200).map(|_| get(id, 0)).collect();
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            assert_eq!(found, [Ok(4); 200]);
        });
    }
}
