//! Other clocks than the machine's, as in another boot, by a time namespace (time_namespaces(7)).

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::requirements::is_root;

/// `CLONE_NEWTIME` (include/uapi/linux/sched.h).
const CLONE_NEWTIME: i32 = 0x80;

/// A time namespace that is to be made. Everything is prepared before the fork, after which nothing may be allocated.
#[derive(Debug)]
pub(crate) struct OtherClocks {
    flags: i32,
    /// Files to be written, one after the other, and what.
    files: Vec<(CString, String)>,
}

impl OtherClocks {
    /// Clocks that show `seconds` more. Whoever is not root makes a user namespace in which he is himself.
    pub(crate) fn new(seconds: i64) -> Self {
        let offsets = format!("monotonic {seconds} 0\nboottime {seconds} 0\n");
        let mut files = vec![("timens_offsets", offsets)];
        let mut flags = CLONE_NEWTIME;
        if !is_root() {
            // SAFETY: neither call has preconditions.
            let (user, group) = unsafe { (libc::geteuid(), libc::getegid()) };
            flags |= libc::CLONE_NEWUSER;
            files.push(("setgroups", "deny".to_owned()));
            files.push(("uid_map", format!("{user} {user} 1")));
            files.push(("gid_map", format!("{group} {group} 1")));
        }
        let path = |name| CString::new(format!("/proc/self/{name}")).expect("it has no NUL");
        Self {
            flags,
            files: files
                .into_iter()
                .map(|(name, text)| (path(name), text))
                .collect(),
        }
    }

    /// Makes the namespace, which the next exec enters (Linux 6.3 and later).
    pub(crate) fn enter(&self) -> io::Result<()> {
        let check = |result: isize| {
            if result < 0 {
                Err(io::Error::last_os_error())
            } else {
                Ok(result)
            }
        };
        // SAFETY: the calls take numbers, and strings that live as long as `self`.
        unsafe {
            check(libc::unshare(self.flags) as isize)?;
            for (path, text) in &self.files {
                let fd = check(libc::open(path.as_ptr(), libc::O_WRONLY) as isize)? as i32;
                let written = check(libc::write(fd, text.as_ptr().cast(), text.len()));
                libc::close(fd);
                written?;
            }
        }
        Ok(())
    }
}

/// Whether a program can be given other clocks on this machine.
#[must_use]
pub fn has_other_clocks() -> bool {
    let clocks = OtherClocks::new(1);
    let mut command = Command::new("readlink");
    command.arg("/proc/self/ns/time");
    // SAFETY: the closure makes system calls only, which is what may be done between fork and exec.
    unsafe { command.pre_exec(move || clocks.enter()) };
    let ours = fs::read_link("/proc/self/ns/time");
    command.output().is_ok_and(|output| {
        let theirs = String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned();
        output.status.success() && ours.is_ok_and(|ours| *ours != *theirs)
    })
}
