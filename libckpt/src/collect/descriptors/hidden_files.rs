//! Files that were deleted while they were open, on a file system whose server does not know who has what open: the client has given
//! them another name, and deletes them when nobody has them open any more. That is when the process ends.

use ckpt_sys::maps::path_of;
use ckpt_sys::{Errno, calls};
use linux_raw_sys::general as n;

/// How such names begin, how many hexadecimal digits follow, and on which file system (statfs(2)).
const NAMES: [(&[u8], usize, u32); 2] = [
    // `nfs_sillyrename` in fs/nfs/unlink.c
    (b".nfs", 24, n::NFS_SUPER_MAGIC),
    // `hidden_name` in lib/fuse.c of libfuse
    (b".fuse_hidden", 16, n::FUSE_SUPER_MAGIC),
];

/// Whether `path`, as `/proc` shows it, is the name of one.
pub fn is_one(path: &[u8]) -> bool {
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    NAMES.iter().any(|&(prefix, digits, kind)| {
        let number = name.strip_prefix(prefix).unwrap_or_default();
        number.len() == digits
            && number.iter().all(u8::is_ascii_hexdigit)
            && file_system(path) == Ok(kind)
    })
}

fn file_system(path: &[u8]) -> Result<u32, Errno> {
    let path = path_of(path)?;
    let fd = calls::open(path.as_c_str(), n::O_PATH | n::O_NOFOLLOW)?;
    calls::file_system(fd.number())
}
