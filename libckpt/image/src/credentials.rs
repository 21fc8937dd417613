//! Who the process was, and what it was allowed to do.

use crate::record;

/// Number of namespaces in [`Credentials::namespaces`].
pub const NAMESPACES: usize = 7;

/// Names of the namespaces, as in `/proc/PID/ns`.
pub const NAMESPACE_NAMES: [&str; NAMESPACES] =
    ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"];

record! {
    /// Ids, capabilities and restrictions.
    pub struct Credentials<'a> {
        /// Real, effective and saved user id, and the one for file access.
        pub uids: [u32; 4],
        /// Real, effective and saved group id, and the one for file access.
        pub gids: [u32; 4],
        /// Inheritable, permitted, effective, bounding and ambient capabilities (`/proc/PID/status`).
        pub capabilities: [u64; 5],
        /// `PR_GET_SECUREBITS`.
        pub securebits: u32,
        /// `PR_GET_NO_NEW_PRIVS`.
        pub no_new_privs: u32,
        /// Mode of seccomp (0 none, 1 strict, 2 filter).
        pub seccomp: u32,
        /// Number of seccomp filters.
        pub seccomp_filters: u32,
        /// Inode of each namespace, in the order of [`NAMESPACE_NAMES`], zero where the kernel has none.
        pub namespaces: [u64; NAMESPACES],
        /// Supplementary groups, each four bytes, little-endian, ascending.
        pub groups: &'a [u8],
    }
}

impl Credentials<'_> {
    /// Inode of the namespace of System V objects.
    #[must_use]
    pub fn ipc_namespace(&self) -> u64 {
        self.namespaces[1]
    }

    /// The supplementary groups.
    pub fn groups(&self) -> impl Iterator<Item = u32> + '_ {
        self.groups
            .chunks_exact(4)
            .map(|raw| u32::from_le_bytes([raw[0], raw[1], raw[2], raw[3]]))
    }
}
