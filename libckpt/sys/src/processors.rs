//! Processors, and which of them a process runs on.

use linux_raw_sys::general as n;

use crate::Errno;
use crate::syscall::call;

/// A set of processors, as many as kernels are built for.
type Set = [u64; 128];

/// The processors that a thread may run on.
#[derive(Clone, Copy, Debug)]
pub struct Processors(Set);

impl Processors {
    /// Those of this thread; none if the kernel does not tell.
    #[must_use]
    pub fn of_this_thread() -> Self {
        let mut set = [0; _];
        let arguments = [0, size_of::<Set>(), set.as_mut_ptr() as usize];
        // SAFETY: the kernel writes at most as many bytes as the set has.
        let _ = unsafe { call(n::__NR_sched_getaffinity, arguments) };
        Self(set)
    }

    /// How many there are, at least 1.
    #[must_use]
    pub fn count(&self) -> usize {
        let count: u32 = self.0.iter().map(|word| word.count_ones()).sum();
        (count as usize).max(1)
    }

    /// Has the thread `tid`, 0 for the caller, run on these only.
    ///
    /// # Errors
    /// Those of sched_setaffinity(2).
    pub fn give(&self, tid: i32) -> Result<(), Errno> {
        let arguments = [tid as usize, size_of::<Set>(), self.0.as_ptr() as usize];
        // SAFETY: the kernel reads the set.
        unsafe { call(n::__NR_sched_setaffinity, arguments).map(drop) }
    }

    /// The one that this thread runs on at the moment, and the others of these.
    #[must_use]
    pub fn here_and_elsewhere(&self) -> [Self; 2] {
        let mut number = 0u32;
        // SAFETY: the kernel writes one number.
        let _ = unsafe { call(n::__NR_getcpu, [&raw mut number as usize, 0, 0]) };
        let (word, bit) = (number as usize / 64, 1 << (number % 64));
        let (mut here, mut elsewhere) = ([0; _], self.0);
        if let (Some(only), Some(other)) = (here.get_mut(word), elsewhere.get_mut(word)) {
            *only = bit;
            *other &= !bit;
        }
        [Self(here), Self(elsewhere)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_goes_where_it_is_put() {
        let all = Processors::of_this_thread();
        let [here, elsewhere] = all.here_and_elsewhere();
        assert_eq!(here.count(), 1);
        if all.count() == 1 {
            return;
        }
        assert_eq!(elsewhere.count(), all.count() - 1);
        elsewhere.give(0).unwrap();
        let [now, _] = all.here_and_elsewhere();
        assert_ne!(now.0, here.0);
        all.give(0).unwrap();
        assert_eq!(Processors::of_this_thread().0, all.0);
    }
}
