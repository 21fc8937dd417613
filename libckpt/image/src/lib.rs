//! The checkpoint image: an ELF core file with notes of our own.
//!
//! Pure functions over byte slices, without system calls and without `unsafe`, so that all of it can be unit-tested
//! and fuzzed on the host. `docs/IMAGE.md` is the normative description of what is encoded here.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod checksum;
pub mod clocks;
pub mod container;
pub mod context;
pub mod core_notes;
pub mod cpu;
pub mod credentials;
pub mod descriptors;
pub mod elf;
pub mod extents;
pub mod guards;
pub mod header;
pub mod kernel_files;
pub mod memory_settings;
pub mod note;
pub mod objects;
pub mod owners;
pub mod process;
pub mod reader;
pub mod regions;
pub mod segments;
pub mod signals;
pub mod wire;

/// The page size of x86-64, in bytes (Intel SDM vol. 3A, 4.2): the unit of every address and length in an image.
pub const PAGE: u64 = 4096;

/// One past the highest address a user mapping may have with four-level paging (`TASK_SIZE_MAX`,
/// arch/x86/include/asm/page_64.h).
pub const TASK_SIZE: u64 = (1 << 47) - PAGE;

/// `value` rounded down to a page boundary.
#[must_use]
pub const fn page_down(value: u64) -> u64 {
    value & !(PAGE - 1)
}

/// `value` rounded up to a page boundary; `value` is at most `u64::MAX - PAGE`.
#[must_use]
pub const fn page_up(value: u64) -> u64 {
    page_down(value + PAGE - 1)
}
