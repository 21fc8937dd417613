//! Files of the kernel's own file systems: what is read from them is made at that moment, so neither inode nor times say
//! which file it is, but only the path.

use ckpt_image::kernel_files::{OWN_NAME, Subject, subject};
use ckpt_sys::line::{Path, Text};
use ckpt_sys::{Line, calls, files};
use linux_raw_sys::general as n;

use crate::failure::{Doing, Failure, failure};

/// Their types as statfs(2) has them.
const FILE_SYSTEMS: [u32; 8] = [
    n::PROC_SUPER_MAGIC,
    n::SYSFS_MAGIC,
    n::CGROUP_SUPER_MAGIC,
    n::CGROUP2_SUPER_MAGIC,
    n::DEBUGFS_MAGIC,
    n::TRACEFS_MAGIC,
    n::SECURITYFS_MAGIC,
    n::NSFS_MAGIC,
];

/// Whether the regular file or directory behind the descriptor `number` is one of these.
pub fn is_one(number: i32) -> bool {
    calls::file_system(number).is_ok_and(|kind| FILE_SYSTEMS.contains(&kind))
}

/// Where the namespace is that `stat` describes and `/proc` shows as `path`, such as `net:[4026531840]` (namespaces(7)), if the process
/// is in it.
pub fn path_of_namespace(stat: &calls::Stat, path: &Path) -> Option<Path> {
    let end = path.as_bytes().windows(2).position(|two| two == b":[")?;
    let name = Text(&path.as_bytes()[..end]);
    let own: Line<16> = files::read_link(c"/proc/self").ok()?;
    let found = Path::format(format_args!("/proc/{own}/ns/{name}"));
    calls::stat_at(calls::AT_FDCWD, found.as_c_str(), 0)
        .is_ok_and(|its| files::identity(&its).same_file(&files::identity(stat)))
        .then_some(found)
}

/// The path at which a restart finds what `path` leads to now; `what` names it in messages.
///
/// # Errors
/// [`Failure`] if it tells of another process, or is not there any more.
pub fn lasting_path(what: &Line<64>, path: &Path) -> Result<Path, Failure> {
    let own: Line<16> = files::read_link(c"/proc/self").doing(format_args!("/proc/self"))?;
    let prefix = b"/proc/".len() + own.as_bytes().len();
    let lasting = match subject(path.as_bytes(), own.as_bytes()) {
        Subject::System if !path.as_bytes().starts_with(b"/") => {
            return Err(failure!(
                "{what} ({path}): the program is not in this namespace, which has no other name; close it first"
            ));
        }
        Subject::OtherProcess => {
            return Err(failure!(
                "{what} ({path}): it tells of another process; close it first"
            ));
        }
        Subject::System => *path,
        Subject::Process(_) | Subject::Thread(..) => {
            let mut lasting = Path::new();
            lasting.push(b"/proc/");
            lasting.push(OWN_NAME);
            lasting.push(&path.as_bytes()[prefix..]);
            lasting
        }
    };
    match calls::stat_at(calls::AT_FDCWD, lasting.as_c_str(), 0) {
        Ok(_) if !lasting.is_cut() => Ok(lasting),
        _ => Err(failure!(
            "{what} ({path}): it cannot be reached by this name any more; close it first"
        )),
    }
}
