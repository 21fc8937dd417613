//! The clocks that count from a boot, as the program sees them.

use crate::record;

/// Number of the clocks, and which is which: `CLOCK_MONOTONIC` (and its coarse form), `CLOCK_MONOTONIC_RAW`,
/// `CLOCK_BOOTTIME`.
pub const CLOCKS: usize = 3;
/// Place of `CLOCK_MONOTONIC`.
pub const MONOTONIC: usize = 0;
/// Place of `CLOCK_MONOTONIC_RAW`.
pub const RAW: usize = 1;
/// Place of `CLOCK_BOOTTIME`.
pub const BOOTTIME: usize = 2;

record! {
    /// What the clocks showed, and what has to be done so that a restored process sees them go on from there.
    pub struct Clocks {
        /// Inode of the time namespace (time_namespaces(7)), 0 on a kernel without.
        pub time_namespace: u64,
        /// What the kernel's clocks showed, in nanoseconds.
        pub kernel: [u64; CLOCKS],
        /// What the program sees beyond that, in nanoseconds, in two's complement.
        pub offsets: [u64; CLOCKS],
        /// Address of the function of libckpt that takes the place of the vdso's `clock_gettime` where they are not 0.
        pub entry: u64,
        /// 1 if it is in that place.
        pub entered: u32,
    }
}
