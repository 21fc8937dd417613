//! The clocks that count from a boot: whether they are the ones that the program has seen, and what it is to see.

use ckpt_image::clocks::{CLOCKS, Clocks, MONOTONIC};

/// Where a process is, as far as its clocks depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Here {
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: [u8; 16],
    /// Inode of the time namespace.
    pub time_namespace: u64,
    /// What the kernel's clocks show, in nanoseconds.
    pub kernel: [u64; CLOCKS],
}

/// The longest tick of a kernel (`CONFIG_HZ` is at least 100), in nanoseconds. The coarse form of a clock lags behind by up to one;
/// in a process whose clocks go on a tick later than where they were, it does not go back either.
const TICK: u64 = 10_000_000;

impl Here {
    /// Whether the clocks are those that `saved` was read from, in the boot `boot_id`. A clock never goes back, so one that shows
    /// less is another one.
    #[must_use]
    pub fn has(&self, saved: &Clocks, boot_id: [u8; 16]) -> bool {
        self.boot_id == boot_id
            && self.time_namespace == saved.time_namespace
            && self.kernel[MONOTONIC] >= saved.kernel[MONOTONIC]
    }

    /// What the program is to see beyond the kernel's clocks: on the same ones, what it did; on others, so much that its clocks
    /// go on where they were.
    #[must_use]
    pub fn offsets(&self, saved: &Clocks, boot_id: [u8; 16]) -> [u64; CLOCKS] {
        if self.has(saved, boot_id) {
            return saved.offsets;
        }
        core::array::from_fn(|clock| {
            saved.kernel[clock]
                .wrapping_add(saved.offsets[clock])
                .wrapping_add(TICK)
                .wrapping_sub(self.kernel[clock])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT: [u8; 16] = [7; 16];
    const SAVED: Clocks = Clocks {
        time_namespace: 9,
        kernel: [100, 110, 120],
        offsets: [5, 0, u64::MAX],
        entry: 0,
        entered: 1,
    };
    const LATER: Here = Here {
        boot_id: BOOT,
        time_namespace: 9,
        kernel: [200, 210, 220],
    };

    #[test]
    fn in_the_same_boot_the_clocks_stay_what_they_are() {
        assert_eq!(LATER.offsets(&SAVED, BOOT), SAVED.offsets);
    }

    #[test]
    fn on_other_clocks_they_go_on_where_they_were() {
        let expected = [
            (TICK + 105).wrapping_sub(200),
            (TICK + 110).wrapping_sub(210),
            (TICK + 119).wrapping_sub(220),
        ];
        assert_eq!(LATER.offsets(&SAVED, [8; 16]), expected);
        let namespace = Here {
            time_namespace: 10,
            ..LATER
        };
        assert_eq!(namespace.offsets(&SAVED, BOOT), expected);
        let back = Here {
            kernel: [99, 210, 220],
            ..LATER
        };
        assert_eq!(back.offsets(&SAVED, BOOT)[0], TICK + 6);
    }
}
