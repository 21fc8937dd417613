//! What to start, and in which surroundings.

use std::ffi::{OsStr, OsString};
use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::artefacts;
use crate::clocks::OtherClocks;
use crate::place::{NOBODY, Place};
use crate::process::{CHECKPOINT_SIGNAL, Process};
use crate::requirements::is_root;

/// The two ways to restore memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// It is read.
    Eager,
    /// It is mapped from the image, where that is possible.
    Lazy,
}

impl Restart {
    /// The restorer's options for it.
    #[must_use]
    pub fn options(self) -> &'static [&'static str] {
        match self {
            Self::Eager => &[],
            Self::Lazy => &["--lazy"],
        }
    }
}

/// Where descriptor 1 or 2 leads.
#[derive(Debug)]
pub enum Output {
    /// To this file in the place.
    File(&'static str),
    /// To an open descriptor, for instance of a pipe.
    Descriptor(OwnedFd),
    /// Nowhere: the descriptor is closed.
    Closed,
}

/// A program to start, with its surroundings. Without further words: standard input is `/dev/null`, output goes to
/// `out` and `err` (`restorer.out` and `restorer.err` for the restorer), the environment is a minimal one, no other
/// descriptor is open, and the working directory is the place.
#[derive(Debug)]
pub struct Launch {
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    stdin: Stdio,
    preload: bool,
    nobody: bool,
    outputs: [Output; 2],
    limits: Vec<(u32, u64)>,
    random_addresses: bool,
    clock_offset: Option<i64>,
    checkpoint_signal: i32,
    stands_in: bool,
    exec_time: Option<&'static AtomicU64>,
}

impl Launch {
    /// Notes when the exec begins, by [`real_time`], in memory that is shared with children.
    #[must_use]
    pub fn noting_exec_time(mut self, at: &'static AtomicU64) -> Self {
        self.exec_time = Some(at);
        self
    }

    /// A program without libckpt.
    #[must_use]
    pub fn plain(program: impl AsRef<Path>) -> Self {
        let launch = Self {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            stdin: Stdio::null(),
            preload: false,
            nobody: false,
            outputs: [Output::File("out"), Output::File("err")],
            limits: Vec::new(),
            random_addresses: true,
            clock_offset: None,
            checkpoint_signal: CHECKPOINT_SIGNAL,
            stands_in: false,
            exec_time: None,
        };
        // Without HOME, programs look the user up when they start, for which libc asks a daemon through a socket.
        launch
            .env("PATH", "/usr/bin:/bin")
            .env("LANG", "C.UTF-8")
            .env("HOME", "/nonexistent")
    }

    /// A program with libckpt preloaded.
    #[must_use]
    pub fn under_libckpt(program: impl AsRef<Path>) -> Self {
        let mut launch = Self::plain(program);
        launch.preload = true;
        launch
    }

    /// The same program, without libckpt.
    #[must_use]
    pub fn without_libckpt(mut self) -> Self {
        self.preload = false;
        self
    }

    /// The restorer. Its environment is empty, since the program's must come from the image.
    #[must_use]
    pub fn restorer<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Self {
        let mut launch = Self::plain(artefacts::restorer());
        launch.env.clear();
        launch.outputs = [Output::File("restorer.out"), Output::File("restorer.err")];
        launch.args(args)
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets a variable of the environment.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env
            .push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Sends it another signal for its checkpoints; what it catches is said by `CKPT_SIGNAL` in its environment.
    #[must_use]
    pub fn checkpoint_signal(mut self, signal: i32) -> Self {
        self.checkpoint_signal = signal;
        self
    }

    /// Says whether this starts a restorer that stands in for the program (`--pid`), by way of another program.
    #[must_use]
    pub fn standing_in(mut self, stands_in: bool) -> Self {
        self.stands_in = stands_in;
        self
    }

    /// Reads standard input from a file.
    ///
    /// # Panics
    /// If it cannot be opened.
    #[must_use]
    pub fn stdin(mut self, path: impl AsRef<Path>) -> Self {
        self.stdin = fs::File::open(&path)
            .expect("the file for standard input can be read")
            .into();
        self
    }

    /// Says where standard output goes.
    #[must_use]
    pub fn stdout(mut self, output: Output) -> Self {
        self.outputs[0] = output;
        self
    }

    /// Says where standard error goes.
    #[must_use]
    pub fn stderr(mut self, output: Output) -> Self {
        self.outputs[1] = output;
        self
    }

    /// Runs it as user `nobody`, if the tests run as root; a normal user stays who he is.
    #[must_use]
    pub fn as_nobody(mut self) -> Self {
        self.nobody = true;
        self
    }

    /// Sets a resource limit, soft and hard.
    #[must_use]
    pub fn limit(mut self, resource: u32, value: u64) -> Self {
        self.limits.push((resource, value));
        self
    }

    /// Takes randomness out of the address space.
    #[must_use]
    pub fn without_aslr(mut self) -> Self {
        self.random_addresses = false;
        self
    }

    /// Has the clocks that count from the boot show `seconds` more: they are those of another boot for it.
    #[must_use]
    pub fn clock_offset(mut self, seconds: i64) -> Self {
        self.clock_offset = Some(seconds);
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start(self, place: &Place) -> Process {
        let nobody = self.nobody && is_root();
        let lend = |file: PathBuf| {
            if nobody {
                for_everybody(place, &file)
            } else {
                file
            }
        };
        let mut command = Command::new(lend(self.program.clone()));
        command
            .args(&self.args)
            .env_clear()
            .envs(self.env)
            .stdin(self.stdin);
        if self.preload {
            command.env("LD_PRELOAD", lend(artefacts::libckpt()));
        }
        if nobody {
            command.uid(NOBODY).gid(NOBODY);
        }
        let is_restorer = self.program == artefacts::restorer();
        let stands_in = self.stands_in || is_restorer && self.args.iter().any(|arg| arg == "--pid");
        let mut closed = Vec::new();
        let mut errors = PathBuf::from("err");
        for (number, output) in (1..).zip(self.outputs) {
            let stdio = match output {
                Output::File(name) => {
                    if number == 2 {
                        errors = name.into();
                    }
                    Stdio::from(output_file(&place.file(name), number, nobody))
                }
                Output::Descriptor(descriptor) => Stdio::from(descriptor),
                Output::Closed => {
                    closed.push(number);
                    Stdio::null()
                }
            };
            if number == 1 {
                command.stdout(stdio)
            } else {
                command.stderr(stdio)
            };
        }
        command.current_dir(place.path()).process_group(0);
        let (limits, random_addresses) = (self.limits, self.random_addresses);
        let clocks = self.clock_offset.map(OtherClocks::new);
        let exec_time = self.exec_time;
        let last_steps = move || {
            prepare(&closed, &limits, random_addresses, clocks.as_ref())?;
            if let Some(at) = exec_time {
                at.store(real_time(), Ordering::Relaxed);
            }
            Ok(())
        };
        // SAFETY: the closure makes system calls only, which is what may be done between fork and exec.
        unsafe { command.pre_exec(last_steps) };
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.program.display()));
        Process::new(
            child,
            place.path().to_owned(),
            errors,
            self.checkpoint_signal,
            stands_in,
        )
    }
}

/// The real-time clock in nanoseconds.
#[must_use]
pub fn real_time() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid timespec for the time of the call.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut time) };
    let [seconds, nanoseconds] = [time.tv_sec, time.tv_nsec].map(i64::cast_unsigned);
    seconds * 1_000_000_000 + nanoseconds
}

/// Runs in the child, between fork and exec.
fn prepare(
    closed: &[RawFd],
    limits: &[(u32, u64)],
    random_addresses: bool,
    clocks: Option<&OtherClocks>,
) -> io::Result<()> {
    if let Some(clocks) = clocks {
        clocks.enter()?;
    }
    // Tests that run in the background of a shell, or under nohup, inherit that these are ignored.
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT] {
        // SAFETY: the call takes plain numbers.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // What the test inherited (cargo's job server, a terminal) is no business of the program. Closed by the exec, so
    // that the descriptor on which the library reports a failed exec still works.
    // SAFETY: the call takes plain numbers and touches no memory of ours.
    unsafe {
        libc::syscall(
            libc::SYS_close_range,
            3,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    for &number in closed {
        // SAFETY: the descriptor belongs to the child alone, which is about to be replaced.
        unsafe { libc::close(number) };
    }
    for &(resource, value) in limits {
        let limit = libc::rlimit {
            rlim_cur: value,
            rlim_max: value,
        };
        // SAFETY: `limit` is a valid rlimit for the time of the call.
        if unsafe { libc::setrlimit(resource, &raw const limit) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    if !random_addresses {
        // SAFETY: the call takes a plain number; it takes effect at the exec.
        unsafe { libc::personality(libc::ADDR_NO_RANDOMIZE.cast_unsigned().into()) };
    }
    // SAFETY: the call takes a plain number.
    unsafe { libc::umask(0o027) };
    Ok(())
}

/// Standard error goes to the end of its file, so that all lines of all generations are kept; standard output is a
/// plain file as a shell makes it.
fn output_file(path: &Path, number: RawFd, nobody: bool) -> fs::File {
    let mut options = OpenOptions::new();
    if number == 2 {
        options.append(true);
    } else {
        options.write(true).truncate(true);
    }
    let file = options
        .create(true)
        .open(path)
        .expect("a place is writable");
    if nobody {
        chown(path, Some(NOBODY), Some(NOBODY)).expect("root gives files away");
    }
    file
}

/// A copy of what the tests built, where `nobody` can read it: a home directory may be closed to him.
fn for_everybody(place: &Place, file: &Path) -> PathBuf {
    if !file.starts_with(artefacts::target_dir()) {
        return file.to_owned();
    }
    let copy = place.file(
        &file
            .file_name()
            .expect("a file has a name")
            .to_string_lossy(),
    );
    if !copy.exists() {
        // A process that another test starts at this moment would have a descriptor of ours for writing, and the copy be busy.
        let copied = Command::new("cp").args([file, &copy]).status();
        assert!(
            copied.is_ok_and(|status| status.success()),
            "a place is writable"
        );
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).expect("the copy is ours");
    }
    copy
}
