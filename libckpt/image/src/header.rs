//! The first and the last of our notes: where the image comes from, and the checksums of headers and notes.

use crate::record;

/// Version of the format as a whole. A reader refuses every other one.
pub const FORMAT: u32 = 7;

record! {
    /// Where the image comes from.
    pub struct Header<'a> {
        /// [`FORMAT`].
        pub format: u32,
        /// How often the process had been restored when the image was written.
        pub generation: u32,
        /// Process id at the checkpoint, in its own PID namespace.
        pub pid: i32,
        /// Inode of the PID namespace (`/proc/self/ns/pid`).
        pub pid_namespace: u64,
        /// Field 22 of `/proc/PID/stat`, in clock ticks since boot: tells a process from a later one with the same id.
        pub start_time: u64,
        /// `/proc/sys/kernel/random/boot_id`.
        pub boot_id: [u8; 16],
        /// `/etc/machine-id`, zero if there is none.
        pub machine_id: [u8; 16],
        /// `CLOCK_REALTIME` at the checkpoint, in nanoseconds.
        pub realtime: u64,
        /// `CLOCK_MONOTONIC` at the checkpoint, in nanoseconds.
        pub monotonic: u64,
        /// Release of the kernel (`uname -r`).
        pub kernel: &'a [u8],
        /// Version of libckpt.
        pub writer: &'a [u8],
    }
}

record! {
    /// The last note. Its last field closes the note segment, so nothing in the segment is outside of a checksum.
    pub struct Checksums {
        /// Length of the whole file, in bytes: an image that was cut or has something appended is refused.
        pub file_size: u64,
        /// CRC32C of the file from its beginning to its first page of data.
        pub head: u32,
        /// CRC32C of the note segment from its beginning to this field.
        pub notes: u32,
    }
}
