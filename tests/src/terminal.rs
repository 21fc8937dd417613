//! A terminal with a program in it: tmux, which shows what is on its screen.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::Command;

use crate::artefacts::{libckpt, restorer};
use crate::place::Place;
use crate::process::CHECKPOINT_SIGNAL;
use crate::wait::until;

/// Columns and rows.
pub type Size = [u32; 2];

/// A terminal of its own, which ends with whatever is in it when this goes out of scope.
#[derive(Debug)]
pub struct Terminal {
    socket: PathBuf,
    image: PathBuf,
}

/// What an interactive shell shows when it waits for a command.
pub const PROMPT: &str = "ready>";

/// The arguments that start such a shell.
pub const SHELL: [&str; 4] = ["bash", "--norc", "--noprofile", "-i"];

impl Terminal {
    /// A terminal in which a program runs under libckpt.
    #[must_use]
    pub fn under_libckpt<A: AsRef<OsStr>>(
        place: &Place,
        size: Size,
        command: impl IntoIterator<Item = A>,
    ) -> Self {
        let preload = format!("LD_PRELOAD={}", libckpt().display());
        let terminal = Self::start(place, "first", size, [&*preload], command);
        // `env` becomes the program, and both are under libckpt.
        until("a handler for the checkpoint signal", || {
            fs::read_to_string(format!("/proc/{}/status", terminal.pid()))
                .ok()?
                .lines()
                .find_map(|line| line.strip_prefix("SigCgt:"))
                .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
                .filter(|mask| mask >> (CHECKPOINT_SIGNAL - 1) & 1 == 1)
        });
        terminal
    }

    /// A terminal in which somebody types to a shell that the program is to be restored.
    #[must_use]
    pub fn restoring(place: &Place, name: &str, size: Size) -> Self {
        let terminal = Self::start(place, name, size, [""; 0], SHELL);
        terminal.wait_for(PROMPT);
        let (restorer, image) = (restorer(), &terminal.image);
        // The screen is empty then but for what the program draws.
        let command = format!("clear; {} {}", restorer.display(), image.display());
        terminal.press(&[&command, "Enter"]);
        terminal
    }

    fn start<A: AsRef<OsStr>>(
        place: &Place,
        name: &str,
        [columns, rows]: Size,
        env: impl IntoIterator<Item = impl AsRef<OsStr>>,
        command: impl IntoIterator<Item = A>,
    ) -> Self {
        let terminal = Self {
            socket: place.file(name),
            image: place.file("myckpt"),
        };
        let path = place.path().display();
        let [columns, rows] = [columns, rows].map(|size| size.to_string());
        terminal
            .tmux([
                "-f",
                "/dev/null",
                "new-session",
                "-d",
                "-x",
                &columns,
                "-y",
                &rows,
            ])
            .args(["-c", &path.to_string()])
            .args([
                "env",
                "-i",
                "PATH=/usr/bin:/bin",
                "LANG=C.UTF-8",
                "TERM=screen",
            ])
            .args([&format!("HOME={path}"), &format!("PS1={PROMPT} ")])
            // Written at its end, it would be all that is left of the directory.
            .args(["HISTFILE=/dev/null"])
            .args([
                &format!("CKPT_FILE={}", terminal.image.display()),
                "CKPT_QUIET=1",
            ])
            .args(env)
            .args(command)
            .run();
        terminal
    }

    fn tmux<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Tmux {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(&self.socket).args(args);
        // It would not start inside of another one.
        command.env_remove("TMUX");
        Tmux(command)
    }

    /// The program that the terminal was made for.
    ///
    /// # Panics
    /// If there is none any more.
    #[must_use]
    pub fn pid(&self) -> i32 {
        let answer = self.tmux(["display-message", "-p", "#{pane_pid}"]).run();
        answer.trim().parse().expect("a terminal has a program")
    }

    /// Presses keys, each by its tmux name or as text.
    pub fn press(&self, keys: &[&str]) {
        self.tmux(["send-keys"]).args(keys).run();
    }

    /// What tmux says of the terminal: its answer to a format such as `#{alternate_on}`.
    #[must_use]
    pub fn state(&self, format: &str) -> String {
        self.tmux(["display-message", "-p", format]).run()
    }

    /// What is on the screen.
    #[must_use]
    pub fn screen(&self) -> String {
        self.tmux(["capture-pane", "-p"]).run()
    }

    /// Waits until the screen shows `text`.
    pub fn wait_for(&self, text: &str) {
        self.wait_until_it_shows(&format!("{text:?} on the screen"), |screen| {
            screen.contains(text)
        });
    }

    /// Waits until the screen is as `expected` wants it to be.
    ///
    /// # Panics
    /// If it does not become so.
    pub fn wait_until_it_shows(&self, what: &str, expected: impl Fn(&str) -> bool) {
        let mut last = String::new();
        let shown = std::panic::AssertUnwindSafe(|| {
            until(what, || {
                last = self.screen();
                expected(&last).then_some(())
            });
        });
        if let Err(panic) = std::panic::catch_unwind(shown) {
            eprintln!("the screen:\n{last}");
            std::panic::resume_unwind(panic);
        }
    }

    /// Has the process `pid` take a checkpoint, and kills it.
    pub fn freeze(&self, pid: i32) {
        self.checkpoint(pid);
        // SAFETY: the call takes plain numbers.
        unsafe { libc::kill(pid, libc::SIGKILL) };
    }

    /// Has the process `pid` take a checkpoint.
    pub fn checkpoint(&self, pid: i32) {
        let inode = || fs::metadata(&self.image).map(|image| image.ino()).ok();
        let before = inode();
        // SAFETY: the call takes plain numbers.
        unsafe { libc::kill(pid, CHECKPOINT_SIGNAL) };
        until("an image", || (inode() != before).then_some(()));
    }

    /// The process in the foreground.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn foreground(&self) -> i32 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("it lives");
        let behind_name = stat.rsplit(") ").next().expect("a name");
        // Field `tpgid` of proc_pid_stat(5).
        let group = behind_name.split(' ').nth(8 - 3).expect("as many fields");
        group.parse().expect("a number")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.tmux(["kill-server"]).0.output();
    }
}

/// One command to tmux.
struct Tmux(Command);

impl Tmux {
    fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.0.args(args);
        self
    }

    /// What it answers.
    fn run(mut self) -> String {
        let output = self.0.output().expect("tmux can be started");
        assert!(
            output.status.success(),
            "{:?}: {}",
            self.0,
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}
