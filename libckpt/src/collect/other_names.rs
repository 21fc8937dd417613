//! Files that have lost the name by which they were opened, and have another one: glibc's sem_open(3) makes the file of a
//! semaphore under a name of its own, links it to the right one, and removes the first. The kernel goes on showing the first one,
//! as deleted.

use ckpt_sys::line::Path;
use ckpt_sys::{calls, files};
use linux_raw_sys::general as n;

use super::descriptors::unnamed_files::without_mark;

/// How many entries of a directory are looked at: where there are more, looking would take longer than a checkpoint may.
const MAX_ENTRIES: usize = 1 << 20;

/// Another name, in the directory of `path`, of the file that `/proc` shows by this path, and as deleted; and what stat(2) says by
/// that name. `is_it` knows the file, whose inode is `inode`.
pub fn find(
    path: &[u8],
    inode: u64,
    is_it: impl Fn(&calls::Stat) -> bool,
) -> Option<(Path, calls::Stat)> {
    let old = without_mark(path)?;
    let behind = old.iter().rposition(|&byte| byte == b'/')? + 1;
    let mut name = Path::new();
    name.push(&old[..behind]);
    let directory = calls::open(name.as_c_str(), n::O_RDONLY | n::O_DIRECTORY).ok()?;
    let (mut entries, mut found) = (0, None);
    let _ = files::for_each_inode(&directory, |entry, its_inode| {
        entries += 1;
        if its_inode == inode {
            found = calls::stat_at(directory.number(), entry, n::AT_SYMLINK_NOFOLLOW)
                .ok()
                .filter(&is_it);
            if found.is_some() {
                name.push(entry.to_bytes());
            }
        }
        found.is_none() && entries < MAX_ENTRIES
    });
    found.filter(|_| !name.is_cut()).map(|stat| (name, stat))
}
