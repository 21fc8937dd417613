//! What the kernel keeps of memory beside the flags of regions.

use crate::note::Kind;
use crate::objects::Object;
use crate::record;
use crate::wire::Malformed;

/// Words of a set of memory nodes: 1024 of them.
pub const NODE_WORDS: usize = 16;

record! {
    /// The memory policy of a region (mbind(2)).
    pub struct MemoryPolicy {
        /// First address.
        pub start: u64,
        /// One past the last address.
        pub end: u64,
        /// `MPOL_*`, mode and flags.
        pub mode: u32,
        /// The nodes; bit 0 of the first word is node 0.
        pub nodes: [u64; NODE_WORDS],
    }
}

impl Object<'_> for MemoryPolicy {
    const NOTE: Kind = Kind::MemoryPolicies;

    /// What can be wrong with it depends on the regions.
    fn check(&self) -> Result<(), Malformed> {
        Ok(())
    }
}

/// `MCL_FUTURE` and `MCL_ONFAULT` (include/uapi/asm-generic/mman.h).
const MCL_FUTURE: u32 = 2;
const MCL_ONFAULT: u32 = 4;

record! {
    /// That what is mapped from now on is locked in memory (mlockall(2)).
    pub struct FutureLocks {
        /// `MCL_FUTURE`, alone or with `MCL_ONFAULT`.
        pub flags: u32,
    }
}

impl Object<'_> for FutureLocks {
    const NOTE: Kind = Kind::FutureLocks;

    fn check(&self) -> Result<(), Malformed> {
        if [MCL_FUTURE, MCL_FUTURE | MCL_ONFAULT].contains(&self.flags) {
            Ok(())
        } else {
            Err(Malformed::Field("what is locked in memory"))
        }
    }
}
