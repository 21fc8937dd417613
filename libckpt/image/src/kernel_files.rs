//! Paths below `/proc`: whom they tell of. A restart gives a process and its threads new ids, so an image says `self`
//! in place of the process's own, and keeps the old ids of threads.

use core::str;

/// Whom a file of procfs tells of (proc(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'p> {
    /// The system, or nobody in particular.
    System,
    /// The process itself; the rest of the path, which begins with a slash unless it is empty.
    Process(&'p [u8]),
    /// A thread of the process, by its id; the rest of the path.
    Thread(u32, &'p [u8]),
    /// Another process.
    OtherProcess,
}

/// Where a path has the first of its components and the rest, which begins with a slash unless it is empty.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let end = path.iter().position(|&byte| byte == b'/');
    path.split_at(end.unwrap_or(path.len()))
}

fn id(component: &[u8]) -> Option<u32> {
    str::from_utf8(component).ok()?.parse().ok()
}

/// Whom `path` tells of, in a procfs in which the process has the name `own`.
#[must_use]
pub fn subject<'p>(path: &'p [u8], own: &[u8]) -> Subject<'p> {
    let Some(below) = path.strip_prefix(b"/proc/") else {
        return Subject::System;
    };
    let (process, rest) = split(below);
    if process != own {
        return match id(process) {
            Some(_) => Subject::OtherProcess,
            None => Subject::System,
        };
    }
    let thread = rest.strip_prefix(b"/task/").map(split);
    match thread.and_then(|(thread, rest)| Some((id(thread)?, rest))) {
        Some((thread, rest)) => Subject::Thread(thread, rest),
        None => Subject::Process(rest),
    }
}

/// What the process is called in the paths of an image.
pub const OWN_NAME: &[u8] = b"self";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_tells_of_the_process_or_of_its_thread() {
        let of = |path: &'static str| subject(path.as_bytes(), b"4711");
        assert_eq!(of("/proc/4711/stat"), Subject::Process(b"/stat"));
        assert_eq!(of("/proc/4711"), Subject::Process(b""));
        assert_eq!(of("/proc/4711/task"), Subject::Process(b"/task"));
        assert_eq!(of("/proc/4711/task/4712"), Subject::Thread(4712, b""));
        assert_eq!(
            of("/proc/4711/task/4712/net/tcp"),
            Subject::Thread(4712, b"/net/tcp")
        );
        assert_eq!(
            subject(b"/proc/self/task/4712/comm", OWN_NAME),
            Subject::Thread(4712, b"/comm")
        );
    }

    #[test]
    fn a_path_tells_of_others_or_of_nobody() {
        let of = |path: &'static str| subject(path.as_bytes(), b"4711");
        assert_eq!(of("/proc/47110/stat"), Subject::OtherProcess);
        assert_eq!(of("/proc/471"), Subject::OtherProcess);
        assert_eq!(of("/proc/meminfo"), Subject::System);
        assert_eq!(of("/proc/4711x/stat"), Subject::System);
        assert_eq!(of("/proc/"), Subject::System);
        assert_eq!(of("/sys/4711"), Subject::System);
        assert_eq!(of(""), Subject::System);
    }
}
