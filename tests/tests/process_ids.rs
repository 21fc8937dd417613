//! `restorer --pid`: the program has its old process id, and whoever started the restorer sees the restorer do what the program
//! does. As root the kernel lets the restorer choose; everybody else gets a namespace.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use ckpt_tests::{
    Launch, Output, Place, Process, Program, Trial, is_root, libckpt, not_run, restorer, tool,
    until, workload,
};

/// How the old id is come by.
#[derive(Clone, Copy, Debug)]
enum Way {
    Privilege,
    Namespace,
}

impl Way {
    fn place(self, test: &str) -> Place {
        match self {
            Self::Privilege => Place::new(test),
            Self::Namespace => Place::of_nobody(test),
        }
    }

    fn launch(self, launch: Launch) -> Launch {
        match self {
            Self::Privilege => launch,
            Self::Namespace => launch.as_nobody(),
        }
    }

    fn restorer(self, arguments: &[&str]) -> Launch {
        self.launch(Launch::restorer(["--pid"]).args(arguments))
    }

    /// A place with an image of a program of `programs/`, which is killed, and the id that it had.
    fn image(self, test: &str, program: &str) -> (Place, u32) {
        let place = self.place(test);
        let mut process = self
            .launch(Program::compile(program).launch())
            .start(&place);
        process.wait_until_ready();
        let pid = process.pid();
        process.checkpoint();
        process.kill_and_free_id();
        (place, pid)
    }
}

/// The ways that this machine has.
fn ways(test: &str) -> Vec<Way> {
    let mut ways = Vec::new();
    if is_root() {
        ways.push(Way::Privilege);
    } else {
        not_run(test, "with a privilege: the tests do not run as root");
    }
    if has_namespaces() {
        ways.push(Way::Namespace);
    } else {
        not_run(
            test,
            "in a namespace: this machine does not permit user namespaces",
        );
    }
    ways
}

/// Whether a user without privileges may make the namespaces.
fn has_namespaces() -> bool {
    let place = Place::of_nobody("namespaces");
    Launch::plain("/usr/bin/unshare")
        .args(["--user", "--map-root-user", "--pid", "--fork"])
        .args(["--mount-proc", "true"])
        .as_nobody()
        .start(&place)
        .wait()
        .success()
}

/// Restores it, and returns when the program runs.
fn restored(way: Way, place: &Place) -> Process {
    let mut restored = way.restorer(&["myckpt"]).start(place);
    restored.wait_until_armed();
    restored
}

/// A program of `programs/` survives, in all ways.
fn assert_survives(test: &str, program: &str) {
    for way in ways(test) {
        let (place, _) = way.image(test, program);
        let mut process = restored(way, &place);
        place.release();
        let status = process.wait();
        let said = place.text("restorer.err") + &place.text("err");
        assert_eq!(status.code(), Some(42), "{way:?}: {said}");
    }
}

/// The id that a process has in its own namespace.
fn own_id(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))?;
    line.split_whitespace().last()?.parse().ok()
}

fn state(pid: u32) -> Option<char> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("State:"))?;
    line.trim_start().chars().next()
}

#[test]
fn the_ids_come_back_in_generation_after_generation() {
    for way in ways("generations") {
        let place = way.place("generations");
        let program = Program::compile("process_id.c");
        let mut process = way.launch(program.launch()).start(&place);
        process.wait_until_ready();
        let pid = process.pid();
        for _ in 0..3 {
            let before = process.portrait();
            process.checkpoint();
            process.kill_and_free_id();
            process = restored(way, &place);
            process.wait_until_it_looks_like(&before);
            assert_eq!(own_id(process.program()), Some(pid), "{way:?}");
            // What was made for the id is nothing that the program has lost.
            assert_eq!(place.text("restorer.err"), "", "{way:?}");
        }
        place.release();
        let status = process.wait();
        assert_eq!(status.code(), Some(42), "{way:?}: {}", place.text("err"));
    }
}

/// Who has made it is another process, as far as a namespace can tell.
#[test]
fn system_v_memory_that_is_still_there_is_found() {
    assert_survives("system_v_memory", "sysv_memory_key.c");
}

/// Who is in another namespace cannot be seen.
#[test]
fn an_image_from_another_namespace_is_replaced_with_a_word() {
    let test = "replaced";
    for way in ways(test) {
        let (place, _) = way.image(test, "plain.c");
        let mut process = restored(way, &place);
        process.checkpoint();
        let said = until("the line", || {
            let said = place.text("err");
            (said.lines().count() == 2).then_some(said)
        });
        let is_told = said.contains("it replaced an image of another PID namespace");
        assert_eq!(is_told, matches!(way, Way::Namespace), "{way:?}: {said}");
    }
}

#[test]
fn the_program_is_its_own_executable() {
    assert_survives("own_executable", "executable.c");
}

#[test]
fn an_image_from_a_namespace_is_restored_without_one() {
    if !has_namespaces() {
        return not_run(
            "from-namespace",
            "this machine does not permit user namespaces",
        );
    }
    // A user is in other groups, too, all of which look like nobody's in a namespace.
    let (place, setpriv) = (Place::of_nobody("from-namespace"), "/usr/bin/setpriv");
    let user = ["--reuid=65534", "--regid=65534", "--groups=65534,4,27"];
    let as_user = |launch: &str| {
        let user = if is_root() { &user[..] } else { &[] };
        Launch::plain(setpriv).args(user).arg(launch)
    };
    for (file, name) in [(libckpt(), "libckpt.so"), (restorer(), "restorer")] {
        fs::copy(file, place.file(name)).expect("a place is writable");
    }
    for output in ["out", "err"] {
        place.write(output, "");
        fs::set_permissions(place.file(output), fs::Permissions::from_mode(0o666))
            .expect("it is ours");
    }
    let program = place.file("plain");
    fs::copy(Program::compile("plain.c").path(), &program).expect("a place is writable");
    let preloaded =
        as_user(&program.display().to_string()).env("LD_PRELOAD", place.file("libckpt.so"));
    let mut process = preloaded.start(&place);
    process.wait_until_ready();
    let before = process.portrait();
    process.checkpoint();
    process.kill_and_free_id();
    let own = place.file("restorer").display().to_string();
    for options in [&["--pid"][..], &[], &["--pid"], &[]] {
        let launch = as_user(&own).args(options).arg("myckpt");
        let mut process = launch.standing_in(!options.is_empty()).start(&place);
        process.wait_until_armed();
        process.wait_until_it_looks_like(&before);
        process.checkpoint();
        process.kill_and_free_id();
    }
    place.release();
    let mut last = as_user(&own).arg("myckpt").start(&place);
    assert_eq!(last.wait().code(), Some(42), "{}", place.text("err"));
}

#[test]
fn exit_status_and_death_by_signal_come_through() {
    for way in ways("status") {
        let (place, _) = way.image("status", "plain.c");
        for signal in [libc::SIGTERM, libc::SIGSEGV, libc::SIGKILL] {
            let mut process = restored(way, &place);
            process.wait_for_a_sign_of_life();
            if signal == libc::SIGKILL {
                // The program alone.
                kill(process.program(), signal);
            } else {
                process.signal(signal);
            }
            assert_eq!(process.wait().signal(), Some(signal), "{way:?}");
        }
        place.release();
        let status = way.restorer(&["myckpt"]).start(&place).wait();
        assert_eq!(
            status.code(),
            Some(42),
            "{way:?}: {}",
            place.text("restorer.err")
        );
    }
}

fn kill(pid: u32, signal: i32) {
    // SAFETY: the call takes plain numbers.
    unsafe { libc::kill(pid.cast_signed(), signal) };
}

#[test]
fn killing_the_restorer_kills_the_program() {
    for way in ways("guard") {
        let (place, _) = way.image("guard", "plain.c");
        let mut process = restored(way, &place);
        process.wait_for_a_sign_of_life();
        let (program, children) = (process.program(), process.children());
        assert_eq!(children.len(), 2, "a program and a guard");
        kill(process.pid(), libc::SIGKILL);
        assert_eq!(process.wait().signal(), Some(libc::SIGKILL));
        until("the end of the program", || {
            matches!(state(program), None | Some('Z')).then_some(())
        });
    }
}

#[test]
fn the_program_stops_and_goes_on_with_the_restorer() {
    for way in ways("stop") {
        let (place, _) = way.image("stop", "plain.c");
        let mut process = restored(way, &place);
        process.wait_for_a_sign_of_life();
        let both = [process.pid(), process.program()];
        let wait_for = |stopped: bool| {
            until("both to stop or to go on", || {
                both.iter()
                    .all(|&pid| (state(pid) == Some('T')) == stopped)
                    .then_some(())
            });
        };
        for signal in [libc::SIGTSTP, libc::SIGTTIN] {
            process.signal(signal);
            wait_for(true);
            process.signal(libc::SIGCONT);
            wait_for(false);
        }
        // Somebody stops the program.
        kill(process.program(), libc::SIGSTOP);
        wait_for(true);
        process.signal(libc::SIGCONT);
        wait_for(false);
        process.wait_for_a_sign_of_life();
    }
}

/// A pseudo terminal: our side, and the other one.
fn terminal() -> (fs::File, OwnedFd) {
    let (mut ours, mut theirs) = (0, 0);
    let null = std::ptr::null_mut();
    // SAFETY: the call writes two descriptors; the rest is optional.
    let made = unsafe {
        libc::openpty(
            &raw mut ours,
            &raw mut theirs,
            null,
            null.cast(),
            null.cast(),
        )
    };
    assert_eq!(made, 0, "there are pseudo terminals");
    for fd in [ours, theirs] {
        // SAFETY: the call takes plain numbers.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    // SAFETY: both are open and nobody else's.
    unsafe { (fs::File::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs)) }
}

/// A shell on a terminal.
struct Shell {
    child: std::process::Child,
    terminal: fs::File,
    seen: String,
}

impl Shell {
    fn start(place: &Place, bash: &std::path::Path) -> Self {
        use std::os::unix::process::CommandExt;
        let (ours, theirs) = terminal();
        let stdio = || theirs.try_clone().expect("descriptors are left");
        let mut command = Command::new(bash);
        command
            .args(["--norc", "--noediting", "-i"])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("PS1", "ready> ")
            .current_dir(place.path())
            .stdin(stdio())
            .stdout(stdio())
            .stderr(stdio());
        // SAFETY: the closure makes system calls only, which is what may be done between fork and exec.
        unsafe {
            command.pre_exec(|| {
                libc::setsid();
                libc::ioctl(0, libc::TIOCSCTTY, 0);
                Ok(())
            })
        };
        let child = command.spawn().expect("bash starts");
        Self {
            child,
            terminal: ours,
            seen: String::new(),
        }
    }

    fn write(&mut self, text: &str) {
        self.terminal
            .write_all(text.as_bytes())
            .expect("the terminal is open");
    }

    /// Reads until `text` has been shown.
    fn expect(&mut self, text: &str) {
        loop {
            if let Some(at) = self.seen.find(text) {
                self.seen.drain(..at + text.len());
                return;
            }
            let mut ready = libc::pollfd {
                fd: self.terminal.as_raw_fd(),
                events: libc::POLLIN,
                revents: 0,
            };
            // SAFETY: the call reads and writes one struct.
            let polled = unsafe { libc::poll(&raw mut ready, 1, 60_000) };
            assert_eq!(polled, 1, "{text:?} is not shown, but: {}", self.seen);
            let mut buffer = [0; 1024];
            let count = self.terminal.read(&mut buffer).unwrap_or(0);
            assert_ne!(count, 0, "bash has ended: {}", self.seen);
            self.seen += &String::from_utf8_lossy(&buffer[..count]);
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_shell_controls_it_as_a_job() {
    let Some(bash) = tool("job", "bash") else {
        return;
    };
    let way = if is_root() {
        Way::Privilege
    } else if has_namespaces() {
        Way::Namespace
    } else {
        return not_run("job", "this machine does not permit user namespaces");
    };
    let (place, _) = way.image("job", "plain.c");
    let mut shell = Shell::start(&place, &bash);
    shell.expect("ready> ");
    shell.write(&format!("'{}' --pid myckpt\n", restorer().display()));
    let sign_of_life = || {
        fs::create_dir(place.file("ping")).expect("a place is writable");
        until("a sign of life", || {
            (!place.file("ping").exists()).then_some(())
        });
    };
    sign_of_life();
    shell.write("\x1a");
    shell.expect("Stopped");
    shell.expect("ready> ");
    shell.write("bg\n");
    shell.expect("ready> ");
    sign_of_life();
    shell.write("fg\n");
    shell.expect("myckpt");
    sign_of_life();
    shell.write("\x1a");
    shell.expect("Stopped");
    shell.expect("ready> ");
    shell.write("fg\n");
    shell.expect("myckpt");
    sign_of_life();
    shell.write("\x03");
    shell.expect("ready> ");
    shell.write("echo status $?\n");
    shell.expect("status 130");
}

#[test]
fn an_id_that_is_taken_is_named_and_nothing_is_restarted() {
    if !is_root() {
        return not_run("taken", "the tests do not run as root");
    }
    let way = Way::Privilege;
    let (place, pid) = way.image("taken", "plain.c");
    let first = restored(way, &place);
    let mut second = way
        .restorer(&["myckpt"])
        .stderr(Output::File("second.err"))
        .start(&place);
    assert_eq!(second.wait().code(), Some(123));
    let line = place.text("second.err");
    assert!(
        line.contains(&pid.to_string()) && line.contains("(plain_c)") && line.lines().count() == 1,
        "{line}"
    );
    drop(first);
}

#[test]
fn an_id_whose_process_nobody_has_waited_for_is_named() {
    if !is_root() {
        return not_run("not_waited_for", "the tests do not run as root");
    }
    let place = Place::new("not_waited_for");
    let mut process = Program::compile("plain.c").start(&place);
    process.checkpoint();
    let pid = process.pid();
    process.signal(libc::SIGKILL);
    until("its end", || (state(pid) == Some('Z')).then_some(()));
    let launch = Way::Privilege.restorer(&["myckpt"]);
    let mut restored = launch.stderr(Output::File("second.err")).start(&place);
    assert_eq!(restored.wait().code(), Some(123));
    let line = place.text("second.err");
    assert!(
        line.contains("nobody has waited") && line.lines().count() == 1,
        "{line}"
    );
}

#[test]
fn where_namespaces_are_forbidden_one_line_says_so() {
    let Some(strace) = tool("forbidden", "strace") else {
        return;
    };
    let place = Place::new("forbidden");
    let mut process = Program::compile("plain.c").start(&place);
    process.checkpoint();
    process.kill_and_free_id();
    place.release();
    for (calls, status) in [
        (&["clone3:error=EPERM", "unshare:error=EPERM"][..], 123),
        (&["clone3:error=EPERM", "unshare:error=ENOSPC"], 123),
        (&["clone3:error=EPERM", "mount:error=EPERM"], 123),
        (&["clone3:error=ENOSYS"], 123),
    ] {
        // The first clone3 asks whether there is a privilege.
        let faults = calls.iter().map(|call| {
            let once = if call.starts_with("clone3") {
                ":when=1"
            } else {
                ""
            };
            format!("--inject={call}{once}")
        });
        let launch = Launch::plain(&strace)
            .args(["--output=trace", "--follow-forks"])
            .args(faults.collect::<Vec<_>>())
            .arg(restorer())
            .args(["--pid", "myckpt"]);
        let mut traced = launch.stderr(Output::File("line")).start(&place);
        assert_eq!(
            traced.wait().code(),
            Some(status),
            "{calls:?}: {}",
            place.text("line")
        );
        let line = place.text("line");
        assert!(
            line.contains("process id") && line.contains("--pid") && line.lines().count() == 1,
            "{calls:?}: {line}"
        );
        fs::remove_file(place.file("line")).expect("a place is writable");
    }
}

#[test]
fn nothing_of_the_program_is_held_open() {
    for way in ways("held") {
        let (place, _) = way.image("held", "plain.c");
        let mut process = restored(way, &place);
        process.wait_for_a_sign_of_life();
        let program = process.program();
        let others = process.children().into_iter().filter(|&pid| pid != program);
        for pid in others.chain([process.pid()]) {
            let files = fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs");
            for file in files {
                let path = fs::read_link(file.expect("an entry").path()).expect("it is open");
                let name = path.display().to_string();
                assert!(
                    name.starts_with("pipe:") || name.starts_with("anon_inode:"),
                    "{way:?}: {name}"
                );
            }
            let directory = fs::read_link(format!("/proc/{pid}/cwd")).expect("it runs");
            assert_eq!(directory.display().to_string(), "/");
        }
    }
}

#[test]
fn what_the_program_leaves_running_goes_on_when_it_has_ended() {
    for way in ways("left") {
        let place = way.place("left");
        let script = "kill -USR2 $$; while ! test -e go; do :; done; \
                      (while ! test -e late; do :; done; echo done >result) >/dev/null 2>&1 & exit 3";
        let mut process = way
            .launch(Launch::under_libckpt("/bin/sh").args(["-c", script]))
            .start(&place);
        until("the image", || place.file("myckpt").exists().then_some(()));
        process.kill_and_free_id();
        let mut process = way.restorer(&["myckpt"]).start(&place);
        place.write("go", "");
        assert_eq!(
            process.wait().code(),
            Some(3),
            "{}",
            place.text("restorer.err")
        );
        place.write("late", "");
        until("the result", || {
            (place.text("result") == "done\n").then_some(())
        });
    }
}

/// A server and its clients in one process. Before Python 3.12, asyncio knows its loop by the process id.
#[test]
fn python3_asyncio_over_a_unix_socket() {
    let Some(program) = tool("asyncio", "python3") else {
        return;
    };
    if !is_root() && !has_namespaces() {
        return not_run("asyncio", "this machine does not permit user namespaces");
    }
    let launch = || Launch::under_libckpt(&program).arg(workload("asyncio_unix.py"));
    Trial::new("asyncio", launch).restorer("--pid").run();
}

#[test]
fn a_program_from_other_namespaces_is_restored_with_a_warning() {
    const TEST: &str = "a_program_from_other_namespaces_is_restored_with_a_warning";
    if !is_root() {
        return not_run(TEST, "the tests do not run as root");
    }
    let place = Place::new("other-namespaces");
    let program = Program::compile("plain.c");
    let mut process = Launch::under_libckpt("/usr/bin/unshare")
        .arg("--uts")
        .arg(program.path())
        .start(&place);
    process.wait_until_ready();
    process.checkpoint();
    process.kill();
    place.release();
    let status = Launch::restorer(["myckpt"]).start(&place).wait();
    let said = place.text("restorer.err");
    assert_eq!(status.code(), Some(42), "{said}");
    let warning = "restorer: warning: the program was in other namespaces (uts); it goes on in those of the restorer\n";
    assert_eq!(said, warning);
}
