//! A process under test.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use crate::portrait::Portrait;
use crate::wait::until;

/// SIGUSR2, the default of `CKPT_SIGNAL`.
pub const CHECKPOINT_SIGNAL: i32 = libc::SIGUSR2;

/// How long a restored process may look different from the one before, while its last system calls are made.
const SETTLING: Duration = Duration::from_secs(15);

/// A running process. It and its descendants are killed when this goes out of scope.
#[derive(Debug)]
pub struct Process {
    child: Child,
    place: PathBuf,
    errors: PathBuf,
    checkpoint_signal: i32,
    /// Whether it is a restorer that stands in for a program that runs in a process of its own (`--pid`).
    stands_in: bool,
    /// When it was found to have ended, in clock ticks since the boot: from then on others may have its id.
    ended: Option<u64>,
}

impl Process {
    pub(crate) fn new(
        child: Child,
        place: PathBuf,
        errors: PathBuf,
        checkpoint_signal: i32,
        stands_in: bool,
    ) -> Self {
        Self {
            child,
            errors: place.join(errors),
            place,
            checkpoint_signal,
            stands_in,
            ended: None,
        }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The id, as it is here, of the process in which the program runs: the same, unless the restorer stands in for it.
    #[must_use]
    pub fn program(&self) -> u32 {
        let stands_in = self.stands_in.then(|| self.children());
        let is_guard = |pid: &u32| {
            fs::read_to_string(format!("/proc/{pid}/comm"))
                .is_ok_and(|name| name.trim_end() == "restorer-guard")
        };
        let program = stands_in.and_then(|all| all.into_iter().find(|pid| !is_guard(pid)));
        program.unwrap_or(self.child.id())
    }

    /// Its children.
    #[must_use]
    pub fn children(&self) -> Vec<u32> {
        let pid = self.child.id();
        let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        list.unwrap_or_default()
            .split_whitespace()
            .filter_map(|pid| pid.parse().ok())
            .collect()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: i32) {
        // SAFETY: the call takes plain numbers; the child is not reaped, so the id is still its own.
        unsafe { libc::kill(self.child.id().cast_signed(), signal) };
    }

    /// In which system calls its threads wait: for each its number, the stack pointer and the address behind the instruction.
    /// A thread that runs is in none.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.program()));
        let mut calls: Vec<_> = threads
            .into_iter()
            .flatten()
            .filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("syscall")).ok())
            .filter_map(|line| {
                let fields: Vec<_> = line.split_whitespace().collect();
                match fields[..] {
                    [number, _, _, _, _, _, _, stack, instruction] => {
                        Some(format!("{number} {stack} {instruction}"))
                    }
                    _ => None,
                }
            })
            .collect();
        calls.sort();
        calls
    }

    /// Waits until the signal for a checkpoint is caught: by libckpt in a new process, again by libckpt in a restored one.
    ///
    /// # Panics
    /// If it ends before.
    pub fn wait_until_armed(&mut self) {
        self.wait_until_catches(self.checkpoint_signal);
    }

    /// Waits until the signal for a checkpoint is caught; `false` if the process ends before that.
    #[must_use]
    pub fn armed_unless_ended(&mut self) -> bool {
        until("a handler for the checkpoint signal", || {
            if self.ended().is_some() {
                Some(false)
            } else {
                self.catches(self.checkpoint_signal).then_some(true)
            }
        })
    }

    /// Like [`Process::wait_until_armed`], for another signal than the default one.
    ///
    /// # Panics
    /// If it ends before.
    pub fn wait_until_catches(&mut self, signal: i32) {
        until("a handler for the checkpoint signal", || {
            self.assert_lives("before it was ready");
            self.catches(signal).then_some(())
        });
    }

    /// Stops it, and waits until it has stopped: from then on signals pend until it is continued.
    ///
    /// Before that a signal that ends it does so at once, whatever was sent earlier (`complete_signal` in
    /// `kernel/signal.c`: only a stopped thread does not want it).
    ///
    /// # Panics
    /// If it ends before.
    pub fn stop(&mut self) {
        self.signal(libc::SIGSTOP);
        until("the stop of the process", || {
            self.assert_lives("before it had stopped");
            self.status("State:")
                .is_some_and(|state| state.starts_with('T'))
                .then_some(())
        });
    }

    /// Whether it has a handler for a signal.
    #[must_use]
    pub fn catches(&self, signal: i32) -> bool {
        let caught = self
            .status("SigCgt:")
            .and_then(|mask| u64::from_str_radix(&mask, 16).ok())
            .unwrap_or_default();
        caught >> (signal - 1) & 1 == 1
    }

    /// How many threads it has; 0 if it has ended.
    #[must_use]
    pub fn threads(&self) -> u32 {
        self.status("Threads:")
            .and_then(|number| number.parse().ok())
            .unwrap_or_default()
    }

    /// A line of `/proc/PID/status`.
    fn status(&self, name: &str) -> Option<String> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.program())).ok()?;
        let value = status.lines().find_map(|line| line.strip_prefix(name))?;
        Some(value.trim().to_owned())
    }

    /// Waits until it has called `say_ready` of `programs/survive.h`.
    ///
    /// # Panics
    /// If it ends before.
    pub fn wait_until_ready(&mut self) {
        until("the program to be ready", || {
            self.assert_lives("before it was ready");
            self.place.join("ready").exists().then_some(())
        });
    }

    /// Waits until a program in `ready_and_wait` of `programs/survive.h` has shown that it runs.
    ///
    /// # Panics
    /// If it ends before.
    pub fn wait_for_a_sign_of_life(&mut self) {
        let ping = self.place.join("ping");
        fs::create_dir(&ping).expect("a place is writable");
        until("a sign of life", || {
            self.assert_lives("instead of going on");
            (!ping.exists()).then_some(())
        });
    }

    /// Takes a checkpoint into `myckpt`.
    ///
    /// # Panics
    /// If it is refused.
    pub fn checkpoint(&mut self) {
        if let Err(line) = self.try_checkpoint("myckpt") {
            panic!("{line}");
        }
    }

    /// Takes a checkpoint that is expected at the given name, or returns the line in which it is refused.
    ///
    /// # Errors
    /// The line of libckpt that says why there is no checkpoint.
    ///
    /// # Panics
    /// If the process ends instead.
    pub fn try_checkpoint(&mut self, name: &str) -> Result<(), String> {
        self.wait_until_armed();
        self.signal_and_look_for(name).unwrap_or_else(|| {
            self.assert_lives("instead of writing an image");
            unreachable!("it has ended")
        })
    }

    /// Takes a checkpoint into `myckpt`; `false` if the process ends before that.
    ///
    /// # Errors
    /// The line of libckpt that says why there is no checkpoint.
    pub fn checkpoint_unless_ended(&mut self) -> Result<bool, String> {
        let written = self
            .armed_unless_ended()
            .then(|| self.signal_and_look_for("myckpt"));
        Ok(written.flatten().transpose()?.is_some())
    }

    /// What becomes of a checkpoint: written, refused with a line, or nothing, since the process has ended.
    fn signal_and_look_for(&mut self, name: &str) -> Option<Result<(), String>> {
        let image = self.place.join(name);
        let (old, refusals) = (identity(&image), self.refusals().len());
        self.signal(self.checkpoint_signal);
        until("the image", || {
            let ended = self.ended().is_some();
            if identity(&image) != old {
                return Some(Some(Ok(())));
            }
            if let Some(line) = self.refusals().get(refusals) {
                return Some(Some(Err(line.clone())));
            }
            ended.then_some(None)
        })
    }

    /// Asserts that libckpt has said `times` lines with these words.
    ///
    /// # Panics
    /// If it has not.
    pub fn assert_told(&self, words: &str, times: usize) {
        let said = self.errors();
        let lines = said.lines().filter(|line| line.contains(words));
        assert_eq!(lines.count(), times, "{said}");
    }

    /// What is on its standard error. A restored program has that of the program before it, and the restorer its own.
    #[must_use]
    pub fn errors(&self) -> String {
        let mut text = fs::read_to_string(&self.errors).unwrap_or_default();
        let inherited = self.place.join("err");
        if inherited != self.errors {
            text += &fs::read_to_string(inherited).unwrap_or_default();
        }
        text
    }

    /// The lines on its standard error in which checkpoints were refused.
    #[must_use]
    pub fn refusals(&self) -> Vec<String> {
        let text = self.errors();
        let complete = text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'));
        complete
            .filter(|line| line.starts_with("libckpt: no checkpoint"))
            .map(str::to_owned)
            .collect()
    }

    /// Kills it with SIGKILL, and returns when it is gone, with the program if it stands in for one.
    pub fn kill(&mut self) {
        let program = self.program();
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.ended.get_or_insert_with(ticks);
        if program != self.pid() {
            until("the end of the program", || is_gone(program).then_some(()));
        }
    }

    /// Kills it with SIGKILL, and returns when its process id is free: the writer of an image, which has ended by itself but may
    /// not be reaped yet, has it as that of its process group.
    pub fn kill_and_free_id(&mut self) {
        self.kill();
        let group = -self.child.id().cast_signed();
        until("the end of the process group", || {
            // SAFETY: the call takes plain numbers.
            let exists = unsafe { libc::kill(group, 0) } == 0;
            (!exists).then_some(())
        });
    }

    /// Kills it with all its descendants, the writer of an image among them.
    pub fn kill_group(&mut self) {
        let group = self.child.id().cast_signed();
        let kill = |pid| {
            // SAFETY: the call takes plain numbers.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        };
        match self.ended {
            // It leads a process group of its own; as long as it is not reaped, no other group can have that number.
            None => kill(-group),
            Some(ended) => members_of(group, ended).for_each(kill),
        }
        self.kill();
    }

    /// Whether it has ended, and how.
    ///
    /// # Panics
    /// If the kernel does not tell.
    #[must_use]
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().expect("a child can be waited for");
        if status.is_some() {
            self.ended.get_or_insert_with(ticks);
        }
        status
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it does not end.
    #[must_use]
    pub fn wait(&mut self) -> ExitStatus {
        until("the end of the process", || self.ended())
    }

    /// What `/proc` shows of it.
    ///
    /// # Panics
    /// If it has ended.
    #[must_use]
    pub fn portrait(&self) -> Portrait {
        Portrait::of(self.program()).expect("the process lives")
    }

    /// Waits until a restored process looks as it did before.
    ///
    /// # Panics
    /// If it goes on looking different, or ends.
    pub fn wait_until_it_looks_like(&mut self, before: &Portrait) {
        self.wait_until_it_looks(before, |now| now);
    }

    /// Waits until a process that was restored lazily, now or before, looks as it did; see [`Portrait::without_labels`].
    ///
    /// # Panics
    /// If it goes on looking different, or ends.
    pub fn wait_until_it_looks_like_but_for_labels(&mut self, before: Portrait) {
        self.wait_until_it_looks(&before.without_labels(), Portrait::without_labels);
    }

    fn wait_until_it_looks(&mut self, before: &Portrait, seen: fn(Portrait) -> Portrait) {
        let start = Instant::now();
        until("the restored process to look as before", || {
            self.assert_lives("instead of going on");
            let now = seen(Portrait::of(self.program())?);
            if now == *before {
                return Some(());
            }
            assert!(start.elapsed() < SETTLING, "{}", before.difference(&now));
            None
        });
    }

    fn assert_lives(&mut self, when: &str) {
        if let Some(status) = self.ended() {
            let errors = fs::read_to_string(&self.errors).unwrap_or_default();
            let how = match status.signal() {
                Some(signal) => format!("died of signal {signal}"),
                None => format!("exited with {:?}", status.code()),
            };
            panic!("the process {how} {when}; its standard error:\n{errors}");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill_group();
    }
}

/// Whether a process has ended; whoever has to reap it may not have done that.
/// Clock ticks since the boot, as `/proc/PID/stat` counts them: a hundred in a second.
fn ticks() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the call writes the time.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    (time.tv_sec * 100 + time.tv_nsec / 10_000_000).cast_unsigned()
}

/// The processes of the group that began before its leader had `ended`: later ones are strangers, in a group of the same number.
fn members_of(group: i32, ended: u64) -> impl Iterator<Item = i32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(move |pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // Behind the name, which may have blanks in it (proc_pid_stat(5)).
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        let field = |index: usize| fields.get(index)?.parse::<u64>().ok();
        field(2) == Some(u64::from(group.cast_unsigned()))
            && field(19).is_some_and(|began| began <= ended)
    })
}

fn is_gone(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/status"))
        .map_or(true, |status| status.contains("State:\tZ"))
}

/// Changes when a file is replaced by another.
fn identity(path: &Path) -> Option<(u64, i64, i64)> {
    let file = fs::metadata(path).ok()?;
    Some((file.ino(), file.ctime(), file.ctime_nsec()))
}
