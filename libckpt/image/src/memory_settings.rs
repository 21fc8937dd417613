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

/// How many protection keys there are at most; key 0 is every process's from the start (`arch_max_pkey` in
/// arch/x86/include/asm/pkeys.h).
pub const PROTECTION_KEYS: u32 = 16;

record! {
    /// The protection keys of a process (pkeys(7)) that has some, or has memory with one. Who may access what is said by a register of
    /// each thread (PKRU), which its signal frame has.
    pub struct ProtectionKeys {
        /// Those that the process has allocated; bit 1 is key 1.
        pub allocated: u32,
        /// The one that the kernel has given to memory that may only be executed; 0 if there is no such memory.
        pub execute_only: u32,
    }
}

impl ProtectionKeys {
    /// Whether the process has allocated `key`.
    #[must_use]
    pub fn has_allocated(&self, key: u32) -> bool {
        self.allocated >> key & 1 != 0
    }
}

impl Object<'_> for ProtectionKeys {
    const NOTE: Kind = Kind::ProtectionKeys;

    fn check(&self) -> Result<(), Malformed> {
        let there_are = (1 << PROTECTION_KEYS) - 2;
        if self.allocated & !there_are == 0
            && self.execute_only < PROTECTION_KEYS
            && !self.has_allocated(self.execute_only)
        {
            Ok(())
        } else {
            Err(Malformed::Field("the protection keys"))
        }
    }
}
