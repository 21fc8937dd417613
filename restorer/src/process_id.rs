//! The old process id: the program goes on in a process that is made with it. The kernel lets the owner of a PID namespace
//! choose ids in it, so whoever is not privileged makes a namespace of his own, and for that a user namespace
//! (pid_namespaces(7), user_namespaces(7)).

use ckpt_sys::kernel::SignalAction;
use ckpt_sys::proc::ProcessStat;
use ckpt_sys::{Errno, Fd, Line, calls, files};
use linux_raw_sys::general as n;
use restart::report::{Cause, Error, Exit, Object, compose};

use crate::Result;
use crate::rights::Rights;
use crate::stand_in::{guard, stand_in_for};

const WHAT: Object<'static> = Object::Thing("the process id");

/// What can be done where an id cannot be had.
const WITHOUT: &str = "restore it as root, or without --pid";

/// Why the kernel does not give a process or thread the id that it had; `None` if it may not be chosen.
pub fn refusal(id: i32, errno: Errno) -> Option<Error<'static>> {
    let error = |cause, remedy| Some(Error::new(Exit::Resource, WHAT, cause, remedy));
    let composed = |text| Cause::Composed(compose(text));
    match errno {
        Errno::EPERM => None,
        Errno::EEXIST => {
            // A thread has a directory, too, although it is not listed.
            let path = Line::<64>::format(format_args!("/proc/{id}/comm"));
            let owner = files::read_small::<32>(path.as_c_str()).unwrap_or_default();
            let owner = ckpt_sys::line::Text(owner.as_bytes().trim_ascii_end());
            if ProcessStat::of(id).is_ok_and(|stat| stat.state() == b'Z') {
                return error(
                    composed(format_args!(
                        "{id} is still that of a process that has ended ({owner}), for which nobody has waited yet"
                    )),
                    "try again in a moment, or restore it without --pid",
                );
            }
            let cause = if owner.0.is_empty() {
                composed(format_args!(
                    "{id} is in use as that of a process group or session"
                ))
            } else {
                composed(format_args!("{id} belongs to somebody else now ({owner})"))
            };
            error(cause, "end that one, or restore it without --pid")
        }
        Errno::EINVAL => error(
            composed(format_args!("{id} is higher than ids may be here")),
            "raise kernel.pid_max, or restore it without --pid",
        ),
        Errno::E2BIG | Errno::ENOSYS => error(
            composed(format_args!("{id} cannot be chosen: {errno}")),
            "use Linux 5.5 or later, where clone3 is let through, or restore it without --pid",
        ),
        _ => error(
            composed(format_args!("{id} cannot be had: {errno}")),
            "raise your limits (ulimit -u), free memory, or restore it without --pid",
        ),
    }
}

/// Returns in a process that has the id `pid`. The calling one stays and stands in for it, unless it has that id itself.
pub fn take(pid: i32, rights: &mut Rights) -> Result<()> {
    if calls::pid() == pid {
        return Ok(());
    }
    // The way in which this process was started may have set it to be ignored, and a child would leave nothing to wait for.
    let by_default = SignalAction::default();
    // SAFETY: there is no handler to run.
    let _ = unsafe { calls::signal_action(n::SIGCHLD as i32, Some(&by_default)) };
    // SAFETY: there is one thread.
    let program = match unsafe { calls::fork_with_id(pid) } {
        Ok(0) => return Ok(()),
        Ok(program) => program,
        Err(errno) => {
            return match refusal(pid, errno) {
                Some(error) => Err(error),
                None => take_in_namespace(pid, rights),
            };
        }
    };
    let made = pipe().and_then(|(read, write)| {
        let descriptor = calls::pid_descriptor(program, 0).map_err(cannot_guard)?;
        // SAFETY: there is one thread.
        match unsafe { calls::fork_quietly() } {
            Ok(0) => {
                drop(write);
                guard(&read, Some(&descriptor))
            }
            forked => forked.map(|_| write).map_err(cannot_guard),
        }
    });
    match made {
        Ok(write) => stand_in_for(program, write),
        Err(error) => {
            let _ = calls::kill(program, n::SIGKILL as i32);
            Err(error)
        }
    }
}

/// As [`take`], in a namespace in which we may choose. Its first process cannot have any id but 1, and nobody but the guard
/// needs to be that.
fn take_in_namespace(pid: i32, rights: &mut Rights) -> Result<()> {
    if rights.change_ids() {
        let why = "you may not choose it, and in a namespace of your own you cannot become the user that the program ran as";
        return Err(Error::new(
            Exit::Resource,
            WHAT,
            Cause::Because(why),
            "restore it as that user, or without --pid",
        ));
    }
    enter_namespaces().map_err(|errno| {
        let why = compose(format_args!(
            "you may not choose it, and no namespace in which you might: {errno}"
        ));
        Error::new(Exit::Resource, WHAT, Cause::Composed(why), WITHOUT)
    })?;
    let (read, write) = pipe()?;
    // SAFETY: there is one thread.
    match unsafe { calls::fork_quietly() } {
        Ok(0) => {
            drop(write);
            let ignored = SignalAction {
                handler: IGNORED,
                ..SignalAction::default()
            };
            // SAFETY: there is no handler to run.
            let _ = unsafe { calls::signal_action(n::SIGCHLD as i32, Some(&ignored)) };
            guard(&read, None)
        }
        forked => forked.map_err(cannot_guard)?,
    };
    drop(read);
    // SAFETY: there is one thread.
    match unsafe { calls::fork_with_id(pid) } {
        Ok(0) => {
            drop(write);
            mount_proc()?;
            rights.settle_in_namespace()
        }
        Ok(program) => stand_in_for(program, write),
        Err(errno) => Err(refusal(pid, errno).unwrap_or_else(|| {
            Error::new(
                Exit::Resource,
                WHAT,
                Cause::Failed("it may not be chosen", errno),
                WITHOUT,
            )
        })),
    }
}

/// `SIG_IGN` (include/uapi/asm-generic/signal-defs.h).
const IGNORED: u64 = 1;

fn pipe() -> Result<(Fd, Fd)> {
    calls::pipe(n::O_CLOEXEC).map_err(cannot_guard)
}

fn cannot_guard(errno: Errno) -> Error<'static> {
    Error::new(
        Exit::Resource,
        WHAT,
        Cause::Failed("no process to guard the one that has it", errno),
        "raise your limits (ulimit -u, ulimit -n), or restore it without --pid",
    )
}

/// Makes a user namespace in which we are who we are, a PID namespace for our children, and one for mounts.
fn enter_namespaces() -> core::result::Result<(), Errno> {
    let (user, group) = (calls::geteuid()?, calls::getegid()?);
    calls::unshare(n::CLONE_NEWUSER | n::CLONE_NEWPID | n::CLONE_NEWNS)?;
    // Without a privilege outside, one id can be mapped, and groups cannot be changed.
    write(c"/proc/self/setgroups", b"deny")?;
    let user = Line::<64>::format(format_args!("{user} {user} 1"));
    write(c"/proc/self/uid_map", user.as_bytes())?;
    let group = Line::<64>::format(format_args!("{group} {group} 1"));
    write(c"/proc/self/gid_map", group.as_bytes())
}

fn write(path: &core::ffi::CStr, text: &[u8]) -> core::result::Result<(), Errno> {
    let file = calls::open(path, n::O_WRONLY)?;
    calls::write(file.number(), text).map(drop)
}

/// The `/proc` that is there tells of the processes outside.
fn mount_proc() -> Result<()> {
    let flags = n::MS_NOSUID | n::MS_NODEV | n::MS_NOEXEC;
    calls::mount(c"proc", c"/proc", flags).map_err(|errno| {
        let cause = Cause::Failed("cannot mount the /proc of a namespace of its own", errno);
        Error::new(Exit::Resource, WHAT, cause, WITHOUT)
    })
}
